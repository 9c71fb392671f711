"""What was decided about one person, for the page of a steered workspace: never in production, never over a network."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from store import barriers, decisions, feedback, outbox, people, stages
from store.database import UnitOfWork


def inspect_person(uow: UnitOfWork, slack_id: str, now: datetime, most: int = 20) -> dict[str, Any] | None:
    """The newest ``most`` of decisions, messages and feedback, JSON-ready; None when no person is matched to this Slack user.

    Words of the person are left out.
    """
    person = people.by_slack(uow, slack_id)
    if person is None:
        return None
    stage = stages.current(uow, [person.id]).get(person.id)
    chosen = people.preferences(uow, [person.id])[person.id]
    return {
        "person": person.id,
        "name": person.name,
        "role": person.role,
        "at": now.isoformat(),
        "stage": None
        if stage is None
        else {
            "stage": stage.stage,
            "since": stage.since.isoformat(),
            "facts": [[fact.key, dict(fact.values)] for fact in stage.facts],
        },
        "goal": chosen.goal,
        "paused_until": None if chosen.paused_until is None else chosen.paused_until.isoformat(),
        "stopped": chosen.stopped_at is not None,
        "frozen": sorted(barriers.open_for(uow, [person.id]).get(person.id, frozenset())),
        "decisions": [
            {
                "id": row.id,
                "at": row.at.isoformat(),
                "point": row.point,
                "action": row.action,
                "kind": row.kind,
                "reason": row.reason,
                "held_out": row.held_out,
                "draw": row.draw,
                "probabilities": dict(row.probabilities),
                "declined": [dict(one) for one in row.declined],
            }
            for row in decisions.of_person(uow, person.id, most)
        ],
        "messages": [
            {
                "id": row.id,
                "kind": row.kind,
                "template": row.template,
                "state": row.state,
                "reason": row.reason,
                "due_at": row.due_at.isoformat(),
                "reaction": row.reaction,
            }
            for row in outbox.of_person(uow, person.id, most)
        ],
        "feedback": [
            {
                "id": each.id,
                "kind": each.kind,
                "mode": each.mode,
                "state": each.state,
                "behaviour": each.behaviour,
            }
            for each in feedback.of_person(uow, person.id, most)
        ],
    }
