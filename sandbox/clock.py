"""The workspace's time: real, or steered from outside.

`ts`, rate limits, `Retry-After`, do-not-disturb, trigger ids and response URLs follow this clock.
Signatures, HTTP time-outs and the 3-second acknowledgement follow real time, whatever this clock says.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

FIRST_YEAR, LAST_YEAR = 1971, 2999
"""Years of the instants that somebody names: what is computed from one (a day more, another zone) stays a date."""


class RealClock:
    """The machine's own clock."""

    steered = False

    def seconds(self) -> float:
        """Now, in seconds since 1970-01-01 UTC."""
        return time.time()

    def now(self) -> datetime:
        """Now, as an aware UTC datetime."""
        return datetime.now(UTC)


class SteeredClock:
    """A clock that stands still until somebody moves it, and never moves backwards."""

    steered = True

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)
        self._seconds = self._now.timestamp()

    def seconds(self) -> float:
        """Now, in seconds since 1970-01-01 UTC."""
        return self._seconds

    def now(self) -> datetime:
        """Now, as an aware UTC datetime."""
        return self._now

    def move_to(self, when: datetime) -> None:
        """Set the clock. Raises ValueError when `when` lies before now."""
        when = when.astimezone(UTC)
        if when < self._now:
            raise ValueError(
                f"time does not run backwards: {when.isoformat()} is before {self._now.isoformat()}"
            )
        self._now = when
        self._seconds = when.timestamp()


Clock = RealClock | SteeredClock


def moment(text: str) -> datetime:
    """Read an ISO 8601 instant; one without an offset is UTC. Raises ValueError for what is none and for other ages."""
    when = datetime.fromisoformat(text)
    if not FIRST_YEAR <= when.year <= LAST_YEAR:
        raise ValueError(f"{text}: a workspace lives between {FIRST_YEAR} and {LAST_YEAR}")
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
