"""What the contract of connectors needs to know of one kind: a small CRM to open, and what may happen to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from bot.domain.usage import METRICS, MetricKind


@dataclass(frozen=True)
class World:
    """A CRM with at least two people, events on several days up to ``through``, and open records out of order on it.

    ``build(folder)``: make it; the settings that ``ConnectorKind.open`` takes. ``go_on(folder)``: what happens after
    ``through``: new records, closings, new people's first rows. ``spoil(folder)``: one row that cannot be read, beside the
    good ones; gives a word that its fault must say. ``take_away(folder)``: nothing can be read any more.
    ``states_are_of_now``: the CRM keeps no history of what is open; ``go_on`` then ends more than a week after ``through``.
    ``sampled``: other metrics that it tells of the running day only. ``settling``: metrics whose rows come late, so that of
    the newest days they may not be read yet.
    """

    name: str
    since: date
    through: date
    build: Callable[[Path], Mapping[str, Any]]
    go_on: Callable[[Path], None]
    spoil: Callable[[Path], str]
    take_away: Callable[[Path], None]
    states_are_of_now: bool = False
    sampled: frozenset[str] = frozenset()
    settling: frozenset[str] = frozenset()

    @property
    def of_now(self) -> frozenset[str]:
        """Metrics that the CRM forgets when the day is over."""
        states = {key for key, metric in METRICS.items() if metric.kind is MetricKind.SNAPSHOT}
        return self.sampled | (states if self.states_are_of_now else frozenset())
