"""The outbox: what goes to Slack, as rows. A row is claimed and committed before the call, and settled after it.

    ready      waits for ``due_at``; held messages are ready too, with the reason and a later ``due_at``
    sending    claimed: somebody may be posting it right now. Older than SETTLE_SECONDS: whoever claimed it is gone
    sent       posted; ``channel`` and ``ts`` say where
    dropped    the gate refused it for good, ``reason`` says why
    uncertain  it may have been posted: ``due_at`` is when to look; final once ``settled_at`` is set
    dead       Slack refused it for good, ``reason`` says why

While a row of a person is ``sending``, no other row of that person can be claimed: the attention budget is judged by
one sender at a time (see :func:`claim`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from bot.domain.attention import Sent
from bot.domain.messages import ANSWER, KINDS, Message, delivery_id
from store.database import UnitOfWork
from store.statements import chunks, of_ids, select_by, spelt_out, update_by
from store.tables import decision, hold, outbox, person
from store.upsert import inserting

READY, SENDING, SENT = "ready", "sending", "sent"
DROPPED, UNCERTAIN, DEAD = "dropped", "uncertain", "dead"
SETTLE_SECONDS = 30
"""After this long a post that nobody settled is over, one way or the other (docs/decisions/0008)."""
LOOK_LEASE = timedelta(seconds=60)
IGNORED_AFTER = timedelta(hours=72)
_LIVE_STATES = spelt_out(READY, SENDING, UNCERTAIN)  # in the words of the partial index (store/tables.py)
_LIVE = outbox.c.state.in_(_LIVE_STATES)


@dataclass(frozen=True, slots=True)
class Recheck:
    """What has to be still true just before sending.

    ``metric`` counts records of ``owner`` (crm_id) in the CRM named ``source``; ``records`` are the ids that the message
    names. Without ids the count alone must be above 0.
    """

    source: str
    metric: str
    owner: str
    records: tuple[str, ...] = ()
    count: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "metric": self.metric,
            "owner": self.owner,
            "records": list(self.records),
            "count": self.count,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Recheck:
        return cls(
            body["source"], body["metric"], body["owner"], tuple(body["records"]), int(body.get("count", 0))
        )


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to queue. ``dedupe_key``: the same key is never queued twice; it gives the row its id.

    ``address``: Slack user or channel id. ``due_at``: not before; ``expires_at``: not worth sending afterwards.
    """

    dedupe_key: str
    message: Message
    address: str
    created_at: datetime
    due_at: datetime
    person: str | None = None
    thread: str | None = None
    behaviour: str | None = None
    decision: str | None = None
    recheck: Recheck | None = None
    expires_at: datetime | None = None

    @property
    def id(self) -> str:
        return delivery_id(self.dedupe_key)


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A row of the outbox. ``message`` is None once its text was blanked; ``shown`` is what a click turned it into."""

    id: str
    dedupe_key: str
    kind: str
    person: str | None
    address: str
    thread: str | None
    behaviour: str | None
    decision: str | None
    template: str
    version: int
    language: str
    message: Message | None
    recheck: Recheck | None
    state: str
    reason: str | None
    created_at: datetime
    due_at: datetime
    expires_at: datetime | None
    attempts: int
    claimed_at: datetime | None
    settled_at: datetime | None
    channel: str | None
    ts: str | None
    reaction: str | None
    reacted_at: datetime | None
    shown: Message | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one claimed row ended.

    ``state``: ready (held, or try again at ``due_at``), sent, dropped, uncertain (look at ``due_at``) or dead.
    ``counted``: whether it was a real attempt; ``held``: write a hold row (the gate said no, with a reason).
    ``stale``: the CRM no longer says what the message says; noted on the decision.
    """

    id: str
    state: str
    reason: str | None = None
    due_at: datetime | None = None
    channel: str | None = None
    ts: str | None = None
    person: str | None = None
    decision: str | None = None
    counted: bool = True
    held: bool = False
    stale: bool = False


def add(uow: UnitOfWork, new: NewMessage) -> str | None:
    """Queue a message. Returns its id, or None when that dedupe key exists already."""
    return next(iter(add_many(uow, (new,))), None)


def add_many(uow: UnitOfWork, messages: Sequence[NewMessage]) -> list[str]:
    """Queue messages in one statement; returns the ids of those that were new."""
    if not messages:
        return []
    rows = [
        {
            "id": new.id,
            "dedupe_key": new.dedupe_key,
            "kind": new.message.kind,
            "person": new.person,
            "address": new.address,
            "thread": new.thread,
            "behaviour": new.behaviour,
            "decision": new.decision,
            "template": new.message.template,
            "version": new.message.version,
            "language": new.message.language,
            "message": new.message.to_json(),
            "recheck": new.recheck.to_json() if new.recheck else None,
            "state": READY,
            "created_at": new.created_at,
            "due_at": new.due_at,
            "expires_at": new.expires_at,
            "attempts": 0,
        }
        for new in messages
    ]
    return [row.id for row in uow.rows(_insert_new(uow.dialect), rows if len(rows) > 1 else rows[0])]


@cache
def _insert_new(dialect: str) -> sa.Executable:
    return inserting(dialect, outbox).on_conflict_do_nothing().returning(outbox.c.id)


def by_id(uow: UnitOfWork, id: str) -> OutboxRow | None:  # noqa: A002 - the column's name
    """A row by its id, the value that travels in buttons and metadata."""
    row = uow.one(select_by(outbox.c.id), {"which": id})
    return None if row is None else _row(row)


def by_message(uow: UnitOfWork, channel: str, ts: str) -> OutboxRow | None:
    """The row behind a posted message, by where it stands in Slack."""
    row = uow.one(_by_message(), {"which": ts, "channel": channel})
    return None if row is None else _row(row)


@cache
def _by_message() -> sa.Select[Any]:
    return select_by(outbox.c.ts).where(outbox.c.channel == sa.bindparam("channel"))


def last_to(
    uow: UnitOfWork, person_id: str, since: datetime, *, without: Collection[str] = (ANSWER,)
) -> OutboxRow | None:
    """Our last message to a person since then: what a reply without a thread belongs to.

    ``without``: kinds that do not count; an answer to a click is no message of its own.
    """
    row = uow.one(_last_to(), {"which": person_id, "since": since, "without": sorted(without)})
    return None if row is None else _row(row)


@cache
def _last_to() -> sa.Select[Any]:
    return (
        select_by(outbox.c.person)
        .where(
            outbox.c.state.in_(spelt_out(SENT, UNCERTAIN)),
            outbox.c.claimed_at >= sa.bindparam("since"),
            outbox.c.kind.not_in(sa.bindparam("without", expanding=True)),
        )
        .order_by(outbox.c.claimed_at.desc(), outbox.c.id)
        .limit(1)
    )


def of_person(uow: UnitOfWork, person_id: str, limit: int = 20) -> list[OutboxRow]:
    """The latest messages of a person, whatever became of them, newest first."""
    return [_row(row) for row in uow.rows(_of_person(), {"which": person_id, "most": limit})]


@cache
def _of_person() -> sa.Select[Any]:
    newest = select_by(outbox.c.person).order_by(outbox.c.created_at.desc(), outbox.c.id)
    return newest.limit(sa.bindparam("most"))


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a message, and why."""

    id: str
    state: str
    reason: str | None


def states_of(uow: UnitOfWork, person_id: str, limit: int) -> list[Fate]:
    """What became of the latest messages of a person, newest first."""
    rows = uow.rows(_states_of(), {"which": person_id, "most": limit})
    return [Fate(row.id, row.state, row.reason) for row in rows]


@cache
def _states_of() -> sa.Select[Any]:
    columns = sa.select(outbox.c.id, outbox.c.state, outbox.c.reason)
    newest = columns.where(outbox.c.person == sa.bindparam("which"))
    return newest.order_by(outbox.c.created_at.desc(), outbox.c.id).limit(sa.bindparam("most"))


def sent_history(
    uow: UnitOfWork,
    person_ids: Sequence[str],
    since: datetime,
    now: datetime,
    *,
    without: Collection[str] = frozenset(),
) -> dict[str, tuple[Sent, ...]]:
    """What each person was sent since then, oldest first, what waits included (``waiting``, at its due time).

    A message that may have been posted counts as sent. ``ignored``: True when nothing came back within 72 h of sending,
    False when something did, None while it is too early. Every id asked for has an entry. ``without``: rows to leave out.
    """
    found: dict[str, list[Sent]] = {each: [] for each in person_ids}
    for chunk in chunks(person_ids):
        for row in uow.rows(of_ids(_history(), outbox.c.person), {"ids": chunk, "since": since}):
            if row.id in without:
                continue
            waiting = row.state == READY
            when = row.due_at if waiting else row.claimed_at
            ignored = None
            if row.reaction is not None:
                ignored = False
            elif row.state == SENT and when + IGNORED_AFTER <= now:
                ignored = True
            found[row.person].append(Sent(row.kind, when, row.template, waiting, ignored))
    return {each: tuple(sends) for each, sends in found.items()}


@cache
def _history() -> sa.Select[Any]:
    at = sa.case((outbox.c.state == READY, outbox.c.due_at), else_=outbox.c.claimed_at)
    return (
        sa.select(
            outbox.c.id,
            outbox.c.person,
            outbox.c.kind,
            outbox.c.state,
            outbox.c.template,
            outbox.c.reaction,
            outbox.c.due_at,
            outbox.c.claimed_at,
        )
        .where(
            outbox.c.state.in_(spelt_out(READY, SENDING, SENT, UNCERTAIN)),
            at >= sa.bindparam("since", type_=outbox.c.due_at.type),
        )
        .order_by(outbox.c.person, at, outbox.c.id)
    )


def record_reaction(uow: UnitOfWork, id: str, action: str, at: datetime) -> bool:  # noqa: A002
    """Note the first thing a person did with a message; later ones change nothing. True when it was the first."""
    done = uow.execute(_no_reaction_yet(), {"which": id, "reaction": action, "reacted_at": at})
    return bool(done.rowcount)


@cache
def _no_reaction_yet() -> sa.Update:
    return update_by(outbox.c.id).where(outbox.c.reaction.is_(None))


def replace_shown(uow: UnitOfWork, id: str, message: Message) -> None:  # noqa: A002
    """Keep what a message shows after a click."""
    uow.execute(update_by(outbox.c.id), {"which": id, "updated_message": message.to_json()})


def withdraw(
    uow: UnitOfWork,
    person_id: str,
    reason: str,
    now: datetime,
    *,
    kinds: Collection[str],
    behaviour: str | None = None,
    template: str | None = None,
    id: str | None = None,  # noqa: A002 - the column's name
) -> int:
    """Drop what waits for a person because they said so: of these kinds; on ``behaviour``, of ``template``, only ``id``
    where given.

    Returns how many.
    """
    waiting = sa.and_(outbox.c.person == person_id, outbox.c.state == READY, outbox.c.kind.in_(tuple(kinds)))
    if behaviour is not None:
        waiting = sa.and_(waiting, outbox.c.behaviour == behaviour)
    if template is not None:
        waiting = sa.and_(waiting, outbox.c.template == template)
    if id is not None:
        waiting = sa.and_(waiting, outbox.c.id == id)
    dropped = sa.update(outbox).where(waiting).values(state=DROPPED, reason=reason, settled_at=now)
    ids = [row.id for row in uow.rows(dropped.returning(outbox.c.id))]
    for each in sorted(ids):
        _note_hold(uow, each, person_id, now, reason, None)
    return len(ids)


def blank_old(uow: UnitOfWork, before: datetime) -> int:
    """Blank texts and record ids of messages settled before then; template, version and outcome stay. Returns how many."""
    done = uow.execute(
        sa.update(outbox)
        .where(
            outbox.c.settled_at < before,
            sa.or_(
                outbox.c.message.is_not(None),
                outbox.c.updated_message.is_not(None),
                outbox.c.recheck.is_not(None),
            ),
        )
        .values(message=sa.null(), updated_message=sa.null(), recheck=sa.null())
    )
    return done.rowcount


# --- claiming ----------------------------------------------------------------------------------------------------


def claim(uow: UnitOfWork, now: datetime, limit: int, *, urgent: bool = False) -> list[OutboxRow]:
    """Claim what is due, about ``limit`` rows: state ``sending``, in the order in which they are to be judged.

    ``urgent``: only for people who wait for an answer or a reminder they asked for.

    All due rows of a person come together, and none while another row of that person is being sent by somebody else.
    The person's row is the lock: on PostgreSQL it is taken with SKIP LOCKED first, and only the statement after that,
    which sees everything committed until then, looks whether a row of theirs is in flight. (Locking outbox rows alone
    would not do: a row that becomes due a moment later could be claimed by a second process.)
    """
    candidates = uow.rows(_candidates(urgent=urgent), {"now": now, "most": limit * 4})
    persons = list(dict.fromkeys(row.person for row in candidates))
    locked: list[str] = []
    for start in range(0, len(persons), limit):
        locked = [row.id for row in uow.rows(_locking(), {"ids": persons[start : start + limit]})]
        if locked:
            break  # else another process is at work on all of these: take the next ones
    claimed: list[OutboxRow] = []
    if locked:
        claimed += [_row(row) for row in uow.rows(_taking_of_people(), {"now": now, "ids": locked})]
    if len(claimed) < limit:
        free = uow.rows(_to_nobody(urgent=urgent), {"now": now, "most": limit - len(claimed)})
        if free:
            taken = uow.rows(_taking_these(), {"now": now, "ids": [row.id for row in free]})
            claimed += [_row(row) for row in taken]
    return sorted(
        claimed, key=lambda row: (KINDS[row.kind].windowed, KINDS[row.kind].place, row.due_at, row.id)
    )


def _due(*, urgent: bool = False) -> sa.ColumnElement[bool]:
    due = sa.and_(_LIVE, outbox.c.state == READY, outbox.c.due_at <= sa.bindparam("now"))
    return sa.and_(due, _urgency() == 0) if urgent else due


@cache
def _candidates(*, urgent: bool) -> sa.Select[Any]:
    """Whom something is due for."""
    wanted = sa.select(outbox.c.person).where(
        _due(urgent=urgent), outbox.c.person.is_not(None), ~_in_flight()
    )
    return wanted.order_by(_urgency(), outbox.c.due_at, outbox.c.id).limit(sa.bindparam("most"))


@cache
def _locking() -> sa.Select[Any]:
    return of_ids(sa.select(person.c.id), person.c.id).with_for_update(skip_locked=True, key_share=True)


@cache
def _taking_of_people() -> sa.Executable:
    theirs = outbox.c.person.in_(sa.bindparam("ids", expanding=True))
    return _taking(_due(), theirs, ~_in_flight())


@cache
def _to_nobody(*, urgent: bool) -> sa.Select[Any]:
    """What is due to channels and the like."""
    wanted = sa.select(outbox.c.id).where(_due(urgent=urgent), outbox.c.person.is_(None))
    first = wanted.order_by(outbox.c.due_at, outbox.c.id).limit(sa.bindparam("most"))
    return first.with_for_update(skip_locked=True)


@cache
def _taking_these() -> sa.Executable:
    return _taking(outbox.c.id.in_(sa.bindparam("ids", expanding=True)), outbox.c.state == READY)


def _taking(*where: sa.ColumnElement[bool]) -> sa.Executable:
    claimed = {"state": SENDING, "claimed_at": sa.bindparam("now"), "attempts": outbox.c.attempts + 1}
    return sa.update(outbox).where(*where).values(claimed).returning(outbox)


def renew(uow: UnitOfWork, rows: Sequence[OutboxRow], now: datetime) -> frozenset[str]:
    """Move the claim of these rows to ``now``; returns those that are still ours.

    A slow gate may have let the claim grow old: what somebody else has taken for crashed must not be posted.
    """
    kept: set[str] = set()
    for row in sorted(rows, key=lambda row: row.id):
        done = uow.execute(
            sa.update(outbox)
            .where(outbox.c.id == row.id, outbox.c.state == SENDING, outbox.c.claimed_at == row.claimed_at)
            .values(claimed_at=now)
        )
        if done.rowcount:
            kept.add(row.id)
    return frozenset(kept)


def claim_lookups(uow: UnitOfWork, now: datetime, limit: int) -> list[OutboxRow]:
    """Claim rows that may have been posted and are due to be looked for: ``uncertain``, and ``sending`` left by a crash.

    Each is leased for LOOK_LEASE by its ``due_at``; :func:`settle_lookup` holds only for the holder of the lease.
    """
    crashed = now - timedelta(seconds=SETTLE_SECONDS)
    found = (
        sa.select(outbox.c.id)
        .where(
            _LIVE,
            sa.or_(
                sa.and_(outbox.c.state == UNCERTAIN, outbox.c.due_at <= now, outbox.c.settled_at.is_(None)),
                sa.and_(outbox.c.state == SENDING, outbox.c.claimed_at <= crashed),
            ),
        )
        .order_by(outbox.c.due_at, outbox.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = [row.id for row in uow.rows(found)]
    if not ids:
        return []
    lease = (
        sa.update(outbox)
        .where(outbox.c.id.in_(ids))
        .values(state=UNCERTAIN, due_at=now + LOOK_LEASE)
        .returning(outbox)
    )
    return sorted((_row(row) for row in uow.rows(lease)), key=lambda row: row.id)


def settle(uow: UnitOfWork, settlements: Sequence[Settlement], now: datetime) -> int:
    """Settle claimed rows; returns how many. A row that is no longer ``sending`` is left as it is."""
    return sum(_settle(uow, each, now) for each in sorted(settlements, key=_by_id))


def settle_lookup(
    uow: UnitOfWork, row: OutboxRow, found: Settlement, now: datetime, *, final: bool = False
) -> bool:
    """Settle a row that was looked for; False when the lease went to somebody else meanwhile.

    ``final``: an uncertain row is not looked for again.
    """
    return bool(_settle(uow, found, now, lease=row.due_at, final=final))


def _by_id(settlement: Settlement) -> str:
    return settlement.id


def _settle(
    uow: UnitOfWork,
    each: Settlement,
    now: datetime,
    *,
    lease: datetime | None = None,
    final: bool = False,
) -> int:
    """``lease``: the row is one that was looked for, until then it is ours; None: it is one that was claimed."""
    values: dict[str, Any] = {"state": each.state, "reason": each.reason}
    if each.due_at is not None:
        values["due_at"] = each.due_at
    if each.channel is not None:
        values |= {"channel": each.channel, "ts": each.ts}
    if each.state == READY:
        values["claimed_at"] = None
    elif each.state != UNCERTAIN or final:
        values["settled_at"] = now
    ours = {"which": each.id} if lease is None else {"which": each.id, "lease": lease}
    settling = _settling(claimed=lease is None, counted=each.counted)
    if not uow.execute(settling, {**ours, **values}).rowcount:
        return 0
    if each.held or each.state == DROPPED:
        _note_hold(uow, each.id, each.person, now, each.reason, each.due_at if each.state == READY else None)
    if each.stale and each.decision is not None:
        uow.execute(update_by(decision.c.id), {"which": each.decision, "stale_at_send": True})
    return 1


@cache
def _settling(*, claimed: bool, counted: bool) -> sa.Update:
    one = update_by(outbox.c.id)
    if claimed:
        ours = one.where(outbox.c.state == SENDING)
    else:
        ours = one.where(outbox.c.state == UNCERTAIN, outbox.c.due_at == sa.bindparam("lease"))
    return ours if counted else ours.values(attempts=outbox.c.attempts - 1)


def _note_hold(
    uow: UnitOfWork,
    id: str,  # noqa: A002 - the column's name
    person_id: str | None,
    at: datetime,
    reason: str | None,
    until: datetime | None,
) -> None:
    uow.execute(_HOLD, {"outbox": id, "person": person_id, "at": at, "reason": reason, "until": until})


# --- what is due, and what happened ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Live:
    """What is not settled. ``due``: messages that could go out now; ``urgent``: those of them that somebody waits for.

    ``send``, ``look``: the earliest times at which there is a message to send, and one to look for.
    """

    due: int = 0
    urgent: int = 0
    send: datetime | None = None
    look: datetime | None = None


def live_rows() -> sa.Select[Any]:
    """What :func:`live` asks, as a query: one row, of nothing but NULL where nothing is left; binds ``now``."""
    due = sa.and_(outbox.c.state == READY, outbox.c.due_at <= sa.bindparam("now", type_=outbox.c.due_at.type))
    doubtful = sa.and_(outbox.c.state == UNCERTAIN, outbox.c.settled_at.is_(None))
    return sa.select(
        sa.func.sum(sa.case((due, 1), else_=0)).label("due"),
        sa.func.sum(sa.case((sa.and_(due, _urgency() == 0), 1), else_=0)).label("urgent"),
        sa.func.min(sa.case((outbox.c.state == READY, outbox.c.due_at))).label("send"),
        sa.func.min(sa.case((doubtful, outbox.c.due_at))).label("look"),
        sa.func.min(sa.case((outbox.c.state == SENDING, outbox.c.claimed_at))).label("flight"),
    ).where(_LIVE)


def live(uow: UnitOfWork, now: datetime) -> Live:
    """One look at everything that is not settled; a row in flight is due to be looked for once its claim has grown old."""
    return as_live(uow.execute(_LIVE_ROWS, {"now": now}).one())


def as_live(row: sa.Row[Any]) -> Live:
    """The one row of :func:`live_rows`, read."""
    if row.due is None:
        return Live()
    looks = [row.look] if row.look is not None else []
    if row.flight is not None:
        looks.append(row.flight + timedelta(seconds=SETTLE_SECONDS))
    return Live(int(row.due), int(row.urgent), row.send, min(looks, default=None))


def states(uow: UnitOfWork) -> dict[str, int]:
    """How many rows are in each state."""
    rows = uow.rows(sa.select(outbox.c.state, sa.func.count().label("rows")).group_by(outbox.c.state))
    return {row.state: int(row.rows) for row in rows}


def holds(uow: UnitOfWork, since: datetime, until: datetime) -> dict[str, int]:
    """How often the gate said no in ``[since, until)``, by reason."""
    rows = uow.rows(
        sa.select(hold.c.reason, sa.func.count().label("times"))
        .where(hold.c.at >= since, hold.c.at < until)
        .group_by(hold.c.reason)
        .order_by(hold.c.reason)
    )
    return {row.reason: int(row.times) for row in rows}


@dataclass(frozen=True, slots=True)
class Held:
    """A no of the gate: when, why, and to which message. ``message`` is None once its text was blanked."""

    at: datetime
    reason: str
    template: str
    message: Message | None


def held_from(uow: UnitOfWork, person_id: str, since: datetime, limit: int) -> list[Held]:
    """What was held or dropped at the gate since then, and what Slack refused, newest first.

    One line a message and reason, the last time it was so: a message is looked at again and again while it waits.
    """
    last = sa.func.max(hold.c.at).label("at")
    gate = (
        sa.select(hold.c.outbox, hold.c.reason, last)
        .where(hold.c.person == person_id, hold.c.at >= since)
        .group_by(hold.c.outbox, hold.c.reason)
    )
    refused = sa.select(outbox.c.id, sa.literal(DEAD), outbox.c.settled_at).where(
        outbox.c.person == person_id, outbox.c.state == DEAD, outbox.c.settled_at >= since
    )
    no = sa.union_all(gate, refused).subquery()
    statement = (
        sa.select(no.c.at, no.c.reason, outbox.c.template, outbox.c.message)
        .join_from(no, outbox, outbox.c.id == no.c.outbox)
        .order_by(no.c.at.desc(), no.c.outbox)
        .limit(limit)
    )
    return [
        Held(
            row.at, row.reason, row.template, None if row.message is None else Message.from_json(row.message)
        )
        for row in uow.rows(statement)
    ]


def unresolved(uow: UnitOfWork) -> list[OutboxRow]:
    """Messages that need a person: dead ones, and those that may have been posted and could not be looked for."""
    statement = (
        sa.select(outbox)
        .where(sa.or_(outbox.c.state == DEAD, outbox.c.state == UNCERTAIN))
        .order_by(outbox.c.created_at, outbox.c.id)
    )
    return [_row(row) for row in uow.rows(statement)]


def _in_flight() -> sa.ColumnElement[bool]:
    """Whether a row of the same person is being sent. Few rows are: the list is read once (an EXISTS took 50 times longer)."""
    other = outbox.alias("other")
    return outbox.c.person.in_(
        sa.select(other.c.person).where(
            other.c.state.in_(_LIVE_STATES), other.c.state == SENDING, other.c.person.is_not(None)
        )
    )


def _urgency() -> sa.ColumnElement[int]:
    """0 for what a person waits for (answers, reminders they asked for), 1 for the rest."""
    at_once = spelt_out(*(kind for kind, rule in KINDS.items() if not rule.windowed))
    return sa.case((outbox.c.kind.in_(at_once), 0), else_=1)


def _row(row: sa.Row[Any]) -> OutboxRow:
    return OutboxRow(
        id=row.id,
        dedupe_key=row.dedupe_key,
        kind=row.kind,
        person=row.person,
        address=row.address,
        thread=row.thread,
        behaviour=row.behaviour,
        decision=row.decision,
        template=row.template,
        version=row.version,
        language=row.language,
        message=None if row.message is None else Message.from_json(row.message),
        recheck=None if row.recheck is None else Recheck.from_json(row.recheck),
        state=row.state,
        reason=row.reason,
        created_at=row.created_at,
        due_at=row.due_at,
        expires_at=row.expires_at,
        attempts=row.attempts,
        claimed_at=row.claimed_at,
        settled_at=row.settled_at,
        channel=row.channel,
        ts=row.ts,
        reaction=row.reaction,
        reacted_at=row.reacted_at,
        shown=None if row.updated_message is None else Message.from_json(row.updated_message),
    )


# Asked at every tick: put together once, because that takes longer than the answer.
_LIVE_ROWS = live_rows()
_HOLD = sa.insert(hold)
