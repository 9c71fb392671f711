"""What Slack told us, kept before it is acknowledged; each row is worked once and settled with its work.

A row is ``new`` until its work is committed and what that work shows in place has been shown. Between the two its body
holds only what is still to show (``SHOW``), so that a crash repeats the showing, which changes nothing, and never the work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from bot.domain.ports import Envelope
from store.database import UnitOfWork
from store.statements import select_by, update_by
from store.tables import inbox
from store.upsert import inserting

NEW = "new"
DONE = "done"
REFUSED = "refused"
"""Valid, but nothing to do: from somebody we do not know, out of date, pressed before."""
DEAD = "dead"
"""Failed as often as it may. It keeps its body: what somebody said is not thrown away because we could not work it."""
SHOW = "show"
MAX_ATTEMPTS = 8
FIRST_RETRY = timedelta(seconds=10)
LONGEST_RETRY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class InboxRow:
    """An envelope as it was kept. ``attempts``: how often working it failed."""

    id: int
    key: str
    kind: str
    name: str
    user: str | None
    body: Mapping[str, Any]
    received_at: datetime
    attempts: int

    @property
    def to_show(self) -> list[dict[str, Any]] | None:
        """What is still to be shown once the work is committed; None while the work is not done."""
        return self.body.get(SHOW)


def _is_new(table: sa.FromClause = inbox) -> sa.ColumnElement[bool]:
    """Written out, not bound: only then SQLite sees that the partial indexes on new rows will do."""
    found: sa.ColumnElement[bool] = table.c.state == sa.literal_column(f"'{NEW}'")
    return found


def keep(uow: UnitOfWork, envelope: Envelope, now: datetime) -> bool:
    """Write an envelope. False when one with its key is there already: twice is once."""
    values = {
        "key": envelope.key,
        "kind": envelope.kind,
        "name": envelope.name,
        "user": envelope.user,
        "body": dict(envelope.body),
        "received_at": now,
        "state": NEW,
        "attempts": 0,
        "next_at": now,
    }
    return uow.one(_insert_once(uow.dialect), values) is not None


@cache
def _insert_once(dialect: str) -> sa.Executable:
    return inserting(dialect, inbox).on_conflict_do_nothing(index_elements=["key"]).returning(inbox.c.id)


def due(
    uow: UnitOfWork, now: datetime, *, limit: int = 200, only: str | None = None
) -> list[tuple[int, str | None]]:
    """Ids and users of new rows that are due, oldest first; ``only``: the row with this key, if it is new and due."""
    parameters: dict[str, Any] = {"now": now, "most": limit}
    if only is not None:
        parameters["only"] = only
    return [(row.id, row.user) for row in uow.rows(_due(one=only is not None), parameters)]


@cache
def _due(*, one: bool) -> sa.Select[Any]:
    query = sa.select(inbox.c.id, inbox.c.user).where(_is_new(), inbox.c.next_at <= sa.bindparam("now"))
    if one:
        query = query.where(inbox.c.key == sa.bindparam("only"))
    return query.order_by(inbox.c.id).limit(sa.bindparam("most"))


def take(uow: UnitOfWork, row_id: int, now: datetime) -> InboxRow | None:
    """Lock a row for the work of this transaction. None when it is settled, not due, or another worker has it.

    What one person said is worked in the order in which they said it: a row waits for an older one of the same person
    that has not been tried yet.
    """
    row = uow.one(_taking(), {"which": row_id, "now": now})
    if row is None:
        return None
    return InboxRow(
        row.id, row.key, row.kind, row.name, row.user, row.body or {}, row.received_at, row.attempts
    )


@cache
def _taking() -> sa.Select[Any]:
    free = (_is_new(), inbox.c.next_at <= sa.bindparam("now"), sa.not_(_older_waits()))
    return select_by(inbox.c.id).where(*free).with_for_update(skip_locked=True, of=inbox)


def _older_waits() -> sa.ColumnElement[bool]:
    """Whether the same person said something before that was not tried yet. A row that only waits to be shown counts as tried."""
    older = inbox.alias("older")
    return sa.exists().where(
        older.c.user == inbox.c.user, older.c.id < inbox.c.id, _is_new(older), older.c.attempts == 0
    )


def settle(uow: UnitOfWork, row_id: int, state: str, reason: str | None, now: datetime) -> None:
    """End a row: ``done`` or ``refused``. What it held is blanked; key and kind stay, so twice is once."""
    settled = {"state": state, "reason": reason, "body": None, "settled_at": now}
    uow.execute(update_by(inbox.c.id), {"which": row_id, **settled})


def worked(
    uow: UnitOfWork,
    row_id: int,
    show: Sequence[Mapping[str, Any]],
    reason: str,
    lease_until: datetime,
    *,
    state: str,
) -> None:
    """The work is done; keep only what is still to be shown, and how the row will end (``state``, ``reason``).

    After ``lease_until`` another worker shows it.
    """
    body = {SHOW: [dict(one) for one in show], "state": state, "reason": reason}
    shown = {"body": body, "reason": reason, "next_at": lease_until, "attempts": 1}
    uow.execute(update_by(inbox.c.id), {"which": row_id, **shown})


def lease(uow: UnitOfWork, row_id: int, until: datetime) -> None:
    """Nobody else takes this row before then."""
    uow.execute(update_by(inbox.c.id), {"which": row_id, "next_at": until})


def push_on(uow: UnitOfWork, row_id: int, reason: str, now: datetime, after: timedelta | None = None) -> bool:
    """Working the row failed: later again, with doubling pauses, or dead after MAX_ATTEMPTS. True when it is dead."""
    row = uow.one(sa.select(inbox.c.attempts, inbox.c.body).where(inbox.c.id == row_id, _is_new()))
    if row is None:
        return False
    if row.attempts + 1 >= MAX_ATTEMPTS:
        if row.body is not None and SHOW in row.body:  # the work was done; only its showing failed
            settle(uow, row_id, row.body["state"], f"{row.body['reason']} (not shown)", now)
            return False
        dead = {"state": DEAD, "reason": reason, "attempts": row.attempts + 1, "settled_at": now}
        uow.execute(sa.update(inbox).where(inbox.c.id == row_id).values(dead))
        return True
    pause = after if after is not None else min(LONGEST_RETRY, FIRST_RETRY * 2**row.attempts)
    uow.execute(
        sa.update(inbox)
        .where(inbox.c.id == row_id)
        .values(attempts=row.attempts + 1, reason=reason, next_at=now + pause)
    )
    return False


@dataclass(frozen=True, slots=True)
class DeadRow:
    """An envelope that could not be worked, without what it says."""

    key: str
    kind: str
    name: str
    reason: str
    received_at: datetime


def dead(uow: UnitOfWork) -> list[DeadRow]:
    """What waits to be revived, oldest first."""
    query = sa.select(inbox).where(inbox.c.state == DEAD).order_by(inbox.c.id)
    return [
        DeadRow(row.key, row.kind, row.name, row.reason or "", row.received_at) for row in uow.rows(query)
    ]


def revive(uow: UnitOfWork, now: datetime, key: str | None = None) -> int:
    """Work dead rows again, from the start: once whatever broke them is repaired. ``key``: only this one. Returns how many."""
    again = {"state": NEW, "reason": None, "attempts": 1, "next_at": now, "settled_at": None}
    which = inbox.c.state == DEAD if key is None else sa.and_(inbox.c.state == DEAD, inbox.c.key == key)
    return uow.execute(sa.update(inbox).where(which).values(again)).rowcount


def next_due(uow: UnitOfWork) -> datetime | None:
    """When the next new row is due; None when there is none."""
    instant: datetime | None = uow.execute(earliest()).scalar_one()
    return instant


@cache
def earliest() -> sa.Select[Any]:
    """What :func:`next_due` asks, as a query."""
    return sa.select(sa.func.min(inbox.c.next_at)).where(_is_new())


def counts(uow: UnitOfWork) -> dict[str, int]:
    """How many rows there are in each state."""
    query = sa.select(inbox.c.state, sa.func.count()).group_by(inbox.c.state)
    return {row[0]: row[1] for row in uow.rows(query)}
