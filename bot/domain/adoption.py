"""Adoption stages of a person: features, rules with hysteresis, evidence.

Two months of steady use make the last stage, because a habit takes a median of 66 days (Lally et al. 2010,
doi:10.1002/ejsp.674).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

HONEYMOON = "honeymoon"
LIVING_TOGETHER = "living_together"
BUILDING_MOMENTUM = "building_momentum"
FULL_STEAM = "full_steam_ahead"
STAGES = (HONEYMOON, LIVING_TOGETHER, BUILDING_MOMENTUM, FULL_STEAM)
STAGE_NAMES = {
    HONEYMOON: "Honeymoon",
    LIVING_TOGETHER: "Living Together",
    BUILDING_MOMENTUM: "Building Momentum",
    FULL_STEAM: "Full Steam Ahead",
}
STAGE_RULES_VERSION = 1


HABIT_WEEKS = 4
LONG_WEEKS = 8
FIRST_DAYS = 5
"""Meaningful days after which nobody is a newcomer any more (CUM)."""
FIRST_WEEKS = 6
DAYS_OFF = 3
"""Working days off in a week from which on the week is skipped, not zeroed."""
MIN_BEHAVIOURS = 3
PASSES, FAILS = 2, 3
PRIOR = 2.0
"""Shape of the prior of the outcome yield: what we believe before somebody's first outcome."""
DAILY_ROLES = frozenset({"seller", "sales_development", "customer_success", "service"})
"""Roles whose work in the CRM is daily; others are judged by weeks and habits, not by days."""
OUTCOMES: Mapping[str, tuple[str, ...]] = {
    "seller": ("step_moves",),
    "sales_development": ("records_created.opportunity", "step_moves"),
    "customer_success": ("step_moves", "activities_completed.meeting"),
    "service": ("records_updated.case",),
}
"""What counts as an outcome of work in the CRM, by role: something moved. Roles without an entry have no yield."""


@dataclass(frozen=True, slots=True)
class Week:
    """One person's week, the raw material of the features. ``week``: its Monday. ``workdays``: working days without
    holidays; ``days_off``: those of their working days that were holidays. ``covered``: the numbers may be read.
    """

    week: date
    meaningful_days: int
    workdays: int
    days_off: int = 0
    covered: bool = True

    @property
    def counts(self) -> bool:
        """Whether the week says anything: skipped and uncovered weeks do not, they are not zeroes."""
        return self.covered and self.days_off < DAYS_OFF and self.workdays > 0


@dataclass(frozen=True, slots=True)
class WeekFeatures:
    """Features of one person for the ISO week that starts on ``week`` (a Monday), as known at its end.

    ``f4``, ``f8``: weeks with a meaningful day among the last 4 / 8 counted ones; ``l20``: meaningful days in the last
    20 working days; ``breadth``: share of core behaviours done in 28 days, None if fewer than three are covered;
    ``outcome_yield``: empirical-Bayes yield, None if uncovered; ``opinion``: -1..1 or None.
    ``skipped``: three or more days off: the week is not counted. ``covered``: the metrics behind it were ``ok``.
    ``weeks_exposed``: weeks since access and go-live; ``access_known``: the first of them is not only an assumption.
    ``active`` of ``workdays``: the days behind ``l20``; ``done`` of ``asked``: the core behaviours behind ``breadth``, of
    which ``asked`` are covered. ``daily``: whether the role's work in the CRM is daily.
    """

    week: date
    meaningful_days: int
    weeks_exposed: int
    live: bool
    f4: int
    f8: int
    l20: float
    breadth: float | None
    outcome_yield: float | None
    opinion: float | None = None
    skipped: bool = False
    covered: bool = True
    active: int = 0
    workdays: int = 20
    done: int = 0
    asked: int = 0
    daily: bool = True
    access_known: bool = True


@dataclass(frozen=True, slots=True)
class Fact:
    """What decided a stage: its name and its numbers. The message ``fact_<key>`` puts it into the reader's language."""

    key: str
    values: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageState:
    """Where a person stands after a week. ``facts``: the two facts that decided it.

    ``passes`` and ``fails``: weeks in a row in which the next stage's entry, or this stage's leave rule, held.
    ``total``: meaningful days so far (CUM). ``confidence``: ``normal`` or ``low``.
    """

    stage: str
    since: date
    passes: int = 0
    fails: int = 0
    total: int = 0
    confidence: str = "normal"
    facts: tuple[Fact, ...] = ()
    version: int = STAGE_RULES_VERSION


# --- features ----------------------------------------------------------------------------------------------------


def week_features(
    weeks: Sequence[Week],
    *,
    weeks_exposed: int,
    live: bool,
    done: int,
    asked: int,
    outcome_yield: float | None,
    opinion: float | None = None,
    daily: bool = True,
    access_known: bool = True,
) -> WeekFeatures:
    """Features of the last of ``weeks`` (oldest first, without gaps). Weeks that do not count are left out, not zeroed.

    ``done`` of ``asked``: core behaviours shown, of those whose metrics are covered.
    """
    last = weeks[-1]
    counted = [week for week in weeks if week.counts]
    recent = counted[-HABIT_WEEKS:]
    active, workdays = sum(w.meaningful_days for w in recent), sum(w.workdays for w in recent)
    return WeekFeatures(
        week=last.week,
        meaningful_days=last.meaningful_days,
        weeks_exposed=weeks_exposed,
        live=live,
        f4=sum(week.meaningful_days > 0 for week in recent),
        f8=sum(week.meaningful_days > 0 for week in counted[-LONG_WEEKS:]),
        l20=round(min(20.0, 20.0 * active / workdays), 2) if workdays else 0.0,
        breadth=round(done / asked, 4) if asked >= MIN_BEHAVIOURS else None,
        outcome_yield=outcome_yield,
        opinion=opinion,
        skipped=last.days_off >= DAYS_OFF or last.workdays == 0,
        covered=last.covered,
        active=active,
        workdays=workdays,
        done=done,
        asked=asked,
        daily=daily,
        access_known=access_known,
    )


def dispersion(samples: Sequence[tuple[float, float]]) -> float:
    """Shape a of the role's prior from (events, expected events) of its people, by the method of moments.

    Under the Gamma-Poisson model Var(y) = E + E²/a. PRIOR with fewer than 20 people; held within 0.5 and 50.
    """
    if len(samples) < 20:
        return PRIOR
    excess = sum((events - expected) ** 2 - expected for events, expected in samples)
    squares = sum(expected**2 for _, expected in samples)
    return 50.0 if excess <= 0 else min(50.0, max(0.5, squares / excess))


def outcome_yield(events: float, expected: float, shape: float = PRIOR) -> float:
    """Outcomes against what the person's active days usually bring in their role, shrunk towards 1.

    The posterior mean under a Gamma(a, a) prior and Poisson counts (Clayton & Kaldor 1987, doi:10.2307/2532003).
    """
    return (shape + events) / (shape + expected)


# --- rules -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """Thresholds of one rule. ``f4`` … ``opinion`` as in WeekFeatures; None: not asked."""

    f4: int
    l20: float
    breadth: float
    outcome_yield: float
    f8: int | None = None
    opinion: float | None = None


ENTER: Mapping[str, Line] = {
    BUILDING_MOMENTUM: Line(f4=3, l20=8, breadth=0.34, outcome_yield=0.5),
    FULL_STEAM: Line(f4=4, f8=8, l20=12, breadth=0.67, outcome_yield=0.8, opinion=0.0),
}
LEAVE: Mapping[str, Line] = {
    BUILDING_MOMENTUM: Line(f4=2, l20=6, breadth=0.17, outcome_yield=0.35),
    FULL_STEAM: Line(f4=3, l20=9, breadth=0.5, outcome_yield=0.6, opinion=-0.25),
}


def _short_of(features: WeekFeatures, line: Line) -> Iterator[str]:
    """Which thresholds a week stays below. What is not known stays below nothing: no data is never no use."""
    if features.f4 < line.f4:
        yield "weeks"
    if line.f8 is not None and features.f8 < line.f8:
        yield "long_weeks"
    if features.daily and features.l20 < line.l20:
        yield "days"
    if features.breadth is not None and features.breadth < line.breadth:
        yield "habits"
    if features.outcome_yield is not None and features.outcome_yield < line.outcome_yield:
        yield "yield"
    if line.opinion is not None and features.opinion is not None and features.opinion < line.opinion:
        yield "opinion"


def advance(state: StageState | None, features: WeekFeatures) -> StageState:
    """The stage after one more completed week; None: nobody was assessed before.

    Promoted after two passes in a row, demoted after three fails, one step a week, never back to Honeymoon. A week that is
    skipped or not covered changes nothing but the confidence. Logins are not among the features, so they make no stage.
    """
    if state is None:
        state = StageState(HONEYMOON, features.week)
    state = replace(state, total=state.total + features.meaningful_days, version=STAGE_RULES_VERSION)
    if state.stage == HONEYMOON:
        return _leave_honeymoon(state, features)
    if not features.covered:
        return replace(state, confidence="low")
    if features.skipped:
        return state
    if features.breadth is None:
        return replace(state, confidence="low", facts=_facts(features, ()))
    place = STAGES.index(state.stage)
    fails = tuple(_short_of(features, LEAVE[state.stage])) if state.stage in LEAVE else ()
    if fails:
        state = replace(
            state, passes=0, fails=state.fails + 1, confidence="normal", facts=_facts(features, fails)
        )
        if state.fails < FAILS:
            return state
        return replace(state, stage=STAGES[place - 1], since=features.week, fails=0)
    state = replace(state, fails=0, confidence="normal", facts=_facts(features, ()))
    if state.stage == FULL_STEAM:
        return replace(state, passes=0)
    short = tuple(_short_of(features, ENTER[STAGES[place + 1]]))
    if short:
        return replace(state, passes=0)
    if state.passes + 1 < PASSES:
        return replace(state, passes=state.passes + 1)
    return replace(state, stage=STAGES[place + 1], since=features.week, passes=0)


def _leave_honeymoon(state: StageState, features: WeekFeatures) -> StageState:
    days = Fact("total_days", {"days": state.total})
    confidence = "normal" if features.covered else "low"
    if not features.live:
        return replace(state, facts=(Fact("not_live"), days), confidence=confidence)
    weeks = Fact("week_number", {"week": features.weeks_exposed})
    facts = (days, weeks if features.access_known else Fact("access_unknown"))
    if state.total >= FIRST_DAYS or features.weeks_exposed >= FIRST_WEEKS:
        return replace(state, stage=LIVING_TOGETHER, since=features.week, facts=facts, confidence=confidence)
    return replace(state, facts=facts, confidence=confidence)


def _facts(features: WeekFeatures, fails: Sequence[str]) -> tuple[Fact, Fact]:
    """The two facts that decided, for the person to read: what a week fell short of comes first."""
    known = {
        "days": Fact("meaningful_days", {"days": features.active, "of": features.workdays}),
        "weeks": Fact("active_weeks", {"weeks": features.f4, "of": HABIT_WEEKS}),
        "long_weeks": Fact("active_weeks", {"weeks": features.f8, "of": LONG_WEEKS}),
        "habits": Fact("habits", {"done": features.done, "of": features.asked}),
        "yield": Fact("outcome_yield", {"percent": round(100 * (features.outcome_yield or 0))}),
        "opinion": Fact("opinion"),
    }
    if features.breadth is None:
        known["habits"] = Fact("habits_unseen", {"seen": features.asked})
    order = [*fails, "days" if features.daily else "long_weeks", "habits"]
    first, second = list(dict.fromkeys(order))[:2]
    return known[first], known[second]
