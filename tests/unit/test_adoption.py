"""Stages of a person: rules with hysteresis, evidence in words, and nothing made of logins or missing data."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.content.load import load
from bot.content.wording import message
from bot.domain.adoption import (
    BUILDING_MOMENTUM,
    FULL_STEAM,
    HONEYMOON,
    LIVING_TOGETHER,
    OUTCOMES,
    STAGES,
    Fact,
    StageState,
    Week,
    WeekFeatures,
    advance,
    dispersion,
    outcome_yield,
    week_features,
)
from bot.domain.usage import METRICS

MONDAY = date(2026, 3, 2)
STRONG = WeekFeatures(
    week=MONDAY,
    meaningful_days=4,
    weeks_exposed=20,
    live=True,
    f4=4,
    f8=8,
    l20=15.0,
    breadth=0.8,
    outcome_yield=1.0,
    active=15,
    done=4,
    asked=5,
)
WEAK = replace(STRONG, f4=1, f8=2, l20=2.0, breadth=0.1, outcome_yield=0.2, active=2, done=0)
MIDDLING = replace(STRONG, f4=3, f8=7, l20=9.0, breadth=0.4, outcome_yield=0.7)


def after(start: StageState | None, *weeks: WeekFeatures) -> StageState:
    state = start
    for number, week in enumerate(weeks):
        state = advance(state, replace(week, week=MONDAY + timedelta(weeks=number)))
    assert state is not None
    return state


def at(stage: str) -> StageState:
    return StageState(stage, MONDAY, total=40)


def test_everybody_begins_in_honeymoon_and_leaves_it_at_once_with_five_days() -> None:
    early = replace(STRONG, weeks_exposed=1, meaningful_days=3)
    one = after(None, early)
    assert (one.stage, one.total) == (HONEYMOON, 3)
    assert one.facts == (Fact("total_days", {"days": 3}), Fact("week_number", {"week": 1}))
    assert after(None, early, early).stage == LIVING_TOGETHER


def test_honeymoon_ends_in_week_six_whatever_was_done() -> None:
    idle = replace(WEAK, meaningful_days=0, weeks_exposed=5)
    assert after(None, idle).stage == HONEYMOON
    assert after(None, replace(idle, weeks_exposed=6)).stage == LIVING_TOGETHER


def test_before_go_live_nobody_leaves_honeymoon() -> None:
    assert after(None, *[replace(STRONG, live=False)] * 10).stage == HONEYMOON


def test_two_passes_in_a_row_promote_by_one_step() -> None:
    one = after(at(LIVING_TOGETHER), STRONG)
    assert (one.stage, one.passes) == (LIVING_TOGETHER, 1)
    two = after(at(LIVING_TOGETHER), STRONG, STRONG)
    assert (two.stage, two.passes, two.since) == (BUILDING_MOMENTUM, 0, MONDAY + timedelta(weeks=1))
    assert after(at(LIVING_TOGETHER), STRONG, STRONG, STRONG).stage == BUILDING_MOMENTUM
    assert after(at(LIVING_TOGETHER), *[STRONG] * 4).stage == FULL_STEAM
    assert after(at(LIVING_TOGETHER), STRONG, WEAK, STRONG).stage == LIVING_TOGETHER


def test_three_fails_in_a_row_demote_by_one_step() -> None:
    assert after(at(FULL_STEAM), WEAK, WEAK).stage == FULL_STEAM
    assert after(at(FULL_STEAM), WEAK, WEAK, WEAK).stage == BUILDING_MOMENTUM
    assert after(at(FULL_STEAM), WEAK, WEAK, STRONG, WEAK, WEAK).stage == FULL_STEAM
    assert after(at(FULL_STEAM), *[WEAK] * 30).stage == LIVING_TOGETHER


def test_between_the_lines_nothing_moves() -> None:
    assert after(at(BUILDING_MOMENTUM), *[MIDDLING] * 20).stage == BUILDING_MOMENTUM


@pytest.mark.parametrize("stage", STAGES)
def test_missing_data_never_lowers_a_stage(stage: str) -> None:
    dark = replace(WEAK, covered=False)
    held = after(at(stage), *[dark] * 10)
    assert STAGES.index(held.stage) >= STAGES.index(stage)
    assert held.confidence == "low"
    few = replace(WEAK, breadth=None, asked=2)
    held = after(at(stage), *[few] * 10)
    assert STAGES.index(held.stage) >= STAGES.index(stage)


def test_with_too_few_behaviours_the_stage_is_held_and_says_why() -> None:
    few = replace(STRONG, breadth=None, asked=2)
    held = after(at(LIVING_TOGETHER), *[few] * 5)
    assert (held.stage, held.confidence) == (LIVING_TOGETHER, "low")
    assert held.facts[1] == Fact("habits_unseen", {"seen": 2})


def test_a_week_of_holidays_is_skipped_not_zeroed() -> None:
    away = replace(WEAK, skipped=True)
    assert after(at(FULL_STEAM), WEAK, WEAK, away, away).stage == FULL_STEAM
    assert after(at(FULL_STEAM), WEAK, WEAK, away, WEAK).stage == BUILDING_MOMENTUM
    weeks = [Week(MONDAY + timedelta(weeks=n), 4, 5) for n in range(8)]
    weeks[6] = replace(weeks[6], meaningful_days=0, workdays=2, days_off=3)
    made = week_features(weeks, weeks_exposed=9, live=True, done=3, asked=6, outcome_yield=None)
    assert (made.f4, made.l20, made.skipped) == (4, 16.0, False)


def test_unknown_yield_and_opinion_neither_promote_nor_block() -> None:
    unknown = replace(STRONG, outcome_yield=None, opinion=None)
    assert after(at(LIVING_TOGETHER), *[unknown] * 4).stage == FULL_STEAM
    cross = replace(STRONG, opinion=-0.1)
    assert after(at(BUILDING_MOMENTUM), *[cross] * 4).stage == BUILDING_MOMENTUM


def test_roles_whose_work_is_weekly_are_judged_by_weeks_and_habits() -> None:
    weekly = replace(STRONG, l20=4.0, daily=False)
    assert after(at(LIVING_TOGETHER), weekly, weekly).stage == BUILDING_MOMENTUM
    assert after(at(LIVING_TOGETHER), replace(weekly, daily=True), weekly).stage == LIVING_TOGETHER


def test_every_stage_comes_with_two_facts_and_a_fall_names_its_cause() -> None:
    assert after(at(LIVING_TOGETHER), STRONG).facts == (
        Fact("meaningful_days", {"days": 15, "of": 20}),
        Fact("habits", {"done": 4, "of": 5}),
    )
    fallen = after(at(FULL_STEAM), *[replace(STRONG, breadth=0.2, done=1)] * 3)
    assert fallen.facts == (
        Fact("habits", {"done": 1, "of": 5}),
        Fact("meaningful_days", {"days": 15, "of": 20}),
    )


def test_where_access_is_unknown_the_facts_say_so_and_name_no_week() -> None:
    early = replace(STRONG, weeks_exposed=1, meaningful_days=3, access_known=False)
    assert after(None, early).facts == (Fact("total_days", {"days": 3}), Fact("access_unknown"))


def facts_there_are() -> dict[str, Fact]:
    """One of each kind, from weeks that bring them about."""
    early = replace(STRONG, weeks_exposed=1, meaningful_days=1)
    single = [after(None, replace(early, **one)) for one in ({}, {"live": False}, {"access_known": False})]  # type: ignore[arg-type]  # a table of changes
    changes: tuple[dict[str, Any], ...] = (
        {},
        {"daily": False},
        {"breadth": None, "asked": 1},
        {"outcome_yield": 0.1},
        {"opinion": -1.0},
    )
    single += [after(at(FULL_STEAM), replace(STRONG, **one)) for one in changes]
    return {fact.key: fact for state in single for fact in state.facts}


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "work in the CRM on 15 of the last 20 working days"),
        ("de", "Arbeit im CRM an 15 der letzten 20 Arbeitstage"),
    ],
)
def test_every_fact_behind_a_stage_has_words_in_the_reader_s_language(language: str, said: str) -> None:
    content = load()
    facts = facts_there_are()
    assert {f"fact_{key}" for key in facts} == {key for key in content.messages if key.startswith("fact_")}
    words = {
        key: message(content, f"fact_{key}", fact.values, language=language) for key, fact in facts.items()
    }
    assert {each.language for each in words.values()} == {language}
    assert words["meaningful_days"].text == said


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_name_and_a_meaning(stage: str) -> None:
    content = load()
    assert message(content, f"stage_{stage}", {}, language="en").text
    assert "Compass" in message(content, f"means_{stage}", {"crm": "Compass"}, language="en").text


def test_logins_are_no_feature_and_no_outcome() -> None:
    """U2: what a stage is made of has no place for a login."""
    names = {field.name for kind in (Week, WeekFeatures) for field in dataclasses.fields(kind)}
    assert not any("login" in name or "active_day" in name for name in names)
    assert all("active_day" not in metrics for metrics in OUTCOMES.values())
    assert not METRICS["active_day"].meaningful


def test_the_yield_shrinks_towards_one() -> None:
    assert outcome_yield(0, 0) == 1.0
    assert round(outcome_yield(3, 14), 2) == 0.31  # (2 + 3) / (2 + 14)
    assert outcome_yield(1, 6) > outcome_yield(2, 14)


def test_people_who_differ_more_are_shrunk_less() -> None:
    alike = [(10.0, 10.0)] * 30
    apart = [(2.0, 10.0), (18.0, 10.0)] * 15
    assert dispersion(alike) == 50.0
    assert dispersion(apart) == pytest.approx(100 / 54)
    assert dispersion(apart[:10]) == 2.0


features = st.builds(
    WeekFeatures,
    week=st.just(MONDAY),
    meaningful_days=st.integers(0, 5),
    weeks_exposed=st.integers(0, 60),
    live=st.booleans(),
    f4=st.integers(0, 4),
    f8=st.integers(0, 8),
    l20=st.floats(0, 20),
    breadth=st.none() | st.floats(0, 1),
    outcome_yield=st.none() | st.floats(0, 3),
    opinion=st.none() | st.floats(-1, 1),
    skipped=st.booleans(),
    covered=st.booleans(),
    daily=st.booleans(),
)


@given(st.lists(features, max_size=40))
def test_one_step_a_week_never_back_to_honeymoon_and_the_same_again(weeks: list[WeekFeatures]) -> None:
    states: list[StageState] = []
    for number, week in enumerate(weeks):
        before = states[-1] if states else None
        states.append(advance(before, replace(week, week=MONDAY + timedelta(weeks=number))))
        if before is not None:
            step = STAGES.index(states[-1].stage) - STAGES.index(before.stage)
            assert abs(step) <= 1
            assert states[-1].stage != HONEYMOON or before.stage == HONEYMOON
            if not week.covered or week.skipped:
                assert step >= 0
    again: StageState | None = None
    for number, week in enumerate(weeks):
        again = advance(again, replace(week, week=MONDAY + timedelta(weeks=number)))
        assert again == states[number]
