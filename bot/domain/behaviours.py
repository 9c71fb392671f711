"""Behaviours: who does what on which object how often, good enough when. The unit of adoption; never a login."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bot.domain.usage import METRICS, CoverageStatus


class BehaviourKind(StrEnum):
    """``count``: so many events in 28 days. ``state``: open records are in order (``metric`` counts those that are not)."""

    COUNT = "count"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A behaviour that a programme asks of a role.

    ``metrics``: for ``count`` the events that are summed; for ``state`` one snapshot that counts records not in order.
    ``target``: for ``count`` events per 28 days (scaled to the person's working days); for ``state`` the share of open
    records in order, 0..1, at which the behaviour counts as shown. ``tolerance``: for ``state``, records out of order at
    which a person is still left alone (0: none).
    """

    id: str
    name: str
    roles: frozenset[str]
    kind: BehaviourKind
    metrics: tuple[str, ...]
    target: float
    tolerance: int = 0
    core: bool = True
    version: int = 1
    names: Mapping[str, str] = field(default_factory=dict)
    """The name by language; :meth:`name_in` falls back to ``name``, which is English."""

    def name_in(self, language: str) -> str:
        """The name in this language, else in its base language, else in English."""
        base = language.split("-", maxsplit=1)[0]
        return self.names.get(language) or self.names.get(base) or self.name


@dataclass(frozen=True, slots=True)
class Shown:
    """Whether a person shows a behaviour. ``value`` and ``target`` in the unit of the behaviour.

    ``known`` is False when the coverage of any metric is not ``ok``: then nothing may be concluded.
    ``at_target``: the person already does it; never nudge them about it.
    ``done``: it counts towards breadth, the share of behaviours that are done.
    """

    behaviour: str
    known: bool
    value: float | None
    target: float
    at_target: bool
    done: bool
    why: str


def shown(
    behaviour: Behaviour,
    sums_28d: Mapping[str, float],
    snapshot: Mapping[str, float],
    coverage: Mapping[str, CoverageStatus],
    *,
    working_share: float = 1.0,
) -> Shown:
    """Evaluate one behaviour.

    ``working_share``: the person's working days in the window / 20, at most 1, so that a part-timer's target is smaller.
    """
    needed = list(behaviour.metrics) + (["opps_open"] if behaviour.kind is BehaviourKind.STATE else [])
    for metric in needed:
        status = coverage.get(metric, CoverageStatus.UNSUPPORTED)
        if status is not CoverageStatus.OK:
            return Shown(behaviour.id, False, None, behaviour.target, False, False, f"{metric}:{status}")
    if behaviour.kind is BehaviourKind.COUNT:
        value = sum(sums_28d.get(metric, 0.0) for metric in behaviour.metrics)
        target = max(1.0, round(behaviour.target * min(1.0, working_share), 2))
        done = value >= target
        return Shown(behaviour.id, True, value, target, done, done, "counted")
    if any(metric not in snapshot for metric in needed):
        return Shown(behaviour.id, False, None, behaviour.target, False, False, "no-snapshot")
    open_records = snapshot["opps_open"]
    out_of_order = snapshot[behaviour.metrics[0]]
    if open_records <= 0:
        return Shown(behaviour.id, True, None, behaviour.target, True, False, "nothing-open")
    share = 1.0 - out_of_order / open_records
    return Shown(
        behaviour.id,
        True,
        round(share, 4),
        behaviour.target,
        out_of_order <= behaviour.tolerance,
        share >= behaviour.target,
        "counted",
    )


def check(behaviour: Behaviour) -> list[str]:
    """Faults of a behaviour's definition, each a sentence. Logins never make a behaviour."""
    faults = [f"unknown metric {m}" for m in behaviour.metrics if m not in METRICS]
    if not behaviour.metrics:
        faults.append("names no metric")
    if "active_day" in behaviour.metrics:
        faults.append("a login (active_day) is never a behaviour")
    known = [METRICS[m] for m in behaviour.metrics if m in METRICS]
    if behaviour.kind is BehaviourKind.STATE:
        if len(behaviour.metrics) != 1 or any(m.kind != "snapshot" for m in known):
            faults.append("a state behaviour names exactly one snapshot metric")
        if not 0 < behaviour.target <= 1:
            faults.append("the target of a state behaviour is a share between 0 and 1")
    elif any(m.kind != "event" for m in known):
        faults.append("a count behaviour names event metrics only")
    return faults
