"""How people behave: the written model (docs/company.md explains it). Numbers and pure functions, nothing that happens.

A person has an **archetype**, from which their engagement with the CRM over the weeks and their habits are drawn. A habit
is the chance that they do what is due when they look at a record. A **barrier** takes nearly all of one habit away for a
time. A **tip** that is read and has an effect makes them mend the records it names within 72 hours and raises the habit
by a small step; how often it has one depends on its family alone, on how many messages they read in the last week, and on
whether a barrier stands.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sandbox.company.firm import ADMIN, ADOPTION_LEAD, MANAGER, SPONSOR, Person

HABITS = (
    "close_date",
    "next_step",
    "activities",
    "step",
    "amount",
    "account",
    "tasks",
    "entering",
    "contacts",
    "leads",
)
"""Keeps close dates, next steps, logs activities, moves steps, fills amounts and accounts, finishes tasks, enters deals,
contacts and leads."""

CHAMPION, STEADY, SLOW, NEVER = "champion", "steady", "slow", "never"


@dataclass(frozen=True, slots=True)
class Archetype:
    """`share` of the people; `level`: engagement in the long run, least and most; `habit`: the same for each habit."""

    name: str
    share: float
    level: tuple[float, float]
    habit: tuple[float, float]


ARCHETYPES = (
    Archetype(CHAMPION, 0.14, (0.75, 0.95), (0.70, 0.97)),
    Archetype(STEADY, 0.40, (0.50, 0.75), (0.45, 0.85)),
    Archetype(SLOW, 0.30, (0.25, 0.50), (0.20, 0.60)),
    Archetype(NEVER, 0.16, (0.04, 0.15), (0.05, 0.30)),
)


@dataclass(frozen=True, slots=True)
class Family:
    """The true effect of tips of one family.

    `habit`: what it is about. `lift`: added chance that a named record is mended within 72 h of the message, given that
    it is read, is the first that week and no barrier stands. `step`: how much an effect raises the habit for good.
    `annoys`: chance that who reads it stays away from the CRM for the rest of the week.
    """

    habit: str
    lift: float
    step: float
    annoys: float = 0.0


FAMILIES: Mapping[str, Family] = {
    "past_close_date": Family("close_date", 0.34, 0.020),
    "no_next_step": Family("next_step", 0.24, 0.020),
    "missing_amount": Family("amount", 0.20, 0.015),
    "no_activity": Family("activities", 0.14, 0.010),
    "first_weeks": Family("entering", 0.12, 0.010),
    "missing_account": Family("account", 0.0, 0.0),
    "open_long": Family("step", 0.0, 0.0),
    "stuck_step": Family("step", 0.0, 0.0, annoys=0.06),
}
WEARS_OFF = 0.6
"""The chance of an effect is multiplied by this for every other message read in the seven days before."""
WITHIN_HOURS = 72
MEND_BY = 0.1
"""What is left of a habit while a barrier stands on it."""
HIGHEST = 0.97

CAUSES: Mapping[str, Mapping[str, float]] = {
    "close_date": {"system": 4, "policy": 2, "communication": 2, "reward": 2, "leadership": 1},
    "next_step": {"time": 4, "skill": 3, "process": 3, "reward": 2},
    "activities": {"time": 4, "system": 4, "skill": 2, "reward": 2, "job_design": 2},
    "step": {"process": 4, "communication": 3, "policy": 2, "leadership": 1},
    "amount": {"process": 3, "policy": 3, "data": 2, "skill": 1},
    "account": {"data": 5, "system": 3, "process": 2, "job_design": 1},
}
"""Why a habit can be blocked, with weights."""
BLOCKED_SHARE = 0.28
"""Share of the people who meet a barrier: from ten weeks before the start on, most of them in its first months."""
LIFTED_SHARE = 0.55
"""Share of the barriers that lift by themselves within half a year."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """What stands in somebody's way: on which habit, why, from when, and until when (None: for good)."""

    habit: str
    cause: str
    since: date
    until: date | None

    def stands(self, day: date) -> bool:
        """Whether it stands on that day."""
        return self.since <= day and (self.until is None or day < self.until)


@dataclass(frozen=True, slots=True)
class Nature:
    """What is hidden in a person. `level`: engagement in the long run; `honeymoon`: how much more there is at first;
    `dip`: how far it falls when the novelty is gone; `mood`: how much weeks differ.
    """

    archetype: str
    level: float
    honeymoon: float
    dip: float
    mood: float
    habits: Mapping[str, float]
    barriers: tuple[Barrier, ...]
    goal: str
    candour: float
    """How readily they answer in words."""
    secrecy: float
    """How readily they want their words passed on without their name."""
    irony: float

    def barrier(self, habit: str, day: date) -> Barrier | None:
        """What stands in the way of a habit on that day."""
        return next((each for each in self.barriers if each.habit == habit and each.stands(day)), None)


def nature(seed: int, person: Person, start: date, weeks: int) -> Nature:
    """What is hidden in somebody, from the seed."""
    rng = random.Random(f"nature|{seed}|{person.number}")
    kind = rng.choices(ARCHETYPES, [each.share for each in ARCHETYPES])[0]
    if person.role in (SPONSOR, ADOPTION_LEAD, ADMIN):
        kind = ARCHETYPES[1]
    elif person.role == MANAGER and kind.name == NEVER:
        kind = ARCHETYPES[2]
    habits = {
        habit: min(HIGHEST, max(0.02, rng.uniform(*kind.habit) + rng.gauss(0, 0.08))) for habit in HABITS
    }
    barriers = []
    if rng.random() < BLOCKED_SHARE:
        habit = rng.choice(list(CAUSES))
        cause = rng.choices(list(CAUSES[habit]), list(CAUSES[habit].values()))[0]
        since = date.fromordinal(start.toordinal() + rng.randrange(-70, max(1, 5 * weeks)))
        until = None
        if rng.random() < LIFTED_SHARE:
            until = date.fromordinal(since.toordinal() + rng.randrange(21, 120))
        barriers.append(Barrier(habit, cause, since, until))
    return Nature(
        archetype=kind.name,
        level=rng.uniform(*kind.level),
        honeymoon=rng.uniform(0.15, 0.5),
        dip=rng.uniform(0.02, 0.2),
        mood=rng.uniform(0.02, 0.10),
        habits=habits,
        barriers=tuple(barriers),
        goal=rng.choices(("performance", "productivity", "personal"), (5, 4, 2))[0],
        candour=rng.betavariate(2, 3),
        secrecy=rng.random(),
        irony=rng.betavariate(1, 6),
    )


def engagement(of: Nature, weeks: float, mood: float) -> float:
    """How much somebody works with the CRM, 0.02 to 0.98, so many weeks after they got it.

    A honeymoon that wears off with a half-life of a week and a half, a dip around the fifth week, and their own level,
    which they reach to two thirds after five weeks. `mood`: -1 to 1, this week's.
    """
    if weeks < 0:
        return 0.02
    settled = of.level * (1 - math.exp(-(weeks + 1) / 5))
    early = of.honeymoon * math.exp(-weeks / 2.2)
    dip = of.dip * math.exp(-(((weeks - 5) / 2.5) ** 2))
    return min(0.98, max(0.02, settled + early - dip + of.mood * mood))


def unit(*key: object) -> float:
    """A number from 0 up to 1, the same for the same key."""
    digest = hashlib.blake2b("|".join(map(str, key)).encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / (1 << 56)


def effect_chance(family: str, *, read_this_week: int, blocked: bool) -> float:
    """The chance that a tip which is read makes somebody mend a named record, beyond what they would have done."""
    if blocked:
        return 0.0
    return FAMILIES[family].lift * float(WEARS_OFF**read_this_week)
