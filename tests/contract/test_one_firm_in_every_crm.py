"""One definition of a behaviour means the same in every CRM: the same firm, told in each, gives the same numbers.

A new kind of CRM adds a module with a ``FIRM`` to tests/contract/firms/.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

import bot.connectors
import tests.contract.firms
from bot.content.load import load
from bot.domain.behaviours import Behaviour, shown
from bot.domain.ports import ConnectorKind
from bot.domain.usage import METRICS, CoverageStatus, MetricKind, Window
from bot.plugins import discover
from tests.contract.firms.firm import BOSS, JONAS, LEA, TODAY, Telling, day

pytestmark = pytest.mark.anyio
KINDS = {kind.name: kind for kind in discover(bot.connectors, ConnectorKind)}
FIRMS = {firm.name: firm for firm in discover(tests.contract.firms, Telling)}
BEHAVIOURS = load(None).behaviours
SINCE = day(27)
"""28 days, the span that behaviours are counted over."""


@dataclass(frozen=True)
class Known:
    """What one CRM says of the firm. ``sums``: person -> metric -> the number of 28 days, or the snapshot of the last."""

    sums: dict[str, dict[str, float]]
    coverage: dict[str, CoverageStatus]

    def does(self, person: str, behaviour: Behaviour) -> tuple[bool, float | None, bool]:
        """Whether it is known, the value, and whether that is good enough."""
        numbers = self.sums[person]
        found = shown(behaviour, numbers, numbers, self.coverage)
        return found.known, found.value, found.at_target


async def known(kind: str, folder: Path) -> Known:
    connector = KINDS[kind].open(FIRMS[kind].build(folder), None)
    users = {user.crm_id: user.name for user in (await connector.users(TODAY))[0]}
    assert sorted(users.values()) == sorted((BOSS, JONAS, LEA))
    # Events of the whole span; then, as the next poll would, what is known of the last day only.
    sums: dict[str, dict[str, float]] = {name: {} for name in users.values()}
    worst: dict[str, list[CoverageStatus]] = {metric: [] for metric in METRICS}
    async for part in connector.collect(Window(SINCE, TODAY), frozenset(METRICS)):
        for row in part.coverage:
            if METRICS[row.metric].kind is not MetricKind.SNAPSHOT or row.day == TODAY:
                worst[row.metric].append(row.status)
        for fact in part.facts:
            for metric, value in fact.values.items():
                mine = sums[users[fact.crm_id]]
                mine[metric] = mine.get(metric, 0.0) + value
    coverage = {
        metric: next((status for status in found if status is not CoverageStatus.OK), CoverageStatus.OK)
        for metric, found in worst.items()
    }
    return Known(sums, coverage)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def everywhere(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Known]:
    return {kind: await known(kind, tmp_path_factory.mktemp(kind)) for kind in sorted(KINDS)}


EXPECTED = {
    JONAS: {
        "opps_open": 5,
        "opps_past_close": 1,
        "opps_no_next_step": 1,
        "opps_missing_account": 1,
        "opps_missing_amount": 1,
        "opps_no_activity_30d": 1,
        "opps_stuck_step": 1,
        "pipeline_amount": 3000,
        "tasks_overdue": 1,
        "records_created.opportunity": 2,
        "activities_completed.call": 2,
        "won_count": 0,
        "lost_count": 0,
        "step_moves": 4,
    },
    LEA: {
        "opps_open": 1,
        "opps_past_close": 0,
        "opps_no_next_step": 0,
        "opps_missing_account": 0,
        "opps_missing_amount": 0,
        "opps_no_activity_30d": 0,
        "opps_stuck_step": 0,
        "pipeline_amount": 1000,
        "tasks_overdue": 0,
        "records_created.opportunity": 1,
        "activities_completed.call": 1,
        "won_count": 1,
        "won_amount": 900,
        "lost_count": 1,
        "step_moves": 5,
    },
}


def test_every_kind_of_crm_tells_the_firm() -> None:
    assert sorted(FIRMS) == sorted(KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("person", sorted(EXPECTED))
async def test_the_numbers_are_what_happened_in_the_firm(
    everywhere: dict[str, Known], kind: str, person: str
) -> None:
    asked = {key: value for key, value in EXPECTED[person].items() if key not in FIRMS[kind].not_told}
    found = everywhere[kind]
    unread = {key: found.coverage[key] for key in asked if found.coverage[key] is not CoverageStatus.OK}
    assert unread == {}, "every CRM can tell these"
    assert {key: found.sums[person].get(key, 0) for key in asked} == asked


@pytest.mark.parametrize("behaviour", sorted(BEHAVIOURS))
async def test_a_behaviour_that_is_known_in_two_crms_is_the_same_in_both(
    everywhere: dict[str, Known], behaviour: str
) -> None:
    for person in (JONAS, LEA):
        said = {kind: found.does(person, BEHAVIOURS[behaviour]) for kind, found in everywhere.items()}
        values = {each[1:] for kind, each in said.items() if each[0] and comparable(kind, behaviour)}
        assert len(values) <= 1, said


def comparable(kind: str, behaviour: str) -> bool:
    return not set(BEHAVIOURS[behaviour].metrics) & FIRMS[kind].not_told.keys()


def test_the_days_are_those_of_the_firm() -> None:
    assert date(2026, 10, 24) == SINCE
