"""What ``/healthz`` says: the database, the last poll, how long messages and envelopes have waited."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bot.domain.errors import Retryable
from store import health
from store.database import Database


async def check_health(database: Database, now: datetime) -> dict[str, Any]:
    """JSON-ready. ``ok`` is False only when the database does not answer: everything else heals or waits for somebody.

    Ages in seconds; 0 when nothing waits. ``warnings``: what needs a person, as short words.
    """
    try:
        found = await database.read(health.signs, now)
    except Retryable:
        return {"ok": False, "database": "away"}
    needs = {
        "dead": found.dead > 0,
        "poll-errors": bool(found.poll_errors),
        "sending-stopped": found.stopped,
    }
    return {
        "ok": True,
        "warnings": [word for word, holds in needs.items() if holds],
        "database": "ok",
        "last_poll": None if found.polled_at is None else found.polled_at.isoformat(),
        "poll_errors": list(found.poll_errors),
        "outbox_age_seconds": _age(found.outbox_due, now),
        "inbox_age_seconds": _age(found.inbox_since, now),
        "dead": found.dead,
        "sending": "stopped" if found.stopped else "on",
    }


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, round((now - since).total_seconds(), 1))
