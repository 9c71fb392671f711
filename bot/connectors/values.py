"""What may stand in a field of a CRM's answer, as the product speaks of it: texts, days, instants. Pure.

For fields that may hold anything: what is none of them is "", or None.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache


def text_of(value: object) -> str:
    """A text without the blanks around it; "" for anything else, a ``false`` or null included."""
    return value.strip() if isinstance(value, str) else ""


def day_or_none(value: object) -> date | None:
    """The day of a date, or the UTC day of an instant that is written in UTC (ISO 8601); None for anything else."""
    return _read_day(value[:10]) if isinstance(value, str) else None


@lru_cache(maxsize=4096)
def _read_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def moment_or_none(value: object) -> datetime | None:
    """An instant (ISO 8601) in UTC: without an offset it is written in UTC; None for anything else."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        return None if at is None else at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
