"""Claim, send, settle, reconcile: every message is seen once, whoever dies when. On both databases."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bot.delivery.pacing import Bucket
from bot.domain.errors import Permanent, Retryable
from bot.domain.messages import ANSWER, DIGEST, PULSE, STATUS, WELCOME
from bot.services.forget_expired import forget_expired
from bot.services.stop_sending import start_sending, stop_sending
from store import audit, outbox, people
from store.database import Database, UnitOfWork, open_database
from store.outbox import Recheck
from store.tables import outbox as outbox_table
from tests.fakes import FakeClock, FakeCrm, FakeMessenger, Killed, ratelimited, unanswered
from tests.sending import PROGRAMME, TUESDAY, Sender, add_person, message, new

pytestmark = pytest.mark.anyio
SETTLE = timedelta(seconds=outbox.SETTLE_SECONDS)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durable=False)
    yield opened
    opened.close()


@pytest.fixture
def sender(database: Database) -> Sender:
    one = Sender(database)
    one.people(20)
    return one


def _seen_once(sender: Sender, count: int) -> None:
    deliveries = sender.messenger.deliveries()
    assert len(deliveries) == count
    assert set(deliveries.values()) == {1}
    assert sender.database.read_now(outbox.states) == {"sent": count}


# --- queue ---------------------------------------------------------------------------------------------------------


def test_the_same_dedupe_key_is_queued_once(database: Database) -> None:
    database.write_now(add_person, 1)
    first = new(key="same")
    assert database.write_now(outbox.add, first) == first.id
    assert database.write_now(outbox.add, new(key="same", kind=STATUS)) is None
    added = database.write_now(outbox.add_many, [new(key="same"), new(key="other"), new(key="other")])
    assert added == [new(key="other").id]


def test_a_row_comes_back_as_it_was_queued(database: Database) -> None:
    database.write_now(add_person, 1)
    recheck = Recheck("crm", "opps_open", "crm-1", ("a", "b"), 7)
    queued = new(recheck=recheck, thread="1.000001", decision="d1")
    database.write_now(outbox.add, queued)
    row = database.read_now(outbox.by_id, queued.id)
    assert row is not None
    assert (row.message, row.recheck, row.thread, row.decision) == (queued.message, recheck, "1.000001", "d1")
    assert (row.kind, row.template, row.due_at, row.state) == ("tip", "tip.one", TUESDAY, "ready")


async def test_history_tells_what_waits_what_was_sent_and_what_was_ignored(sender: Sender) -> None:
    old, heard, waiting = new(key="old"), new(key="heard", kind=STATUS), new(key="later", at=TUESDAY + SETTLE)
    sender.put(old, heard)
    await sender.deliver()
    sender.put(waiting)

    def look(hours: float) -> list[tuple[str, bool, bool | None]]:
        now = TUESDAY + timedelta(hours=hours)
        found = sender.database.read_now(outbox.sent_history, ["p0001", "p0002"], TUESDAY, now)
        assert found["p0002"] == ()
        return [(sent.kind, sent.waiting, sent.ignored) for sent in found["p0001"]]

    assert sender.database.write_now(outbox.record_reaction, heard.id, "tip:why", TUESDAY)
    assert not sender.database.write_now(outbox.record_reaction, heard.id, "tip:pause", TUESDAY)
    row = sender.row(heard)
    assert (row.reaction, row.reacted_at) == ("tip:why", TUESDAY)
    assert sorted(look(71)) == [("status", False, False), ("tip", False, None), ("tip", True, None)]
    assert sorted(look(72))[1] == ("tip", False, True)


async def test_a_message_is_found_by_where_it_stands_and_the_last_one_by_its_person(sender: Sender) -> None:
    tip, answer = new(), new(kind=ANSWER)
    sender.put(tip)
    await sender.deliver()
    sender.put(answer)
    await sender.deliver(TUESDAY + timedelta(hours=1))
    row = sender.row(tip)
    assert row.channel
    assert row.ts
    by_message = sender.database.read_now(outbox.by_message, row.channel, row.ts)
    assert by_message is not None
    assert by_message.id == tip.id
    last = sender.database.read_now(outbox.last_to, "p0001", TUESDAY - timedelta(days=7))
    assert last is not None
    assert last.id == tip.id, "an answer to a click is no message of its own"
    assert sender.database.read_now(outbox.last_to, "p0001", TUESDAY + timedelta(days=1)) is None


# --- crash -----------------------------------------------------------------------------------------------------------


class MortalDatabase:
    """A database whose user dies at the ``at``-th step: before it, or right after it was committed."""

    def __init__(self, database: Database, messenger: FakeMessenger, at: int, *, after: bool) -> None:
        self.real, self.messenger, self.at, self.after, self.steps = database, messenger, at, after, 0
        self.dead = False

    def _step(self, *, after: bool) -> None:
        if self.dead:
            raise Killed
        if not after:
            self.steps += 1
        if self.steps == self.at and after == self.after:
            self.dead = True
            raise Killed

    async def write(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._step(after=False)
        result = await self.real.write(fn, *args, **kwargs)
        self._step(after=True)
        return result

    async def read(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._step(after=False)
        result = await self.real.read(fn, *args, **kwargs)
        self._step(after=True)
        return result

    async def send(self, outgoing: Any) -> Any:
        self._step(after=False)
        receipt = await self.messenger.send(outgoing)
        self._step(after=True)
        return receipt

    async def find(self, *args: Any, **kwargs: Any) -> Any:
        self._step(after=False)
        return await self.messenger.find(*args, **kwargs)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_wherever_the_process_dies_every_message_is_seen_exactly_once(
    database: Database, after: bool
) -> None:
    """Every step in turn: each read, each commit, each post; before it and after it. Then somebody else takes over."""
    clock, number = FakeClock(TUESDAY), 0
    sender = Sender(database, clock=clock)
    total = 0
    for at in range(1, 60):
        first = number
        number += 4

        def add(uow: UnitOfWork, first: int = first) -> None:
            for each in range(first, first + 4):
                add_person(uow, each, welcomed_at=None if each % 4 == 0 else TUESDAY)

        database.write_now(add)
        sender.put(*(new(each, kind=WELCOME if each % 4 == 0 else "tip") for each in range(first, first + 4)))
        total += 4
        mortal = MortalDatabase(database, sender.messenger, at, after=after)
        doomed = Sender(mortal, clock=clock, messenger=mortal)  # type: ignore[arg-type] # stands in for it
        with contextlib.suppress(Killed):
            await doomed.deliver()
        # Somebody else, at once and after the settle time.
        await sender.deliver()
        await sender.until_quiet()
        clock.at = TUESDAY + timedelta(minutes=2 * at)
        _seen_once(sender, total)
        welcomed = database.read_now(people.get, [f"p{first:04d}"])[f"p{first:04d}"].welcomed_at
        assert welcomed is not None
        if not mortal.dead:
            break
    else:
        raise AssertionError("the doomed one never came to its end: the steps were not all tried")
    assert at > 8


async def test_a_row_in_flight_is_not_touched_before_its_settle_time(sender: Sender) -> None:
    tip = new()
    sender.put(tip)
    sender.database.write_now(outbox.claim, TUESDAY, 10)
    report = await sender.deliver(TUESDAY + SETTLE - timedelta(seconds=1))
    assert (report.sent, sender.messenger.looks) == (0, 0)
    assert report.next_due == TUESDAY + SETTLE
    assert (await sender.deliver(TUESDAY + SETTLE)).sent == 1
    assert sender.messenger.looks == 1


# --- doubt -----------------------------------------------------------------------------------------------------------


async def test_a_lost_answer_is_looked_for_and_the_message_is_not_posted_again(sender: Sender) -> None:
    tip = new()
    sender.messenger.after[tip.id] = [unanswered()]
    sender.put(tip)
    report = await sender.deliver()
    assert (report.sent, report.uncertain, report.next_due) == (0, 1, TUESDAY + SETTLE)
    assert (sender.row(tip).state, sender.row(tip).reason) == ("uncertain", "connection-lost")
    assert (await sender.deliver(TUESDAY + SETTLE)).sent == 1
    _seen_once(sender, 1)
    assert sender.row(tip).ts == sender.messenger.posted[0][0].ts


async def test_what_is_not_found_after_the_settle_time_goes_again(sender: Sender) -> None:
    tip = new()
    sender.messenger.before[tip.id] = [unanswered(), unanswered()]
    sender.put(tip)
    await sender.until_quiet()
    _seen_once(sender, 1)
    assert sender.messenger.attempts[tip.id] == 3


async def test_a_message_that_breaks_off_every_time_is_given_up(sender: Sender) -> None:
    tip, good = new(1), new(2)
    sender.messenger.before[tip.id] = [unanswered() for _ in range(50)]
    sender.put(tip, good)
    await sender.until_quiet()
    assert (sender.row(tip).state, sender.row(tip).reason) == ("dead", "gave-up")
    assert sender.messenger.attempts[tip.id] == 8
    assert sender.row(good).state == "sent"


async def test_when_nobody_may_look_a_nudge_stays_uncertain_and_is_shown_but_never_posted_again(
    sender: Sender,
) -> None:
    tip = new()
    sender.messenger.after[tip.id] = [unanswered()]
    sender.messenger.blind = Permanent("no scope", code="missing_scope")
    sender.put(tip)
    await sender.until_quiet()
    row = sender.row(tip)
    assert (row.state, row.reason) == ("uncertain", "cannot-look:missing_scope")
    assert row.settled_at is not None
    assert sender.messenger.deliveries() == {tip.id: 1}
    assert [each.id for each in sender.database.read_now(outbox.unresolved)] == [tip.id]


async def test_when_the_scope_is_granted_within_a_week_the_uncertain_message_is_found(sender: Sender) -> None:
    tip = new()
    sender.messenger.after[tip.id] = [unanswered()]
    sender.messenger.blind = Permanent("no scope", code="missing_scope")
    sender.put(tip)
    await sender.deliver()
    await sender.deliver(TUESDAY + SETTLE)
    sender.messenger.blind = None
    await sender.until_quiet()
    _seen_once(sender, 1)


async def test_a_digest_that_cannot_be_looked_for_is_posted_again(sender: Sender) -> None:
    digest = new(kind=DIGEST)
    sender.messenger.after[digest.id] = [unanswered()]
    sender.messenger.blind = Permanent("no scope", code="missing_scope")
    sender.put(digest)
    await sender.until_quiet()
    assert sender.messenger.deliveries() == {digest.id: 2}


async def test_while_slack_is_silent_one_question_is_enough_for_all_that_is_uncertain(sender: Sender) -> None:
    tips = [new(number) for number in range(1, 11)]
    sender.messenger.after["*"] = [unanswered() for _ in tips]
    sender.put(*tips)
    assert (await sender.deliver()).uncertain == 10
    sender.messenger.blind = Retryable("away", after=timedelta(minutes=1), scope="workspace")
    await sender.deliver(TUESDAY + SETTLE)
    assert sender.messenger.looks == 1
    sender.messenger.blind = None
    await sender.until_quiet()
    _seen_once(sender, 10)


async def test_a_reply_is_looked_for_in_its_thread(sender: Sender) -> None:
    answer = new(kind=ANSWER, thread="1.000001")
    sender.messenger.after[answer.id] = [unanswered()]
    threads: list[str | None] = []
    find = sender.messenger.find

    async def notice(*args: Any, **kwargs: Any) -> Any:
        threads.append(kwargs["thread"])
        return await find(*args, **kwargs)

    sender.messenger.find = notice
    sender.put(answer)
    await sender.until_quiet()
    assert threads == ["1.000001"]


# --- a no from Slack -------------------------------------------------------------------------------------------------


async def test_a_pause_that_slack_asks_for_is_kept_and_counts_as_no_attempt(sender: Sender) -> None:
    tip = new()
    sender.messenger.before["*"] = [ratelimited(10)]
    sender.put(tip)
    report = await sender.deliver()
    assert (report.later, report.next_due) == (1, TUESDAY + timedelta(seconds=10))
    assert (sender.row(tip).state, sender.row(tip).attempts) == ("ready", 0)
    await sender.until_quiet()
    _seen_once(sender, 1)
    assert sender.row(tip).settled_at == TUESDAY + timedelta(seconds=10)


async def test_when_the_token_is_revoked_everything_waits_and_nothing_is_lost(sender: Sender) -> None:
    tips = [new(number) for number in range(1, 21)]
    refused = [
        Retryable("token", code="token_revoked", after=timedelta(minutes=5), scope="workspace")
        for _ in range(99)
    ]
    sender.messenger.before["*"] = list(refused)
    sender.put(*tips)
    report = await sender.deliver()
    assert (report.sent, report.dead) == (0, 0)
    assert sum(sender.messenger.attempts.values()) <= 16, "one wave finds out, the others wait"
    assert report.next_due == TUESDAY + timedelta(minutes=5)
    assert sender.database.read_now(outbox.states) == {"ready": 20}
    sender.messenger.before.clear()
    await sender.until_quiet()
    _seen_once(sender, 20)


async def test_an_address_that_slack_refuses_is_dead_with_its_code_and_stops_nobody_else(
    sender: Sender,
) -> None:
    bad, good = new(1), new(2)
    sender.messenger.before[bad.id] = [Permanent("gone", code="channel_not_found")]
    sender.put(bad, good)
    report = await sender.deliver()
    assert (report.sent, report.dead, report.next_due) == (1, 1, None)
    assert (sender.row(bad).state, sender.row(bad).reason) == ("dead", "channel_not_found")


async def test_an_error_that_nobody_foresaw_is_raised_after_everybody_elses_message_is_settled(
    sender: Sender,
) -> None:
    bad, good = new(1), new(2)
    sender.messenger.before[bad.id] = [ZeroDivisionError()]
    sender.put(bad, good)
    with pytest.raises(ZeroDivisionError):
        await sender.deliver()
    assert (sender.row(bad).state, sender.row(good).state) == ("sending", "sent")
    await sender.until_quiet()
    _seen_once(sender, 2)


async def test_no_transaction_is_open_while_a_message_is_on_its_way(sender: Sender) -> None:
    """Another process can write while Slack takes its time: on SQLite it could not, with a transaction open."""
    send, seen = sender.messenger.send, []

    async def slow(outgoing: Any) -> Any:
        other = open_database(sender.database.url, durable=False)
        try:
            await asyncio.wait_for(other.write(people.mark_welcomed, "p0001", TUESDAY), 5)
        finally:
            other.close()
        row = sender.database.read_now(outbox.by_id, outgoing.delivery)
        seen.append(row.state if row else None)
        return await send(outgoing)

    sender.messenger.send = slow
    sender.put(new())
    assert (await sender.deliver()).sent == 1
    assert seen == ["sending"], "committed before Slack hears of it"


# --- pace ------------------------------------------------------------------------------------------------------------


async def test_the_workspace_is_written_to_at_the_pace_of_the_bucket(sender: Sender) -> None:
    sender.pacing = Bucket(rate=4, burst=5)
    sender.put(*(new(number) for number in range(1, 21)))
    reports = await sender.until_quiet()
    _seen_once(sender, 20)
    sent = sorted(row.claimed_at for row in _rows(sender.database) if row.claimed_at)
    assert sent[-1] - sent[0] >= timedelta(seconds=(20 - 5) / 4) - timedelta(milliseconds=1)
    assert len(reports) < 12, "a batch waits until it is worth while"


async def test_one_channel_gets_one_message_a_second(sender: Sender) -> None:
    sender.pacing = Bucket()
    sender.put(*(new(1, key=f"answer{n}", kind=ANSWER) for n in range(4)))
    await sender.until_quiet()
    _seen_once(sender, 4)
    times = sorted(row.claimed_at for row in _rows(sender.database) if row.claimed_at)
    assert all(later - earlier >= timedelta(seconds=1) for earlier, later in itertools.pairwise(times))
    assert [m.text for m in sender.messenger.to("U00000001")] == [message().text] * 4


async def test_somebody_who_waits_for_an_answer_does_not_wait_for_the_crowd(sender: Sender) -> None:
    pace = Bucket(rate=4, burst=60)
    sender.pacing = pace
    sender.put(*(new(number) for number in range(1, 21)))
    for channel in range(58):
        assert pace.wait(TUESDAY, f"C{channel}") is None
    answer = new(20, kind=ANSWER)
    sender.put(answer)
    report = await sender.deliver()
    assert (report.sent, sender.row(answer).state) == (1, "sent")


# --- two processes ---------------------------------------------------------------------------------------------------


async def test_two_workers_on_postgresql_double_nothing_and_never_write_to_one_person_at_once(
    postgres_url: str,
) -> None:
    """Two processes' worth of senders, each with its own pool and event loop, on 640 messages to 160 people."""
    setup = open_database(postgres_url, durable=False)
    boss = Sender(setup)
    boss.people(160)
    kinds = [PULSE, STATUS, ANSWER, ANSWER]
    boss.put(
        *(new(n, key=f"{kind}|{n}|{i}", kind=kind) for n in range(1, 161) for i, kind in enumerate(kinds))
    )
    busy: Counter[str] = Counter()
    overlaps: list[str] = []
    lock = threading.Lock()
    messenger = FakeMessenger(boss.clock)
    send = messenger.send

    async def guarded(outgoing: Any) -> Any:
        with lock:
            busy[outgoing.address] += 1
            if busy[outgoing.address] > 1:
                overlaps.append(outgoing.delivery)
        await asyncio.sleep(0.002)
        receipt = await send(outgoing)
        with lock:
            busy[outgoing.address] -= 1
        return receipt

    messenger.send = guarded  # type: ignore[method-assign] # it only looks on
    start = threading.Barrier(2)

    def work() -> int:
        async def run() -> int:
            own = open_database(postgres_url, durable=False)
            sender = Sender(own, clock=FakeClock(TUESDAY), messenger=messenger)
            sent = 0
            try:
                start.wait()
                for _ in range(15):
                    sent += (await sender.deliver()).sent
            finally:
                own.close()
            return sent

        return asyncio.run(run())

    with ThreadPoolExecutor(2) as pool:
        futures: list[Future[int]] = [pool.submit(work) for _ in range(2)]
        counts = [future.result() for future in futures]
    setup.close()
    assert set(messenger.deliveries().values()) == {1}
    assert overlaps == []
    assert min(counts) > 0, "both took part"
    by_kind = Counter(outgoing.message.kind for _, outgoing in messenger.posted)
    assert by_kind == {STATUS: 160, ANSWER: 320, PULSE: 160}


def test_all_due_rows_of_a_person_are_claimed_together_and_none_while_one_is_in_flight(
    database: Database,
) -> None:
    database.write_now(add_person, 1)
    one, two, three = new(key="1"), new(key="2"), new(key="3")
    database.write_now(outbox.add_many, [one, two])
    claimed = database.write_now(outbox.claim, TUESDAY, 1)
    assert {row.id for row in claimed} == {one.id, two.id}
    database.write_now(outbox.add, three)
    assert database.write_now(outbox.claim, TUESDAY, 10) == []
    database.write_now(
        outbox.settle,
        [outbox.Settlement(row.id, outbox.SENT, channel="D", ts="1") for row in claimed],
        TUESDAY,
    )
    assert [row.id for row in database.write_now(outbox.claim, TUESDAY, 10)] == [three.id]


async def test_what_was_taken_for_crashed_while_the_crm_was_slow_is_not_posted_by_the_slow_one(
    database: Database,
) -> None:
    """A gate that takes longer than the settle time: the row is somebody else's by then."""
    clock = FakeClock(TUESDAY)
    messenger = FakeMessenger(clock)
    slow, quick = (Sender(database, clock=FakeClock(TUESDAY), messenger=messenger) for _ in range(2))
    slow.people()
    crm = FakeCrm()
    crm.has("opps_open", "crm-1", ["a"])
    slow.connectors = quick.connectors = {"crm": crm}
    slow.late = clock
    slow.put(new(recheck=Recheck("crm", "opps_open", "crm-1", ("a",), 1)))
    answer = crm.evidence

    async def very_slow(*args: Any) -> Any:
        crm.evidence = answer  # type: ignore[method-assign] # slow once
        clock.move(2 * SETTLE)
        assert (await quick.deliver(clock.now())).sent == 1
        return await answer(*args)

    crm.evidence = very_slow  # type: ignore[method-assign, assignment] # slow once
    assert (await slow.deliver()).sent == 0
    assert set(messenger.deliveries().values()) == {1}


async def test_a_slow_gate_renews_its_claim_before_it_sends(database: Database) -> None:
    clock = FakeClock(TUESDAY)
    slow = Sender(database, clock=clock, late=clock)
    slow.people()
    crm = FakeCrm()
    crm.has("opps_open", "crm-1", ["a"])
    slow.connectors = {"crm": crm}
    tip = new(recheck=Recheck("crm", "opps_open", "crm-1", ("a",), 1))
    slow.put(tip)
    answer = crm.evidence

    async def rather_slow(*args: Any) -> Any:
        clock.move(timedelta(seconds=20))
        return await answer(*args)

    crm.evidence = rather_slow  # type: ignore[method-assign, assignment] # slow
    assert (await slow.deliver()).sent == 1
    assert slow.row(tip).claimed_at == TUESDAY + timedelta(seconds=20)


# --- the switch, and what is forgotten -------------------------------------------------------------------------------


def test_stop_and_start_are_in_the_audit_log_and_twice_is_once(database: Database) -> None:
    who = "lead@example.com"
    assert database.write_now(lambda uow: stop_sending(uow, by=who, now=TUESDAY, why="the CRM is down"))
    assert not database.write_now(lambda uow: stop_sending(uow, by="other@example.com", now=TUESDAY))
    assert database.write_now(lambda uow: start_sending(uow, by=who, now=TUESDAY))
    assert not database.write_now(lambda uow: start_sending(uow, by=who, now=TUESDAY))
    rows = database.read_now(audit.rows)
    assert [(row.actor, row.action) for row in rows] == [(who, "sending-started"), (who, "sending-stopped")]


async def test_texts_are_blanked_seven_days_after_settling_and_template_and_outcome_stay(
    sender: Sender,
) -> None:
    tip, waiting = new(recheck=None), new(2, at=TUESDAY + timedelta(days=30), expires_at=None)
    sender.put(tip, waiting)
    await sender.deliver()
    sender.database.write_now(outbox.replace_shown, tip.id, message(text="Done"))

    def forget(days: float) -> int:
        now = TUESDAY + timedelta(days=days)
        return sender.database.write_now(forget_expired, PROGRAMME, now).messages

    assert forget(7) == 0
    assert forget(7.1) == 1
    assert forget(7.1) == 0
    row = sender.row(tip)
    assert (row.message, row.shown, row.recheck) == (None, None, None)
    assert (row.state, row.template, row.version) == ("sent", "tip.one", 1)
    raw = sender.database.read_now(
        lambda uow: uow.rows(sa.select(outbox_table).where(outbox_table.c.id == tip.id))
    )
    assert "past their date" not in str(raw)
    assert sender.row(waiting).message is not None


def _rows(database: Database) -> list[outbox.OutboxRow]:
    ids = database.read_now(lambda uow: [row.id for row in uow.rows(sa.select(outbox_table.c.id))])
    rows = [database.read_now(outbox.by_id, each) for each in ids]
    return [row for row in rows if row is not None]


def test_on_sqlite_claims_read_only_what_is_not_settled(sqlite_url: str) -> None:
    """The partial index is used, or every tick would read the whole history (188 s instead of 91 in a 26-week run)."""
    database = open_database(sqlite_url, durable=False)
    plans: list[str] = []

    @sa.event.listens_for(sa.Engine, "before_cursor_execute")
    def explain(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        if statement.startswith("SELECT") and "FROM outbox" in statement:
            found = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            plans.extend(str(row[3]) for row in found)

    try:
        database.write_now(outbox.claim, TUESDAY, 10)
        database.write_now(outbox.claim_lookups, TUESDAY, 10)
        database.read_now(outbox.live, TUESDAY)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", explain)
        database.close()
    tables = [plan for plan in plans if plan.startswith(("SCAN", "SEARCH"))]
    assert len(tables) >= 4
    assert [plan for plan in tables if "INDEX" not in plan] == []
