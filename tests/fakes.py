"""Fakes that implement the ports of bot/domain/ports.py. They keep what they were told, and fail when told to."""

from __future__ import annotations

import asyncio
import selectors
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from bot.domain.errors import Permanent, Retryable, Uncertain
from bot.domain.messages import Message
from bot.domain.people import CrmUser, SlackUser
from bot.domain.ports import DndWindow, Outgoing, Probe, Receipt
from bot.domain.usage import Collected, RecordRef, RowFault, Window


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at

    def move(self, by: timedelta) -> datetime:
        self.at += by
        return self.at


class _Sleepless(selectors.DefaultSelector):
    """Does not wait for a time: it says that it has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.slept = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(None if timeout is None else 0)
        if timeout is not None and timeout > 0 and not ready:
            self.slept += timeout
        return ready


class SleeplessLoop(asyncio.SelectorEventLoop):
    """An event loop in which a sleep takes no time: its clock jumps to what is due next. For what needs no network."""

    def __init__(self) -> None:
        self._sleepless = _Sleepless()
        super().__init__(self._sleepless)

    def time(self) -> float:
        return super().time() + self._sleepless.slept


class NoHolidays:
    """Every day is a day like any other."""

    def between(self, country: str, first: date, last: date) -> frozenset[date]:
        return frozenset()


@dataclass
class HolidaysOn:
    """The same holidays in every country that is named."""

    days: Mapping[str, frozenset[date]]

    def between(self, country: str, first: date, last: date) -> frozenset[date]:
        return frozenset(day for day in self.days.get(country, frozenset()) if first <= day <= last)


class Killed(BaseException):
    """The process dies here."""


@dataclass
class FakeMessenger:
    """A Slack of its own: what was posted stays, whatever happens to the sender.

    ``before``, ``after``: what is raised before or after the message is posted, by attempt, for a delivery or ``*``.
    ``blind``: raised when somebody looks for a message.
    """

    clock: FakeClock
    before: dict[str, list[BaseException]] = field(default_factory=lambda: defaultdict(list))
    after: dict[str, list[BaseException]] = field(default_factory=lambda: defaultdict(list))
    blind: Exception | None = None
    posted: list[tuple[Receipt, Outgoing]] = field(default_factory=list)
    updated: list[tuple[Receipt, Outgoing]] = field(default_factory=list)
    deleted: list[Receipt] = field(default_factory=list)
    responses: list[tuple[str, Message | None, bool]] = field(default_factory=list)
    attempts: Counter[str] = field(default_factory=Counter)
    looks: int = 0

    async def send(self, outgoing: Outgoing) -> Receipt:
        self.attempts[outgoing.delivery] += 1
        self._fail(self.before, outgoing.delivery)
        receipt = Receipt(
            self._channel(outgoing.address), f"{int(self.clock.now().timestamp())}.{len(self.posted):06d}"
        )
        self.posted.append((receipt, outgoing))
        self._fail(self.after, outgoing.delivery)
        return receipt

    async def update(self, receipt: Receipt, outgoing: Outgoing) -> None:
        self._must_stand(receipt)
        self.updated.append((receipt, outgoing))

    async def delete(self, receipt: Receipt) -> None:
        self._must_stand(receipt)
        self.deleted.append(receipt)

    async def find(
        self, delivery: str, channel: str, since: datetime, *, thread: str | None = None
    ) -> Receipt | None:
        self.looks += 1
        if self.blind is not None:
            raise self.blind
        for receipt, outgoing in self.posted:
            if (
                outgoing.delivery == delivery
                and receipt.channel == self._channel(channel)
                and receipt not in self.deleted
                and float(receipt.ts) >= since.timestamp()
            ):
                return receipt
        return None

    async def respond(self, response_url: str, message: Message | None, *, replace: bool) -> None:
        self.responses.append((response_url, message, replace))

    def deliveries(self) -> Counter[str]:
        """How often each delivery stands in Slack."""
        return Counter(outgoing.delivery for _, outgoing in self.posted)

    def to(self, address: str) -> list[Message]:
        """What an address got, in order."""
        return [outgoing.message for _, outgoing in self.posted if outgoing.address == address]

    def _fail(self, plan: dict[str, list[BaseException]], delivery: str) -> None:
        for key in (delivery, "*"):
            if plan.get(key):
                raise plan[key].pop(0)

    def _must_stand(self, receipt: Receipt) -> None:
        if receipt in self.deleted or receipt not in [posted for posted, _ in self.posted]:
            raise Permanent("There is no such message.", code="message_not_found")

    @staticmethod
    def _channel(address: str) -> str:
        return f"D{address[1:]}" if address.startswith("U") else address


def ratelimited(seconds: float = 10) -> Retryable:
    """Slack asks for a pause."""
    return Retryable(
        "Slack asks for a pause.", code="ratelimited", after=timedelta(seconds=seconds), scope="workspace"
    )


def unanswered() -> Uncertain:
    """The connection broke after the request."""
    return Uncertain("Slack's answer was lost.", code="connection-lost")


@dataclass
class FakeDirectory:
    """``windows``: do-not-disturb by Slack id. ``silent``: raised instead of an answer."""

    people: Sequence[SlackUser] = ()
    windows: dict[str, DndWindow] = field(default_factory=dict)
    silent: Exception | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)

    async def users(self) -> AsyncIterator[Sequence[SlackUser]]:
        yield self.people

    async def workspace(self) -> str:
        return "T0"

    async def dnd(self, slack_ids: Sequence[str]) -> Mapping[str, DndWindow]:
        self.asked.append(tuple(slack_ids))
        if self.silent is not None:
            raise self.silent
        return {each: self.windows.get(each, DndWindow()) for each in slack_ids}


@dataclass
class FakeCrm:
    """A connector with records by (metric, owner). ``silent``: raised instead of an answer."""

    name: str = "crm"
    lag_days: int = 0
    overlap_days: int = 3
    records: dict[tuple[str, str], list[RecordRef]] = field(default_factory=dict)
    silent: Exception | None = None
    asked: list[tuple[str, tuple[str, ...], int, date]] = field(default_factory=list)

    async def probe(self) -> Probe:
        return Probe(self.name, "1", ok=True, advice="")

    async def users(self, through: date) -> tuple[Sequence[CrmUser], Sequence[RowFault]]:
        return (), ()

    async def collect(self, window: Window, metrics: frozenset[str]) -> AsyncIterator[Collected]:
        yield Collected()

    async def evidence(
        self, metric: str, owners: Sequence[str], limit: int, through: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        self.asked.append((metric, tuple(owners), limit, through))
        if self.silent is not None:
            raise self.silent
        found = {owner: self.records.get((metric, owner), []) for owner in owners}
        return {owner: (len(refs), tuple(refs[:limit])) for owner, refs in found.items() if refs}

    def has(self, metric: str, owner: str, ids: Iterable[str]) -> None:
        """Set the records that the metric counts for an owner."""
        self.records[metric, owner] = [RecordRef(each, f"Record {each}") for each in ids]
