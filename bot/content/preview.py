"""What Slack will show, from example evidence, by the same code path as production."""

from __future__ import annotations

from datetime import UTC, date, datetime

from bot.content.fields import TRIGGERS
from bot.content.load import Content
from bot.content.wording import message, tip_message
from bot.domain.errors import Refused
from bot.domain.messages import TIP, Message
from bot.domain.nudging import Candidate, Evidence, Proposal
from bot.domain.people import MATCHED, WEEKDAYS, Person
from bot.domain.programme import Programme
from bot.domain.tips import Tip
from bot.domain.usage import RecordRef

NOW = datetime(2026, 11, 10, 8, 12, tzinfo=UTC)
"""The moment of every preview: 09:12 in Berlin, after the example records' dates."""
NAMES = ("Northwind renewal", "Isdom upgrade")
PROGRAMME = Programme(
    name="Example",
    crm_name="Salesforce",
    go_live=date(2026, 9, 1),
    sponsor="dana.reyes@example.com",
    sponsor_name="Dana Reyes",
    adoption_lead="lee.brandt@example.com",
    privacy_officer="kim.novak@example.com",
    owners={},
    record_link="https://crm.example.com/deals/{id}",
)


def example_person(role: str, language: str = "en") -> Person:
    """Somebody who does not exist."""
    return Person(
        id="p-example",
        source="example",
        crm_id="1",
        name="Ada Byron",
        email="ada.byron@example.com",
        role=role,
        team=None,
        active=True,
        zone="Europe/Berlin",
        country="DE",
        language=language,
        access_since=None,
        working_days=WEEKDAYS,
        pilot=True,
        match=MATCHED,
        slack_id="U0EXAMPLE",
    )


def example_candidate(tip: Tip, records: int | None = None) -> Candidate:
    """The tip as the planner would propose it. ``records``: how many it is about (None: all of the example).

    Beyond those of the example they are counted and not named, as the planner does with a long list.
    """
    fields = TRIGGERS[tip.trigger]
    shown = tuple(
        RecordRef(f"00{number}", name, None, details)
        for number, (name, details) in enumerate(zip(NAMES, fields.example, strict=False), 1)
    )[:records]
    count = len(shown) if records is None else records
    proposal = Proposal(tip.trigger, 1, tip.behaviour, count or 2, fields.metric, ())
    evidence = Evidence(fields.metric, count, shown, NOW, "example") if fields.metric else None
    return Candidate(TIP, tip.id, tip.version, tip.behaviour, tip.goal, proposal, evidence)


def preview(
    content: Content,
    tip_id: str,
    language: str = "en",
    role: str | None = None,
    *,
    records: int | None = None,
) -> Message:
    """A tip as Slack will show it to somebody of this role (None: the first of the tip's).

    Raises Refused for a tip or role that there is not.
    """
    tip = content.tips.get(tip_id)
    if tip is None:
        raise Refused(f"There is no tip {tip_id}. There are: {', '.join(sorted(content.tips))}")
    chosen = role or min(tip.roles)
    if chosen not in tip.roles:
        raise Refused(f"The tip {tip_id} is for {', '.join(sorted(tip.roles))}, not for {chosen}.")
    return tip_message(
        content,
        tip_id,
        example_candidate(tip, records),
        person=example_person(chosen, language),
        programme=PROGRAMME,
        language=language,
        delivery="preview",
        now=NOW,
    )


def preview_message(content: Content, key: str, language: str = "en") -> Message:
    """Any other message with the example values of its fields. Raises Refused for a key that there is not."""
    text = content.messages.get(key)
    if text is None:
        raise Refused(f"There is no message {key}. There are: {', '.join(sorted(content.messages))}")
    return message(content, key, {"today": NOW.date(), **text.fields}, language=language, value="preview")
