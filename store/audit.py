"""Who looked at, exported or changed what. Append-only: triggers refuse UPDATE and DELETE, each row seals the one before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from bot.domain.errors import FullsteamError
from store.database import UnitOfWork
from store.tables import audit

FIRST = "0" * 64
_LOCK = 7_119_234_507
"""PostgreSQL advisory lock: one appender at a time, or two rows would follow the same one."""


class BrokenChain(FullsteamError):
    """A row of the audit log was changed or is missing. ``row``: the first id that does not fit."""

    def __init__(self, row: int) -> None:
        super().__init__(f"The audit log was changed: row {row} does not follow from the one before it.")
        self.row = row


@dataclass(frozen=True, slots=True)
class AuditRow:
    """``actor``: e-mail address or ``system``. ``subject``: what it was done to. ``detail``: ids and counts, never words."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]
    hash: str


def append(
    uow: UnitOfWork, at: datetime, actor: str, action: str, subject: str, detail: Mapping[str, Any]
) -> int:
    """Write a row; returns its id."""
    if uow.dialect == "postgresql":
        uow.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    last = uow.one(sa.select(audit.c.hash).order_by(audit.c.id.desc()).limit(1))
    previous = FIRST if last is None else last.hash
    written = uow.execute(
        sa.insert(audit)
        .values(
            at=at,
            actor=actor,
            action=action,
            subject=subject,
            detail=dict(detail),
            previous=previous,
            hash=_seal(previous, at, actor, action, subject, detail),
        )
        .returning(audit.c.id)
    )
    number: int = written.scalar_one()
    return number


def rows(uow: UnitOfWork, *, since: datetime | None = None, limit: int = 1000) -> list[AuditRow]:
    """The newest rows first."""
    query = sa.select(audit).order_by(audit.c.id.desc()).limit(limit)
    if since is not None:
        query = query.where(audit.c.at >= since)
    return [AuditRow(r.id, r.at, r.actor, r.action, r.subject, r.detail, r.hash) for r in uow.rows(query)]


def verify(uow: UnitOfWork) -> int:
    """Recompute the chain. Returns how many rows hold; raises BrokenChain at the first that does not."""
    previous, count = FIRST, 0
    for row in uow.rows(sa.select(audit).order_by(audit.c.id)):
        expected = _seal(previous, row.at, row.actor, row.action, row.subject, row.detail)
        if row.previous != previous or row.hash != expected:
            raise BrokenChain(row.id)
        previous, count = row.hash, count + 1
    return count


def _seal(
    previous: str, at: datetime, actor: str, action: str, subject: str, detail: Mapping[str, Any]
) -> str:
    """SHA-256 over the row and the hash of the one before."""
    instant = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    row = json.dumps(
        [previous, instant, actor, action, subject, dict(detail)], sort_keys=True, ensure_ascii=False
    )
    return hashlib.sha256(row.encode()).hexdigest()
