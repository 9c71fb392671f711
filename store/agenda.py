"""Agenda: everything that is due next, as one statement; it is asked before every instant of steered time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from store import control, decisions, feedback, inbox, outbox, slots
from store.database import UnitOfWork
from store.outbox import Live
from store.tables import job


@dataclass(frozen=True, slots=True)
class Agenda:
    """What waits, by kind; None: nothing does.

    ``jobs``: when the jobs that were named are due again, those that ever ran. ``newcomers``: somebody who may be written to
    has no decision point yet. ``decision``, ``inbox``, ``outcome``: the earliest that is due. ``live``: the outbox, and
    ``stopped`` whether sending is held. ``unconfirmed``: when the oldest words that wait for their author were said.
    """

    jobs: Mapping[str, datetime]
    newcomers: bool
    decision: datetime | None
    inbox: datetime | None
    live: Live
    stopped: bool
    outcome: datetime | None
    unconfirmed: datetime | None


def agenda(uow: UnitOfWork, now: datetime, names: tuple[str, ...]) -> Agenda:
    """Look at everything once. ``names``: of the jobs whose own row counts."""
    row = uow.execute(_statement(names), {"now": now}).one()
    return Agenda(
        jobs={name: at for name in names if (at := getattr(row, f"job_{name}")) is not None},
        newcomers=bool(row.newcomers),
        decision=row.decision,
        inbox=row.inbox,
        live=outbox.as_live(row),
        stopped=control.is_stopped(row.switch),
        outcome=row.outcome,
        unconfirmed=row.unconfirmed,
    )


@cache
def _statement(names: tuple[str, ...]) -> sa.Select[Any]:
    """Built once: one row with a column for each question."""
    live = outbox.live_rows().subquery()
    return sa.select(
        live,
        *(
            sa.select(job.c.next_at).where(job.c.name == name).scalar_subquery().label(f"job_{name}")
            for name in names
        ),
        sa.exists(slots.newcomers()).label("newcomers"),
        slots.earliest().scalar_subquery().label("decision"),
        inbox.earliest().scalar_subquery().label("inbox"),
        control.switch().scalar_subquery().label("switch"),
        decisions.earliest_outcome().scalar_subquery().label("outcome"),
        feedback.earliest_waiting().scalar_subquery().label("unconfirmed"),
    )
