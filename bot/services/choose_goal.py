"""What would make the CRM worth it for you? The first answer opens a decision point: the tip after it was asked for."""

from __future__ import annotations

from bot.domain.messages import Message
from bot.domain.nudging import GOAL_CHOSEN
from bot.domain.people import GOALS
from bot.services.hearing import Heard, Outcome, beneath, clicked, refused, show_on, standing_in
from store import outbox, people, slots
from store.database import UnitOfWork


def choose_goal(uow: UnitOfWork, heard: Heard) -> Outcome:
    """goal:<goal> or goal:later, whatever was pressed or said before: the last choice holds.

    Only the first one asks for a tip. After a change the coin is thrown as for every other.
    """
    row = clicked(uow, heard) or standing_in(uow, heard)
    chosen = people.preferences(uow, [heard.person.id])[heard.person.id]
    if row is not None:
        outbox.record_reaction(uow, row.id, heard.row.name, heard.now)
    value = row.id if row is not None else ""
    if heard.choice == "later":
        after = heard.say("after_goal_later", value=value)
    elif heard.choice in GOALS:
        after = heard.say("after_goal", value=value, goal=heard.choice)
    else:
        return refused("unknown-goal")
    show = show_on(uow, heard, row, beneath(row, after))
    if heard.choice == chosen.goal:
        return refused("chosen-before", show)
    if heard.choice in GOALS:
        people.change_preferences(uow, heard.person.id, goal=heard.choice, goal_chosen_at=heard.now)
        if chosen.goal is None:
            slots.bring_forward(uow, heard.person.id, heard.now, GOAL_CHOSEN)
    return Outcome(f"goal-{heard.choice}", (show,))


def ask_goal(uow: UnitOfWork, heard: Heard) -> Message:
    """The goal that holds, and the choice. Reads only."""
    chosen = people.preferences(uow, [heard.person.id])[heard.person.id]
    return heard.say("ask_goal", goal=chosen.goal or "")
