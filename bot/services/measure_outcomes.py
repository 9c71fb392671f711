"""Measure what came of decisions: 72 hours, 7 and 28 days later, by the same rule whether a tip was sent or held out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timedelta

from bot.domain.behaviours import BehaviourKind
from store import decisions, usage
from store.database import UnitOfWork
from store.decisions import OUTCOMES, DecisionRow, Outcome

BATCH = 500
ENOUGH = 0.95
"""Coverage under which an outcome stays empty: it is never filled with 0, because no data is no zero."""
PATIENCE = timedelta(days=7)
"""How long to wait for the CRM to be read to the end of a window; raw usage is kept just as long."""
AGAIN = timedelta(hours=6)
EVERY = timedelta(hours=6)
"""Outcomes become due one by one, and nobody waits for them: they are measured together."""
_ORDER = tuple(OUTCOMES)


def measure(uow: UnitOfWork, now: datetime) -> int:
    """Settle a batch of outcomes that are due; returns how many decisions were looked at, 0 when none is due."""
    outcomes = _due(uow, now)
    decisions.keep_outcomes(uow, outcomes)
    return len(outcomes)


def next_outcome(uow: UnitOfWork) -> datetime | None:
    """When the next outcomes are measured; None when all are."""
    return together(decisions.next_outcome_due(uow))


def together(due: datetime | None) -> datetime | None:
    """The next of the four hours of a day (UTC) at which outcomes are measured."""
    if due is None:
        return None
    behind = timedelta(seconds=due.timestamp() % EVERY.total_seconds())
    return due + (EVERY - behind) if behind else due


def _due(uow: UnitOfWork, now: datetime) -> list[Outcome]:
    groups: defaultdict[tuple[str, date, date, str], list[DecisionRow]] = defaultdict(list)
    for row in decisions.outcome_due(uow, now, BATCH):
        window = next(name for name in _ORDER if getattr(row, f"coverage_{name}") is None)
        source = str(row.context.get("source", ""))
        through = row.local_day + timedelta(days=OUTCOMES[window] - 1)
        groups[source, row.local_day, through, window].append(row)
    read_to = {name: each.watermark for name, each in usage.sources(uow).items()}
    found: list[Outcome] = []
    for (source, since, through, window), rows in sorted(groups.items()):
        watermark = read_to.get(source)
        if (watermark is None or watermark < through) and now < _end(rows[0], window) + PATIENCE:
            found += [Outcome(row.id, None, None, None, now + AGAIN) for row in rows]
            continue
        ids = [row.person for row in rows]
        sums = usage.sums(uow, ids, since, through)
        states = usage.snapshots(uow, ids, through, through)
        shares: dict[tuple[str, ...], float] = {}
        for row in rows:
            metrics = tuple(str(metric) for metric in row.context.get("target_metrics", ()))
            is_state = row.context.get("target_kind") == BehaviourKind.STATE
            if metrics not in shares:
                first = through if is_state else since
                shares[metrics] = round(decisions.covered_share(uow, source, metrics, first, through), 4)
            value = None
            if shares[metrics] >= ENOUGH:
                value = (
                    _improved(row, metrics, states.get(row.person, {}))
                    if is_state
                    else sum(sums.get(row.person, {}).get(metric, 0.0) for metric in metrics)
                )
            found.append(Outcome(row.id, window, value, shares[metrics], _next(row, window)))
    return found


def _improved(row: DecisionRow, metrics: tuple[str, ...], state: Mapping[str, float]) -> float | None:
    """Records out of order at the decision minus those at the end; None where either is not known."""
    before, after = row.context.get("baseline"), state.get(metrics[0])
    return None if before is None or after is None else float(before) - after


def _end(row: DecisionRow, window: str) -> datetime:
    return row.at + timedelta(days=OUTCOMES[window])


def _next(row: DecisionRow, window: str) -> datetime | None:
    later = _ORDER[_ORDER.index(window) + 1 :]
    return _end(row, later[0]) if later else None
