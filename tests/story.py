"""A company, its CRM as files, a Slack workspace and the real program between them, for tests that read like stories.

    firm = Firm(folder)
    firm.hires("Ada Marsh")
    firm.deal("Ada Marsh", expected_close="2026-11-02")
    async with firm.at_work(url, "2026-11-16 07:00") as story:
        await story.until("2026-11-17 10:00")
        await story.presses("Ada Marsh", "goal:productivity")
        assert "close date" in story.last("Ada Marsh").text

Nothing between the files and the workspace is a fake: mapping, connector, planner, outbox, gate, Bolt handlers and the
sandbox's Web API, over HTTP on loopback. The sandbox is master of the clock, as in a replay. Times without an offset are UTC.
"""

from __future__ import annotations

import contextlib
import csv
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot.clock import SteeredClock
from bot.connectors.spreadsheet.connector import SpreadsheetConnector, open_spreadsheet
from bot.content.load import Content, load
from bot.content.programme import load_programme
from bot.delivery.directory import SlackDirectory
from bot.delivery.slack import SlackMessenger, connect
from bot.domain.feedback import Feedback
from bot.domain.people import Person
from bot.domain.ports import Connector
from bot.domain.programme import Programme
from bot.services.plan_messages import plan
from bot.wiring import House, Steered, all_triggers, asgi_of, listening, served
from bot.workdays import PublicHolidays
from sandbox.acts import elements, options
from sandbox.app import Sandbox, listen, serving
from sandbox.clock import SteeredClock as SandboxClock
from sandbox.events import Outbound
from sandbox.parcels import Answer
from sandbox.roster import read_user
from sandbox.slack import Slack
from sandbox.state import Message
from sandbox.steering import Steering
from store import decisions, feedback, outbox, people
from store.database import Database, migrate, open_database
from store.decisions import DecisionRow

TOKEN = "xoxb-story"
SIGNING_SECRET = "the-signing-secret-of-the-story"
SECRET = b"the draws of every story depend on it"
BOSS = "Maria Lang"
OLD_HANDS = "2026-01-05"
"""Day of access of people who are long past their first weeks."""
LONG_AGO = "2026-08-03"
A_MOMENT = 5
"""Seconds after something that a person did: a conversation takes one message a second."""
HEADS: Mapping[str, tuple[str, ...]] = {
    "people.csv": ("Name", "Email", "Manager", "Role", "Zone", "Works", "Started", "Active"),
    "deals.csv": (
        *(
            "Id",
            "Name",
            "Owner",
            "Account",
            "Step",
            "Created",
            "Expected",
            "Closed",
            "Amount",
            "Next",
            "Since",
        ),
    ),
    "activities.csv": ("Date", "Who", "Kind"),
}

MAPPING = """
[source]
name = "story-crm"
lag_days = 1
zone = "Europe/Berlin"
coverage = "{coverage}"
record_link = "https://crm.example.com/deals/{{id}}"

[people]
file = "people.csv"
[people.columns]
name = "Name"
email = "Email"
manager = "Manager"
role = "Role"
zone = "Zone"
working_days = "Works"
access_since = "Started"
active = "Active"
[people.roles]
"seller" = "seller"
"manager" = "manager"

[opportunities]
file = "deals.csv"
[opportunities.columns]
id = "Id"
name = "Name"
owner = "Owner"
account = "Account"
step = "Step"
created = "Created"
expected_close = "Expected"
closed = "Closed"
amount = "Amount"
next_step = "Next"
step_since = "Since"
[opportunities.steps]
Talking = "open"
Offer = "open"
Won = "won"
Lost = "lost"

[activities]
file = "activities.csv"
may_be_empty = true
[activities.columns]
person = "Who"
date = "Date"
kind = "Kind"

# What would come true by the mere passing of weeks: a story names what is wrong, and nothing else is.
[[unsupported]]
metrics = {silent_about}
reason = "the export does not say it"
"""

PROGRAMME = """
[programme]
name = "CRM that pays back"
crm = "Compass"
go_live = 2026-01-05
{zone}
country = "{country}"
pilot_teams = {pilots}

[people]
sponsor = {{ name = "Dana Reyes", email = "dana.reyes@example.com" }}
adoption_lead = "lee.brandt@example.com"
privacy_officer = "kim.novak@example.com"

[owners]
process = "robin.weber@example.com"

[rules]
hold_out = 0.05
"""


def moment(written: str) -> datetime:
    """``2026-11-17 10:00``, UTC unless it has an offset."""
    at = datetime.fromisoformat(written)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def address(name: str) -> str:
    """The e-mail address of somebody of the firm."""
    return ".".join(name.lower().split()) + "@example.com"


@dataclass
class Firm:
    """The files of a company: what its CRM exports every night. ``zone``: where everybody lives who says nothing else.

    ``silent_about``: metrics that the files cannot say.
    """

    folder: Path
    zone: str = "Europe/Berlin"
    country: str = "DE"
    coverage: str = "complete"
    silent_about: tuple[str, ...] = ("opps_stuck_step", "opps_open_long")
    pilots: str = '["maria.lang@example.com"]'
    people: dict[str, dict[str, str]] = field(default_factory=dict)
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    deals: list[dict[str, str]] = field(default_factory=list)
    activities: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.hires(BOSS, role="manager", manager="")

    # -- who is there ----------------------------------------------------------------------------------------------

    def hires(
        self,
        name: str,
        *,
        role: str = "seller",
        manager: str = BOSS,
        zone: str | None = None,
        works: str = "Mon Tue Wed Thu Fri",
        since: str = OLD_HANDS,
        slack: Mapping[str, Any] | None = None,
    ) -> str:
        """Somebody in the CRM with an account in Slack. ``slack``: more about the account; ``{"email": None}`` hides it."""
        self.people[name] = {
            "Name": name,
            "Email": address(name),
            "Manager": address(manager) if manager else "",
            "Role": role,
            "Zone": self.zone if zone is None else zone,
            "Works": works,
            "Started": since,
            "Active": "yes",
        }
        self.accounts[name] = {
            "id": f"U{len(self.accounts) + 1:08}",
            "name": name,
            "email": address(name),
            "tz": self.zone if zone is None else zone,
            **(slack or {}),
        }
        return name

    # -- what they do ----------------------------------------------------------------------------------------------

    def deal(self, owner: str, count: int = 1, **changes: str) -> None:
        """Open deals in good order, except for what ``changes`` says (``expected``, ``account``, ``next`` …)."""
        for _ in range(count):
            number = len(self.deals) + 1
            self.deals.append(
                {
                    "Id": f"D-{number:03}",
                    "Name": f"Deal {number}",
                    "Owner": address(owner),
                    "Account": "Northwind",
                    "Step": "Talking",
                    "Created": LONG_AGO,
                    "Expected": "2027-12-31",
                    "Closed": "",
                    "Amount": "1000",
                    "Next": "Call on Tuesday",
                    "Since": "",
                }
                | {key.title(): value for key, value in changes.items()}
            )

    def neglects_dates(self, owner: str, count: int = 4) -> None:
        """Open deals whose expected close date is long past, and nothing else the matter with them."""
        self.deal(owner, count, expected="2026-02-02")

    def works_daily(self, name: str, since: str, until: str) -> None:
        """A call on every working day."""
        day, last = date.fromisoformat(since), date.fromisoformat(until)
        while day <= last:
            if day.weekday() < 5:
                self.activities.append({"Date": day.isoformat(), "Who": address(name), "Kind": "call"})
            day += timedelta(days=1)

    # -- files -----------------------------------------------------------------------------------------------------

    def exports(self, *, only: str | None = None) -> None:
        """Write the files as the CRM's nightly export does. ``only``: this one."""
        tables = {
            "people.csv": list(self.people.values()),
            "deals.csv": self.deals,
            "activities.csv": self.activities,
        }
        for name, rows in tables.items():
            if only in (None, name):
                with (self.folder / name).open("w", newline="", encoding="utf-8") as file:
                    writer = csv.DictWriter(file, HEADS[name])
                    writer.writeheader()
                    writer.writerows(rows)

    def writes(self) -> tuple[Path, Path]:
        """Everything that the program is given: the export, the mapping, the programme. Returns the last two."""
        self.exports()
        mapping, programme = self.folder / "mapping.toml", self.folder / "programme.toml"
        mapping.write_text(
            MAPPING.format(coverage=self.coverage, silent_about=list(self.silent_about)), encoding="utf-8"
        )
        zone = f'zone = "{self.zone}"' if self.zone else ""
        programme.write_text(
            PROGRAMME.format(zone=zone, country=self.country, pilots=self.pilots), encoding="utf-8"
        )
        return mapping, programme

    @contextlib.asynccontextmanager
    async def at_work(
        self, url: str, start: str, *, crm: type[SpreadsheetConnector] | None = None
    ) -> AsyncIterator[Story]:
        """Put the program together on these files and a workspace, its clock at ``start``, and let it go its first step.

        ``crm``: a connector that misbehaves.
        """
        mapping_file, programme_file = self.writes()
        content = load()
        programme = load_programme(programme_file, content.behaviours)
        connector = open_spreadsheet(mapping_file, settle=timedelta(0))
        if crm is not None:
            connector = crm(connector._mapping, self.folder, settle=timedelta(0))
        begin = moment(start)
        slack = Slack(SandboxClock(begin))
        slack.workspace.grant(TOKEN)
        for account in [*self.accounts.values(), *_officials()]:
            user = read_user({**account, "tz": account["tz"] or "UTC"}, slack.workspace)
            slack.workspace.add_user(replace(user, tz=account["tz"]))
        migrate(url)
        async with contextlib.AsyncExitStack() as stack:
            bound = listening("127.0.0.1", 0)
            outbound = Outbound(slack, f"http://127.0.0.1:{bound.getsockname()[1]}", SIGNING_SECRET)
            sandbox = await stack.enter_async_context(serving(slack, outbound, listen("127.0.0.1", 0)))
            connection = await stack.enter_async_context(connect(TOKEN, api_url=f"{slack.url}/api/"))
            database = open_database(url, durable=False)
            stack.callback(database.close)
            house = House(
                clock=SteeredClock(begin),
                database=database,
                programme=programme,
                content=content,
                triggers=all_triggers(),
                connectors={connector.name: connector},
                holidays=PublicHolidays(),
                secret=SECRET,
                messenger=SlackMessenger(connection),
                directory=SlackDirectory(connection.reading, connection.voice),
                poll_every=timedelta(days=1),
            )
            assert isinstance(house.clock, SteeredClock)
            steered = Steered(house, house.clock)
            app = asgi_of(house, connection, SIGNING_SECRET, steer=steered.advance)
            await stack.enter_async_context(served(app, bound))
            story = Story(self, house, slack, sandbox, outbound)
            await story.goes_on()
            yield story


def _officials() -> Iterator[dict[str, Any]]:
    """The people of the programme: in Slack, not in the CRM."""
    for number, name in enumerate(("Dana Reyes", "Lee Brandt", "Kim Novak", "Robin Weber"), 1):
        yield {"id": f"U9{number:07}", "name": name, "email": address(name), "tz": "Europe/Berlin"}


@dataclass
class Story:
    """The firm at work."""

    firm: Firm
    house: House
    slack: Slack
    sandbox: Sandbox
    outbound: Outbound

    @property
    def database(self) -> Database:
        return self.house.database

    @property
    def programme(self) -> Programme:
        return self.house.programme

    @property
    def content(self) -> Content:
        return self.house.content

    @property
    def crm(self) -> Connector:
        (only,) = self.house.connectors.values()
        return only

    @property
    def now(self) -> datetime:
        return self.slack.clock.now()

    # -- time ------------------------------------------------------------------------------------------------------

    async def until(self, when: str | datetime) -> None:
        """Let time pass: the sandbox steps from one due thing to the next."""
        target = moment(when) if isinstance(when, str) else when
        assert target >= self.now, "time does not run backwards"
        await Steering(self.slack, self.outbound).run(target)

    async def passes(self, **span: float) -> None:
        """Let so much time pass (``minutes=10``)."""
        await self.until(self.now + timedelta(**span))

    async def goes_on(self) -> None:
        """Everything that is due now."""
        await self.until(self.now)

    # -- what people do --------------------------------------------------------------------------------------------

    def account(self, name: str) -> str:
        """Somebody's Slack id."""
        return str(self.firm.accounts[name]["id"])

    async def presses(self, name: str, action: str, *, on: Message | None = None) -> Answer:
        """Press a button, or choose the entry of a menu, on their last message that has it."""
        message, action_id, value = self._find(name, action, on)
        answer = await self.sandbox.acts.press(
            self.account(name), action_id, channel_id=message.channel, message_ts=message.ts, value=value
        )
        assert answer.acked, (answer.status, answer.reason)
        await self.passes(seconds=A_MOMENT)
        return answer

    def _find(self, name: str, action: str, on: Message | None) -> tuple[Message, str, str | None]:
        for message in [on] if on is not None else reversed(self.to(name)):
            for found in elements(message.blocks):
                element = found.element
                if element["action_id"] == action:
                    return message, action, element.get("value")
                for option in options(element):
                    if str(option["value"]).partition("|")[0] == action:
                        return message, str(element["action_id"]), str(option["value"])
        raise AssertionError(f"{name} sees no {action}: {[each.text for each in self.to(name)]}")

    async def writes(self, name: str, words: str, *, under: Message | None = None) -> None:
        """Write to the bot, in the thread of ``under`` or straight into the conversation."""
        answer = await self.sandbox.acts.say(self.account(name), words, thread_ts=under.ts if under else None)
        assert answer.acked, (answer.status, answer.reason)
        await self.passes(seconds=A_MOMENT)

    async def types(self, name: str, words: str) -> str:
        """Type ``/fullsteam …``; returns what is answered at once."""
        answer = await self.sandbox.acts.command(self.account(name), "/fullsteam", words, channel_id="")
        assert answer.acked, (answer.status, answer.reason)
        await self.passes(seconds=A_MOMENT)
        return answer.body.decode()

    async def is_welcomed(self, *names: str, goal: str | None = None) -> None:
        """Wait for the welcome of everybody named; ``goal``: and they answer it."""
        for _ in range(7 * 24):
            if all(self.to(name) for name in names):
                break
            await self.passes(hours=1)
        for name in names:
            assert self.templates(name) == ["welcome"], (name, self.templates(name))
        if goal is not None:
            for name in names:
                await self.presses(name, f"goal:{goal}")

    # -- what can be seen ------------------------------------------------------------------------------------------

    def to(self, name: str) -> list[Message]:
        """What the bot wrote to somebody and still stands, oldest first; without what they wrote themselves."""
        channel = self.slack.workspace.channels.get("D" + self.account(name)[1:])
        return [each for each in channel.messages if each.bot] if channel is not None else []

    def last(self, name: str) -> Message:
        """The newest message to somebody."""
        return self.to(name)[-1]

    def templates(self, name: str) -> list[str]:
        """The templates of what the bot wrote to somebody, answers included, oldest first."""
        rows = self.database.read_now(outbox.of_person, self.person(name).id, 200)
        sent = sorted((row for row in rows if row.state == "sent"), key=lambda row: float(row.ts or 0))
        return [row.template for row in sent]

    def tips(self, name: str) -> list[str]:
        """The tips that somebody got, oldest first."""
        rows = self.database.read_now(outbox.of_person, self.person(name).id, 200)
        sent = sorted(
            (row for row in rows if row.kind == "tip" and row.ts), key=lambda row: float(row.ts or 0)
        )
        return [row.template for row in sent]

    def posts(self) -> list[tuple[str, datetime]]:
        """Who got a message, and when, in order: as the workspace recorded it."""
        names = {str(account["id"]): name for name, account in self.firm.accounts.items()}
        found = []
        for entry in self.slack.record.entries:
            if entry["kind"] == "posted":
                who = "U" + str(entry["channel"])[1:]
                found.append((names.get(who, who), datetime.fromisoformat(entry["at"])))
        return found

    def when(self, name: str, zone: str | None = None) -> list[datetime]:
        """When somebody got messages, in the time of ``zone`` (their own)."""
        local = ZoneInfo(zone or str(self.firm.accounts[name]["tz"]))
        return [at.astimezone(local) for who, at in self.posts() if who == name]

    def person(self, name: str) -> Person:
        """Somebody as the program knows them."""
        found = self.database.read_now(people.get)
        return next(each for each in found.values() if each.name == name)

    async def ahead(self, days: int = 7) -> dict[str, set[str]]:
        """What ``fullsteam plan`` says: name -> what they would get, and why not."""
        house = self.house
        report = await plan(
            self.database,
            connectors=house.connectors,
            content=house.content,
            programme=house.programme,
            triggers=house.triggers,
            holidays=house.holidays,
            secret=house.secret,
            workspace=house.workspace,
            now=self.now,
            dry_run=True,
            days=days,
        )
        found: dict[str, set[str]] = {}
        for each in report.planned:
            found.setdefault(each.name, set()).add(each.reason or each.action)
        return found

    def changes(self, name: str, **account: Any) -> None:
        """Somebody's Slack account changes, and nobody tells the bot before it reads the list again."""
        user_id = self.account(name)
        workspace = self.slack.workspace
        workspace.users[user_id] = read_user({"id": user_id, **account}, workspace)

    def said(self, name: str) -> list[Feedback]:
        """What the program keeps of what somebody said, newest first."""
        return self.database.read_now(feedback.of_person, self.person(name).id, 100)

    def seen_by_others(self) -> list[Feedback]:
        """Feedback that anybody but its author may see now."""
        return self.database.read_now(feedback.visible, self.now)

    def decided(self, name: str) -> list[DecisionRow]:
        """Decisions about somebody, oldest first."""
        return list(reversed(self.database.read_now(decisions.of_person, self.person(name).id, 200)))

    def why_not(self, name: str) -> str | None:
        """The reason of the latest decision about somebody; None when something was sent."""
        return self.decided(name)[-1].reason


class LogLines(logging.Handler):
    """What the program logged, as (event, extra) pairs."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def count(self, event: str) -> int:
        """How often an event was logged."""
        return sum(1 for record in self.records if record.getMessage() == event)

    def events(self) -> list[str]:
        return [record.getMessage() for record in self.records]


@contextlib.contextmanager
def listening_to_logs() -> Iterator[LogLines]:
    """Everything that the product's loggers say from info on."""
    lines = LogLines()
    loggers = [logging.getLogger(name) for name in ("bot", "store")]
    before = [each.level for each in loggers]
    for each in loggers:
        each.addHandler(lines)
        each.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.removeHandler(lines)
            each.setLevel(level)
