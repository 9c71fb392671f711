"""Adoption stages of a person: features, rules with hysteresis, evidence (reference/science.md §3)."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class WeekFeatures:
    """Features of one person for the ISO week that starts on ``week`` (a Monday), as known at its end.

    ``f4``, ``f8``: weeks with a meaningful day among the last 4 / 8 counted ones; ``l20``: meaningful days in the last
    20 working days; ``breadth``: share of core behaviours done in 28 days, None if fewer than three are covered;
    ``outcome_yield``: empirical-Bayes yield, None if uncovered; ``opinion``: -1..1 or None.
    ``skipped``: three or more days off: the week is not counted. ``covered``: the metrics behind it were ``ok``.
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


@dataclass(frozen=True, slots=True)
class StageState:
    """Where a person stands after a week. ``facts``: the two facts that decided it, ready to be read by the person.

    ``passes`` and ``fails``: weeks in a row in which the next stage's entry, or this stage's leave rule, held.
    ``total``: meaningful days so far (CUM). ``confidence``: ``normal`` or ``low``.
    """

    stage: str
    since: date
    passes: int = 0
    fails: int = 0
    total: int = 0
    confidence: str = "normal"
    facts: tuple[str, ...] = ()
    version: int = STAGE_RULES_VERSION
