"""What became of messages that may have been posted: look in Slack before anything is done about them.

Found: it was sent. Not found, and the time in which it could still arrive is over: it may go again. Cannot look: by kind;
what is sent at most once stays uncertain and is shown to whoever runs the programme (docs/decisions/0008).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.errors import Permanent, Retryable
from bot.domain.messages import DESK, DIGEST, WELCOME
from bot.domain.ports import Messenger
from store import outbox, people
from store.database import Database, UnitOfWork
from store.outbox import OutboxRow, Settlement

log = logging.getLogger(__name__)

BATCH = 50
LOOK_BACK = timedelta(hours=1)
"""So long before the claim the conversation is read: an earlier attempt may have arrived late."""
LOOK_LATER = timedelta(minutes=5)
LOOK_RARELY = timedelta(days=1)
LOOK_UP_TO = timedelta(days=7)
"""Where nobody may look, a setting may still change: daily for a week."""
MAX_ATTEMPTS = 8
"""A message that breaks off so often is given up. Pauses that Slack asks for are no attempts."""
AT_LEAST_ONCE = frozenset({DIGEST, DESK})
"""Kinds for which a second copy is better than none. Everything to a single person is sent at most once."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """``found``: had been posted. ``again``: had not, go again. ``uncertain``: nobody can tell yet. ``dead``: given up."""

    found: int = 0
    again: int = 0
    uncertain: int = 0
    dead: int = 0


async def reconcile(database: Database, *, messenger: Messenger, now: datetime) -> Reconciled:
    """Look for every message that is due to be looked for."""
    counts = {"found": 0, "again": 0, "uncertain": 0, "dead": 0}
    while rows := await database.write(outbox.claim_lookups, now, BATCH):
        silent: datetime | None = None
        for row in rows:
            if silent is None:
                outcome, found, final, silent = await _look(messenger, row, now)
            else:
                # Slack does not answer: one question was enough, the others wait as well.
                outcome, final = "uncertain", False
                found = Settlement(row.id, outbox.UNCERTAIN, row.reason, silent)
            if await database.write(_keep, row, found, now, final):
                counts[outcome] += 1
        if silent is not None:
            break
    return Reconciled(**counts)


async def _look(
    messenger: Messenger, row: OutboxRow, now: datetime
) -> tuple[str, Settlement, bool, datetime | None]:
    """(what it counts as, how to settle it, whether that is final, when to ask Slack again if it is silent)."""
    began = row.claimed_at or row.created_at
    try:
        receipt = await messenger.find(
            row.id, row.channel or row.address, began - LOOK_BACK, thread=row.thread
        )
    except Retryable as error:
        later = now + max(error.after or LOOK_LATER, timedelta(seconds=1))
        return "uncertain", Settlement(row.id, outbox.UNCERTAIN, row.reason, later), False, later
    except Permanent as error:
        if row.kind in AT_LEAST_ONCE:
            return "again", Settlement(row.id, outbox.READY, None, now), False, None
        log.warning("outbox.cannot_look", extra={"outbox": row.id, "code": error.code, "advice": str(error)})
        stays = Settlement(row.id, outbox.UNCERTAIN, f"cannot-look:{error.code}", now + LOOK_RARELY)
        return "uncertain", stays, began + LOOK_UP_TO <= now, None
    if receipt is not None:
        return (
            "found",
            Settlement(row.id, outbox.SENT, None, channel=receipt.channel, ts=receipt.ts),
            True,
            None,
        )
    if row.attempts >= MAX_ATTEMPTS:
        log.error("outbox.gave_up", extra={"outbox": row.id, "attempts": row.attempts})
        return "dead", Settlement(row.id, outbox.DEAD, "gave-up"), True, None
    return "again", Settlement(row.id, outbox.READY, None, now), False, None


def _keep(uow: UnitOfWork, row: OutboxRow, found: Settlement, now: datetime, final: bool) -> bool:
    kept = outbox.settle_lookup(uow, row, found, now, final=final)
    if kept and found.state == outbox.SENT and row.kind == WELCOME and row.person is not None:
        people.mark_welcomed(uow, row.person, row.claimed_at or now)
    return kept
