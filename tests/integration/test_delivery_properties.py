"""Weeks of messages to people in many zones, with faults and changes of mind; what arrived is judged from outside.

The rules are written down here a second time, in other words than the product's, and held against what stands in Slack.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.domain.errors import Permanent, Retryable
from bot.domain.messages import ANSWER, PULSE, STATUS, TIP, WELCOME
from bot.domain.ports import DndWindow, Outgoing, Receipt
from store import outbox, people
from store.database import Database, UnitOfWork, open_database
from tests.fakes import FakeClock, FakeDirectory, FakeMessenger, ratelimited, unanswered
from tests.sending import TUESDAY, Sender, add_person, new

pytestmark = pytest.mark.anyio
# Over the end of daylight saving in America and in Europe.
START = datetime(2026, 10, 19, 0, 0, tzinfo=TUESDAY.tzinfo)
WEEKS = 2
PEOPLE = 12
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Adelaide", "UTC", None)
UNASKED = (TIP, PULSE, WELCOME)


class Notebook(FakeMessenger):
    """Fails now and then, and writes down when each message really appeared."""

    def __init__(self, clock: FakeClock, chance: random.Random) -> None:
        super().__init__(clock)
        self.chance = chance
        self.times: list[tuple[datetime, Outgoing]] = []

    async def send(self, outgoing: Outgoing) -> Receipt:
        fate = self.chance.random()
        if fate < 0.05:
            raise ratelimited(self.chance.randint(1, 30))
        if fate < 0.10:
            raise Retryable("away", code="unreachable", scope="workspace")
        if fate < 0.15:
            raise unanswered()
        if fate < 0.16:
            raise Permanent("no", code="user_disabled")
        receipt = await super().send(outgoing)
        self.times.append((self.clock.now(), outgoing))
        if fate > 0.92:
            raise unanswered()
        return receipt


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durable=False)
    yield opened
    opened.close()


@pytest.mark.parametrize("seed", range(2))
async def test_over_weeks_nothing_is_over_the_cap_outside_the_window_doubled_or_before_the_welcome(
    database: Database, seed: int
) -> None:
    chance = random.Random(seed)
    clock = FakeClock(START)
    messenger = Notebook(clock, chance)
    quiet = DndWindow(START + timedelta(days=2), START + timedelta(days=4))
    directory = FakeDirectory(windows={"U00000003": quiet})
    sender = Sender(database, clock=clock, messenger=messenger, directory=directory)
    zones: dict[str, Any] = {}
    days: dict[str, str] = {}
    caps: dict[str, int] = {}
    stopped: dict[str, datetime] = {}

    def settle_in(uow: UnitOfWork) -> None:
        for number in range(1, PEOPLE + 1):
            zone = ZONES[number % len(ZONES)]
            worked = chance.choice(["01234", "012", "13", "01234"])
            name = add_person(uow, number, zone=zone, working_days=worked, welcomed_at=None)
            zones[f"U{number:08d}"], days[f"U{number:08d}"] = zone, worked
            caps[f"U{number:08d}"] = chance.choice([2, 2, 2, 1, 4])
            people.change_preferences(uow, name, weekly_cap=caps[f"U{number:08d}"])

    database.write_now(settle_in)
    # As the planner would queue them, only far too many.
    plan = []
    for number in range(1, PEOPLE + 1):
        plan.append(new(number, kind=WELCOME, at=START, expires_at=None))
        for count in range(12):
            at = START + timedelta(minutes=chance.randint(0, WEEKS * 7 * 24 * 60))
            kind = chance.choice([TIP, TIP, PULSE, STATUS, ANSWER])
            expires = at + timedelta(hours=chance.choice([4, 24, 72]))
            plan.append(new(number, key=f"{kind}|{number}|{count}", kind=kind, at=at, expires_at=expires))
    sender.put(*plan)

    end = START + timedelta(days=7 * (WEEKS + 1))
    turns = 0
    while clock.now() < end:
        report = await sender.deliver()
        turns += 1
        if chance.random() < 0.02:
            number = chance.randint(1, PEOPLE)
            until = clock.now() + timedelta(days=2)
            _prefer(database, f"p{number:04d}", paused_until=until)
        if turns == 40:
            _prefer(database, "p0001", stopped_at=clock.now())
            stopped["U00000001"] = clock.now()
        if report.next_due is None:
            break
        assert report.next_due > clock.now()
        clock.at = report.next_due

    seen = Counter(outgoing.delivery for _, outgoing in messenger.times)
    assert set(seen.values()) == {1}
    states = database.read_now(outbox.states)
    assert states["sent"] == len(seen) > PEOPLE * 2
    assert set(states) <= {"sent", "dropped", "dead", "ready"}
    _judge(messenger, zones, days, caps, stopped, quiet)


def _prefer(database: Database, person: str, **changes: Any) -> None:
    database.write_now(lambda uow: people.change_preferences(uow, person, **changes))


def _judge(
    messenger: Notebook,
    zones: dict[str, Any],
    days: dict[str, str],
    caps: dict[str, int],
    stopped: dict[str, datetime],
    quiet: DndWindow,
) -> None:
    by_person: defaultdict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for at, outgoing in messenger.times:
        by_person[outgoing.address].append((at, outgoing.message.kind))
    for address, got in by_person.items():
        asked_for = {kind for _, kind in got if kind == ANSWER}
        if zones[address] is None:
            assert {kind for _, kind in got} <= asked_for, "an unknown zone means not sent"
            continue
        # Looked at when it was claimed; what was uncertain may have appeared at most moments earlier.
        first = next((kind for _, kind in got if kind != ANSWER), WELCOME)
        assert first == WELCOME
        unasked = [at for at, kind in got if kind in UNASKED]
        for number, at in enumerate(unasked):
            within = [other for other in unasked[number:] if other < at + timedelta(days=7)]
            assert len(within) <= caps[address]
            assert all(other - at >= timedelta(hours=48) for other in within[1:])
        for at, kind in got:
            if kind == ANSWER:
                continue
            local = at.astimezone(ZoneInfo(zones[address]))
            assert str(local.weekday()) in days[address]
            last = time(15, 0) if kind == TIP and local.weekday() == 4 else time(16, 30)
            assert time(9, 30) <= local.time() < last, (local, kind)
            assert address not in stopped or at <= stopped[address]
            assert address != "U00000003" or not (quiet.start <= at < quiet.end)  # type: ignore[operator] # both are set
