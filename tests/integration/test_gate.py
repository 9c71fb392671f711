"""The gate: each suppression, on both databases. Every case is sent when its reason is taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bot.domain.errors import Permanent, Retryable
from bot.domain.messages import ANSWER, REMINDER, STATUS, TIP, WELCOME
from bot.domain.ports import DndWindow
from store import barriers, control, outbox, people
from store.database import Database, UnitOfWork, open_database
from store.outbox import NewMessage, Recheck
from store.tables import decision, hold, person, slack_user
from tests.fakes import FakeCrm, FakeDirectory, HolidaysOn
from tests.sending import TUESDAY, Sender, add_person, new

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durable=False)
    yield opened
    opened.close()


@pytest.fixture
def sender(database: Database) -> Sender:
    one = Sender(database)
    one.people()
    return one


def _holds(sender: Sender) -> list[tuple[str, datetime | None]]:
    query = sa.select(hold.c.reason, hold.c.until).order_by(hold.c.id)
    return [tuple(row) for row in sender.database.read_now(lambda uow: uow.rows(query))]


def _prefer(**changes: Any) -> Callable[[UnitOfWork], None]:
    def change(uow: UnitOfWork) -> None:
        people.change_preferences(uow, "p0001", **changes)

    return change


def _person(**changes: Any) -> Callable[[UnitOfWork], None]:
    def change(uow: UnitOfWork) -> None:
        uow.execute(sa.update(person).values(changes))

    return change


def _account(**changes: Any) -> Callable[[UnitOfWork], None]:
    def change(uow: UnitOfWork) -> None:
        uow.execute(sa.update(slack_user).values(changes))

    return change


def _barrier(uow: UnitOfWork) -> None:
    barriers.open_barrier(
        uow, person="p0001", behaviour="fresh_dates", feedback="f1", owner="o@example.com", at=TUESDAY
    )


def _sent(*days_ago: float, kind: str = "tip") -> Callable[[UnitOfWork], None]:
    def write(uow: UnitOfWork) -> None:
        for number, days in enumerate(days_ago):
            at = TUESDAY - timedelta(days=days)
            earlier = new(key=f"earlier|{number}", kind=kind, at=at)
            outbox.add(uow, earlier)
            outbox.claim(uow, at, 10)
            sent = outbox.Settlement(earlier.id, outbox.SENT, channel="D00000001", ts=f"1.{number:06d}")
            outbox.settle(uow, [sent], at)
            # Heard of, so that what is tested is the cap and not the pause after silence.
            outbox.record_reaction(uow, earlier.id, "reply", at)

    return write


DAY = timedelta(days=1)
HELD: list[tuple[str, Callable[[UnitOfWork], None], datetime]] = [
    ("paused", _prefer(paused_until=TUESDAY + timedelta(hours=5)), TUESDAY + timedelta(hours=5)),
    ("not-welcomed", _person(welcomed_at=None), TUESDAY + timedelta(hours=1)),
    ("outside-window", _prefer(window_start=time(11), window_end=time(15)), TUESDAY + timedelta(hours=1)),
    ("outside-window", _prefer(working_days=(2,)), datetime(2026, 11, 18, 9, 30, tzinfo=UTC)),
    ("outside-window", _person(zone="America/New_York"), datetime(2026, 11, 17, 14, 30, tzinfo=UTC)),
    ("zone-unknown", _person(zone="Mars/Olympus"), TUESDAY + DAY),
    ("spacing", _sent(1), TUESDAY + DAY),
    ("weekly-cap", _sent(6, 3), TUESDAY + DAY),
    (
        "recent-load",
        _sent(*[0.5 + 0.01 * n for n in range(5)], kind="answer"),
        TUESDAY + timedelta(hours=11.04),
    ),
    ("away", _account(away=True), TUESDAY + timedelta(hours=4)),
    ("away", _account(away=True, away_until=TUESDAY + DAY), TUESDAY + DAY),
]
DROPPED: list[tuple[str, Callable[[UnitOfWork], None]]] = [
    ("stopped", _prefer(stopped_at=TUESDAY)),
    ("kind-off", _prefer(kinds_off={"tip"})),
    ("cap-zero", _prefer(weekly_cap=0)),
    ("left", _person(active=False)),
    ("not-in-pilot", _person(pilot=False)),
    ("not-matched:guest", _person(match="guest")),
    ("address-changed", _person(slack_id="U0OTHER")),
    ("barrier-open", _barrier),
    # Longer than the message is worth sending: no reason to keep it.
    ("paused", _prefer(paused_until=TUESDAY + timedelta(days=3))),
]


@pytest.mark.parametrize(
    ("reason", "because", "until"), HELD, ids=[f"{r}-{n}" for n, (r, *_) in enumerate(HELD)]
)
async def test_what_may_not_go_now_is_held_with_its_reason_until_it_may(
    sender: Sender, reason: str, because: Callable[[UnitOfWork], None], until: datetime
) -> None:
    sender.database.write_now(because)
    tip = new()
    sender.put(tip)
    report = await sender.deliver()
    row = sender.row(tip)
    assert (report.sent, dict(report.held)) == (0, {reason: 1})
    assert (row.state, row.reason, row.due_at, row.attempts, row.claimed_at) == (
        "ready",
        reason,
        until,
        0,
        None,
    )
    assert _holds(sender) == [(reason, until)]
    assert report.next_due == until
    assert sender.messenger.posted == []


@pytest.mark.parametrize(("reason", "because"), DROPPED, ids=[f"{r}-{n}" for n, (r, _) in enumerate(DROPPED)])
async def test_what_will_not_change_by_waiting_is_dropped_with_its_reason(
    sender: Sender, reason: str, because: Callable[[UnitOfWork], None]
) -> None:
    sender.database.write_now(because)
    tip = new()
    sender.put(tip)
    report = await sender.deliver()
    row = sender.row(tip)
    assert (report.sent, dict(report.dropped), report.next_due) == (0, {reason: 1}, None)
    assert (row.state, row.reason, row.settled_at) == ("dropped", reason, TUESDAY)
    assert _holds(sender) == [(reason, None)]
    assert sender.messenger.posted == []


async def test_without_any_of_these_reasons_the_same_message_is_sent(sender: Sender) -> None:
    tip = new()
    sender.put(tip)
    report = await sender.deliver()
    row = sender.row(tip)
    assert (report.sent, report.held, report.dropped, report.next_due) == (1, {}, {}, None)
    assert (row.state, row.reason, row.channel, row.settled_at) == ("sent", None, "D00000001", TUESDAY)
    assert sender.messenger.to("U00000001") == [tip.message]


async def test_a_held_message_goes_out_when_its_reason_has_passed(sender: Sender) -> None:
    sender.database.write_now(_prefer(paused_until=TUESDAY + timedelta(hours=5)))
    tip = new()
    sender.put(tip)
    await sender.until_quiet()
    assert sender.row(tip).state == "sent"
    assert sender.row(tip).settled_at == TUESDAY + timedelta(hours=5)


async def test_an_expired_message_is_dropped(sender: Sender) -> None:
    tip = new(expires_at=TUESDAY)
    sender.put(tip)
    assert dict((await sender.deliver()).dropped) == {"expired": 1}
    assert sender.messenger.posted == []


@pytest.mark.parametrize("kind", [TIP, REMINDER])
async def test_what_is_not_for_them_is_dropped_even_when_it_was_queued_before(
    sender: Sender, kind: str
) -> None:
    tip = new(kind=kind)
    sender.put(tip)
    sender.database.write_now(_prefer(tips_never=frozenset({tip.message.template})))
    assert dict((await sender.deliver()).dropped) == {"not-for-me": 1}
    assert sender.messenger.posted == []


async def test_a_public_holiday_is_no_working_day(sender: Sender) -> None:
    sender.database.write_now(_person(country="DE"))
    sender.holidays = HolidaysOn({"DE": frozenset({date(2026, 11, 17)})})
    tip = new()
    sender.put(tip)
    assert dict((await sender.deliver()).held) == {"outside-window": 1}
    assert sender.row(tip).due_at == datetime(2026, 11, 18, 9, 30, tzinfo=UTC)


async def test_do_not_disturb_holds_until_it_ends(sender: Sender) -> None:
    end = TUESDAY + timedelta(minutes=45)
    sender.directory = FakeDirectory(windows={"U00000001": DndWindow(TUESDAY - DAY, end)})
    tip = new()
    sender.put(tip)
    assert dict((await sender.deliver()).held) == {"dnd": 1}
    assert sender.row(tip).due_at == end
    await sender.until_quiet()
    assert sender.row(tip).settled_at == end


async def test_a_do_not_disturb_that_has_not_begun_holds_nothing(sender: Sender) -> None:
    sender.directory = FakeDirectory(windows={"U00000001": DndWindow(TUESDAY + DAY, TUESDAY + 2 * DAY)})
    sender.put(new())
    assert (await sender.deliver()).sent == 1


async def test_what_slack_says_now_counts_more_than_what_it_said_before(sender: Sender) -> None:
    sender.database.write_now(_account(dnd_start=TUESDAY - DAY, dnd_end=TUESDAY + DAY))
    sender.put(new())
    assert (await sender.deliver()).sent == 1


async def test_without_a_directory_what_slack_said_last_counts(sender: Sender) -> None:
    sender.database.write_now(_account(dnd_start=TUESDAY - DAY, dnd_end=TUESDAY + DAY))
    sender.directory = None
    sender.put(new())
    assert dict((await sender.deliver()).held) == {"dnd": 1}


@pytest.mark.parametrize("silence", [Retryable("away"), Permanent("no scope", code="missing_scope")])
async def test_when_nobody_can_say_whether_somebody_may_be_disturbed_the_message_waits(
    sender: Sender, silence: Exception
) -> None:
    sender.directory = FakeDirectory(silent=silence)
    tip = new()
    sender.put(tip)
    assert dict((await sender.deliver()).held) == {"presence-unknown": 1}
    sender.directory.silent = None
    await sender.until_quiet()
    assert sender.row(tip).state == "sent"


async def test_do_not_disturb_is_asked_once_for_a_batch_and_only_for_who_may_get_something(
    database: Database,
) -> None:
    directory = FakeDirectory()
    sender = Sender(database, directory=directory)
    sender.people(10)
    sender.database.write_now(lambda uow: people.change_preferences(uow, "p0003", stopped_at=TUESDAY))
    sender.put(*(new(number) for number in range(1, 11)))
    assert (await sender.deliver()).sent == 9
    assert directory.asked == [tuple(f"U{number:08d}" for number in range(1, 11) if number != 3)]


async def test_an_answer_goes_at_once_whatever_the_hour_and_the_pause(sender: Sender) -> None:
    sender.database.write_now(_prefer(paused_until=TUESDAY + 9 * DAY, stopped_at=TUESDAY))
    sender.database.write_now(_person(welcomed_at=None))
    sender.directory = FakeDirectory(silent=Retryable("away"))
    night = TUESDAY.replace(hour=3)
    sender.put(new(kind=ANSWER, at=night), new(kind=REMINDER, at=night))
    assert (await sender.deliver(night)).sent == 2


# --- still true? ---------------------------------------------------------------------------------------------------


def _about(*records: str, count: int | None = None, **changes: Any) -> NewMessage:
    recheck = Recheck("crm", "opps_past_close", "crm-1", tuple(records), count or max(1, len(records)))
    return new(recheck=recheck, **changes)


async def test_a_message_whose_record_is_mended_meanwhile_is_dropped_as_stale_and_its_decision_says_so(
    sender: Sender,
) -> None:
    crm = FakeCrm()
    crm.has("opps_past_close", "crm-1", ["a", "c"])
    sender.connectors = {"crm": crm}
    sender.database.write_now(_decision)
    tip = _about("a", "b", decision="d1")
    sender.put(tip)
    assert dict((await sender.deliver()).dropped) == {"stale": 1}
    query = sa.select(decision.c.stale_at_send)
    assert sender.database.read_now(lambda uow: uow.execute(query).scalar_one()) is True
    assert sender.messenger.posted == []


async def test_a_message_whose_records_are_all_still_there_is_sent(sender: Sender) -> None:
    crm = FakeCrm()
    crm.has("opps_past_close", "crm-1", ["z", "a", "y", "b"])
    sender.connectors = {"crm": crm}
    sender.put(_about("a", "b", count=4))
    assert (await sender.deliver()).sent == 1
    metric, owners, limit, through = crm.asked[0]
    assert (metric, owners, through) == ("opps_past_close", ("crm-1",), date(2026, 11, 17))
    assert limit >= 4


@pytest.mark.parametrize("there", [["a"], ["a", "b", "c"]])
async def test_a_message_whose_number_is_not_true_any_more_is_dropped_as_stale(
    sender: Sender, there: list[str]
) -> None:
    crm = FakeCrm()
    crm.has("opps_past_close", "crm-1", there)
    sender.connectors = {"crm": crm}
    sender.put(_about("a", count=2))
    assert dict((await sender.deliver()).dropped) == {"stale": 1}


async def test_a_reminder_repeats_the_number_of_its_day_as_long_as_its_records_are_there(
    sender: Sender,
) -> None:
    crm = FakeCrm()
    crm.has("opps_past_close", "crm-1", ["a"])
    sender.connectors = {"crm": crm}
    sender.put(_about("a", count=5, kind=REMINDER), _about("b", count=5, kind=REMINDER, key="mended"))
    report = await sender.deliver()
    assert (report.sent, dict(report.dropped)) == (1, {"stale": 1})


async def test_a_message_that_names_no_record_needs_at_least_one_to_be_there(sender: Sender) -> None:
    crm = FakeCrm()
    sender.connectors = {"crm": crm}
    sender.put(_about())
    assert dict((await sender.deliver()).dropped) == {"stale": 1}


async def test_the_crm_is_asked_for_no_day_after_those_that_have_reached_us(sender: Sender) -> None:
    crm = FakeCrm(lag_days=2)
    crm.has("opps_past_close", "crm-1", ["a"])
    sender.connectors = {"crm": crm}
    sender.put(_about("a"))
    await sender.deliver()
    assert crm.asked[0][3] == date(2026, 11, 15)


async def test_the_crm_is_asked_once_a_metric_for_a_whole_batch(database: Database) -> None:
    crm = FakeCrm()
    sender = Sender(database, connectors={"crm": crm})
    sender.people(5)
    for number in range(1, 6):
        crm.has("opps_past_close", f"crm-{number}", ["a"])
        recheck = Recheck("crm", "opps_past_close", f"crm-{number}", ("a",), 1)
        sender.put(new(number, recheck=recheck))
    assert (await sender.deliver()).sent == 5
    assert [owners for _, owners, *_ in crm.asked] == [tuple(f"crm-{number}" for number in range(1, 6))]


@pytest.mark.parametrize("silence", [Retryable("down", after=timedelta(minutes=3)), Permanent("denied")])
async def test_while_the_crm_does_not_answer_a_message_is_held_and_in_the_end_it_expires(
    sender: Sender, silence: Exception
) -> None:
    crm = FakeCrm(silent=silence)
    sender.connectors = {"crm": crm}
    tip = _about("a", expires_at=TUESDAY + timedelta(hours=1))
    sender.put(tip)
    first = await sender.deliver()
    assert dict(first.held) == {"crm-silent": 1}
    await sender.until_quiet()
    assert (sender.row(tip).state, sender.row(tip).reason) == ("dropped", "expired")
    assert sender.messenger.posted == []


async def test_when_the_crm_answers_again_the_held_message_goes(sender: Sender) -> None:
    crm = FakeCrm(silent=Retryable("down"))
    crm.has("opps_past_close", "crm-1", ["a"])
    sender.connectors = {"crm": crm}
    tip = _about("a")
    sender.put(tip)
    await sender.deliver()
    crm.silent = None
    await sender.until_quiet()
    assert sender.row(tip).state == "sent"


async def test_a_connector_that_is_not_there_holds_what_it_would_have_to_vouch_for(sender: Sender) -> None:
    tip = _about("a")
    sender.put(tip)
    assert dict((await sender.deliver()).held) == {"crm-unknown": 1}


def _decision(uow: UnitOfWork) -> None:
    empty: dict[str, Any] = {"eligible": [], "declined": [], "probabilities": {}, "context": {}}
    uow.execute(
        sa.insert(decision).values(
            id="d1",
            person="p0001",
            at=TUESDAY,
            local_day=TUESDAY.date(),
            local_weekday_hour="1-10",
            point="slot",
            policy="p",
            role="seller",
            available=True,
            action="tip",
            held_out=False,
            **empty,
        )
    )


# --- one budget ----------------------------------------------------------------------------------------------------


async def test_of_two_messages_in_one_batch_the_second_counts_the_first(sender: Sender) -> None:
    one, two = new(key="one", expires_at=TUESDAY + 5 * DAY), new(key="two", at=TUESDAY - timedelta(minutes=5))
    sender.put(one, two)
    report = await sender.deliver()
    assert (report.sent, dict(report.held)) == (1, {"spacing": 1})
    assert (sender.row(two).state, sender.row(one).state) == ("sent", "ready")


async def test_a_stale_message_takes_no_place_from_the_next_one(sender: Sender) -> None:
    sender.connectors = {"crm": FakeCrm()}
    stale = new(
        key="stale", at=TUESDAY - timedelta(minutes=5), recheck=Recheck("crm", "opps_open", "crm-1", ("a",))
    )
    good = new(key="good")
    sender.put(stale, good)
    report = await sender.deliver()
    assert (report.sent, dict(report.dropped)) == (1, {"stale": 1})
    assert sender.row(good).state == "sent"


async def test_the_place_of_the_kind_goes_before_who_was_queued_first(sender: Sender) -> None:
    tip, status = new(at=TUESDAY - timedelta(hours=1)), new(kind=STATUS)
    sender.put(tip, status)
    assert (await sender.deliver()).sent == 2
    assert [m.kind for m in sender.messenger.to("U00000001")] == ["status", "tip"]


async def test_what_waits_takes_no_place_at_the_gate(sender: Sender) -> None:
    # The planner counts what waits; the gate must not, or two messages would hold each other for ever.
    later = new(key="later", at=TUESDAY + timedelta(hours=1))
    sender.put(new(key="now"), later)
    assert (await sender.deliver()).sent == 1


async def test_a_message_that_may_have_been_posted_takes_its_place(sender: Sender) -> None:
    first = new(key="first", at=TUESDAY - timedelta(hours=1), kind="pulse")

    def doubt(uow: UnitOfWork) -> None:
        outbox.add(uow, first)
        outbox.claim(uow, TUESDAY - timedelta(hours=1), 10)
        doubtful = outbox.Settlement(first.id, outbox.UNCERTAIN, "timeout", TUESDAY + timedelta(hours=3))
        outbox.settle(uow, [doubtful], TUESDAY - timedelta(hours=1))

    sender.database.write_now(doubt)
    sender.put(new(key="second"))
    assert dict((await sender.deliver()).held) == {"spacing": 1}


async def test_the_welcome_is_noted_and_opens_the_door_for_what_follows(database: Database) -> None:
    sender = Sender(database)
    sender.database.write_now(lambda uow: add_person(uow, 1, welcomed_at=None))
    welcome, tip = new(kind=WELCOME), new(expires_at=TUESDAY + timedelta(days=5))
    sender.put(welcome, tip)
    report = await sender.deliver()
    assert (report.sent, dict(report.held)) == (1, {"not-welcomed": 1})
    found = sender.database.read_now(people.get, ["p0001"])["p0001"]
    assert found.welcomed_at == TUESDAY
    await sender.until_quiet()
    assert [m.kind for m in sender.messenger.to("U00000001")] == ["welcome", "tip"]
    settled = sender.row(tip).settled_at
    assert settled is not None
    assert settled >= TUESDAY + timedelta(hours=48)


async def test_a_welcome_waits_for_somebody_who_cannot_be_reached_yet(sender: Sender) -> None:
    sender.database.write_now(_person(pilot=False, welcomed_at=None))
    welcome = new(kind=WELCOME, expires_at=None)
    sender.put(welcome)
    assert dict((await sender.deliver()).held) == {"not-in-pilot": 1}
    sender.database.write_now(_person(pilot=True))
    await sender.until_quiet()
    assert sender.row(welcome).state == "sent"


# --- the switch ----------------------------------------------------------------------------------------------------


async def test_the_switch_holds_everything_and_lets_it_go(sender: Sender) -> None:
    tip, answer = new(), new(kind=ANSWER)
    sender.put(tip, answer)
    sender.database.write_now(control.stop, "lead@example.com", TUESDAY)
    report = await sender.deliver()
    assert (report.sent, report.stopped, report.next_due) == (0, 2, None)
    assert sender.row(tip).attempts == 0
    sender.database.write_now(control.start, "lead@example.com", TUESDAY)
    assert (await sender.deliver()).sent == 2


async def test_the_switch_stops_a_batch_that_is_under_way(database: Database) -> None:
    sender = Sender(database)
    sender.people(60)
    sender.put(*(new(number) for number in range(1, 61)))
    send = sender.messenger.send

    async def stop_at_the_fifth(outgoing: Any) -> Any:
        if len(sender.messenger.posted) == 5:
            await database.write(control.stop, "lead@example.com", TUESDAY)
        return await send(outgoing)

    sender.messenger.send = stop_at_the_fifth
    report = await sender.deliver()
    assert report.sent <= 16
    assert report.stopped == 60 - report.sent
    states = database.read_now(outbox.states)
    assert states == {"sent": report.sent, "ready": 60 - report.sent}
    sender.messenger.send = send
    database.write_now(control.start, "lead@example.com", TUESDAY)
    assert (await sender.deliver()).sent == 60 - report.sent
    assert set(sender.messenger.deliveries().values()) == {1}
