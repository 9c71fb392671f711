"""Somebody is told in Slack, in time and once a step, that the key of a CRM is about to end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pytest

from bot.content.load import Content, load
from bot.domain.errors import Retryable
from bot.domain.people import SlackUser
from bot.domain.programme import Programme
from bot.services.warn_of_ending import warn_of_ending
from store import outbox, people
from store.database import Database, open_database

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 17, 9, 0, tzinfo=UTC)
ENDS = date(2026, 12, 1)
PROGRAMME = Programme(
    name="CRM",
    crm_name="Odoo",
    go_live=date(2026, 11, 2),
    sponsor="s@example.com",
    sponsor_name="S",
    adoption_lead="Lead@Example.com",
    privacy_officer="p@example.com",
    owners={},
    zone="UTC",
)


@dataclass
class Key:
    """A CRM whose key ends."""

    ends: date | None = ENDS
    name: str = "odoo"
    key_setting: str = "FULLSTEAM_ODOO_API_KEY"
    silent: Exception | None = None

    async def expires_on(self) -> date | None:
        if self.silent is not None:
            raise self.silent
        return self.ends


@pytest.fixture(scope="module")
def content() -> Content:
    return load(None)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = open_database(database_url)
    lead = SlackUser(id="U1", name="Lea Lead", email="lead@example.com", zone=None)
    database.write_now(people.keep_slack_users, [lead], NOW, named=["lead@example.com"])
    yield database
    database.close()


async def queued(
    database: Database, content: Content, key: Key, days: float, programme: Programme = PROGRAMME
) -> bool:
    now = NOW + timedelta(days=days)
    return await warn_of_ending(database, key, content=content, programme=programme, now=now)


async def test_each_step_is_said_once(database: Database, content: Content) -> None:
    said = {day: await queued(database, content, Key(), day) for day in (-1, 0, 0.1, 1, 7, 8, 11, 13, 14, 15)}
    assert [day for day, once in said.items() if once] == [0, 7, 11, 13]
    rows = database.write_now(outbox.claim, NOW, 50)
    assert {row.address for row in rows} == {"U1"}
    assert {row.kind for row in rows} == {"desk"}
    texts = [row.message.text for row in rows if row.message is not None]
    assert all("FULLSTEAM_ODOO_API_KEY" in text for text in texts)


async def test_a_new_key_has_steps_of_its_own(database: Database, content: Content) -> None:
    assert await queued(database, content, Key(), 0)
    assert not await queued(database, content, Key(date(2027, 3, 1)), 0)
    assert await queued(database, content, Key(date(2027, 3, 1)), 90)


async def test_a_crm_that_does_not_tell_costs_nothing(database: Database, content: Content) -> None:
    assert not await queued(database, content, Key(None), 0)
    assert not await queued(database, content, Key(silent=Retryable("busy")), 0)


async def test_a_lead_who_is_not_in_slack_is_named_in_the_log(
    database: Database, content: Content, caplog: pytest.LogCaptureFixture
) -> None:
    nobody = replace(PROGRAMME, adoption_lead="nobody@example.com")
    assert not await queued(database, content, Key(), 0, nobody)
    assert [record.message for record in caplog.records] == ["key.nobody_to_tell"]
