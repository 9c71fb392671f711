"""Who sees this, and what is it used for? Answered from what the code does, and never filed."""

from __future__ import annotations

from bot.domain.messages import Message
from bot.services.hearing import Heard, name_of
from store.database import UnitOfWork


def explain_privacy(uow: UnitOfWork, heard: Heard) -> Message:
    """Who sees what, what it is never for, and how long it is kept (bot.services.forget_expired). Reads only."""
    programme = heard.programme
    return heard.say(
        "privacy",
        lead=name_of(uow, programme.adoption_lead),
        officer=name_of(uow, programme.privacy_officer),
        k=programme.k,
    )
