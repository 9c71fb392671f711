"""Foresee: when each job of the clock has something to do again, by its rows, in one look at the database.

Steered time asks before each of thousands of instants, and most jobs have nothing to do at most of them. Asking them one
by one cost seven trips to the database an instant; a look is one. It remembers nothing, so a crash changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from bot.domain.feedback import UNCONFIRMED_FOR
from bot.services.deliver_outbox import next_delivery
from bot.services.measure_outcomes import together
from store.agenda import agenda
from store.database import UnitOfWork

RHYTHMIC = ("poll", "match", "forget")
"""Jobs whose own row says when they are due."""


def foresee(uow: UnitOfWork, now: datetime) -> Mapping[str, datetime | None]:
    """Job -> when it is due, None when nothing waits: what it would answer if it were run and found nothing to do.

    A job that has work at ``now``, or may have, is due by then.
    """
    seen = agenda(uow, now, RHYTHMIC)
    return {
        **{name: seen.jobs.get(name, now) for name in RHYTHMIC},
        "plan": now if seen.newcomers else seen.decision,
        "work": seen.inbox,
        "deliver": next_delivery(seen.live, now, stopped=seen.stopped),
        "measure": together(seen.outcome),
        "drop": None if seen.unconfirmed is None else seen.unconfirmed + UNCONFIRMED_FOR,
    }
