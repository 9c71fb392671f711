"""Read-only counts for reports: what came in, what was decided, sent, held and heard. No names, no texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from bot.domain.messages import KINDS, TIP
from store.database import UnitOfWork
from store.tables import decision, feedback, hold, inbox, outbox, person_stage, usage_day

_SENT = outbox.c.state == "sent"
_UNASKED = outbox.c.kind.in_(sorted(kind for kind, rule in KINDS.items() if rule.windowed))
"""Answers and reminders go at once, because somebody waits for them; all else is sent unasked."""


@dataclass(frozen=True, slots=True)
class WeekCounts:
    """Counts of one week that starts on ``week``. ``sent``: messages that nobody asked for; ``answers``: what somebody did.

    ``held``: by reason, decisions that sent nothing and holds at the gate.

    ``stages``: people by adoption stage at the end of the week.
    """

    week: date
    facts: int = 0
    decisions: int = 0
    sent: int = 0
    answers: int = 0
    held: Mapping[str, int] = field(default_factory=dict)
    replies: int = 0
    feedback: int = 0
    adoption_stage_moves: int = 0
    stages: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "week": self.week.isoformat(),
            "facts": self.facts,
            "decisions": self.decisions,
            "sent": self.sent,
            "answers": self.answers,
            "held": dict(sorted(self.held.items())),
            "replies": self.replies,
            "feedback": self.feedback,
            "adoption_stage_moves": self.adoption_stage_moves,
            "stages": dict(self.stages),
        }


def weeks(uow: UnitOfWork, first: date, last: date) -> list[WeekCounts]:
    """Counts of every week (Monday to Sunday, UTC) that touches the days from ``first`` to ``last``."""
    monday = first - timedelta(days=first.weekday())
    found = []
    while monday <= last:
        found.append(_week(uow, monday))
        monday += timedelta(days=7)
    return found


def _count(uow: UnitOfWork, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    return int(uow.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one())


def _week(uow: UnitOfWork, monday: date) -> WeekCounts:
    end = monday + timedelta(days=7)
    start_at, end_at = (datetime.combine(day, time(), tzinfo=UTC) for day in (monday, end))

    def within(column: sa.Column[Any]) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
        return column >= start_at, column < end_at

    held: Counter[str] = Counter()
    for reason, count in uow.rows(
        sa.select(decision.c.reason, sa.func.count())
        .where(*within(decision.c.at), decision.c.action == "none")
        .group_by(decision.c.reason)
    ):
        held[reason] += count
    for reason, count in uow.rows(
        sa.select(hold.c.reason, sa.func.count()).where(*within(hold.c.at)).group_by(hold.c.reason)
    ):
        held[f"gate:{reason}"] += count
    stages = uow.rows(
        sa.select(person_stage.c.stage, sa.func.count())
        .where(person_stage.c.week == monday)
        .group_by(person_stage.c.stage)
    )
    return WeekCounts(
        week=monday,
        facts=_count(uow, usage_day, usage_day.c.day >= monday, usage_day.c.day < end),
        decisions=_count(uow, decision, *within(decision.c.at)),
        sent=_count(uow, outbox, *within(outbox.c.settled_at), _SENT, _UNASKED),
        answers=_count(uow, outbox, *within(outbox.c.settled_at), _SENT, sa.not_(_UNASKED)),
        held=dict(held),
        replies=_count(
            uow,
            inbox,
            *within(inbox.c.received_at),
            sa.or_(
                inbox.c.kind.in_(("action", "command", "submission")),
                sa.and_(inbox.c.kind == "event", inbox.c.name == "message"),
            ),
        ),
        feedback=_count(uow, feedback, *within(feedback.c.created_at)),
        adoption_stage_moves=_moves(uow, monday),
        stages={row[0]: row[1] for row in sorted(stages)},
    )


def _moves(uow: UnitOfWork, monday: date) -> int:
    """People whose stage in this week differs from the week before."""
    before = person_stage.alias("before")
    return int(
        uow.execute(
            sa.select(sa.func.count())
            .select_from(
                person_stage.join(
                    before,
                    sa.and_(
                        before.c.person == person_stage.c.person,
                        before.c.week == monday - timedelta(days=7),
                    ),
                )
            )
            .where(person_stage.c.week == monday, person_stage.c.stage != before.c.stage)
        ).scalar_one()
    )


def sent_by_trigger(uow: UnitOfWork) -> dict[str, int]:
    """Messages sent that nobody asked for: tips by the trigger that made them timely, the rest by their kind."""
    rows = uow.rows(
        sa.select(decision.c.trigger, outbox.c.kind, sa.func.count())
        .select_from(outbox.outerjoin(decision, decision.c.id == outbox.c.decision))
        .where(_SENT, _UNASKED)
        .group_by(decision.c.trigger, outbox.c.kind)
    )
    counts: Counter[str] = Counter()
    for trigger, kind, count in rows:
        counts[trigger if kind == TIP and trigger else kind] += count
    return dict(sorted(counts.items()))


def is_empty(uow: UnitOfWork) -> bool:
    """Whether nothing has been decided, sent or heard here: safe for a replay to use."""
    return all(_count(uow, table) == 0 for table in (decision, outbox, inbox, feedback, usage_day))
