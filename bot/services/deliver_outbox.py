"""Deliver what is due: claim, commit, gate, send with no transaction open, settle (docs/decisions/0008).

A row is ``sending`` in the database before Slack hears of it. Whoever dies in between leaves a row that
:mod:`bot.services.reconcile_outbox` looks for 30 s later: at most one visible message a delivery, however often we die.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.domain.errors import Permanent, Retryable, Uncertain
from bot.domain.messages import WELCOME
from bot.domain.ports import (
    Clock,
    Connector,
    Directory,
    DndWindow,
    Holidays,
    Messenger,
    Outgoing,
    Pacing,
)
from bot.domain.programme import Programme
from bot.services.gate_outbox import gate
from bot.services.reconcile_outbox import reconcile
from store import control, outbox, people
from store.database import Database, UnitOfWork
from store.outbox import OutboxRow, Settlement

log = logging.getLogger(__name__)

BATCH = 64
IN_FLIGHT = 16
"""Messages on their way at once; the switch is read again before each such wave."""
GATHER = 20
"""Under pressure a batch waits until the bucket has room for so many: the gate's questions are asked once a batch, and
dnd.teamInfo answers 20 times a minute."""
AWAY = timedelta(seconds=30)
FRESH = timedelta(seconds=5)
"""A claim older than this when the wave starts is renewed first: a slow CRM at the gate must not outlive it."""
SETTLE = timedelta(seconds=outbox.SETTLE_SECONDS)
WORKSPACE = "workspace"


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What one delivery did.

    ``sent``: posted, or found to have been. ``held``, ``dropped``: by reason. ``later``: paced or to be tried again.
    ``uncertain``: may have been posted, will be looked for. ``dead``: refused by Slack for good.
    ``stopped``: messages that are due and held by the switch. ``next_due``: when to come again, None when nothing waits.
    """

    sent: int = 0
    held: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    later: int = 0
    uncertain: int = 0
    dead: int = 0
    stopped: int = 0
    next_due: datetime | None = None


@dataclass(frozen=True, slots=True)
class _State:
    """What the store says between two batches."""

    stopped: bool
    live: outbox.Live


def _state(uow: UnitOfWork, now: datetime) -> _State:
    return _State(control.stopped(uow) is not None, outbox.live(uow, now))


class _Tally:
    """Counts of one delivery while it runs. ``until``: Slack asked for a pause, or is away."""

    def __init__(self) -> None:
        self.held: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.later = 0
        self.until: datetime | None = None

    def add(self, each: Settlement) -> None:
        if each.held:
            self.held[each.reason or ""] += 1
        elif each.state == outbox.DROPPED:
            self.dropped[each.reason or ""] += 1
        elif each.state == outbox.READY:
            self.later += 1
        else:
            self.states[each.state] += 1

    def pause(self, until: datetime) -> None:
        self.until = until if self.until is None else max(self.until, until)


async def deliver(
    database: Database,
    *,
    messenger: Messenger,
    directory: Directory | None,
    connectors: Mapping[str, Connector],
    programme: Programme,
    holidays: Holidays,
    now: datetime,
    pacing: Pacing | None = None,
    clock: Clock | None = None,
) -> DeliveryReport:
    """Send what is due at ``now``, until nothing is or Slack wants a pause.

    ``directory`` None: nobody is in do-not-disturb (a console). ``pacing`` None: as fast as it goes. ``clock``: how late
    it has become while the gate waited for a CRM; without it no time passes. Raises what the database raises.
    """
    tally = _Tally()
    wait: datetime | None = None
    state = await database.read(_state, now)
    if state.live.look is not None and state.live.look <= now:
        looked = await reconcile(database, messenger=messenger, now=now)
        tally.states[outbox.SENT] += looked.found
        tally.states[outbox.UNCERTAIN] += looked.uncertain
        tally.states[outbox.DEAD] += looked.dead
        state = await database.read(_state, now)
    while state.live.due and not state.stopped and tally.until is None:
        due, urgent = state.live.due, state.live.urgent
        only_urgent, limit = False, BATCH
        if pacing is not None:
            room = pacing.room(now)
            gathered = min(due, GATHER, pacing.burst)
            if room < gathered and not (urgent and room):
                wait = pacing.free_at(now, gathered)
                break
            only_urgent, limit = room < gathered, min(BATCH, room)
        rows = await database.write(outbox.claim, now, limit, urgent=only_urgent)
        if not rows:
            break  # what is due belongs to people to whom another process is sending
        gated = await gate(
            database,
            rows,
            directory=directory,
            connectors=connectors,
            programme=programme,
            holidays=holidays,
            now=now,
        )
        for each in gated.refused:
            tally.add(each)
        if gated.refused or gated.windows:
            await database.write(_keep, gated.refused, (), gated.windows, now)
        await _send_all(database, gated.passed, messenger, pacing, clock, now, tally)
        state = await database.read(_state, now)
    return _report(state, tally, now, wait)


async def _send_all(
    database: Database,
    rows: Sequence[OutboxRow],
    messenger: Messenger,
    pacing: Pacing | None,
    clock: Clock | None,
    now: datetime,
    tally: _Tally,
) -> None:
    """Send in waves; messages to one address go one after the other. What is not sent is given back as it was."""
    by_address: defaultdict[str, list[OutboxRow]] = defaultdict(list)
    for row in rows:
        by_address[row.address].append(row)
    queues = list(by_address.values())
    for start in range(0, len(queues), IN_FLIGHT):
        wave = queues[start : start + IN_FLIGHT]
        if tally.until is not None or await database.read(control.stopped) is not None:
            rest = [row for queue in queues[start:] for row in queue]
            await database.write(_keep, [_given_back(row) for row in rest], (), {}, now)
            return
        at = clock.now() if clock is not None else now
        wave = await _renewed(database, wave, at)
        done = await asyncio.gather(
            *(_send_in_order(queue, messenger, pacing, at, tally) for queue in wave), return_exceptions=True
        )
        settlements = [each for result in done if not isinstance(result, BaseException) for each in result]
        posted = {each.id for each in settlements if each.state == outbox.SENT}
        welcomed = [row for queue in wave for row in queue if row.kind == WELCOME and row.id in posted]
        await database.write(_keep, settlements, welcomed, {}, at)
        for each in settlements:
            tally.add(each)
        for result in done:
            # Not one of ours: its row stays in flight and is looked for; everybody else's is settled.
            if isinstance(result, BaseException):
                raise result


async def _renewed(
    database: Database, wave: Sequence[list[OutboxRow]], at: datetime
) -> list[list[OutboxRow]]:
    """The wave with a fresh claim, without what somebody else took for crashed meanwhile."""
    rows = [row for queue in wave for row in queue]
    if all(row.claimed_at is not None and at - row.claimed_at <= FRESH for row in rows):
        return list(wave)
    kept = await database.write(outbox.renew, rows, at)
    return [[replace(row, claimed_at=at) for row in queue if row.id in kept] for queue in wave]


async def _send_in_order(
    queue: Sequence[OutboxRow],
    messenger: Messenger,
    pacing: Pacing | None,
    at: datetime,
    tally: _Tally,
) -> list[Settlement]:
    """Send the messages of one address; after one that did not get through the others wait for it."""
    done: list[Settlement] = []
    for number, row in enumerate(queue):
        free = pacing.wait(at, row.address) if pacing is not None else None
        if free is not None:
            return done + [_later(each, free) for each in queue[number:]]
        settled = await _send_one(row, messenger, pacing, at, tally)
        done.append(settled)
        if settled.state == outbox.READY:
            return done + [_later(each, settled.due_at or at) for each in queue[number + 1 :]]
    return done


async def _send_one(
    row: OutboxRow, messenger: Messenger, pacing: Pacing | None, at: datetime, tally: _Tally
) -> Settlement:
    assert row.message is not None  # the gate drops what has no words
    try:
        receipt = await messenger.send(Outgoing(row.id, row.address, row.message, row.thread))
    except Retryable as error:
        after = error.after or AWAY
        if error.scope == WORKSPACE:
            tally.pause(at + after)
        if pacing is not None and error.code == "ratelimited":
            pacing.slow_down(at, after, error.scope or row.address)
        elif pacing is not None and error.scope == WORKSPACE:
            pacing.close(at + after)
        return _later(row, at + after)
    except Permanent as error:
        log.error(
            "outbox.dead",
            extra={"outbox": row.id, "kind": row.kind, "code": error.code, "advice": str(error)},
        )
        return Settlement(row.id, outbox.DEAD, error.code, person=row.person)
    except Uncertain as error:
        log.warning("outbox.uncertain", extra={"outbox": row.id, "kind": row.kind, "code": error.code})
        return Settlement(row.id, outbox.UNCERTAIN, error.code, at + SETTLE, person=row.person)
    return Settlement(row.id, outbox.SENT, channel=receipt.channel, ts=receipt.ts, person=row.person)


def _later(row: OutboxRow, at: datetime) -> Settlement:
    """Not posted, and nobody said no: ready again, no attempt."""
    return Settlement(row.id, outbox.READY, row.reason, at, person=row.person, counted=False)


def _given_back(row: OutboxRow) -> Settlement:
    return Settlement(row.id, outbox.READY, row.reason, row.due_at, person=row.person, counted=False)


def _keep(
    uow: UnitOfWork,
    settlements: Sequence[Settlement],
    welcomed: Sequence[OutboxRow],
    windows: Mapping[str, DndWindow],
    now: datetime,
) -> None:
    outbox.settle(uow, settlements, now)
    for person in sorted(row.person for row in welcomed if row.person is not None):
        people.mark_welcomed(uow, person, now)
    people.keep_dnd(uow, windows, now)


def next_delivery(live: outbox.Live, now: datetime, *, stopped: bool) -> datetime | None:
    """When a delivery has something to do: ``now`` if it has already, None when nothing waits."""
    if (live.look is not None and live.look <= now) or (live.due and not stopped):
        return now
    return _report(_State(stopped, live), _Tally(), now, None).next_due


def _report(state: _State, tally: _Tally, now: datetime, wait: datetime | None) -> DeliveryReport:
    """What was done, and when something is due again: always after ``now``."""
    soon = now + timedelta(seconds=1)
    times = [] if state.live.look is None else [max(state.live.look, soon)]
    if not state.stopped and state.live.send is not None:
        # A row that is due and was not sent waits for Slack, for the bucket, or for another row of its person.
        pause = max((each for each in (wait, tally.until) if each is not None), default=soon)
        overdue = max(pause, now + timedelta(milliseconds=1))
        times.append(state.live.send if state.live.send > now else overdue)
    return DeliveryReport(
        sent=tally.states[outbox.SENT],
        held=dict(tally.held),
        dropped=dict(tally.dropped),
        later=tally.later,
        uncertain=tally.states[outbox.UNCERTAIN],
        dead=tally.states[outbox.DEAD],
        stopped=state.live.due if state.stopped else 0,
        next_due=min(times, default=None),
    )
