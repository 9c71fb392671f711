"""What every use case of hearing is given, and what it gives back.

Each is ``fn(uow, heard) -> Outcome``: it writes, queues answers in the outbox and says what the message that was clicked
shows from now on; :mod:`bot.services.work_inbox` runs it in the transaction that settles the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot.content.load import Content
from bot.content.wording import message as word
from bot.domain.attention import Standing, zone_of
from bot.domain.messages import ANSWER, Buttons, Message
from bot.domain.people import Person
from bot.domain.ports import Holidays
from bot.domain.programme import Programme
from store import outbox, people
from store.database import UnitOfWork
from store.inbox import DONE, REFUSED, InboxRow
from store.outbox import NewMessage, OutboxRow


@dataclass(frozen=True, slots=True)
class Show:
    """What a message shows from now on. ``delivery``: its outbox id, "" when it is none of ours (an ephemeral answer).

    ``response_url`` works five times within 30 minutes; after that ``channel`` and ``ts`` say what to update.
    """

    message: Message
    delivery: str = ""
    address: str = ""
    response_url: str = ""
    channel: str = ""
    ts: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON-ready mapping; :meth:`from_json` is its inverse."""
        return {
            "message": self.message.to_json(),
            "delivery": self.delivery,
            "address": self.address,
            "response_url": self.response_url,
            "channel": self.channel,
            "ts": self.ts,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Show:
        return cls(**{**body, "message": Message.from_json(body["message"])})


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a row ended. ``reason``: a short constant word for logs and counts; ``show``: what to change in place."""

    reason: str
    show: tuple[Show, ...] = ()
    state: str = DONE


def refused(reason: str, *show: Show) -> Outcome:
    """Valid, but there is nothing to do; ``reason`` says why."""
    return Outcome(reason, show, REFUSED)


@dataclass(frozen=True, slots=True)
class Heard:
    """One envelope in the hands of a use case. ``now``: when it is worked; ``row.received_at``: when it came."""

    row: InboxRow
    person: Person
    content: Content
    programme: Programme
    holidays: Holidays
    now: datetime

    @property
    def body(self) -> Mapping[str, Any]:
        return self.row.body

    @property
    def choice(self) -> str:
        """What stands behind the colon of the action: ``tomorrow`` of ``remind:tomorrow``."""
        return self.row.name.partition(":")[2]

    @property
    def value(self) -> str:
        """The value of the button: an outbox id or a feedback id."""
        return str(self.body.get("value") or "")

    @property
    def zone(self) -> ZoneInfo:
        """The person's zone; UTC when it is unknown."""
        return zone_of(self.person) or ZoneInfo("UTC")

    @property
    def today(self) -> date:
        """The person's local day."""
        return self.now.astimezone(self.zone).date()

    def clock(self, at: datetime) -> str:
        """Local time of day, e.g. ``10:02``."""
        return at.astimezone(self.zone).strftime("%H:%M")

    def say(self, key: str, *, value: str = "", **values: object) -> Message:
        """Words of ``content/messages`` in the person's language. ``value``: put on every button."""
        given: dict[str, object] = {"today": self.today, "crm": self.programme.crm_name, **values}
        return word(self.content, key, given, language=self.person.language, value=value)

    def text(self, key: str, **values: object) -> str:
        """One phrase of ``content/messages``."""
        given: dict[str, object] = {"today": self.today, "crm": self.programme.crm_name, **values}
        return word(self.content, key, given, language=self.person.language).text


def clicked(uow: UnitOfWork, heard: Heard) -> OutboxRow | None:
    """Our message that a button with an outbox id belongs to; None when there is none, or it is somebody else's."""
    row = outbox.by_id(uow, heard.value) if heard.value else None
    return row if row is not None and row.person == heard.person.id else None


def standing_in(uow: UnitOfWork, heard: Heard) -> OutboxRow | None:
    """Our message that the click happened in, by where it stands in Slack."""
    channel, ts = heard.body.get("channel"), heard.body.get("ts")
    row = outbox.by_message(uow, str(channel), str(ts)) if channel and ts else None
    return row if row is not None and row.person == heard.person.id else None


def changed(original: Message | None, after: Message) -> Message:
    """The message as it was, its buttons giving way to what was done. ``original`` None: its text is gone already."""
    if original is None:
        return after
    kept = tuple(part for part in original.parts if not isinstance(part, Buttons))
    return replace(original, text=f"{original.text}\n{after.text}", parts=(*kept, *after.parts))


def beneath(row: OutboxRow | None, after: Message) -> Message:
    """What the clicked message shows: as it was, with ``after`` beneath; one of our own answers gives way to the next."""
    return changed(row.message if row is not None and row.kind != ANSWER else None, after)


def show_on(uow: UnitOfWork, heard: Heard, row: OutboxRow | None, message: Message) -> Show:
    """Show ``message`` in the place of the click; ``row`` keeps it, so that a second click shows the same."""
    if row is not None:
        outbox.replace_shown(uow, row.id, message)
    body = heard.body
    return Show(
        message,
        delivery=row.id if row is not None else "",
        address=heard.person.slack_id or "",
        response_url=str(body.get("response_url") or ""),
        channel="" if body.get("ephemeral") else str(body.get("channel") or ""),
        ts="" if body.get("ephemeral") else str(body.get("ts") or ""),
    )


def show_again(uow: UnitOfWork, heard: Heard, row: OutboxRow) -> Outcome:
    """Pressed before: nothing is done twice, and the message shows what it shows."""
    if row.shown is None:
        return refused("pressed-before")
    return refused("pressed-before", show_on(uow, heard, row, row.shown))


def answer(
    uow: UnitOfWork, heard: Heard, message: Message, *, about: OutboxRow | None = None, key: str = ""
) -> str | None:
    """Queue an answer, due at once, where the person spoke: in their thread, in the message's thread, or in the DM.

    ``key``: what makes it the same answer; "" means the envelope. ``about``: the message it is about, so that a reply to
    the answer is tied to the same behaviour and decision. None when that answer is queued already.
    """
    if heard.person.slack_id is None:
        return None
    thread = heard.body.get("thread_ts")
    if heard.row.kind == "action" and thread is None and not heard.body.get("ephemeral"):
        thread = heard.body.get("ts")
    return outbox.add(
        uow,
        NewMessage(
            dedupe_key=f"answer:{key or heard.row.key}",
            message=message,
            address=heard.person.slack_id,
            created_at=heard.now,
            due_at=heard.now,
            person=heard.person.id,
            thread=str(thread) if thread else None,
            behaviour=about.behaviour if about else None,
            decision=about.decision if about else None,
        ),
    )


def standing(uow: UnitOfWork, heard: Heard) -> Standing:
    """The person's days and hours, for times that they ask for."""
    chosen = people.preferences(uow, [heard.person.id])[heard.person.id]
    country = heard.person.country
    free = (
        heard.holidays.between(country, heard.today, heard.today + timedelta(days=60))
        if country
        else frozenset[date]()
    )
    return Standing(heard.person, chosen, holidays=free)


def name_of(uow: UnitOfWork, email: str) -> str:
    """How to call somebody of the programme: the name that the CRM knows, else Slack's, else the address."""
    found = people.by_email(uow, email)
    return found.name if found is not None else people.slack_name(uow, email) or email


def behaviour_name(heard: Heard, behaviour: str | None) -> str:
    """A behaviour in the person's language; "" when there is none."""
    found = heard.content.behaviours.get(behaviour or "") or heard.programme.behaviours.get(behaviour or "")
    return found.name_in(heard.person.language) if found is not None else ""
