"""Whether the house is well: read-only, a few rows, for the health check and the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from store.database import UnitOfWork
from store.tables import control, inbox, outbox, source


@dataclass(frozen=True, slots=True)
class Signs:
    """``polled_at``: last poll of any source; ``poll_errors``: sources whose last poll failed.

    ``outbox_due``: the oldest due time of a message that waits; ``inbox_since``: when the oldest envelope that is not
    settled arrived; ``dead``: envelopes and messages that need a person. ``stopped``: sending is held.
    """

    polled_at: datetime | None
    poll_errors: tuple[str, ...]
    outbox_due: datetime | None
    inbox_since: datetime | None
    dead: int
    stopped: bool


def signs(uow: UnitOfWork, now: datetime) -> Signs:
    """Read them all in one unit of work."""
    polls = uow.rows(sa.select(source.c.name, source.c.polled_at, source.c.error).order_by(source.c.name))
    due = sa.select(sa.func.min(outbox.c.due_at)).where(outbox.c.state == "ready", outbox.c.due_at <= now)
    arrived = sa.select(sa.func.min(inbox.c.received_at)).where(inbox.c.state == "new")
    dead = [
        uow.execute(sa.select(sa.func.count()).select_from(table).where(table.c.state == "dead")).scalar_one()
        for table in (inbox, outbox)
    ]
    switch = uow.one(sa.select(control.c.value).where(control.c.name == "sending"))
    return Signs(
        polled_at=max((row.polled_at for row in polls if row.polled_at), default=None),
        poll_errors=tuple(row.name for row in polls if row.error),
        outbox_due=uow.execute(due).scalar_one(),
        inbox_since=uow.execute(arrived).scalar_one(),
        dead=sum(dead),
        stopped=bool(switch is not None and switch.value.get("stopped")),
    )
