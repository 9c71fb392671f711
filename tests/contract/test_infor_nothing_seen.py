"""Infor CRM where nothing comes: hidden records, a status that is called otherwise, logins that are looked for in the wrong place.

Each is told apart from people who did nothing: it is no 0.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bot.connectors.infor.queries import OUTCOMES, READ, STATES
from bot.domain.usage import METRICS, CoverageStatus, Window
from tests.contract.test_infor import (
    ALL,
    DAY,
    DENIED,
    ERROR,
    HTML,
    OK,
    PARTIAL,
    TODAY,
    UNSUPPORTED,
    WEEK,
    lived,
    numbers,
    people_of,
)
from tests.infor_crm import Site, collected, coverage_of, facts_of

pytestmark = pytest.mark.anyio

OPEN = frozenset(STATES - {"tasks_overdue"})
COUNTS = frozenset({"opps_open", "pipeline_amount"})


@pytest.fixture
def site() -> Site:
    return Site()


async def said(
    site: Site, metrics: frozenset[str], window: Window = DAY, **settings: Any
) -> dict[str, tuple[CoverageStatus, str]]:
    """What is said of metrics on the last day of a window."""
    coverage = coverage_of(await collected(site.connector(**settings), window, metrics))
    return {metric: coverage[metric, window.through] for metric in metrics}


def _only_ours(site: Site) -> None:
    for row in site.server.tables["opportunities"]:
        row["AccountManager"] = {"$key": "UBOT"}


def _nobody_says_who_we_are(site: Site) -> None:
    _only_ours(site)
    site.trouble("getCurrentUser", 404, HTML)


def _none(site: Site) -> None:
    site.server.tables["opportunities"].clear()


@pytest.mark.parametrize("hide", [_none, _only_ours, _nobody_says_who_we_are])
async def test_where_nothing_of_anybody_else_is_seen_everything_is_denied(
    site: Site, hide: Callable[[Site], None]
) -> None:
    lived(site, people_of(site, 2), times=6)
    hide(site)
    parts = await collected(site.connector(login_resource="auditLogs"), WEEK, ALL)
    assert {metric for values in facts_of(parts).values() for metric in values} == {"active_day"}
    coverage = coverage_of(parts)
    for metric in READ - {"active_day"}:
        status, detail = coverage[metric, TODAY]
        assert (metric, status) == (metric, DENIED)
        assert "right to read all opportunities, of every owner" in detail
    assert coverage["active_day", TODAY] == (OK, "")
    assert {coverage[metric, TODAY][0] for metric in METRICS.keys() - READ} == {UNSUPPORTED}


async def test_by_the_server_s_own_metric_hidden_records_are_no_zero_either(site: Site) -> None:
    people_of(site, 2)
    _none(site)
    assert {status for status, _ in (await said(site, COUNTS)).values()} == {DENIED}
    assert any("executeMetric" in address for address in site.server.asked)


async def test_a_server_that_ignores_or_refuses_who_it_shall_leave_out_is_read_to_the_first_of_another(
    site: Site,
) -> None:
    _, rep = people_of(site, 1)
    for _ in range(15):
        site.deal("UBOT", 30)
    site.deal(rep, 3)
    wanted = frozenset({"records_created.contact"})
    site.server.ignores = frozenset({"AccountManager.Id ne"})
    site.server.tables["opportunities"].reverse()
    assert await said(site, wanted, page=10) == {"records_created.contact": (OK, "")}
    site.server.ignores = frozenset()
    site.trouble("AccountManager.Id ne", 400, HTML)
    assert await said(site, wanted, page=10) == {"records_created.contact": (OK, "")}


async def test_whether_others_are_seen_must_be_known(site: Site) -> None:
    people_of(site, 1)
    site.login("U000001", 0)
    wanted = frozenset({"records_created.contact", "active_day"})
    site.trouble("AccountManager.Id ne", 500, HTML)
    found = await said(site, wanted, login_resource="auditLogs")
    assert {metric: status for metric, (status, _) in found.items()} == {
        "records_created.contact": ERROR,
        "active_day": OK,
    }


# -- words ------------------------------------------------------------------------------------------------------------


async def test_a_status_that_no_opportunity_has_is_a_wrong_word_and_no_zero(site: Site) -> None:
    people = people_of(site, 2)
    lived(site, people)
    for row in site.server.tables["opportunities"]:
        row["Status"] = {"Open": "Offen", "Closed - Won": "Gewonnen", "Closed - Lost": "Verloren"}[
            row["Status"]
        ]
    found = await said(site, OPEN | set(OUTCOMES))
    for metrics, variable in (
        (OPEN, "FULLSTEAM_INFOR_OPEN_STATUS"),
        (frozenset(OUTCOMES) - {"lost_count"}, "FULLSTEAM_INFOR_WON_STATUS"),
        (frozenset({"lost_count"}), "FULLSTEAM_INFOR_LOST_STATUS"),
    ):
        assert {found[metric][0] for metric in metrics} == {UNSUPPORTED}
        assert all(f"set {variable}" in found[metric][1] for metric in metrics)
    assert {status for status, _ in (await said(site, COUNTS)).values()} == {UNSUPPORTED}
    words: dict[str, Any] = {"open_status": "Offen", "won_status": "Gewonnen", "lost_status": "Verloren"}
    assert {status for status, _ in (await said(site, OPEN | set(OUTCOMES), **words)).values()} == {OK}


async def test_a_status_that_did_occur_is_zero_in_a_week_without_it(site: Site) -> None:
    _, rep = people_of(site, 1)
    parts = await collected(site.connector(), DAY, frozenset(OUTCOMES))
    assert facts_of(parts)[rep, TODAY] == dict.fromkeys(OUTCOMES, 0)
    assert {status for status, _ in coverage_of(parts).values()} == {OK}


async def test_a_closing_of_which_nobody_said_what_it_is_costs_partial_and_is_named(site: Site) -> None:
    _, rep = people_of(site, 1)
    site.won(rep, 1, 5)
    site.won(rep, 0, 5, Status="Storno")
    site.won(rep, 0, 5, Status="Inactive")
    site.won(rep, 0, 5, Status="Open")
    window = Window(TODAY - timedelta(days=1), TODAY)
    coverage = coverage_of(await collected(site.connector(), window, frozenset(OUTCOMES)))
    for metric in OUTCOMES:
        assert coverage[metric, window.since] == (OK, "")
        status, detail = coverage[metric, TODAY]
        assert (status, "the status 'Storno':" in detail) == (PARTIAL, True)
        assert "FULLSTEAM_INFOR_OTHER_STATUS" in detail
    told = await said(site, frozenset(OUTCOMES), other_status="inactive, storno")
    assert set(told.values()) == {(OK, "")}


# -- logins -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [1, 29])
async def test_somebody_who_logged_in_this_month_makes_today_a_zero(site: Site, days: float) -> None:
    _, rep = people_of(site, 1)
    site.login(rep, days)
    parts = await collected(site.connector(login_resource="auditLogs"), DAY, frozenset({"active_day"}))
    assert (facts_of(parts)[rep, TODAY], coverage_of(parts)["active_day", TODAY]) == (
        {"active_day": 0},
        (OK, ""),
    )


async def test_nobody_for_a_month_is_a_wrong_condition_and_no_zero(site: Site) -> None:
    _, rep = people_of(site, 1)
    site.login(rep, 0)
    site.login(rep, 31, "Anmeldung")
    for _ in range(3):
        site.login("UBOT", 0, "Anmeldung")
    for where in ("EventName eq 'Anmeldung'", "EventName eq 'Log-in'"):
        told = await said(site, frozenset({"active_day"}), login_resource="auditLogs", login_where=where)
        status, detail = told["active_day"]
        assert (status, "check FULLSTEAM_INFOR_LOGIN_WHERE" in detail) == (UNSUPPORTED, True)


# -- the server's own metrics -----------------------------------------------------------------------------------------


async def test_a_metric_that_ignores_its_condition_is_not_believed(site: Site) -> None:
    ada, rep = people_of(site, 1)
    for _ in range(3):
        site.won(rep, 40, 50, SalesPotential=70.0)
    for who in (ada, rep):
        site.deal(who, 3, SalesPotential=100.0)
    expected = {
        (who, TODAY, metric): n
        for who in (ada, rep)
        for metric, n in (("opps_open", 1), ("pipeline_amount", 100))
    }
    for ignoring in (
        {"CountOpportunities", "SumSalesPotential"},
        {"SumSalesPotential"},
        {"CountOpportunities"},
    ):
        site.server.ignores = frozenset(ignoring)
        parts = await collected(site.connector(), DAY, COUNTS)
        assert numbers(parts) == expected, ignoring


async def test_a_bad_row_beyond_those_that_are_named_costs_its_day_as_well(site: Site) -> None:
    _, rep = people_of(site, 1)
    for n in range(60):
        site.won(rep, 0 if n < 55 else 1, 5, SalesPotential="much")
    window = Window(TODAY - timedelta(days=1), TODAY)
    site.won(rep, 1, 5, CreateDate=None)
    parts = await collected(site.connector(), window, frozenset(OUTCOMES))
    assert len([fault for part in parts for fault in part.faults]) == 50
    coverage = coverage_of(parts)
    assert coverage["cycle_days", window.since][0] is PARTIAL
