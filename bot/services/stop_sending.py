"""Hold everything, and let it go again: the switch that every sender reads before each wave of messages."""

from __future__ import annotations

from datetime import datetime

from store import audit, control
from store.database import UnitOfWork

_SUBJECT = "outbox"


def stop_sending(uow: UnitOfWork, *, by: str, now: datetime, why: str = "") -> bool:
    """Hold the outbox. ``by``: e-mail address or ``command line``. False when it was stopped already.

    What is on its way this second still arrives; nothing else goes out until :func:`start_sending`.
    """
    if not control.stop(uow, by, now, why):
        return False
    audit.append(uow, now, by, "sending-stopped", _SUBJECT, {})
    return True


def start_sending(uow: UnitOfWork, *, by: str, now: datetime) -> bool:
    """Release the outbox. What expired meanwhile is dropped at the gate. False when nothing was stopped."""
    if not control.start(uow, by, now):
        return False
    audit.append(uow, now, by, "sending-started", _SUBJECT, {})
    return True
