"""What the tests of sending stand on: people who may be written to, messages that may be sent, and one way to deliver."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bot.domain.messages import TIP, Button, Buttons, Heading, Message, Paragraph
from bot.domain.people import MATCHED
from bot.domain.ports import Clock, Connector, Directory, Holidays, Messenger, Pacing
from bot.domain.programme import Programme, Rules
from bot.services.deliver_outbox import DeliveryReport, deliver
from store import outbox
from store.database import Database, UnitOfWork
from store.outbox import NewMessage, OutboxRow
from store.tables import person, slack_user
from tests.fakes import FakeClock, FakeDirectory, FakeMessenger, NoHolidays

TUESDAY = datetime(2026, 11, 17, 10, 0, tzinfo=UTC)
"""A working day, in everybody's window."""
PROGRAMME = Programme(
    name="Test",
    crm_name="CRM",
    go_live=date(2026, 1, 5),
    sponsor="sponsor@example.com",
    sponsor_name="Sam",
    adoption_lead="lead@example.com",
    privacy_officer="privacy@example.com",
    owners={},
    zone="UTC",
    pilot_teams=("*",),
)


def message(kind: str = TIP, text: str = "Two deals are past their date", **changes: Any) -> Message:
    parts = (Heading(text), Paragraph("A fresh date takes a minute."), Buttons((Button("tip:do", "Open"),)))
    return replace(Message(kind, text, parts, template=f"{kind}.one"), **changes)


def add_person(uow: UnitOfWork, /, number: int = 1, **changes: Any) -> str:
    """A matched, welcomed person in a pilot team, in UTC, and their Slack account. Returns the person's id."""
    name = f"p{number:04d}"
    values: dict[str, Any] = {
        "id": name,
        "source": "crm",
        "crm_id": f"crm-{number}",
        "name": f"Person {number}",
        "email": f"person{number}@example.com",
        "role": "seller",
        "active": True,
        "zone": "UTC",
        "working_days": "01234",
        "pilot": True,
        "match": MATCHED,
        "slack_id": f"U{number:08d}",
        "welcomed_at": TUESDAY - timedelta(days=60),
        "seen_at": TUESDAY,
    }
    account = {
        "id": f"U{number:08d}",
        "email": f"person{number}@example.com",
        "name": f"Person {number}",
        "is_bot": False,
        "is_guest": False,
        "deleted": False,
        "read_at": TUESDAY,
    }
    account |= {key: changes.pop(key) for key in list(changes) if key.startswith("away")}
    uow.execute(sa.insert(slack_user).values(account))
    uow.execute(sa.insert(person).values({**values, **changes}))
    return name


def new(number: int = 1, key: str = "", at: datetime = TUESDAY, **changes: Any) -> NewMessage:
    """A tip for person ``number``, due at ``at``."""
    kind = changes.pop("kind", TIP)
    values: dict[str, Any] = {
        "dedupe_key": key or f"{kind}|{number}",
        "message": message(kind),
        "address": f"U{number:08d}",
        "created_at": at,
        "due_at": at,
        "person": f"p{number:04d}",
        "behaviour": "fresh_dates",
        "expires_at": at + timedelta(days=2),
    }
    return NewMessage(**{**values, **changes})


@dataclass
class Sender:
    """One process that delivers."""

    database: Database
    clock: FakeClock = field(default_factory=lambda: FakeClock(TUESDAY))
    messenger: Any = None
    directory: Directory | None = field(default_factory=FakeDirectory)
    connectors: dict[str, Connector] = field(default_factory=dict)
    holidays: Holidays = field(default_factory=NoHolidays)
    rules: Rules = field(default_factory=Rules)
    pacing: Pacing | None = None
    late: Clock | None = None

    def __post_init__(self) -> None:
        if self.messenger is None:
            self.messenger = FakeMessenger(self.clock)

    async def deliver(self, now: datetime | None = None) -> DeliveryReport:
        messenger: Messenger = self.messenger
        if now is not None:
            self.clock.at = now
        return await deliver(
            self.database,
            messenger=messenger,
            directory=self.directory,
            connectors=self.connectors,
            programme=replace(PROGRAMME, rules=self.rules),
            holidays=self.holidays,
            now=self.clock.now(),
            pacing=self.pacing,
            clock=self.late,
        )

    async def until_quiet(self, most: int = 200) -> list[DeliveryReport]:
        """Deliver and jump to the next due time, as steered time does, until nothing is due any more."""
        reports = []
        for _ in range(most):
            report = await self.deliver()
            reports.append(report)
            if report.next_due is None:
                return reports
            assert report.next_due > self.clock.now(), "it would turn on the spot"
            self.clock.at = report.next_due
        raise AssertionError(f"not quiet after {most} deliveries")

    def put(self, *messages: NewMessage) -> list[str]:
        return self.database.write_now(outbox.add_many, messages)

    def people(self, count: int = 1, **changes: Any) -> None:
        def add(uow: UnitOfWork) -> None:
            for number in range(1, count + 1):
                add_person(uow, number, **changes)

        self.database.write_now(add)

    def row(self, of: NewMessage) -> OutboxRow:
        found = self.database.read_now(outbox.by_id, of.id)
        assert found is not None
        return found
