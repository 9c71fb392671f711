"""Feedback: what a person said, tied to message, behaviour, person and the stage at that time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

NAMED = "named"
CONFIDENTIAL = "confidential"
MODES = (NAMED, CONFIDENTIAL)
UNSEEN_FOR = timedelta(minutes=10)
"""For ten minutes nobody else sees what was said, so that "delete this" is kept easily."""
UNCONFIRMED_FOR = timedelta(days=7)
"""Words whose author has not said how to pass them on are deleted after this, and the author is told."""

WAITING = "waiting"
"""Written, but the author has not yet read who will see it: nobody does."""
KEPT = "kept"
DELETED = "deleted"

REPLY = "reply"
BLOCKED = "blocked"
NOT_FOR_ME = "not_for_me"
DISPUTE = "dispute"
COMMAND = "command"
DONE = "done"
FEEDBACK_KINDS = (REPLY, BLOCKED, NOT_FOR_ME, DISPUTE, COMMAND, DONE)


@dataclass(frozen=True, slots=True)
class Feedback:
    """One thing a person said. ``key``: the envelope's key; the same envelope never makes a second row.

    ``stage``: adoption stage of the person when they said it, immutable. ``outbox``: id of the message it answers.
    ``visible_at``: from when on others may see it; confidential words wait for their release as well.
    """

    id: str
    key: str
    person: str
    team: str | None
    kind: str
    mode: str | None
    state: str
    text: str
    outbox: str | None
    decision: str | None
    behaviour: str | None
    trigger: str | None
    stage: str | None
    barrier_type: str | None
    owner: str | None
    created_at: datetime
    visible_at: datetime
    channel: str | None = None
    ts: str | None = None
    released_at: datetime | None = None
    """Confidential words only: when they were passed on, together with those of others. None: not yet."""
    with_team: bool = False
    with_behaviour: bool = False
    """What stands beside released words, settled at their release (bot.domain.privacy)."""
