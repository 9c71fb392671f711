"""Dated numbers of people, packed: 17 bytes a row, by day, so that a million rows are a small thing to hold."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping

from bot.domain.usage import METRICS, MetricKind

KEYS = tuple(METRICS)
NUMBER = {key: number for number, key in enumerate(KEYS)}
_PRESENCE = frozenset(number for number, key in enumerate(KEYS) if METRICS[key].kind is MetricKind.PRESENCE)


class _Rows:
    __slots__ = ("line", "metric", "value", "who")

    def __init__(self) -> None:
        self.who = array("i")
        self.metric = array("B")
        self.value = array("d")
        self.line = array("q")


class EventLog:
    """Rows (day, person, metric, value). People are numbered by whoever fills it; days are ordinals."""

    def __init__(self) -> None:
        self._days: dict[int, _Rows] = {}

    def add(self, day: int, who: int, metric: int, value: float, line: int = 0) -> None:
        """Add a row. ``metric``: its number in NUMBER. ``line``: where it was, for :meth:`settle_doubles`."""
        rows = self._days.get(day)
        if rows is None:
            rows = self._days[day] = _Rows()
        rows.who.append(who)
        rows.metric.append(metric)
        rows.value.append(value)
        rows.line.append(line)

    def settle_doubles(self, contradicts: Callable[[int, int], None]) -> int:
        """Keep the first row of each (day, person, metric). Returns how many said the same again.

        ``contradicts(line, first_line)`` is told of rows with another value.
        """
        repeated = 0
        for day in sorted(self._days):
            rows = self._days[day]
            first: dict[int, int] = {}
            keep: list[int] = []
            for at, (who, metric) in enumerate(zip(rows.who, rows.metric, strict=True)):
                key = who * 256 + metric
                seen = first.setdefault(key, at)
                if seen == at:
                    keep.append(at)
                elif rows.value[seen] == rows.value[at]:
                    repeated += 1
                else:
                    contradicts(rows.line[at], rows.line[seen])
            if len(keep) < len(rows.who):
                kept = self._days[day] = _Rows()
                kept.who = array("i", (rows.who[at] for at in keep))
                kept.metric = array("B", (rows.metric[at] for at in keep))
                kept.value = array("d", (rows.value[at] for at in keep))
            self._days[day].line = array("q")  # nobody asks any more
        return repeated

    def absorb(self, other: EventLog) -> None:
        """Add all rows of another log; it must not be used any more."""
        for day, rows in other._days.items():
            mine = self._days.get(day)
            if mine is None:
                self._days[day] = rows
            else:
                mine.who.extend(rows.who)
                mine.metric.extend(rows.metric)
                mine.value.extend(rows.value)

    def of_day(self, day: int, wanted: frozenset[int]) -> dict[int, dict[str, float]]:
        """Person -> metric -> sum on that day, of the wanted metrics; a presence is 1 however often it is there."""
        found: dict[int, dict[str, float]] = {}
        rows = self._days.get(day)
        if rows is None:
            return found
        for who, metric, value in zip(rows.who, rows.metric, rows.value, strict=True):
            if metric in wanted:
                values = found.setdefault(who, {})
                key = KEYS[metric]
                if metric in _PRESENCE:
                    values[key] = 1.0 if value > 0 or values.get(key) else 0.0
                else:
                    values[key] = values.get(key, 0.0) + value
        return found

    def first_days(self) -> Mapping[int, int]:
        """Person -> their first day in the log."""
        found: dict[int, int] = {}
        for day in sorted(self._days, reverse=True):
            for who in set(self._days[day].who):
                found[who] = day
        return found

    def days(self) -> Iterator[int]:
        """Days with a row, in no order."""
        return iter(self._days)
