"""Feedback: what a person said or pressed, tied to the message, its behaviour, the person, and their stage at that time.

Before the first one is kept its author has read who will see it and chose; until then it is ``waiting``, seen by nobody.
"""

from __future__ import annotations

import hashlib
import itertools

from bot.domain.feedback import CONFIDENTIAL, DELETED, KEPT, REPLY, UNSEEN_FOR, WAITING, Feedback
from bot.domain.messages import Message
from bot.services.hearing import Heard, Outcome, answer, behaviour_name, name_of, refused
from store import barriers, decisions, feedback, people, stages
from store.database import UnitOfWork
from store.outbox import OutboxRow


def feedback_id(key: str) -> str:
    """The same envelope, or the same button of the same message, gives the same id."""
    return "f" + hashlib.sha256(key.encode()).hexdigest()[:15]


def record(
    uow: UnitOfWork,
    heard: Heard,
    *,
    key: str,
    kind: str,
    about: OutboxRow | None,
    text: str = "",
    silent: bool = False,
) -> Feedback:
    """Write it, or find what the same key wrote before. Returns the row as it is now.

    ``silent``: a button without words ("Not for me"): it is kept at once and has no mode, so nobody else ever sees it.
    """
    found = feedback.get(uow, feedback_id(key))
    if found is not None:
        return found
    person = heard.person
    mode = None if silent else people.preferences(uow, [person.id])[person.id].feedback_mode
    stage = stages.current(uow, [person.id]).get(person.id)
    decision = decisions.get(uow, about.decision) if about is not None and about.decision else None
    said = Feedback(
        id=feedback_id(key),
        key=key,
        person=person.id,
        team=person.team,
        kind=kind,
        mode=mode,
        state=KEPT if silent or mode else WAITING,
        text=text,
        outbox=about.id if about is not None else None,
        decision=about.decision if about is not None else None,
        behaviour=about.behaviour if about is not None else None,
        trigger=decision.trigger if decision is not None else None,
        stage=stage.stage if stage is not None else None,
        barrier_type=None,
        owner=None if silent else heard.programme.adoption_lead,
        created_at=heard.row.received_at,
        visible_at=heard.now + UNSEEN_FOR,
        channel=str(heard.body["channel"]) if kind == REPLY and heard.body.get("channel") else None,
        ts=str(heard.body["ts"]) if kind == REPLY and heard.body.get("ts") else None,
    )
    feedback.add(uow, said)
    return said


def ask_mode(
    uow: UnitOfWork, heard: Heard, said: Feedback, key: str = "ask_mode", *, question: bool = False
) -> Message:
    """Who will see it, and the choice. ``question``: also that we cannot answer it ourselves."""
    programme = heard.programme
    owner = said.owner or programme.adoption_lead
    return heard.say(
        key,
        value=said.id,
        question=question,
        lead=name_of(uow, programme.adoption_lead),
        owner=name_of(uow, owner),
        owner_is_lead=owner.casefold() == programme.adoption_lead.casefold(),
        officer=name_of(uow, programme.privacy_officer),
        k=programme.k,
        type=heard.text(f"barrier_{said.barrier_type}") if said.barrier_type else "",
        behaviour=behaviour_name(heard, said.behaviour),
    )


def noted(uow: UnitOfWork, heard: Heard, said: Feedback, *, question: bool = False) -> Message:
    """What was noted, as what, for whom, with or without the name, and how to take it back."""
    frozen = barriers.by_feedback(uow, said.id)
    return heard.say(
        "noted",
        value=said.id,
        question=question,
        type=heard.text(f"barrier_{said.barrier_type}") if said.barrier_type else "",
        owner=name_of(uow, said.owner or heard.programme.adoption_lead),
        confidential=said.mode == CONFIDENTIAL,
        k=heard.programme.k,
        silent=frozen is not None and frozen.closed_at is None,
        behaviour=behaviour_name(heard, said.behaviour),
    )


def record_words(
    uow: UnitOfWork, heard: Heard, about: OutboxRow | None, *, question: bool = False
) -> Outcome:
    """Words in a thread, in the DM, or behind ``/fullsteam feedback``. ``question``: they ask for an answer."""
    kind = "command" if heard.row.kind == "command" else REPLY
    channel, ts = heard.body.get("channel"), heard.body.get("ts")
    if kind == REPLY and channel and ts and feedback.by_words(uow, str(channel), str(ts)) is not None:
        return refused("said-before")
    key = heard.row.key if kind == REPLY else _key_of_command(uow, heard)
    if feedback.get(uow, feedback_id(key)) is not None:
        return refused("said-before")
    said = record(uow, heard, key=key, kind=kind, about=about, text=heard.body["text"])
    if said.state == WAITING:
        answer(uow, heard, ask_mode(uow, heard, said, question=question), about=about, key=said.id)
        return Outcome("feedback-waiting")
    answer(uow, heard, noted(uow, heard, said, question=question), about=about, key=said.id)
    return Outcome("feedback-kept")


def _key_of_command(uow: UnitOfWork, heard: Heard) -> str:
    """The same words on the same day are one feedback: a command has no id, and whoever gets no answer types it again.

    What was deleted does not count: who says it again means it.
    """
    day = heard.row.received_at.astimezone(heard.zone).date()
    words = f"command:{heard.person.id}:{day.isoformat()}:{heard.body['text']}"
    keys = (hashlib.sha256(f"{words}:{number}".encode()).hexdigest() for number in itertools.count())
    return next(key for key in keys if not _deleted(uow, key))


def _deleted(uow: UnitOfWork, key: str) -> bool:
    found = feedback.get(uow, feedback_id(key))
    return found is not None and found.state == DELETED
