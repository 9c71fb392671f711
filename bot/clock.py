"""Clocks: the system's, and one that a sandbox steers. Nothing else in the product knows what time it is."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Aware, UTC."""
        return datetime.now(UTC)


class SteeredClock:
    """A clock that only moves when it is told to, and never backward (docs/decisions/0012)."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """The instant that was set last."""
        return self._now

    def set(self, now: datetime) -> None:
        """Move to ``now``; an earlier instant is ignored, because a request may arrive out of order."""
        if now.tzinfo is None:
            raise ValueError("a steered clock needs an aware datetime")
        self._now = max(self._now, now.astimezone(UTC))
