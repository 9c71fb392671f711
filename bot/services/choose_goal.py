"""What would make the CRM worth it for you? The answer opens a decision point: the next tip was asked for."""

from __future__ import annotations

from bot.domain.nudging import GOAL_CHOSEN
from bot.domain.people import GOALS
from bot.services.hearing import Heard, Outcome, changed, clicked, refused, show_again, show_on, standing_in
from store import outbox, people, slots
from store.database import UnitOfWork


def choose_goal(uow: UnitOfWork, heard: Heard) -> Outcome:
    """goal:<goal> or goal:later."""
    row = clicked(uow, heard) or standing_in(uow, heard)
    if row is not None and not outbox.record_reaction(uow, row.id, heard.row.name, heard.now):
        return show_again(uow, heard, row)
    if heard.choice == "later":
        after = heard.say("after_goal_later")
    elif heard.choice in GOALS:
        people.change_preferences(uow, heard.person.id, goal=heard.choice, goal_chosen_at=heard.now)
        slots.bring_forward(uow, heard.person.id, heard.now, GOAL_CHOSEN)
        after = heard.say("after_goal", goal=heard.choice)
    else:
        return refused("unknown-goal")
    shown = changed(row.message if row is not None else None, after)
    return Outcome(f"goal-{heard.choice}", (show_on(uow, heard, row, shown),))
