"""Switches that hold for the whole installation. One so far: whether anything may be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from store.database import UnitOfWork
from store.statements import select_by, update_by
from store.tables import control
from store.upsert import insert

_SENDING = "sending"
_REPLAY = "replay"
_INSTANT = "instant"
_WORKSPACE = "workspace"


@dataclass(frozen=True, slots=True)
class Stopped:
    """Who stopped sending, since when, and why (their words, for those who run the programme)."""

    by: str
    since: datetime
    why: str = ""


def stopped(uow: UnitOfWork) -> Stopped | None:
    """The stop that is in force, or None."""
    row = uow.one(select_by(control.c.name), {"which": _SENDING})
    if row is None or not is_stopped(row.value):
        return None
    return Stopped(row.value["by"], row.at, row.value.get("why", ""))


@cache
def switch() -> sa.Select[Any]:
    """The switch of sending as it is kept, as a query; no row before it was first turned."""
    return sa.select(control.c.value).where(control.c.name == _SENDING)


def is_stopped(value: Mapping[str, object] | None) -> bool:
    """Whether the switch, as it is kept, holds everything."""
    return value is not None and bool(value.get("stopped"))


def stop(uow: UnitOfWork, by: str, at: datetime, why: str = "") -> bool:
    """Hold everything. False when it was stopped already: the first stop stays as it was."""
    if _locked(uow, at):
        return False
    _switch(uow, {"stopped": True, "by": by, "why": why}, at)
    return True


def start(uow: UnitOfWork, by: str, at: datetime) -> bool:
    """Send again. False when nothing was stopped."""
    if not _locked(uow, at):
        return False
    _switch(uow, {"stopped": False, "by": by}, at)
    return True


def _locked(uow: UnitOfWork, at: datetime) -> bool:
    """Take the switch, so that two who turn it at once do so one after the other. Whether it is stopped."""
    first = insert(uow, control).values(name=_SENDING, value={"stopped": False}, at=at)
    uow.execute(first.on_conflict_do_nothing(index_elements=["name"]))
    row = uow.one(sa.select(control.c.value).where(control.c.name == _SENDING).with_for_update())
    return row is not None and bool(row.value["stopped"])


def _switch(uow: UnitOfWork, value: dict[str, object], at: datetime) -> None:
    uow.execute(update_by(control.c.name), {"which": _SENDING, "value": value, "at": at})


def replayed(uow: UnitOfWork) -> dict[str, object] | None:
    """What a replay in this database replays; None in a live one."""
    row = uow.one(sa.select(control.c.value).where(control.c.name == _REPLAY))
    return None if row is None else dict(row.value)


def mark_replay(uow: UnitOfWork, mark: dict[str, object], at: datetime) -> None:
    """Say that this database belongs to a replay."""
    uow.execute(sa.insert(control).values(name=_REPLAY, value=mark, at=at))


def keep_instant(uow: UnitOfWork, now: datetime) -> None:
    """Steered time only: where the clock stands, so that a restart goes on from there."""
    done = uow.execute(update_by(control.c.name), {"which": _INSTANT, "at": now})
    if done.rowcount == 0:
        uow.execute(sa.insert(control).values(name=_INSTANT, value={}, at=now))


def kept_instant(uow: UnitOfWork) -> datetime | None:
    """Where a steered clock stood last; None before its first step."""
    row = uow.one(sa.select(control.c.at).where(control.c.name == _INSTANT))
    return None if row is None else row.at


def kept_workspace(uow: UnitOfWork) -> str | None:
    """Slack's id of this installation's workspace, None before it was asked."""
    row = uow.one(select_by(control.c.name), {"which": _WORKSPACE})
    return None if row is None else str(row.value)


def keep_workspace(uow: UnitOfWork, workspace: str, at: datetime) -> None:
    """Keep the id; the first one stays."""
    if kept_workspace(uow) is None:
        uow.execute(sa.insert(control).values(name=_WORKSPACE, value=workspace, at=at))
