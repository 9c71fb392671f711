"""The fault matrix: whatever goes wrong between the bot, Slack and the CRM, every promise that can be seen from outside is kept.

Each fault strikes a short steered run: a small firm, people who answer by a script, more than a working week. The check
(sandbox.promises) looks on from the workspace; the database is asked only whether anything was lost on the way. A fault may
make things late. What else it may change stands beside it: `lost` events that Slack never handed over, and nothing more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bot.delivery.slack import connect
from bot.domain.nudging import NONE
from bot.handlers.app import build_app
from bot.handlers.socket import Socket
from sandbox.faults import Fault, read_fault
from sandbox.people import People, read_script
from sandbox.promises import PROMISES, Promises, ask_the_bot
from sandbox.record import Record, delivery_of
from sandbox.roster import Hours
from sandbox.steering import Steering
from store.database import Database, UnitOfWork, migrate
from store.outbox import DROPPED, READY, SENT
from store.tables import decision, inbox, outbox
from tests.databases import Databases
from tests.story import TOKEN, Firm, Story, moment

pytestmark = pytest.mark.anyio

APP_TOKEN = "xapp-story"
BEGIN, END = "2026-11-16 05:00", "2026-11-24 18:00"
"""Monday morning to Tuesday evening of the week after: 8 days."""
NAMES = ("Ada Marsh", "Ben Okafor", "Cleo Ray", "Dan Pike", "Eve Holt", "Finn Mora", "Gus Lind")
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
chance = 0.2
words = { complaint = 6, question = 2, thanks = 1, pause = 1, resume = 4, delete = 1 }
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
    "no_data_no_use": "the same",
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
    struck: int = 0
    """How often the fault struck."""


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
        firm.deal(name, 2, next="")
        firm.deal(name, 2, account="")
        firm.deal(name, 1, amount="")
    (folder / "script.toml").write_text(SCRIPT, encoding="utf-8")
    migrate(url)
    async with firm.at_work(url, BEGIN) as story, contextlib.AsyncExitStack() as stack:
        if socket:
            await stack.enter_async_context(through_a_socket(story))
        promises = Promises(story.slack)
        hours = {str(each["id"]): Hours() for each in firm.accounts.values()}
        script = read_script(folder / "script.toml")
        people = People(story.slack, story.sandbox.acts, script, hours, 7)
        steering = Steering(story.slack, story.outbound, people)
        begin, end = (moment(each) if each else None for each in between)
        if begin is not None:
            await steering.run(begin)
        planned = [read_fault(each) for each in faults]
        count = counted(story)
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
            struck=count[0],
        )


def counted(story: Story) -> list[int]:
    """A count, kept up to date, of how often a fault struck."""
    count = [0]
    take = story.slack.faults.take

    def taking(side: frozenset[str], where: str) -> Fault | None:
        fault = take(side, where)
        count[0] += fault is not None
        return fault

    story.slack.faults.take = taking  # type: ignore[method-assign]  # a counter around it
    return count


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
    assert clean.struck == 0


DAYS = ("2026-11-16 05:00", "2026-11-18 12:00")
MORNING = ("2026-11-17 07:00", "2026-11-17 12:00")


@pytest.mark.parametrize(
    ("faults", "between"),
    [
        (["drop_after_commit:*:rate=0.3", "drop_after_commit:response_url:rate=0.3"], ("", "")),
        (["reset_before_commit:*:rate=0.3", "reset_before_commit:response_url:rate=0.3"], ("", "")),
        (["http_500:*:rate=0.3"], ("", "")),
        (["http_500:*"], MORNING),
        (["slow:*:rate=0.05:seconds=0.1"], ("", "")),
        (["ratelimited:*:rate=0.3:seconds=20"], ("", "")),
        (["token_revoked:*"], MORNING),
        (["unavailable:conversations.history", "drop_after_commit:chat.postMessage:rate=0.5"], DAYS),
        (["duplicate:*"], ("", "")),
        (["reorder:*:rate=0.5"], ("", "")),
    ],
    ids=lambda each: "+".join(each) if isinstance(each, list) else ("a while" if any(each) else "always"),
)
async def test_trouble_with_slack_breaks_no_promise(
    faults: list[str], between: tuple[str, str], clean: Run, tmp_path: Path, sqlite_url: str
) -> None:
    run = await runs(tmp_path, sqlite_url, faults, between=between)
    assert run.struck > 0
    kept_every_promise(run, examined=ALWAYS_EXAMINED)
    assert set(run.delivered.values()) == {1}


async def test_events_that_slack_loses_are_answered_by_nobody_and_break_nothing(
    clean: Run, tmp_path: Path, sqlite_url: str
) -> None:
    run = await runs(tmp_path, sqlite_url, ["lose:*:rate=0.5"])
    assert run.totals["lost"] == run.struck > 0
    kept_every_promise(run, examined=[name for name in ALWAYS_EXAMINED if name != "after_stop"])


async def test_sockets_that_are_cut_break_no_promise(clean: Run, tmp_path: Path, sqlite_url: str) -> None:
    faults = ["socket_killed:*:rate=0.05:seconds=0", "socket_killed_after_ack:*:rate=0.05"]
    run = await runs(tmp_path, sqlite_url, faults, socket=True)
    assert run.struck > 0
    kept_every_promise(run, examined=ALWAYS_EXAMINED)
