"""Nudging: from evidence to one decision. Types here; :func:`decide` is the one planner for every kind of message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from bot.domain.behaviours import Behaviour
from bot.domain.usage import CoverageStatus, RecordRef


@dataclass(frozen=True, slots=True)
class Profile:
    """A person's use of the CRM as of a day: what every trigger and rule reads, and nothing else.

    ``snapshot``: state metrics as of ``day``; ``sums_7d``, ``sums_28d``: event metrics.
    ``coverage``: per metric, the worst status over the days that the profile reads; a metric that is absent is
    ``unsupported``. ``meaningful_28d``: meaningful days M; ``workdays_28d``: the person's working days in that time.
    """

    person: str
    role: str
    day: date
    snapshot: Mapping[str, float]
    sums_7d: Mapping[str, float]
    sums_28d: Mapping[str, float]
    coverage: Mapping[str, CoverageStatus]
    meaningful_28d: int
    workdays_28d: int
    weeks_since_access: int | None
    stage: str | None = None

    def known(self, *metrics: str) -> bool:
        """Whether all these metrics may be read (coverage ``ok``). No data is never no use."""
        return all(self.coverage.get(metric) is CoverageStatus.OK for metric in metrics)

    @property
    def l20(self) -> float:
        """Meaningful days in 20 working days, rescaled for part-time and absence (science.md §3.2)."""
        return 20.0 * self.meaningful_28d / self.workdays_28d if self.workdays_28d else 0.0


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a trigger found: a reason to speak, with the metric and the count that make it timely.

    ``metric`` names the records to read (``Connector.evidence``), None when the message names no records.
    ``coin``: whether a coin decides (False: it was asked for, or it is no nudge).
    """

    trigger: str
    version: int
    behaviour: str
    count: int
    metric: str | None
    reads: tuple[str, ...]
    """Metrics that were read: shown under "Why this?" and checked against coverage."""


Propose = Callable[[Profile, Mapping[str, Behaviour]], Proposal | None]


@dataclass(frozen=True, slots=True)
class Trigger:
    """What makes a tip timely: one file in bot/nudges/ each, found by its type.

    ``behaviour``: what it is about, "" when each of its tips says so. ``reads``: metrics that ``propose`` looks at; it is
    asked only when all of them are known (coverage ``ok``) and fresh. ``own_records``: it speaks of the present state of
    the person's own records, as a first tip has to. ``propose`` is pure: profile and behaviours in force in, a reason to
    speak or None out.
    """

    name: str
    version: int
    behaviour: str
    reads: tuple[str, ...]
    propose: Propose
    own_records: bool = True


@dataclass(frozen=True, slots=True)
class Evidence:
    """The records that a message names, as the CRM had them ``as_of``. ``count``: how many there are in all."""

    metric: str
    count: int
    records: tuple[RecordRef, ...]
    as_of: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that could be sent. ``action`` is the tip's id (or the kind's name); ``goal`` its WIIFM."""

    kind: str
    action: str
    version: int
    behaviour: str | None = None
    goal: str | None = None
    proposal: Proposal | None = None
    evidence: Evidence | None = None
    coin: bool = True


@dataclass(frozen=True, slots=True)
class Declined:
    """A candidate that could not be chosen, and why (D4: losers are logged with reason)."""

    action: str
    kind: str
    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One row per decision point, also for "none" (science.md §8.1).

    ``available``: whether anything could have been sent; ``reason``: why nothing is (None when something is).
    ``probabilities`` sum to 1 over the eligible actions and ``none`` when a coin was thrown, else are empty;
    ``draw`` is u in [0, 1), None without a coin. ``action`` is ``none`` or the chosen action.
    ``held_out``: the coin said none. ``until``: when the reason may end.
    """

    id: str
    person: str
    at: datetime
    point: str
    """``slot`` or the name of the event that opened the decision point."""
    policy: str
    available: bool
    action: str
    kind: str | None
    reason: str | None
    chosen: Candidate | None
    eligible: tuple[str, ...] = ()
    probabilities: Mapping[str, float] = field(default_factory=dict)
    draw: float | None = None
    held_out: bool = False
    declined: tuple[Declined, ...] = ()
    until: datetime | None = None
