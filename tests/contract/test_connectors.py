"""What every connector promises (Connector in bot/domain/ports.py), asked of each kind that there is.

A new connector is found by itself; its author adds a module with a ``WORLD`` to tests/contract/connectors/.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

import bot.connectors
import tests.contract.connectors
from bot.domain.errors import Retryable
from bot.domain.ports import Connector, ConnectorKind, Historical
from bot.domain.usage import METRICS, Collected, CoverageStatus, MetricKind, UsageFact, Window
from bot.plugins import discover
from tests.contract.connectors.world import World

pytestmark = pytest.mark.anyio
KINDS = {kind.name: kind for kind in discover(bot.connectors, ConnectorKind)}
WORLDS = {world.name: world for world in discover(tests.contract.connectors, World)}
SNAPSHOTS = frozenset(key for key, metric in METRICS.items() if metric.kind is MetricKind.SNAPSHOT)
COUNTS_OF_RECORDS = frozenset(
    key for key in SNAPSHOTS if key not in {"pipeline_amount", "field_completeness"}
)
"""Snapshots that count records, which evidence can be asked for."""


@dataclass(frozen=True)
class Opened:
    connector: Connector
    world: World
    folder: Path

    def again(self) -> Connector:
        """The same CRM, opened by another process."""
        return KINDS[self.world.name].open(self.world.build(self.folder), None)

    @property
    def window(self) -> Window:
        return Window(self.world.since, self.world.through)


@pytest.fixture(params=sorted(KINDS))
def crm(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    world = WORLDS[request.param]
    return Opened(KINDS[world.name].open(world.build(tmp_path), None), world, tmp_path)


async def collected(
    connector: Connector, window: Window, metrics: frozenset[str] = frozenset(METRICS)
) -> list[Collected]:
    return [part async for part in connector.collect(window, metrics)]


def facts_of(parts: Sequence[Collected]) -> dict[tuple[str, date], dict[str, float]]:
    return {(fact.crm_id, fact.day): dict(fact.values) for part in parts for fact in part.facts}


def days_of(window: Window) -> list[date]:
    return [window.since + timedelta(days=n) for n in range((window.through - window.since).days + 1)]


def test_every_connector_has_a_world_to_be_asked_in() -> None:
    assert KINDS
    assert sorted(KINDS) == sorted(WORLDS)


async def test_every_metric_asked_for_has_one_coverage_row_for_every_day(crm: Opened) -> None:
    asked = frozenset({*METRICS, "no_such_metric"})
    parts = await collected(crm.connector, crm.window, asked)
    rows = Counter((row.metric, row.day) for part in parts for row in part.coverage)
    assert rows == Counter((metric, day) for metric in asked for day in days_of(crm.window))


async def test_a_metric_that_is_unknown_is_unsupported_and_has_neither_facts_nor_records(crm: Opened) -> None:
    parts = await collected(crm.connector, crm.window, frozenset({"no_such_metric"}))
    assert {row.status for part in parts for row in part.coverage} == {CoverageStatus.UNSUPPORTED}
    assert not any(values for values in facts_of(parts).values())
    owners = [user.crm_id for user in (await crm.connector.users(crm.world.through))[0]]
    assert await crm.connector.evidence("no_such_metric", owners, 5, crm.world.through) == {}


async def test_only_what_was_asked_for_is_given_and_nothing_that_is_not_covered(crm: Opened) -> None:
    everything = await collected(crm.connector, crm.window)
    covered = {row.metric for part in everything for row in part.coverage if row.status is CoverageStatus.OK}
    given = {metric for values in facts_of(everything).values() for metric in values}
    assert given
    assert given <= covered
    for metric in sorted(given):
        part = await collected(crm.connector, crm.window, frozenset({metric}))
        assert {key for values in facts_of(part).values() for key in values} == {metric}


async def test_a_person_s_day_is_told_once_and_days_come_in_order(crm: Opened) -> None:
    parts = await collected(crm.connector, crm.window)
    told: list[UsageFact] = [fact for part in parts for fact in part.facts]
    assert max(Counter((fact.crm_id, fact.day) for fact in told).values()) == 1
    assert {fact.day for fact in told} <= set(days_of(crm.window))
    reached = date.min
    for part in parts:
        days = {row.day for row in part.coverage}
        assert {fact.day for fact in part.facts} <= days
        assert min(days) > reached
        reached = max(days)
    assert reached == crm.world.through


async def test_snapshots_are_of_the_last_day_and_zeros_are_said(crm: Opened) -> None:
    facts = facts_of(await collected(crm.connector, crm.window))
    on = {day for (_, day), values in facts.items() if SNAPSHOTS & values.keys()}
    assert on == {crm.world.through}
    owners = [user.crm_id for user in (await crm.connector.users(crm.world.through))[0]]
    assert all("opps_open" in facts[owner, crm.world.through] for owner in owners)
    assert 0 in {facts[owner, crm.world.through]["opps_open"] for owner in owners}


async def test_the_records_are_as_many_as_the_snapshot_counts(crm: Opened) -> None:
    facts = facts_of(await collected(crm.connector, crm.window))
    owners = [user.crm_id for user in (await crm.connector.users(crm.world.through))[0]]
    named = 0
    for metric in sorted(COUNTS_OF_RECORDS):
        for limit in (1, 50):
            found = await crm.connector.evidence(metric, owners, limit, crm.world.through)
            for owner in owners:
                count, records = found.get(owner, (0, ()))
                assert count == facts.get((owner, crm.world.through), {}).get(metric, 0), (metric, owner)
                assert len(records) in {0, min(limit, count)}
                assert len({record.id for record in records}) == len(records)
                named += len(records)
    assert named


async def test_evidence_is_for_those_who_were_asked_about(crm: Opened) -> None:
    owners = [user.crm_id for user in (await crm.connector.users(crm.world.through))[0]]
    everybody = await crm.connector.evidence("opps_open", owners, 50, crm.world.through)
    assert everybody
    for owner in owners:
        alone = await crm.connector.evidence("opps_open", [owner, "nobody"], 50, crm.world.through)
        assert alone == {key: value for key, value in everybody.items() if key == owner}


async def said_on(connector: Connector, window: Window, *, but: frozenset[str] = frozenset()) -> list[object]:
    """Everything that a connector says as of the end of a window, ``but`` for these metrics."""
    users, faults = await connector.users(window.through)
    parts = await collected(connector, window)
    owners = [user.crm_id for user in users]
    told = {
        key: {metric: value for metric, value in values.items() if metric not in but}
        for key, values in facts_of(parts).items()
    }
    return [
        list(users),
        list(faults),
        {key: values for key, values in told.items() if values},
        [row for part in parts for row in part.coverage if row.metric not in but],
        [
            dict(await connector.evidence(metric, owners, 50, window.through))
            for metric in sorted(COUNTS_OF_RECORDS - but)
        ],
        await connector.first_day(window.through) if isinstance(connector, Historical) else None,
    ]


async def test_nothing_that_happens_after_a_day_changes_what_was_known_on_it(crm: Opened) -> None:
    forgotten = crm.world.of_now | crm.world.settling
    before = await said_on(crm.connector, crm.window, but=forgotten)
    later = Window(crm.world.since, crm.world.through + timedelta(days=7))
    crm.world.go_on(crm.folder)
    assert await said_on(crm.connector, crm.window, but=forgotten) == before
    after = facts_of(await collected(crm.connector, later))
    assert {day for _, day in after} - set(days_of(crm.window)), "the world did go on"


OF_NOW = sorted(name for name, world in WORLDS.items() if world.states_are_of_now)
"""Those who know what was open on any day are held to it by the test above."""


@pytest.mark.parametrize("crm", OF_NOW, indirect=True)
async def test_what_is_so_now_is_never_given_an_older_date(crm: Opened) -> None:
    crm.world.go_on(crm.folder)
    parts = await collected(crm.connector, crm.window)
    forgotten = crm.world.of_now
    assert not any(forgotten & values.keys() for values in facts_of(parts).values())
    said = [row for part in parts for row in part.coverage if row.metric in forgotten]
    assert {row.status for row in said} == {CoverageStatus.UNSUPPORTED}
    assert all(row.detail for row in said)
    owners = [user.crm_id for user in (await crm.connector.users(crm.world.through))[0]]
    with pytest.raises(Retryable):
        await crm.connector.evidence("opps_open", owners, 5, crm.world.through)


async def test_asking_twice_gives_the_same_also_in_another_process(crm: Opened) -> None:
    first = await said_on(crm.connector, crm.window)
    assert await said_on(crm.connector, crm.window) == first
    assert await said_on(crm.again(), crm.window) == first
    parts, once_more = [await collected(each, crm.window) for each in (crm.connector, crm.again())]
    assert parts == once_more


async def test_a_row_that_cannot_be_read_is_named_and_the_others_are_kept(crm: Opened) -> None:
    good = facts_of(await collected(crm.connector, crm.window))
    word = crm.world.spoil(crm.folder)
    parts = await collected(crm.connector, crm.window)
    (fault,) = [fault for part in parts for fault in part.faults]
    assert word in fault.reason
    assert (bool(fault.file), fault.row > 0) == (True, True)
    assert facts_of(parts) == good


async def test_a_probe_says_what_can_be_read_and_does_not_raise_when_nothing_can(crm: Opened) -> None:
    probe = await crm.connector.probe()
    assert (probe.ok, probe.name) == (True, crm.connector.name)
    assert {row.metric for row in probe.metrics} == METRICS.keys()
    unread = [row for row in probe.metrics if row.status is not CoverageStatus.OK]
    assert all(row.detail for row in unread), "each with what the admin has to know"
    fresh = crm.again()
    crm.world.take_away(crm.folder)
    away = await fresh.probe()
    assert (away.ok, bool(away.advice)) == (False, True)
