"""Open records of a CRM without a history: which are counted, which are worst, and what a message may say of them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.connectors.open_records import DEAL_FLAWS, OpenDeal, OpenTask, is_flawed, worst
from bot.domain.usage import GRACE_DAYS, QUIET_DAYS, STUCK_DAYS

TODAY = date(2026, 11, 20)


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def deal(**said: object) -> OpenDeal:
    return OpenDeal("D1", "U1", **said)  # type: ignore[arg-type]  # each test says what it is about


@pytest.mark.parametrize(
    ("metric", "just", "not_yet"),
    [
        ("opps_past_close", deal(close=ago(1)), deal(close=TODAY)),
        ("opps_no_next_step", deal(created=ago(GRACE_DAYS)), deal(created=ago(GRACE_DAYS - 1))),
        ("opps_missing_amount", deal(created=ago(GRACE_DAYS)), deal(created=ago(GRACE_DAYS), amount=0.0)),
        ("opps_missing_account", deal(created=ago(GRACE_DAYS)), deal(created=ago(90), account="Acme")),
        ("opps_no_activity_30d", deal(last_activity=ago(QUIET_DAYS)), deal(created=ago(QUIET_DAYS - 1))),
        ("opps_no_activity_30d", deal(created=ago(QUIET_DAYS)), deal(created=ago(90), last_activity=TODAY)),
        ("opps_stuck_step", deal(step_since=ago(STUCK_DAYS)), deal(step_since=ago(STUCK_DAYS - 1))),
        ("opps_stuck_step", deal(created=ago(STUCK_DAYS)), deal(created=ago(90), step_since=ago(3))),
    ],
)
def test_a_flaw_begins_on_its_day(metric: str, just: OpenDeal, not_yet: OpenDeal) -> None:
    assert (is_flawed(metric, just, TODAY), is_flawed(metric, not_yet, TODAY)) == (True, False)


def test_a_record_that_says_nothing_is_open_and_nothing_else() -> None:
    assert [metric for metric in DEAL_FLAWS if is_flawed(metric, deal(), TODAY)] == ["opps_open"]


DAYS = st.none() | st.integers(-40, 400).map(ago)
DEALS = st.lists(
    st.builds(
        OpenDeal,
        id=st.uuids().map(str),
        owner=st.just("U1"),
        name=st.text(max_size=3),
        created=DAYS,
        close=DAYS,
        amount=st.none() | st.floats(0, 9),
        next_step=st.sampled_from(["", "call"]),
        account=st.sampled_from(["", "Acme"]),
        step=st.sampled_from(["", "Offer"]),
        step_since=DAYS,
        last_activity=DAYS,
    ),
    max_size=8,
)


@given(DEALS, st.sampled_from(sorted(DEAL_FLAWS)), st.integers(0, 9))
def test_the_count_is_of_all_and_the_named_are_the_worst_of_them(
    deals: list[OpenDeal], metric: str, limit: int
) -> None:
    count, named = worst(metric, deals, limit, TODAY, "https://crm.example.com/{id}")
    assert count == sum(is_flawed(metric, each, TODAY) for each in deals)
    assert len(named) == min(count, limit)
    assert worst(metric, reversed(deals), limit, TODAY, "https://crm.example.com/{id}") == (count, named)
    assert all(each.link == f"https://crm.example.com/{each.id}" for each in named)
    assert all(each.name and all(each.details.values()) for each in named)


def test_tasks_are_worst_by_how_late_they_are_and_without_a_link_there_is_none() -> None:
    tasks = [OpenTask("T1", "U1", "Offer", ago(2)), OpenTask("T2", "U1", "", ago(9)), OpenTask("T3", "U1")]
    count, named = worst("tasks_overdue", tasks, 2, TODAY, "")
    assert (count, [each.name for each in named]) == (3, ["T2", "Offer"])
    assert named[0].details == {"due_date": ago(9).isoformat(), "days_past": "9"}
    assert named[0].link is None
