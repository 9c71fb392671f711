"""What the tests of hearing stand on: a workspace that speaks to the real Bolt app in signed requests, and one worker."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from bot.content.load import Content, load
from bot.domain.messages import TIP, Button, Buttons, Heading, Message, Paragraph
from bot.domain.ports import Envelope
from bot.domain.programme import BARRIER_TYPES
from bot.handlers.app import build_app
from bot.services.keep_envelope import KeptInbox
from bot.services.obey_command import answer_command
from bot.services.work_inbox import WorkReport, work
from store import decisions, outbox
from store.database import Database, UnitOfWork
from store.decisions import DecisionRow
from store.outbox import NewMessage, OutboxRow
from store.tables import inbox, person_stage
from store.tables import outbox as outbox_table
from tests.fakes import FakeClock, FakeMessenger, NoHolidays
from tests.sending import PROGRAMME as SENDING_PROGRAMME

TUESDAY = datetime(2026, 11, 17, 10, 0, tzinfo=UTC)
SECRET = "shh"
PROGRAMME = replace(
    SENDING_PROGRAMME,
    owners={kind: f"{kind}@example.com" for kind in BARRIER_TYPES},
    adoption_lead="lead@example.com",
)
CONTENT: Content = load()
BEHAVIOUR = "close_dates_in_future"


def channel_of(number: int) -> str:
    return f"D{number:08d}"


@dataclass
class Workspace:
    """Slack as the bot meets it: clicks, words and commands of person ``number``."""

    database: Database
    clock: FakeClock = field(default_factory=lambda: FakeClock(TUESDAY))
    messenger: Any = None
    handed: list[str] = field(default_factory=list)
    answer: Callable[[Envelope], Any] | None = None
    inbox: Any = None
    last: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.messenger = self.messenger or FakeMessenger(self.clock)
        self.inbox = self.inbox or KeptInbox(self.database, self.clock, self.handed.append)
        self.app = build_app(
            inbox=self.inbox,
            answer_command=self.answer or self._answer,
            signing_secret=SECRET,
            client=AsyncWebClient(token="xoxb-none", base_url="http://127.0.0.1:1/"),
        )
        self._numbers = itertools.count(1)

    async def _answer(self, envelope: Envelope) -> Message:
        wording = partial(
            answer_command,
            content=CONTENT,
            programme=PROGRAMME,
            holidays=NoHolidays(),
            now=self.clock.now(),
        )
        return await self.database.read(wording, envelope)

    # -- Slack speaks ------------------------------------------------------------------------------------------

    async def send(self, body: Mapping[str, Any], *, form: str | None = None, **headers: str) -> BoltResponse:
        """A signed request. ``form``: the body travels as this form field, ``*`` as a form of its own."""
        self.last = dict(body)
        if form is None:
            raw, kind = json.dumps(body), "application/json"
        else:
            raw = urlencode(body if form == "*" else {form: json.dumps(body)})
            kind = "application/x-www-form-urlencoded"
        stamp = str(int(time.time()))
        signed = {
            "content-type": kind,
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": SignatureVerifier(SECRET).generate_signature(timestamp=stamp, body=raw)
            or "",
        }
        request = AsyncBoltRequest(body=raw, headers={**signed, **headers})
        return await self.app.async_dispatch(request)

    async def event(self, event: Mapping[str, Any], *, key: str = "") -> BoltResponse:
        return await self.send(
            {
                "type": "event_callback",
                "team_id": "T1",
                "api_app_id": "A1",
                "event_id": key or f"Ev{next(self._numbers)}",
                "authorizations": [{"team_id": "T1", "user_id": "UBOT", "is_bot": True}],
                "event": dict(event),
            }
        )

    async def words(
        self,
        text: str,
        *,
        number: int = 1,
        thread: str | None = None,
        key: str = "",
        ts: str = "",
        **more: Any,
    ) -> BoltResponse:
        at = ts or f"{int(self.clock.now().timestamp())}.9{next(self._numbers):05d}"
        event = {
            "type": "message",
            "channel": channel_of(number),
            "channel_type": "im",
            "user": f"U{number:08d}",
            "text": text,
            "ts": at,
            **more,
        }
        return await self.event(event | ({"thread_ts": thread} if thread else {}), key=key)

    async def click(
        self,
        action: str,
        value: str,
        *,
        number: int = 1,
        ts: str = "",
        menu: bool = False,
        trigger: str = "",
        ephemeral: bool = False,
    ) -> BoltResponse:
        pressed: dict[str, Any] = {"action_id": action, "type": "button", "value": value}
        if menu:
            pressed = {
                "action_id": "menu",
                "type": "overflow",
                "selected_option": {"value": f"{action}|{value}"},
            }
        body = {
            "type": "block_actions",
            "team": {"id": "T1"},
            "user": {"id": f"U{number:08d}"},
            "trigger_id": trigger or f"tr{next(self._numbers)}",
            "response_url": f"https://hooks.example/{next(self._numbers)}",
            "channel": {"id": channel_of(number)},
            "container": {
                "type": "message",
                "message_ts": ts,
                "channel_id": channel_of(number),
                "is_ephemeral": ephemeral,
            },
            "actions": [pressed],
        }
        return await self.send(body, form="payload")

    async def command(self, text: str, *, number: int = 1, trigger: str = "") -> BoltResponse:
        body = {
            "command": "/fullsteam",
            "text": text,
            "user_id": f"U{number:08d}",
            "team_id": "T1",
            "channel_id": "C1",
            "trigger_id": trigger or f"tr{next(self._numbers)}",
            "response_url": f"https://hooks.example/{next(self._numbers)}",
        }
        return await self.send(body, form="*")

    # -- the bot works -----------------------------------------------------------------------------------------

    async def work(self, only: str | None = None) -> WorkReport:
        return await work(
            self.database,
            messenger=self.messenger,
            content=CONTENT,
            programme=PROGRAMME,
            holidays=NoHolidays(),
            now=self.clock.now(),
            only=only,
        )

    async def pressed(self, action: str, value: str, **more: Any) -> WorkReport:
        """A click, answered and worked."""
        response = await self.click(action, value, **more)
        assert response.status == 200
        return await self.work()

    async def said(self, text: str, **more: Any) -> WorkReport:
        """Words, answered and worked."""
        response = await self.words(text, **more)
        assert response.status == 200
        return await self.work()

    # -- what came of it ---------------------------------------------------------------------------------------

    def rows(self) -> list[Any]:
        return self.database.read_now(lambda uow: uow.rows(sa.select(inbox).order_by(inbox.c.id)))

    def queued(self, number: int = 1) -> list[OutboxRow]:
        """What waits for a person, in the order in which it was queued."""

        def read(uow: UnitOfWork) -> list[OutboxRow]:
            rows = outbox.of_person(uow, f"p{number:04d}", 100)
            return sorted((row for row in rows if row.state == "ready"), key=lambda row: row.created_at)

        return self.database.read_now(read)

    def answers(self, number: int = 1) -> list[Message]:
        return [row.message for row in self.queued(number) if row.kind == "answer" and row.message]

    @property
    def shown(self) -> Message:
        """What the clicked message shows now."""
        message = self.messenger.responses[-1][1]
        assert message is not None
        return message


def buttons(message: Message) -> dict[str, str]:
    """Action -> value of every button, those behind the dots included."""
    rows = [part for part in message.parts if isinstance(part, Buttons)]
    return {each.action: each.value for row in rows for each in (*row.buttons, *row.menu)}


def posted_tip(uow: UnitOfWork, /, number: int = 1, key: str = "tip", **changes: Any) -> str:
    """A tip that stands in Slack, with its decision; person ``number`` exists. Returns its outbox id."""
    who = f"p{number:04d}"
    new_id = NewMessage(f"{key}|{number}", _message(""), "", TUESDAY, TUESDAY).id
    values: dict[str, Any] = {
        "dedupe_key": f"{key}|{number}",
        "message": _message(new_id),
        "address": f"U{number:08d}",
        "created_at": TUESDAY - timedelta(hours=1),
        "due_at": TUESDAY - timedelta(hours=1),
        "person": who,
        "behaviour": BEHAVIOUR,
        "decision": f"d-{new_id}",
    }
    new = NewMessage(**{**values, **changes})
    outbox.add(uow, new)
    at = TUESDAY - timedelta(hours=1)
    place = {"channel": channel_of(number), "ts": f"{int(at.timestamp())}.{number:06d}"}
    uow.execute(
        sa.update(outbox_table)
        .where(outbox_table.c.id == new.id)
        .values(state="sent", claimed_at=at, settled_at=at, attempts=1, **place)
    )
    decisions.add_many(uow, [_decision(f"d-{new_id}", who, at)])
    return new.id


def ts_of(number: int = 1) -> str:
    return f"{int((TUESDAY - timedelta(hours=1)).timestamp())}.{number:06d}"


def in_stage(uow: UnitOfWork, stage: str, number: int = 1) -> None:
    """The stage of a person from the week before on."""
    week = (TUESDAY - timedelta(days=8)).date()
    uow.execute(
        sa.insert(person_stage).values(
            person=f"p{number:04d}",
            week=week,
            stage=stage,
            since=week,
            passes=0,
            fails=0,
            total=10,
            confidence="normal",
            facts=[["active_weeks", {"weeks": 5, "of": 8}]],
            features={},
            version=1,
            decided_at=TUESDAY,
        )
    )


def _message(value: str) -> Message:
    about = "Two of your deals have a close date in the past"
    parts = (
        Heading(about),
        Paragraph("A fresh date takes a minute."),
        Buttons(
            (
                Button("tip:do", "Update", value, "https://crm.example/1"),
                Button("tip:remind", "Remind me", value),
                Button("tip:blocked", "Something's in the way", value),
            ),
            (Button("tip:not_for_me", "Not for me", value), Button("tip:why", "Why this?", value)),
        ),
    )
    return Message(TIP, about, parts, "fresh_dates")


def _decision(id: str, who: str, at: datetime) -> DecisionRow:  # noqa: A002
    return DecisionRow(
        id=id,
        person=who,
        at=at,
        local_day=at.date(),
        local_weekday_hour="1-09",
        point="slot",
        policy="test",
        team=None,
        role="seller",
        available=True,
        action="fresh_dates",
        kind=TIP,
        reason=None,
        until=None,
        trigger="past_close_date",
        trigger_version=1,
        behaviour=BEHAVIOUR,
        metric="opps_past_close",
        record_hash=None,
        content_version=1,
        eligible=("fresh_dates",),
        declined=(),
        probabilities={"fresh_dates": 0.8, "none": 0.2},
        draw=0.4,
        held_out=False,
        context={"goal": "performance", "as_of": at.date().isoformat()},
    )
