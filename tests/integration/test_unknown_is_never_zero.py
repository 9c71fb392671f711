"""No data is never no use: what each word of coverage but ``ok`` does to tips, stages, the gate and outcomes. It silences."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from bot.connectors.refusals import Denied, FieldHidden, NotOffered, TooSlow
from bot.domain.adoption import BUILDING_MOMENTUM
from bot.domain.errors import FullsteamError, Permanent, Retryable, Throttled
from bot.domain.usage import METRICS, Collected, Coverage, CoverageStatus
from bot.services.measure_outcomes import measure
from store import decisions, slots, stages, usage
from store.database import Database, UnitOfWork, open_database
from store.slots import Slot
from store.tables import coverage
from tests.fakes import FakeCrm
from tests.integration import test_gate as gate
from tests.integration import test_stages_and_outcomes as lives
from tests.integration.test_planning import NO_HOLD_OUT
from tests.planning import TUESDAY, add_numbers, add_people, crm_with, messy, pid, plan_at
from tests.sending import Sender

pytestmark = pytest.mark.anyio
NOT_OK = [status for status in CoverageStatus if status is not CoverageStatus.OK]
YESTERDAY = TUESDAY.date() - timedelta(days=1)


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    opened = open_database(sqlite_url, durable=False)
    yield opened
    opened.close()


def test_there_are_five_ways_not_to_know() -> None:
    assert sorted(NOT_OK) == ["denied", "error", "partial", "throttled", "unsupported"]


# --- tips ------------------------------------------------------------------------------------------------------------


async def polled(database: Database, status: CoverageStatus) -> dict[int, dict[str, float]]:
    """Somebody with four deals without an account, which one poll brought, with this word for them."""
    numbers = {1: messy()}
    ids = await database.write(add_people, 1)
    await database.write(add_numbers, YESTERDAY, numbers, statuses={"opps_missing_account": status})
    await database.write(slots.keep, [Slot(each, TUESDAY) for each in ids])
    return numbers


async def test_with_the_same_numbers_and_a_good_word_a_tip_is_sent(database: Database) -> None:
    numbers = await polled(database, CoverageStatus.OK)
    report = await plan_at(database, TUESDAY, crm_with(numbers), programme=NO_HOLD_OUT)
    assert report.queued == 1


@pytest.mark.parametrize("status", NOT_OK)
async def test_no_trigger_reads_a_number_that_is_not_well_read(
    database: Database, status: CoverageStatus
) -> None:
    numbers = await polled(database, status)
    report = await plan_at(database, TUESDAY, crm_with(numbers), programme=NO_HOLD_OUT)
    assert report.queued == 0
    [made] = await database.read(decisions.of_person, pid())
    reasons = {each["action"]: each["reason"] for each in made.declined}
    assert reasons["missing_account"] == f"no-data:opps_missing_account:{status}"


# --- stages ----------------------------------------------------------------------------------------------------------


def _refuse(uow: UnitOfWork, week_number: int, status: CoverageStatus, metrics: frozenset[str]) -> None:
    """A week in which these metrics have this word, and nobody a number of them; the others are read well, and zero."""
    week = lives.FIRST + timedelta(weeks=week_number)
    lives.poll_week(uow, week, {1: 0}, out_of_order=9.0)
    uow.execute(
        sa.update(coverage)
        .where(coverage.c.day >= week, coverage.c.metric.in_(metrics))
        .values(status=status.value)
    )


@pytest.mark.parametrize("metrics", [frozenset(METRICS), frozenset({"step_moves"})], ids=["all", "one"])
@pytest.mark.parametrize("status", NOT_OK)
async def test_a_stage_stays_while_what_it_was_made_of_is_not_read(
    database: Database, status: CoverageStatus, metrics: frozenset[str]
) -> None:
    await database.write(add_people, 1, access_since=lives.FIRST)
    await lives.live(database, 5, {1: 4})
    assert lives.stage(database) == BUILDING_MOMENTUM
    for number in range(5, 12):
        await database.write(_refuse, number, status, metrics)
        await lives.assessed(database, lives.FIRST + timedelta(weeks=number))
    state = database.read_now(stages.current, [pid()])[pid()]
    assert (state.stage, state.confidence) == (BUILDING_MOMENTUM, "low")


# --- the gate --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(Retryable("down"), id="error"),
        pytest.param(TooSlow("too slow", code="too-slow"), id="error, too slow"),
        pytest.param(Throttled("slow down", after=timedelta(minutes=5)), id="throttled"),
        pytest.param(Denied("no right", code="denied"), id="denied"),
        pytest.param(FieldHidden("AccountId", "Opportunity"), id="partial"),
        pytest.param(NotOffered("not here"), id="unsupported"),
        pytest.param(Permanent("login rejected"), id="login rejected"),
    ],
)
async def test_the_gate_takes_no_refusal_for_a_record_that_is_mended(
    database: Database, refusal: FullsteamError
) -> None:
    sender = Sender(database, connectors={"crm": FakeCrm(silent=refusal)})
    sender.people(1)
    tip = gate._about("a")
    sender.put(tip)
    assert dict((await sender.deliver()).held) == {"crm-silent": 1}
    assert sender.row(tip).state == "ready"
    assert sender.messenger.posted == []


# --- outcomes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", NOT_OK)
async def test_an_outcome_is_empty_where_its_days_were_not_read(
    database: Database, status: CoverageStatus
) -> None:
    await database.write(add_people, 1)
    await database.write(decisions.add_many, [lives.made("count", kind="count"), lives.made("state")])
    days = [TUESDAY.date() + timedelta(days=offset) for offset in range(-1, 3)]
    await database.write(lives.poll_days, days[-1], 3)
    rows = tuple(Coverage(metric, day, status) for metric in METRICS for day in days)
    await database.write(usage.keep, "crm", Collected((), rows), TUESDAY)
    await database.write(spoken_of, status)
    await database.write(measure, TUESDAY + timedelta(hours=72))
    for id_ in ("count", "state"):
        assert lives.outcomes(database, id_)[:2] == (None, 0.0)


def spoken_of(uow: UnitOfWork, status: CoverageStatus) -> None:
    """The numbers lie there, as from an earlier poll, and every day has this word."""
    uow.execute(sa.update(coverage).values(status=status.value))
