"""What day it is for a CRM that tells how things stand now, and which days it can still be asked about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from bot.domain.errors import Retryable

CLOCK_TOLERANCE = timedelta(minutes=15)
"""What two clocks may differ by around midnight."""
EVIDENCE_DAYS = 7
"""How old the day may be that a decision was made for; the records are read as of now in any case."""


class OfNow:
    """The day in the programme's zone. ``now``: the time by the server's clock (:meth:`bot.connectors.http.Api.server_now`)."""

    def __init__(self, now: Callable[[], datetime], zone: ZoneInfo) -> None:
        self._now = now
        self._zone = zone

    def today(self) -> date:
        """The day that it is."""
        return self._now().astimezone(self._zone).date()

    def is_today(self, day: date) -> bool:
        """Whether it is that day, give or take what two clocks may differ by: then snapshots of it can be read."""
        now = self._now()
        moments = (now - CLOCK_TOLERANCE, now, now + CLOCK_TOLERANCE)
        return day in {moment.astimezone(self._zone).date() for moment in moments}

    def check_recent(self, through: date, crm: str, why: str) -> None:
        """Raises Retryable where a decision was made for a day that is long gone: its records cannot be told any more.

        ``crm``: what it is called; ``why``: why it does not tell them.
        """
        if not -1 <= (self.today() - through).days <= EVIDENCE_DAYS:
            raise Retryable(f"{crm} is not asked about {through}: {why}", code="as-of-now")
