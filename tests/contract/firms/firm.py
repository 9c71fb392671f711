"""A small firm in nobody's terms: who has which deals, what was done, and when. Days count back from noon of its Friday."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TODAY = NOON.date()
BOSS, JONAS, LEA = "Ada Brandt", "Jonas Weber", "Lea Martin"
REPS = (JONAS, LEA)


@dataclass(frozen=True)
class Deal:
    """An opportunity. ``created``, ``moved``, ``touched``: days ago (touched: the last activity); ``close_in``: days ahead.

    ``ended``: ("won" or "lost", days ago), None while it is open.
    """

    name: str
    owner: str
    created: int
    close_in: int = 30
    amount: float | None = 1000.0
    next_step: bool = True
    account: bool = True
    moved: int = 1
    touched: int = 1
    ended: tuple[str, int] | None = None

    @property
    def close(self) -> date:
        """The expected close date, or the real one."""
        return TODAY + timedelta(days=self.close_in if self.ended is None else -self.ended[1])


DEALS = (
    Deal("late", JONAS, 20, close_in=-10),
    Deal("stuck", JONAS, 73, moved=70),
    Deal("bare", JONAS, 40, amount=None, next_step=False, account=False),
    Deal("quiet", JONAS, 90, touched=35),
    Deal("new", JONAS, 3, amount=None, next_step=False, account=False),
    Deal("fine", LEA, 10),
    Deal("won", LEA, 30, amount=900.0, moved=5, ended=("won", 2)),
    Deal("lost", LEA, 40, moved=5, ended=("lost", 1)),
)
CALLS = ((JONAS, 1, "late"), (JONAS, 2, "late"), (LEA, 3, "fine"))
"""Who called, how many days ago, about which deal."""
OVERDUE = ((JONAS, 2),)
"""Whose task is overdue, for how many days."""


def day(days_ago: float) -> date:
    """A day before the firm's Friday."""
    return (NOON - timedelta(days=days_ago)).date()


@dataclass(frozen=True)
class Telling:
    """How one kind of CRM knows the firm. ``build(folder)``: the settings that ``ConnectorKind.open`` takes.

    ``not_told``: metrics that this CRM cannot tell apart for this firm, each with the reason.
    """

    name: str
    build: Callable[[Path], Mapping[str, Any]]
    not_told: Mapping[str, str]
