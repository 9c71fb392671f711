"""Pass confidential words on in batches: never alone, never in the week in which they were said (docs/decisions/0013)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import groupby

from bot.domain.feedback import Feedback
from bot.domain.privacy import Cell, cells, could_speak
from bot.domain.programme import Programme
from store import feedback, people
from store.database import UnitOfWork


def release_confidential(uow: UnitOfWork, programme: Programme, now: datetime) -> int:
    """Release what was said before this Monday (UTC), if ``k`` people or more said something of it. Returns how many.

    Words that fewer than ``k`` people could have said in their week stay where they are. What stands beside released words
    is settled here: a later change of the team must not tell what this one did not.
    """
    waiting = feedback.unreleased(uow, _monday(now), now)
    if len({said.person for said in waiting}) < programme.k:
        return 0
    chosen = people.preferences(uow)
    crowd = [
        each
        for each in people.get(uow).values()
        if could_speak(each, chosen.get(each.id), programme.behaviours)
    ]
    batch: list[tuple[Feedback, Cell]] = []
    for week, said_then in groupby(waiting, lambda said: _monday(said.created_at)):
        there = [each for each in crowd if each.welcomed_at and each.welcomed_at < week + timedelta(days=7)]
        cut = cells(there, programme.behaviours, programme.k)
        cut_of = ((said, cut.get(said.team, cut[None])) for said in said_then)
        batch += [(said, cell) for said, cell in cut_of if len(cell.people) >= programme.k]
    if len({said.person for said, _ in batch}) < programme.k:
        return 0
    for said, cell in batch:
        feedback.release(
            uow,
            said.id,
            now,
            with_team=cell.team is not None,
            with_behaviour=said.behaviour in cell.behaviours,
        )
    return len(batch)


def _monday(at: datetime) -> datetime:
    """The first instant of a week, in UTC."""
    start = at.astimezone(UTC) - timedelta(days=at.astimezone(UTC).weekday())
    return start.replace(hour=0, minute=0, second=0, microsecond=0)
