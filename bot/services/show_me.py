"""What do you know about me? The stage and the facts behind it, the goal, what was sent and held and why, what was said."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bot.domain.feedback import KEPT, WAITING
from bot.domain.messages import ANSWER, Buttons, Heading, Message, Paragraph, RecordLine
from bot.rendering import unescape
from bot.services.hearing import Heard, behaviour_name, name_of
from bot.services.lift_barrier import lift_button
from bot.services.set_times import times_of
from store import barriers, decisions, feedback, outbox, people, stages
from store.database import UnitOfWork

HELD = "held_"
"""Messages named ``held_<reason>`` say in words why nothing was sent."""
SHOWN_LINES = 5
SENT_SINCE = timedelta(days=28)


def show_me(uow: UnitOfWork, heard: Heard) -> Message:
    """Everything in one private message; for that person only. Reads only."""
    person = heard.person
    chosen = people.preferences(uow, [person.id])[person.id]
    stage = stages.current(uow, [person.id]).get(person.id)
    frozen = barriers.open_for(uow, [person.id]).get(person.id, frozenset[str]())
    sent = [row for row in outbox.of_person(uow, person.id, 40) if row.kind != ANSWER and row.state == "sent"]
    held = [row for row in decisions.of_person(uow, person.id, 20) if row.reason is not None]
    gated = outbox.held_from(uow, person.id, heard.now - SENT_SINCE, SHOWN_LINES)
    said = [row for row in feedback.of_person(uow, person.id, 50) if row.text]
    paused = chosen.paused_until if chosen.paused_until and chosen.paused_until > heard.now else None
    message = heard.say(
        "me",
        **times_of(heard, chosen),
        stage=heard.text(f"stage_{stage.stage}") if stage is not None else "",
        meaning=heard.text(f"means_{stage.stage}") if stage is not None else "",
        since=stage.since if stage is not None else None,
        facts=[heard.text(f"fact_{each.key}", **each.values) for each in stage.facts] if stage else [],
        goal=chosen.goal or "",
        paused=paused.astimezone(heard.zone).date() if paused else None,
        stopped=chosen.stopped_at is not None,
        mode=chosen.feedback_mode or "",
        frozen=[name for each in sorted(frozen) if (name := behaviour_name(heard, each))],
        sent_count=sum(1 for row in sent if (row.claimed_at or row.created_at) > heard.now - SENT_SINCE),
        sent=[
            RecordLine(_title(row.message, row.template), _day(heard, row.claimed_at or row.created_at))
            for row in sent[:SHOWN_LINES]
        ],
        held=[
            RecordLine(heard.text("on_day", day=row.local_day), _why(heard, str(row.reason)))
            for row in held[:SHOWN_LINES]
        ],
        gated=[
            RecordLine(_title(row.message, row.template), f"{_day(heard, row.at)}: {_why(heard, row.reason)}")
            for row in gated
        ],
        said=[
            RecordLine(_short(row.text), heard.text(f"said_{row.state}"))
            for row in said[:SHOWN_LINES]
            if row.state in (KEPT, WAITING)
        ],
        lead=name_of(uow, heard.programme.adoption_lead),
        officer=name_of(uow, heard.programme.privacy_officer),
    )
    lifts = tuple(lift_button(heard, each) for each in sorted(frozen))
    return replace(message, parts=(*message.parts, Buttons(lifts))) if lifts else message


def _day(heard: Heard, at: datetime) -> str:
    return heard.text("on_day", day=at.astimezone(heard.zone).date())


def _title(message: Message | None, template: str) -> str:
    """The first line of a message; its template once the text is blanked."""
    if message is None:
        return template.replace("_", " ")
    first = next((p.text for p in message.parts if isinstance(p, (Heading, Paragraph))), message.text)
    return _short(unescape(first))


def _why(heard: Heard, reason: str) -> str:
    key = HELD + reason.partition(":")[0].replace("-", "_")
    return heard.text(key) if key in heard.content.messages else reason.replace("-", " ")


def _short(text: str, limit: int = 120) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"
