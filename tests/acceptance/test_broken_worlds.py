"""Slack, the CRM or the database is away: what was promised waits, it is said once, and goes on when they return."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bot.connectors.spreadsheet.connector import SpreadsheetConnector
from bot.domain.errors import Retryable
from bot.domain.people import CrmUser
from bot.domain.usage import RecordRef, RowFault
from sandbox.faults import Fault
from sandbox.record import delivery_of
from store import control, jobs, outbox
from tests.story import Firm, Story, listening_to_logs

pytestmark = pytest.mark.anyio
MONDAY = "2026-11-16 05:00"


@pytest.fixture
def firm(tmp_path: Path) -> Firm:
    firm = Firm(tmp_path / "crm")
    for name in ("Ada Marsh", "Ben Okafor", "Cleo Ray"):
        firm.hires(name)
        firm.neglects_dates(name)
    return firm


def arrived(story: Story) -> Counter[str]:
    """How often each delivery stands in the workspace."""
    posted = [entry for entry in story.slack.record.entries if entry["kind"] == "posted"]
    return Counter(str(delivery_of(entry["metadata"])) for entry in posted)


async def test_slack_is_down_for_hours(firm: Firm, sqlite_url: str) -> None:
    async with firm.at_work(sqlite_url, MONDAY) as story:
        with listening_to_logs() as log:
            story.slack.faults.plan(Fault("http_500"))
            await story.until("2026-11-16 10:00")
            assert arrived(story) == {}
            assert (log.count("slack.waits"), log.count("slack.answers_again")) == (1, 0)

            story.slack.faults.clear()
            await story.until("2026-11-16 14:00")
            assert (log.count("slack.waits"), log.count("slack.answers_again")) == (1, 1)
        assert {who: len(story.to(who)) for who in firm.people} == dict.fromkeys(firm.people, 1)
        assert set(arrived(story).values()) == {1}
        assert story.database.read_now(outbox.states) == {"sent": 4}


@pytest.mark.parametrize("trouble", ["reset_before_commit", "drop_after_commit"])
async def test_slack_loses_its_answers_for_a_while(trouble: str, firm: Firm, sqlite_url: str) -> None:
    """Whether a message was posted cannot be told from an answer that is lost: it is looked for, and never posted twice."""
    async with firm.at_work(sqlite_url, MONDAY) as story:
        story.slack.faults.plan(Fault(trouble, "chat.postMessage", count=6))
        await story.until("2026-11-16 14:00")
        assert {who: len(story.to(who)) for who in firm.people} == dict.fromkeys(firm.people, 1)
        assert set(arrived(story).values()) == {1}
        assert story.database.read_now(outbox.states) == {"sent": 4}


async def test_slack_does_not_answer_for_three_days_and_is_asked_once_an_hour(
    firm: Firm, sqlite_url: str
) -> None:
    async with firm.at_work(sqlite_url, MONDAY) as story:
        with listening_to_logs() as log:
            story.slack.faults.plan(Fault("http_500", "users.list"))
            story.database.write_now(jobs.settle, "match", next_at=story.now, now=story.now, error=None)
            await story.until("2026-11-19 06:00")
            row = story.database.read_now(jobs.get, "match")
            assert row is not None
            assert 60 < row.failures < 100
            assert (log.count("job.failed"), log.count("job.recovered")) == (1, 0)

            story.slack.faults.clear()
            await story.until("2026-11-19 08:00")
            assert (log.count("job.failed"), log.count("job.recovered")) == (1, 1)


class AwayCrm(SpreadsheetConnector):
    """A CRM that does not answer as long as ``away`` is set."""

    away = False
    asked = 0

    async def users(self, through: date) -> tuple[Sequence[CrmUser], Sequence[RowFault]]:
        self._answer()
        return await super().users(through)

    async def evidence(
        self, metric: str, owners: Sequence[str], limit: int, through: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        self._answer()
        return await super().evidence(metric, owners, limit, through)

    def _answer(self) -> None:
        self.asked += 1
        if self.away:
            raise Retryable("The CRM does not answer.", code="crm-away")


async def test_the_crm_is_down_for_days(firm: Firm, sqlite_url: str) -> None:
    async with firm.at_work(sqlite_url, MONDAY, crm=AwayCrm) as story:
        crm: Any = story.crm
        await story.is_welcomed("Ada Marsh", "Ben Okafor", "Cleo Ray")
        with listening_to_logs() as log:
            crm.away = True
            await story.until("2026-11-19 09:00")
            assert crm.asked > 2
            await story.presses("Ada Marsh", "goal:productivity")
            await story.writes("Ben Okafor", "The approval takes four days")
            await story.presses("Ben Okafor", "mode:named")
            assert [each.text for each in story.said("Ben Okafor")] == ["The approval takes four days"]
            assert story.tips("Ada Marsh") == []
            assert (log.count("poll.failed"), log.count("poll.recovered")) == (1, 0)

            crm.away = False
            await story.until("2026-11-26 17:00")
            assert (log.count("poll.failed"), log.count("poll.recovered")) == (1, 1)
        assert story.tips("Ada Marsh")


async def test_the_database_file_is_locked_while_somebody_presses(firm: Firm, sqlite_url: str) -> None:
    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed("Ada Marsh")
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        pressing = asyncio.create_task(story.presses("Ada Marsh", "goal:productivity"))
        await asyncio.sleep(0.5)
        assert not pressing.done(), "it is not acknowledged before it is kept"
        other.execute("COMMIT")
        other.close()
        answer = await pressing
        assert answer.acked
        assert story.tips("Ada Marsh") == ["past_close_date_productivity"]


async def test_postgresql_drops_every_connection(firm: Firm, postgres_url: str) -> None:
    def hang_up() -> None:
        with psycopg.connect(postgres_url, autocommit=True) as server:
            found = server.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchone()
        assert found is not None
        assert found[0] > 0

    async with firm.at_work(postgres_url, MONDAY) as story:
        await story.is_welcomed("Ada Marsh", goal="productivity")
        hang_up()
        await story.until("2026-11-16 12:00")
        hang_up()
        await story.writes("Ada Marsh", "The approval takes four days")
        await story.presses("Ada Marsh", "mode:named")
        assert [each.text for each in story.said("Ada Marsh")] == ["The approval takes four days"]
        assert set(arrived(story).values()) == {1}
        assert story.database.read_now(control.stopped) is None
