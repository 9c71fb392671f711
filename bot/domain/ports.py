"""Ports: what services need from the world, as protocols. Wiring passes the real ones, tests pass fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from bot.domain.messages import Message
from bot.domain.people import CrmUser, SlackUser
from bot.domain.usage import Collected, Coverage, RecordRef, RowFault, Window


class Clock(Protocol):
    """The only source of the present."""

    def now(self) -> datetime:
        """Aware, UTC."""
        ...


@dataclass(frozen=True, slots=True)
class Probe:
    """What a connector can do here. ``metrics``: coverage per metric, with what the admin has to change."""

    name: str
    version: str
    ok: bool
    advice: str
    metrics: tuple[Coverage, ...] = ()


class Connector(Protocol):
    """A CRM, read-only. Raises Retryable (try later) or Permanent (credentials, mapping); never loses a good row."""

    name: str
    """Source name; part of every fact's key."""
    lag_days: int
    """How many days after they happen rows reach us: polls ask for ``today - lag_days`` and earlier."""
    overlap_days: int
    """How many days every poll reads again, the last one that was read included: rows that reach us late are in them."""

    async def probe(self) -> Probe:
        """What can be read here, and what an admin has to change."""
        ...

    async def users(self, through: date) -> tuple[Sequence[CrmUser], Sequence[RowFault]]:
        """People, managers included, as known on ``through``. Integration users are left out."""
        ...

    def collect(self, window: Window, metrics: frozenset[str]) -> AsyncIterator[Collected]:
        """Facts and coverage for the days of ``window``; snapshot metrics only for ``window.through``.

        Every metric asked for has a coverage row for every day. Nothing dated after ``window.through`` is seen.
        """
        ...

    async def evidence(
        self, metric: str, owners: Sequence[str], limit: int, through: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        """Per owner (crm_id): how many records the snapshot metric counts, and up to ``limit`` of them, worst first.

        One call for many owners. An owner who is absent has none.
        """
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that a connector would send: what a rehearsal shows. ``query`` and ``body`` (JSON) as they would travel.

    ``login``: it proves who we are by what is in its body, which is not kept.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    login: bool = False


@dataclass(frozen=True, slots=True)
class ConnectorKind:
    """A kind of CRM: one module or one folder in bot/connectors/ each, found by its type.

    ``name``: what a source is called in the database that is opened by it. ``open``: the settings that were remembered with
    the source, and the programme's link to a record (with ``{id}``) or None -> a connector; it reads nothing yet, and raises
    ConfigurationError. ``settings``: a pydantic model whose fields are read from ``FULLSTEAM_<NAME>_<FIELD>``, each with a
    description that says what to set; None: such a source is not opened from the environment. ``blank``: the JSON with which
    a CRM that is empty would answer a request, so that a poll can be rehearsed without asking anybody. ``owner``: an id of a
    person as this CRM writes them, for whose records a rehearsal asks.
    """

    name: str
    open: Callable[[Mapping[str, Any], str | None], Connector]
    settings: Any = None
    blank: Callable[[Asked], Any] | None = None
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Meter:
    """What a connector has asked since it was opened: requests and rows; what is ``left`` of a budget of ``most`` calls.

    None: the CRM does not say.
    """

    calls: int
    rows: int
    left: int | None = None
    most: int | None = None


@runtime_checkable
class Metered(Protocol):
    """A connector that asks over a network and counts what it asks."""

    def meter(self) -> Meter:
        """As of now, also while it is reading."""
        ...


@runtime_checkable
class Historical(Protocol):
    """A connector that can say how far back it reaches, so that everything can be imported at once."""

    async def first_day(self, through: date) -> date | None:
        """The day of the oldest row on or before ``through``; None when there is none."""
        ...


@runtime_checkable
class Expiring(Protocol):
    """A connector whose key ends by itself. ``key_setting``: the variable that a new one is set in."""

    name: str
    key_setting: str

    async def expires_on(self) -> date | None:
        """The day on which the key ends; None where nobody says. Raises Retryable or Permanent."""
        ...


@runtime_checkable
class Closable(Protocol):
    """A connector that holds connections open."""

    async def close(self) -> None:
        """Let go of them; asking again opens new ones."""
        ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way. ``delivery``: outbox id, put into Slack's metadata for reconciliation.

    ``address``: Slack user id (opens the DM) or channel id; ``thread``: ts of the parent message.
    """

    delivery: str
    address: str
    message: Message
    thread: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where a message ended: channel id and ts."""

    channel: str
    ts: str


class Messenger(Protocol):
    """Sends messages. Raises Retryable (nothing was posted), Permanent (never will be), Uncertain (may have been)."""

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Post it."""
        ...

    async def update(self, receipt: Receipt, outgoing: Outgoing) -> None:
        """Replace a posted message in place."""
        ...

    async def delete(self, receipt: Receipt) -> None:
        """Remove a posted message."""
        ...

    async def find(
        self, delivery: str, channel: str, since: datetime, *, thread: str | None = None
    ) -> Receipt | None:
        """Look for a posted message by its delivery id. Raises Retryable or Permanent when it cannot look.

        ``channel``: channel id, or a Slack user id for the DM with that user. ``thread``: where it would be a reply.
        """
        ...

    async def respond(self, response_url: str, message: Message | None, *, replace: bool) -> None:
        """Answer a click or command through its response_url. ``message`` None with replace: delete the original."""
        ...


class Pacing(Protocol):
    """How fast the workspace may be written to. Nobody sleeps: it says when to ask again."""

    @property
    def burst(self) -> int:
        """How many messages may go at once after a rest."""
        ...

    def room(self, now: datetime) -> int:
        """How many messages may go at ``now``."""
        ...

    def wait(self, now: datetime, channel: str) -> datetime | None:
        """Ask for one message to an address: None means go (and takes a place), a time says when to ask again."""
        ...

    def free_at(self, now: datetime, messages: int = 1) -> datetime:
        """When so many messages may go, if nothing is sent until then."""
        ...

    def close(self, until: datetime) -> None:
        """Nothing may go before then: Slack is away, or somebody has to mend something first."""
        ...

    def slow_down(self, now: datetime, after: timedelta, scope: str = ...) -> None:
        """Learn from a Retry-After. ``scope``: ``workspace`` or a channel."""
        ...


@dataclass(frozen=True, slots=True)
class DndWindow:
    """Do-not-disturb of a user: on from ``start`` to ``end`` (UTC), or never."""

    start: datetime | None = None
    end: datetime | None = None


class Directory(Protocol):
    """Reads Slack users. Raises Retryable or Permanent."""

    def users(self) -> AsyncIterator[Sequence[SlackUser]]:
        """All users, page by page."""
        ...

    async def workspace(self) -> str:
        """Slack's id of the workspace that the token belongs to (auth.test)."""
        ...

    async def dnd(self, slack_ids: Sequence[str]) -> Mapping[str, DndWindow]:
        """Do-not-disturb for up to 50 users a call (more are split)."""
        ...


class Holidays(Protocol):
    """Public holidays by country (ISO 3166 code, optionally ``DE-BY``)."""

    def between(self, country: str, first: date, last: date) -> frozenset[date]:
        """Holidays from ``first`` to ``last``, both included."""
        ...


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the door keeps of a Slack request before it is acknowledged.

    ``kind``: event, action, submission, closed, command, shortcut. ``name``: event type, action_id, callback_id or command.
    ``key``: unique (event_id; else trigger_id; view_closed: view id + hash).
    """

    key: str
    kind: str
    name: str
    user: str | None
    body: Mapping[str, Any] = field(default_factory=dict)


class Inbox(Protocol):
    """Where the door puts envelopes: returns after the commit. True when new, False when it was there already."""

    async def keep(self, envelope: Envelope) -> bool:
        """Write the row and wait for the commit."""
        ...
