"""The fault matrix: whatever goes wrong between the bot, Slack and the CRM, every promise that can be seen from outside is kept.

Each fault strikes a short steered run: a small firm, people who answer by a script, more than a working week. The check
(sandbox.promises) looks on from the workspace; the database is asked only whether anything was lost on the way. A fault may
make things late. What else it may change stands beside it: `lost` events that Slack never handed over, and nothing more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.clock import SteeredClock
from bot.content.load import load
from bot.content.programme import load_programme
from bot.delivery.directory import SlackDirectory
from bot.delivery.slack import SlackMessenger, connect
from bot.demo import programme_text
from bot.domain.nudging import NONE
from bot.handlers.app import build_app
from bot.handlers.socket import Socket
from bot.wiring import (
    House,
    Steered,
    all_triggers,
    asgi_of,
    connector_kinds,
    let_go,
    listening,
    prepare_replay,
    served,
)
from bot.workdays import PublicHolidays
from sandbox.app import listen, serving
from sandbox.cli import move_in
from sandbox.clock import SteeredClock as SteeredTime
from sandbox.company.world import Company
from sandbox.crm.records import Outage
from sandbox.events import Outbound
from sandbox.faults import KINDS, read_fault
from sandbox.parcels import Answer
from sandbox.people import People, read_script
from sandbox.promises import PROMISES, Promises, ask_the_bot
from sandbox.reacting import offers
from sandbox.record import Record, delivery_of
from sandbox.roster import Hours
from sandbox.slack import Slack
from sandbox.steering import Steering
from store.database import Database, UnitOfWork, migrate, open_database
from store.outbox import DROPPED, READY, SENT
from store.tables import decision, inbox, outbox
from tests.databases import Databases
from tests.story import SECRET, SIGNING_SECRET, TOKEN, Firm, Story, moment

pytestmark = pytest.mark.anyio

APP_TOKEN = "xapp-story"
BEGIN, END = "2026-11-16 05:00", "2026-11-26 15:30"
"""Monday morning to Thursday of the week after."""
NAMES = ("Ada Marsh", "Ben Okafor", "Cleo Ray", "Dan Pike", "Eve Holt", "Finn Mora")
BY_PLAN = ("Ada Marsh", "Ben Okafor", "Dan Pike", "Eve Holt")
"""They do what they_also says, and nothing else; the others follow SCRIPT."""
ALWAYS_EXAMINED = (
    *(
        "reply_lost",
        "sent_twice",
        "never_arrived",
        "outside_window",
        "over_cap",
        "too_close",
        "before_welcome",
    ),
    *("behind_a_barrier", "after_not_for_me", "no_reason", "name_without_yes", "after_stop", "while_paused"),
)
"""What this firm puts to the test in these days, whatever the fault."""
SCRIPT = """
grid_minutes = 5
[[rule]]
when = ["goal:*"]
ignore = 1
after = ["5m", "3h"]
press = { "goal:performance" = 3, "goal:productivity" = 3, "goal:personal" = 3, "goal:later" = 1 }
[[rule]]
when = ["mode:*"]
after = ["1m", "20m"]
press = { "mode:named" = 5, "mode:confidential" = 3, "mode:drop" = 1 }
[[rule]]
when = ["blocked:*", "remind:*", "pause:*"]
ignore = 1
after = ["1m", "20m"]
press = { "blocked:*" = 9, "remind:*" = 9, "pause:*" = 9 }
[[rule]]
when = ["tip:*"]
ignore = 5
reply = 20
after = ["4m", "9h"]
press = { "tip:do" = 12, "tip:remind" = 12, "tip:not_for_me" = 16, "tip:blocked" = 24, "tip:why" = 10, "tip:pause" = 2 }
words = { complaint = 8, thanks = 4, remind = 2, stop = 1 }
[[rule]]
ignore = 9
reply = 1
words = { thanks = 1, resume = 4 }
[[daily]]
what = "say"
chance = 0.1
words = { complaint = 8, question = 2, thanks = 1 }
[[daily]]
what = "command"
command = "/fullsteam feedback Too many fields on the deal form"
chance = 0.08
[[daily]]
what = "command"
command = "/fullsteam me"
chance = 0.08
[[daily]]
what = "command"
command = "/fullsteam pause until tomorrow"
chance = 0.05
[[daily]]
what = "home"
chance = 0.05
[lines.en]
complaint = ["The approval takes four days", "the field is greyed out for me", "no time this week, quarter end"]
thanks = ["thanks", "Thank you, that one was useful."]
question = ["who can see this?", "Where do I find that button?"]
remind = ["remind me tomorrow", "not now"]
stop = ["stop", "please stop messaging me"]
resume = ["resume"]
pause = ["pause until tomorrow", "pause"]
delete = ["delete that"]
"""
NOT_HERE = {
    "not_true": "the deals are files that the workspace cannot see; the company below has a CRM that it can",
    "no_data_no_use": "the same; PUT_TO_THE_TEST",
    "to_leavers": "nobody leaves within eight days",
    "number_under_k": "nothing that is sent today states a figure about a group",
}


def test_each_promise_is_examined_here_or_it_says_why_not() -> None:
    assert {*ALWAYS_EXAMINED, *NOT_HERE} == PROMISES.keys()


@dataclass
class Run:
    """What a run left behind."""

    report: dict[str, Any] = field(default_factory=dict)
    totals: dict[str, Any] = field(default_factory=dict)
    delivered: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(reader, delivery) of everything that arrived."""
    left: list[str] = field(default_factory=list)
    """What the database would have lost, in words."""
    struck: Counter[str] = field(default_factory=Counter)
    """How often each kind of fault struck."""


async def runs(
    folder: Path,
    url: str,
    faults: Sequence[str] = (),
    *,
    between: tuple[str, str] = ("", ""),
    socket: bool = False,
) -> Run:
    """The firm at work with these faults in force, all the time or between two instants."""
    firm = Firm(folder / "crm")
    for number, name in enumerate(NAMES):
        firm.hires(name, zone=("Europe/Berlin", "America/New_York", "Asia/Kolkata")[number % 3])
        firm.neglects_dates(name, 2 + number % 2)
        if (
            name != "Ada Marsh"
        ):  # for her there are two things to say, so that what stands in the way of one matters
            firm.deal(name, 2, next="")
            firm.deal(name, 1, amount="")
        firm.deal(name, 2, account="")
    (folder / "script.toml").write_text(SCRIPT, encoding="utf-8")
    migrate(url)
    async with firm.at_work(url, BEGIN) as story, contextlib.AsyncExitStack() as stack:
        if socket:
            await stack.enter_async_context(through_a_socket(story))
        promises = Promises(story.slack)
        hours = {story.account(name): Hours() for name in NAMES if name not in BY_PLAN}
        script = read_script(folder / "script.toml")
        people = People(story.slack, story.sandbox.acts, script, hours, 6)
        they_also(people, story)
        steering = Steering(story.slack, story.outbound, people)
        begin, end = (moment(each) if each else None for each in between)
        if begin is not None:
            await steering.run(begin)
        planned = [read_fault(each) for each in faults]
        for fault in planned:
            story.slack.faults.plan(fault)
        if end is not None:
            await steering.run(end)
            story.slack.faults.clear()
        await steering.run(moment(END))
        story.slack.faults.clear()
        await steering.run(moment(END) + timedelta(hours=2))
        assert await ask_the_bot(promises, story.outbound) == len(NAMES) + 1
        return Run(
            report=promises.report(),
            totals=story.slack.record.totals(),
            delivered=arrived(story),
            left=what_is_lost(story.database, story.slack.record, story.now),
            struck=story.slack.faults.struck,
        )


def they_also(people: People, story: Story) -> None:
    """All want five tips a week. Something is in Ada's way, a tip is not for Ben, Dan wants silence for a while, Eve for good.

    Slack says when it failed, and then they do it again.
    """
    acts = story.sandbox.acts

    def at(when: str, name: str, do: Callable[[str], Awaitable[Answer]]) -> None:
        people.later(moment(when).timestamp(), story.account(name), lambda: do(story.account(name)))

    for name in NAMES:
        at("2026-11-16 05:30", name, lambda user: acts.command(user, "/fullsteam", "weekly 5"))
    at("2026-11-18 17:30", "Ada Marsh", lambda user: press_latest(story, user, "tip:blocked"))
    at("2026-11-18 17:30", "Ben Okafor", lambda user: press_latest(story, user, "tip:not_for_me"))
    at("2026-11-20 15:00", "Dan Pike", lambda user: acts.command(user, "/fullsteam", "pause 2 weeks"))
    at("2026-11-19 15:00", "Eve Holt", lambda user: acts.command(user, "/fullsteam", "stop"))


async def press_latest(story: Story, user: str, action: str) -> Answer:
    """Press a button on the latest message that has it, in the row or behind the dots."""
    channel = story.slack.workspace.open_dm(story.slack.workspace.users[user])[0]
    for message in reversed(channel.messages):
        offer = offers(message.blocks).get(action)
        if offer is not None:
            name = str(offer.element["action_id"])
            return await story.sandbox.acts.press(
                user, name, channel_id=channel.id, message_ts=message.ts, value=offer.value
            )
    raise AssertionError(f"{user} has no message with {action}")


@contextlib.asynccontextmanager
async def through_a_socket(story: Story) -> AsyncIterator[None]:
    """The workspace delivers over a socket that the bot opens, and no longer over HTTP."""
    story.slack.workspace.grant(APP_TOKEN, app_level=True)
    story.slack.sockets.on = True
    house = story.house
    async with connect(TOKEN, api_url=f"{story.slack.url}/api/") as connection:
        app = build_app(
            inbox=house.inbox, answer_command=house.answer, signing_secret="", client=connection.reading
        )
        door = Socket(app, APP_TOKEN)
        await door.open()
        try:
            yield
        finally:
            await door.close()


def arrived(story: Story) -> Counter[tuple[str, str]]:
    """(reader, delivery) of everything that arrived."""
    return Counter(
        (entry["user"], str(delivery_of(entry["metadata"])))
        for entry in story.slack.record.entries
        if entry["kind"] == "posted"
    )


def what_is_lost(database: Database, record: Record, now: datetime) -> list[str]:
    """Everything decided that was neither sent nor given a reason, everything heard that was not worked; in words."""

    def look(uow: UnitOfWork) -> list[str]:
        found = []
        queued = {row.id: row for row in uow.rows(outbox.select())}
        for row in queued.values():
            waits = row.state == READY and (row.due_at > now or row.reason is not None)
            if not (row.state == SENT or waits or (row.state == DROPPED and row.reason)):
                found.append(f"outbox {row.id}: {row.kind} is {row.state} ({row.reason}), due {row.due_at}")
        for row in uow.rows(decision.select()):
            if row.action == NONE and not row.reason:
                found.append(f"decision {row.id}: none, and no reason")
            if row.action != NONE and row.outbox not in queued:
                found.append(f"decision {row.id}: {row.action}, and no message")
        kept = {row.key: row for row in uow.rows(inbox.select())}
        found += [
            f"inbox {row.key}: {row.name} is {row.state}"
            for row in kept.values()
            if row.state in ("new", "dead")
        ]
        acknowledged = {e["key"] for e in record.entries if e["kind"] == "delivery" and e["acked"]}
        return found + [f"acknowledged and not kept: {key}" for key in sorted(acknowledged - kept.keys())]

    return database.read_now(look)


def kinds(faults: Sequence[str]) -> set[str]:
    """What they are, without where and how often."""
    return {read_fault(each).kind for each in faults}


def kept_every_promise(run: Run, *, examined: Sequence[str]) -> None:
    """Nothing broken, something examined, nothing lost."""
    assert {name: found["first"] for name, found in run.report.items() if found["broken"]} == {}
    assert [name for name in examined if not run.report[name]["examined"]] == []
    assert run.left == []


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Run:
    """The same days when nothing goes wrong."""
    folder = tmp_path_factory.mktemp("clean")
    return asyncio.run(runs(folder, databases.sqlite(folder, migrated=True)))


def test_when_nothing_goes_wrong_every_promise_is_put_to_the_test_and_kept(clean: Run) -> None:
    kept_every_promise(clean, examined=ALWAYS_EXAMINED)
    assert clean.report["reply_lost"]["late"] == 0
    assert not clean.struck


HOURS = ("2026-11-16 05:00", "2026-11-16 09:30")
MORNING = ("2026-11-18 08:30", "2026-11-18 10:30")


SLACK_TROUBLE: list[Any] = [
    (["drop_after_commit:*:rate=0.3", "drop_after_commit:response_url:rate=0.3"], ("", "")),
    (["reset_before_commit:*:rate=0.3", "reset_before_commit:response_url:rate=0.3"], ("", "")),
    pytest.param(["http_500:*:rate=0.3"], ("", ""), marks=pytest.mark.slow),
    (["http_500:*"], MORNING),
    pytest.param(["slow:*:rate=0.05:seconds=0.1"], ("", ""), marks=pytest.mark.slow),
    pytest.param(["ratelimited:*:rate=0.3:seconds=20"], ("", ""), marks=pytest.mark.slow),
    (["token_revoked:*"], MORNING),
    (["unavailable:conversations.history", "drop_after_commit:chat.postMessage:rate=0.5"], HOURS),
    (["duplicate:*:rate=0.5", "reorder:*:rate=0.5"], ("", "")),
]
LOST = ["lose:*:rate=0.5"]
CUT = ["socket_killed:*:rate=0.05:seconds=0", "socket_killed_after_ack:*:rate=0.05"]


@pytest.mark.parametrize(
    ("faults", "between"),
    SLACK_TROUBLE,
    ids=lambda each: "+".join(each) if isinstance(each, list) else ("a while" if any(each) else "always"),
)
async def test_trouble_with_slack_breaks_no_promise(
    faults: list[str], between: tuple[str, str], clean: Run, tmp_path: Path, sqlite_url: str
) -> None:
    run = await runs(tmp_path, sqlite_url, faults, between=between)
    assert run.struck.keys() == kinds(faults)
    kept_every_promise(run, examined=ALWAYS_EXAMINED)
    assert set(run.delivered.values()) == {1}


async def test_events_that_slack_loses_are_answered_by_nobody_and_break_nothing(
    clean: Run, tmp_path: Path, sqlite_url: str
) -> None:
    run = await runs(tmp_path, sqlite_url, LOST)
    assert run.totals["lost"] == run.struck["lose"] > 0
    kept_every_promise(run, examined=[name for name in ALWAYS_EXAMINED if name != "after_stop"])


async def test_sockets_that_are_cut_break_no_promise(clean: Run, tmp_path: Path, sqlite_url: str) -> None:
    run = await runs(tmp_path, sqlite_url, CUT, socket=True)
    assert run.struck.keys() == kinds(CUT)
    kept_every_promise(run, examined=ALWAYS_EXAMINED)


# --- the CRM ---------------------------------------------------------------------------------------------------------

FIRST_DAY = date(2026, 1, 12)
FORMER = 200
"""Users who have left, as many as one page holds at least."""
CRM_EXAMINED = (
    *ALWAYS_EXAMINED[:5],
    "before_welcome",
    "not_true",
    "no_reason",
    "name_without_yes",
)
"""What a company of twelve puts to the test in nine days."""


async def company_runs(
    folder: Path,
    url: str,
    faults: Sequence[str] = (),
    outages: Sequence[tuple[str, str, str | None, str]] = (),
) -> Run:
    """A company of the sandbox's at work, its CRM over HTTP; the outages are (from, until, object or None for all, kind)."""
    begin = datetime.combine(FIRST_DAY, time(), UTC)
    slack = Slack(SteeredTime(begin))
    slack.workspace.grant(TOKEN)
    firm = Company(slack, 12, 3, begin, 2)
    firm.crm.outages[:] = [Outage(moment(a), moment(b), thing, kind) for a, b, thing, kind in outages]
    # Who left long ago is still in the list of users: it has a second page.
    gone = {"UserType": "Standard", "IsActive": False, "CreatedDate": begin - timedelta(days=900)}
    for number in range(FORMER):
        firm.crm.insert("User", [{"Id": firm.crm.new_id("User"), "Name": f"Former {number}", **gone}])
    promises = Promises(slack, firm.surroundings())
    migrate(url)
    async with contextlib.AsyncExitStack() as stack:
        bound = listening("127.0.0.1", 0)
        outbound = Outbound(slack, f"http://127.0.0.1:{bound.getsockname()[1]}", SIGNING_SECRET)
        sandbox = await stack.enter_async_context(serving(slack, outbound, listen("127.0.0.1", 0)))
        told = move_in(sandbox, firm)
        content = load()
        programme_file = folder / "programme.toml"
        programme_file.write_text(programme_text(told), encoding="utf-8")
        programme = load_programme(programme_file, content.behaviours)
        clock = SteeredClock(begin)
        # Small pages, so that there are later ones.
        settings = {**told["crm"], "clock": clock, "zone": programme.zone, "batch": 200}
        connector = connector_kinds()["salesforce"].open(settings, programme.record_link)
        stack.push_async_callback(let_go, {connector.name: connector})
        connection = await stack.enter_async_context(connect(TOKEN, api_url=f"{slack.url}/api/"))
        database = open_database(url, durable=False)
        stack.callback(database.close)
        house = House(
            clock=clock,
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
        await prepare_replay(database, programme, connector, {"test": "faults"}, begin)
        app = asgi_of(house, connection, SIGNING_SECRET, steer=Steered(house, clock).advance)
        await stack.enter_async_context(served(app, bound))
        for each in faults:
            slack.faults.plan(read_fault(each))
        await Steering(slack, outbound, firm.staff).run(begin + timedelta(days=9))
        assert await ask_the_bot(promises, outbound) > 5
        return Run(
            report=promises.report(),
            totals=slack.record.totals(),
            delivered=Counter(
                (entry["user"], str(delivery_of(entry["metadata"])))
                for entry in slack.record.entries
                if entry["kind"] == "posted"
            ),
            left=what_is_lost(database, slack.record, slack.clock.now()),
            struck=slack.faults.struck,
        )


def january(begins: str, ends: str, thing: str | None, kind: str) -> tuple[str, str, str | None, str]:
    """An outage of January 2026, as in ``13 23:00``; 12 is the Monday on which it all begins."""
    return f"2026-01-{begins}", f"2026-01-{ends}", thing, kind


CRM_TROUBLE = {
    "nothing": ([], []),
    "what may not be read": (
        [],
        [
            january("13 23:00", "16 00:00", "Opportunity", "crm_denied"),
            january("13 23:00", "17 00:00", "Task", "crm_denied"),
            january("14 23:00", "16 00:00", "Contact", "crm_forbidden"),
            january("18 23:00", "19 12:00", "Event", "crm_timeout"),
            january("19 23:00", "20 12:00", "Opportunity", "crm_timeout_500"),
        ],
    ),
    "nobody is let in": (
        [],
        [
            january("12 23:00", "13 11:00", None, "crm_login_refused"),
            january("13 23:00", "14 13:00", None, "crm_401"),
            january("14 23:00", "15 11:00", None, "crm_503_html"),
        ],
    ),
    "too much was asked": (
        [],
        [
            january("12 23:00", "13 09:00", None, "crm_429"),
            january("13 23:00", "14 09:00", None, "crm_429_date"),
            january("14 23:00", "15 13:00", None, "crm_429_bare"),
            january("15 23:00", "16 20:00", None, "crm_request_limit"),
        ],
    ),
    "cut and odd answers": (
        [
            *("crm_truncated:crm:rate=0.05", "crm_dropped:crm:rate=0.1", "crm_401:crm:rate=0.05"),
            *(
                "crm_page_fails:crm:rate=0.3",
                "crm_page_overlaps:crm:rate=0.5",
                "crm_own_logins:crm:LoginHistory",
            ),
            *("crm_slow:crm:rate=0.1:seconds=0.02", "crm_clock_skewed:crm:rate=0.5:seconds=7200"),
        ],
        [],
    ),
}
"""Faults all the time, and outages one after the other: (from, until, object or None for all, kind)."""


PUT_TO_THE_TEST = {"too much was asked": ("no_data_no_use",)}
"""Where a tip on deals comes within a day of trouble. That this check bites where a tip names none is seen in a whole
company (sandbox/company/world.py has an outage that is long enough); twelve people get too few such tips.
"""


def test_every_fault_that_the_sandbox_can_make_strikes_here() -> None:
    with_slack = {kind for row in SLACK_TROUBLE for kind in kinds(getattr(row, "values", row)[0])}
    with_the_crm = {
        kind
        for faults, outages in CRM_TROUBLE.values()
        for kind in kinds(faults) | {outage[3] for outage in outages}
    }
    assert with_slack | kinds(LOST) | kinds(CUT) | with_the_crm == KINDS


@pytest.mark.parametrize("name", CRM_TROUBLE)
async def test_trouble_with_the_crm_breaks_no_promise(name: str, tmp_path: Path, sqlite_url: str) -> None:
    faults, outages = CRM_TROUBLE[name]
    run = await company_runs(tmp_path, sqlite_url, faults, outages)
    assert run.struck.keys() == kinds(faults) | {outage[3] for outage in outages}
    kept_every_promise(run, examined=[*CRM_EXAMINED, *PUT_TO_THE_TEST.get(name, ())])


# --- the check itself, on the real thing ------------------------------------------------------------------------------


async def test_what_is_planted_through_the_web_api_in_a_real_run_is_found(
    tmp_path: Path, sqlite_url: str
) -> None:
    firm = Firm(tmp_path / "crm")
    firm.hires("Ada Marsh")
    firm.neglects_dates("Ada Marsh")
    async with firm.at_work(sqlite_url, BEGIN) as story:
        promises = Promises(story.slack)
        await story.is_welcomed("Ada Marsh", goal="productivity")
        await story.until("2026-11-17 02:00")
        assert {name for name, found in promises.report().items() if found["broken"]} == set()
        async with connect(TOKEN, api_url=f"{story.slack.url}/api/") as connection:
            why = {
                "type": "button",
                "action_id": "tip:why",
                "text": {"type": "plain_text", "text": "Why this?"},
            }
            await connection.reading.chat_postMessage(
                channel=story.account("Ada Marsh"),
                text="Psst.",
                blocks=[{"type": "actions", "elements": [why]}],
            )
        assert {name: found["broken"] for name, found in promises.report().items() if found["broken"]} == {
            "outside_window": 1
        }
