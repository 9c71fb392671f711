"""Switches that hold for the whole installation. One so far: whether anything may be sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from store.database import UnitOfWork
from store.tables import control

_SENDING = "sending"


@dataclass(frozen=True, slots=True)
class Stopped:
    """Who stopped sending, since when, and why (their words, for those who run the programme)."""

    by: str
    since: datetime
    why: str = ""


def stopped(uow: UnitOfWork) -> Stopped | None:
    """The stop that is in force, or None."""
    row = uow.one(sa.select(control).where(control.c.name == _SENDING))
    if row is None or not row.value.get("stopped"):
        return None
    return Stopped(row.value["by"], row.at, row.value.get("why", ""))


def stop(uow: UnitOfWork, by: str, at: datetime, why: str = "") -> bool:
    """Hold everything. False when it was stopped already: the first stop stays as it was."""
    if stopped(uow) is not None:
        return False
    _switch(uow, {"stopped": True, "by": by, "why": why}, at)
    return True


def start(uow: UnitOfWork, by: str, at: datetime) -> bool:
    """Send again. False when nothing was stopped."""
    if stopped(uow) is None:
        return False
    _switch(uow, {"stopped": False, "by": by}, at)
    return True


def _switch(uow: UnitOfWork, value: dict[str, object], at: datetime) -> None:
    uow.execute(sa.delete(control).where(control.c.name == _SENDING))
    uow.execute(sa.insert(control).values(name=_SENDING, value=value, at=at))
