"""What do you know about me? The stage and the facts behind it, the goal, what was sent and held and why, what was said."""

from __future__ import annotations

from datetime import timedelta

from bot.domain.adoption import STAGE_NAMES
from bot.domain.feedback import KEPT, WAITING
from bot.domain.messages import ANSWER, Heading, Message, Paragraph, RecordLine
from bot.rendering import unescape
from bot.services.hearing import Heard, behaviour_name, name_of
from store import barriers, decisions, feedback, outbox, people, stages
from store.database import UnitOfWork
from store.outbox import OutboxRow

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
    said = [row for row in feedback.of_person(uow, person.id, 50) if row.text]
    paused = chosen.paused_until if chosen.paused_until and chosen.paused_until > heard.now else None
    return heard.say(
        "me",
        stage=STAGE_NAMES[stage.stage] if stage is not None else "",
        since=stage.since if stage is not None else None,
        facts=[heard.text(f"fact_{each.key}", **each.values) for each in stage.facts] if stage else [],
        goal=chosen.goal or "",
        paused=paused.astimezone(heard.zone).date() if paused else None,
        stopped=chosen.stopped_at is not None,
        mode=chosen.feedback_mode or "",
        frozen=[name for each in sorted(frozen) if (name := behaviour_name(heard, each))],
        sent_count=sum(1 for row in sent if (row.claimed_at or row.created_at) > heard.now - SENT_SINCE),
        sent=[
            RecordLine(_title(row), heard.text("on_day", day=(row.claimed_at or row.created_at).date()))
            for row in sent[:SHOWN_LINES]
        ],
        held=[
            RecordLine(heard.text("on_day", day=row.local_day), _why(heard, str(row.reason)))
            for row in held[:SHOWN_LINES]
        ],
        said=[
            RecordLine(_short(row.text), heard.text(f"said_{row.state}"))
            for row in said[:SHOWN_LINES]
            if row.state in (KEPT, WAITING)
        ],
        lead=name_of(uow, heard.programme.adoption_lead),
        officer=name_of(uow, heard.programme.privacy_officer),
    )


def _title(row: OutboxRow) -> str:
    """The first line of a message; its template once the text is blanked."""
    if row.message is None:
        return row.template.replace("_", " ")
    first = next((p.text for p in row.message.parts if isinstance(p, (Heading, Paragraph))), row.message.text)
    return _short(unescape(first))


def _why(heard: Heard, reason: str) -> str:
    key = HELD + reason.partition(":")[0].replace("-", "_")
    return heard.text(key) if key in heard.content.messages else reason.replace("-", " ")


def _short(text: str, limit: int = 120) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"
