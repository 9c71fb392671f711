"""The whole way out: outbox, gate, Slack client, HTTP, and a workspace that drops answers, resets and asks for pauses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from bot.delivery.directory import SlackDirectory
from bot.delivery.pacing import Bucket
from bot.delivery.slack import SlackMessenger, connect
from sandbox.clock import SteeredClock
from sandbox.faults import Fault, Faults
from sandbox.limits import Limits
from sandbox.state import User
from store import outbox
from store.database import Database, open_database
from tests.contract.sandbox.workspace import TOKEN, running
from tests.sending import TUESDAY, Sender, new

pytestmark = pytest.mark.anyio
PEOPLE = 40


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durable=False)
    yield opened
    opened.close()


@pytest.mark.parametrize("seed", range(3))
async def test_through_a_workspace_full_of_faults_every_message_arrives_exactly_once(
    database: Database, seed: int
) -> None:
    steered = SteeredClock(TUESDAY)
    async with (
        running(clock=steered, limits=Limits()) as one,
        connect(TOKEN, api_url=f"{one.slack.url}/api/") as connection,
    ):
        one.slack.faults = Faults(seed)
        for number in range(1, PEOPLE + 1):
            one.slack.workspace.add_user(User(f"U{number:08d}", f"p{number}", f"Person {number}"))
        for kind, where, rate in (
            ("drop_after_commit", "chat.postMessage", 0.15),
            ("reset_before_commit", "chat.postMessage", 0.1),
            ("http_500", "chat.postMessage", 0.05),
            ("ratelimited", "chat.postMessage", 0.03),
            ("unavailable", "conversations.history", 0.1),
            ("ratelimited", "dnd.teamInfo", 0.1),
        ):
            one.slack.faults.plan(Fault(kind, where, rate=rate, seconds=3))
        sender = Sender(
            database,
            messenger=SlackMessenger(connection),
            directory=SlackDirectory(connection.reading),
            pacing=Bucket(),
        )
        sender.people(PEOPLE)
        tips = [new(number, at=TUESDAY) for number in range(1, PEOPLE + 1)]
        sender.put(*tips)
        reports = []
        for _ in range(400):
            reports.append(await sender.deliver(steered.now()))
            due = reports[-1].next_due
            if due is None:
                break
            steered.move_to(due)
        posted = Counter(
            message.metadata["event_payload"]["id"]
            for channel in one.slack.workspace.channels.values()
            for message in channel.messages
            if message.metadata
        )
    assert posted == Counter(tip.id for tip in tips)
    assert database.read_now(outbox.states) == {"sent": PEOPLE}
    assert sum(report.uncertain for report in reports) > 0, "no fault struck: the test would prove nothing"
    assert steered.now() - TUESDAY < timedelta(hours=3)
    rows = [sender.row(tip) for tip in tips]
    assert {(row.channel, row.ts) for row in rows} == {
        (channel.id, message.ts)
        for channel in one.slack.workspace.channels.values()
        for message in channel.messages
        if message.metadata
    }
