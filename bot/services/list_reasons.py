"""Every decision and message of one person with its reason and nothing else: so that all of half a year can be checked."""

from __future__ import annotations

from typing import Any

from store import decisions, outbox, people
from store.database import UnitOfWork


def list_reasons(uow: UnitOfWork, slack_id: str, most: int) -> dict[str, Any] | None:
    """The newest ``most`` of each, JSON-ready, named as in inspect_person; None when no person is matched to this Slack user."""
    person = people.by_slack(uow, slack_id)
    if person is None:
        return None
    return {
        "person": person.id,
        "decisions": [
            {
                "id": row.id,
                "at": row.at.isoformat(),
                "action": row.action,
                "reason": row.reason,
                "declined": [dict(one) for one in row.declined],
            }
            for row in decisions.reasons_of(uow, person.id, most)
        ],
        "messages": [
            {"id": row.id, "state": row.state, "reason": row.reason}
            for row in outbox.states_of(uow, person.id, most)
        ],
    }
