"""Promises of the planner over random people, zones, histories and clocks: nothing over the cap, outside the window, to
somebody at target, on a frozen behaviour, before the welcome, or on data that may not be read.

Each example lives some weeks of one person with the pure planner: slot, postponed, considered, looked up, decided, sent.
The claims are then checked from the trace alone, with arithmetic of their own.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain import attention, nudging
from bot.domain.attention import Presence, Sent
from bot.domain.messages import KINDS, PULSE, TIP, WELCOME
from bot.domain.nudging import GOAL_CHOSEN, NONE, SLOT, Candidate, Case, Decision, History
from bot.domain.people import GOALS, Preferences
from bot.domain.programme import Rules
from bot.domain.usage import METRICS, CoverageStatus
from tests.builders import BEHAVIOURS, TIPS, case, evidence, names_records, person, policy, profile, standing

ZONES = (
    "Europe/Berlin",  # 25 October 2026 and 29 March 2026
    "America/New_York",  # 1 November and 8 March
    "America/St_Johns",  # a half-hour zone with daylight saving
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "Asia/Kolkata",
    "America/Sao_Paulo",
)
STARTS = (date(2026, 3, 2), date(2026, 10, 19), date(2026, 11, 30))
DAYS = 35
METRIC = {"account_filled": "opps_missing_account", "deals_move": "opps_stuck_step"}


@dataclass(frozen=True)
class Life:
    """One random person. Tuples with an entry a day are read by the day's number."""

    zone: str
    start: date
    working_days: tuple[int, ...]
    window: tuple[time, time] | None
    cap: int | None
    goal: str | None
    goal_day: int | None
    welcomed: bool
    frozen_from: dict[str, int]
    holidays: frozenset[date]
    missing: tuple[int, ...]
    stuck: tuple[int, ...]
    status: tuple[CoverageStatus, ...]
    poll_age: tuple[int, ...]
    ignores: tuple[bool, ...]
    dnd_hour: tuple[int, ...]
    pulse_days: frozenset[int]
    never: frozenset[str]


@dataclass
class Trace:
    """What happened: each send with the case it was decided in, and every decision."""

    sends: list[tuple[Decision, Case]] = field(default_factory=list)
    decisions: list[tuple[Decision, Case]] = field(default_factory=list)


def _daily(values: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(values, min_size=7, max_size=7).map(tuple)


MOSTLY_OK = st.sampled_from([CoverageStatus.OK] * 5 + [CoverageStatus.ERROR, CoverageStatus.UNSUPPORTED])
lives = st.builds(
    Life,
    zone=st.sampled_from(ZONES),
    start=st.sampled_from(STARTS),
    working_days=st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    window=st.none() | st.sampled_from([(time(6), time(20)), (time(14), time(15, 30)), (time(9), time(9, 20))]),
    cap=st.none() | st.integers(0, 9),
    goal=st.none() | st.sampled_from(GOALS),
    goal_day=st.none() | st.integers(1, DAYS - 1),
    welcomed=st.booleans(),
    frozen_from=st.dictionaries(st.sampled_from(sorted(METRIC)), st.integers(0, DAYS), max_size=2),
    holidays=st.sets(st.integers(0, DAYS), max_size=4).map(frozenset),
    missing=_daily(st.integers(0, 4)),
    stuck=_daily(st.integers(0, 4)),
    status=_daily(MOSTLY_OK),
    poll_age=_daily(st.sampled_from([2, 8, 20, 29, 31, 80])),
    ignores=_daily(st.booleans()),
    dnd_hour=_daily(st.sampled_from([0, 0, 0, 11, 18])),
    pulse_days=st.sets(st.integers(0, DAYS), max_size=6).map(frozenset),
    never=st.sets(st.sampled_from(sorted(TIPS)), max_size=3).map(frozenset),
)  # fmt: skip


def live(life: Life, rules: Rules | None = None) -> Trace:
    """Play the person's days. What is decided is sent at once; what was not reacted to in 72 hours counts as ignored."""
    shared = policy(rules=rules)
    zone = ZoneInfo(life.zone)
    off = frozenset(life.start + timedelta(days=int(n)) for n in life.holidays)  # type: ignore[call-overload]  # day numbers
    who = person(zone=life.zone, working_days=life.working_days, welcomed_at=None)
    if life.welcomed:
        who = replace(who, welcomed_at=datetime(2026, 1, 5, tzinfo=UTC))
    choices = Preferences("p1", tips_never=life.never, weekly_cap=life.cap)
    if life.window is not None:
        choices = replace(choices, window_start=life.window[0], window_end=life.window[1])
    sends: list[Sent] = []
    history = History()
    trace = Trace()
    at = datetime.combine(life.start, time(9), tzinfo=zone).astimezone(UTC)
    point, goal_day = SLOT, life.goal_day
    for _ in range(20 * DAYS):
        day = at.astimezone(zone).date()
        number = (day - life.start).days
        if number >= DAYS:
            break
        if life.goal is not None and goal_day is not None and number >= goal_day and who.welcomed_at:
            choices, goal_day, point = (
                replace(choices, goal=life.goal, goal_chosen_at=at),
                None,
                GOAL_CHOSEN,
            )
        dnd_hour = life.dnd_hour[number % 7]
        dnd = datetime.combine(day, time(dnd_hour), tzinfo=zone).astimezone(UTC) if dnd_hour else None
        read = profile(
            day=day - timedelta(days=1),
            snapshot={
                "opps_open": 9.0,
                "opps_missing_account": float(life.missing[number % 7]),
                "opps_stuck_step": float(life.stuck[number % 7]),
            },
            coverage={
                **dict.fromkeys(METRICS, CoverageStatus.OK),
                "opps_missing_account": life.status[number % 7],
                "opps_stuck_step": life.status[(number + 3) % 7],
            },
        )
        judged = [
            replace(
                sent,
                ignored=life.ignores[index % 7] if sent.at + timedelta(hours=72) <= at else None,
            )
            for index, sent in enumerate(sends)
        ]
        one = case(
            standing(
                who,
                choices=choices,
                sends=tuple(judged),
                frozen=frozenset(b for b, since in life.frozen_from.items() if number >= since),
                holidays=off,
                presence=Presence(dnd_until=dnd if dnd and dnd > at else None),
            ),
            now=at,
            point=point,
            profile=read,
            history=history,
            read_at=dict.fromkeys(METRICS, at - timedelta(hours=life.poll_age[number % 7])),
            offers=(Candidate(PULSE, f"pulse{number}", 1, coin=False),) if number in life.pulse_days else (),
        )
        moved = nudging.postponed(one, shared)
        if moved is not None:
            assert moved > at
            at = moved
            continue
        decision = _decide(one, shared)
        trace.decisions.append((decision, one))
        if decision.chosen is not None:
            trace.sends.append((decision, one))
            sends.append(Sent(decision.chosen.kind, at, decision.action))
            if decision.kind == WELCOME:
                who = replace(who, welcomed_at=at)
        history = _after(history, decision, one)
        point = SLOT
        following = attention.next_slot(one.standing, shared.rules, day + timedelta(days=1))
        at = following or at + timedelta(days=1)
    return trace


def _decide(one: Case, shared: nudging.Policy) -> Decision:
    considered = nudging.consider(one, shared)
    return nudging.decide(
        one,
        shared,
        nudging.substantiate(considered, evidence(one.profile, one.now), names_records),
    )


def _after(history: History, decision: Decision, one: Case) -> History:
    if decision.kind != TIP or decision.target is None or decision.target.behaviour is None:
        return history
    day, behaviour, action = one.day, decision.target.behaviour, decision.action
    if decision.draw is not None:
        history = replace(history, drawn={**history.drawn, behaviour: day})
    if decision.held_out:
        return replace(history, held_out_at=one.now)
    return replace(
        history,
        spoken={**history.spoken, behaviour: day},
        told={**history.told, action: (*history.told.get(action, ()), day)},
        had_tip=True,
    )


@settings(max_examples=150)
@given(lives)
def test_never_over_the_cap_in_any_seven_days(life: Life) -> None:
    trace = live(life)
    cap = 2 if life.cap is None else min(5, life.cap)
    times = [one.now for decision, one in trace.sends if KINDS[decision.kind or TIP].capped]
    for at in times:
        assert sum(at - timedelta(days=7) < each <= at for each in times) <= cap


@settings(max_examples=150)
@given(lives)
def test_never_outside_the_window_or_on_a_day_off(life: Life) -> None:
    start, end = life.window or (time(9, 30), time(16, 30))
    start, end = max(start, time(8)), min(end, time(18, 30))
    off = {life.start + timedelta(days=int(n)) for n in life.holidays}  # type: ignore[call-overload]  # day numbers
    for _, one in live(life).sends:
        local = one.now.astimezone(ZoneInfo(life.zone))
        assert start <= local.time() < end
        assert local.weekday() in life.working_days
        assert local.date() not in off
        assert one.standing.presence.dnd_until is None or one.standing.presence.dnd_until <= one.now


@settings(max_examples=150)
@given(lives)
def test_never_to_somebody_at_target_or_on_data_that_may_not_be_read(life: Life) -> None:
    for decision, one in live(life).sends:
        if decision.kind != TIP or decision.chosen is None:
            continue
        metric = METRIC[str(decision.chosen.behaviour)]
        tolerance = BEHAVIOURS[str(decision.chosen.behaviour)].tolerance
        assert one.profile.snapshot[metric] > tolerance
        assert one.profile.coverage[metric] is CoverageStatus.OK
        assert one.now - one.read_at[metric] <= timedelta(hours=30)


@settings(max_examples=150)
@given(lives)
def test_never_on_a_behaviour_with_an_open_barrier(life: Life) -> None:
    for decision, one in live(life).sends:
        if decision.chosen is not None and decision.chosen.behaviour is not None:
            since = life.frozen_from.get(decision.chosen.behaviour, DAYS + 1)
            assert (one.day - life.start).days < since


@settings(max_examples=150)
@given(lives)
def test_nothing_before_the_welcome_and_never_two_welcomes(life: Life) -> None:
    kinds = [decision.kind for decision, _ in live(life).sends]
    if life.welcomed:
        assert WELCOME not in kinds
    elif kinds:
        assert kinds[0] == WELCOME
        assert kinds.count(WELCOME) == 1


@settings(max_examples=150)
@given(lives)
def test_two_days_lie_between_messages_unless_the_second_was_asked_for(life: Life) -> None:
    sends = live(life).sends
    for (before, first), (_, second) in itertools.pairwise(sends):
        chosen_at = second.standing.preferences.goal_chosen_at
        asked = before.kind == WELCOME and chosen_at is not None and chosen_at >= first.now
        assert asked or second.now - first.now >= timedelta(hours=48)


@settings(max_examples=150)
@given(lives)
def test_every_decision_has_a_reason_or_an_action_and_sound_probabilities(life: Life) -> None:
    trace = live(life)
    days = [(one.day, one.point) for _, one in trace.decisions]
    assert len(days) == len(set(days))
    for decision, one in trace.decisions:
        assert (decision.reason is None) == (decision.chosen is not None)
        assert decision.action == (decision.chosen.action if decision.chosen else NONE)
        assert decision.available == bool(decision.eligible)
        assert all(each.reason for each in decision.declined)
        assert decision.reason is None or decision.reason.partition(":")[0] in nudging.REASONS
        if decision.draw is None:
            assert decision.probabilities == ({decision.action: 1.0} if decision.available else {})
        else:
            assert abs(sum(decision.probabilities.values()) - 1) < 1e-12
            assert set(decision.probabilities) == {NONE, *decision.eligible}
            assert 0 <= decision.draw < 1
        assert one.day.weekday() in life.working_days


@settings(max_examples=100)
@given(lives)
def test_the_same_rows_give_the_same_decisions(life: Life) -> None:
    assert [decision for decision, _ in live(life).decisions] == [
        decision for decision, _ in live(life).decisions
    ]


@settings(max_examples=150)
@given(lives)
def test_a_behaviour_is_drawn_once_a_week_and_a_text_sent_twice_in_28_days(life: Life) -> None:
    trace = live(life)
    drawn: dict[str, date] = {}
    told: dict[str, list[date]] = {}
    for decision, one in trace.decisions:
        if decision.kind != TIP or decision.target is None:
            continue
        about = {TIPS[each].behaviour for each in decision.eligible}
        if decision.draw is not None:
            assert all(one.day - drawn.get(each, date.min) >= timedelta(days=7) for each in about)
            drawn[str(decision.target.behaviour)] = one.day
        if decision.chosen is not None:
            days = told.setdefault(decision.action, [])
            days.append(one.day)
            assert sum(one.day - each < timedelta(days=28) for each in days) <= 2


@settings(max_examples=150)
@given(lives)
def test_a_coin_that_said_none_keeps_the_distance_that_a_tip_would_have_kept(life: Life) -> None:
    thrown = [(decision, one) for decision, one in live(life).decisions if decision.draw is not None]
    for (before, first), (_, second) in itertools.pairwise(thrown):
        assert second.now - first.now >= timedelta(hours=48), before.held_out


@settings(max_examples=150)
@given(lives)
def test_tips_serve_the_declared_goal_and_no_tip_comes_back_that_was_refused(life: Life) -> None:
    for decision, one in live(life).sends:
        if decision.chosen is not None and decision.kind == TIP:
            goal = one.standing.preferences.goal
            assert goal is None or decision.chosen.goal == goal
            assert decision.action not in life.never


def test_the_lives_are_lively() -> None:
    """The generator reaches what the claims are about: welcomes, tips, coins lost, refusals of many kinds."""
    seen: dict[str, int] = {}

    @settings(max_examples=150, database=None, derandomize=True)
    @given(lives)
    def count(life: Life) -> None:
        for decision, _ in live(life).decisions:
            word = decision.kind if decision.chosen else (decision.reason or "").partition(":")[0]
            seen[str(word)] = seen.get(str(word), 0) + 1

    count()
    wanted = {TIP, WELCOME, PULSE, "hold-out", "weekly-cap", "spacing", "better-day", "no-data", "at-target"}
    wanted |= {"coin-window", "dnd", "barrier-open", "nothing-timely", "cap-zero"}
    assert wanted <= set(seen), (wanted - set(seen), seen)
