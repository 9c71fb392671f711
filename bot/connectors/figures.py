"""What the queries of a poll found, put together: facts by person and day, and what may be read of them.

For connectors that ask an interface for grouped numbers. A metric has no status until its query has been answered: what
nobody spoke of is ``error``, never a zero. Zeros are said for everybody listed, on the days that are covered.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from types import MappingProxyType

from bot.domain.usage import (
    METRICS,
    Collected,
    Coverage,
    CoverageStatus,
    MetricKind,
    RowFault,
    UsageFact,
    Window,
)

PART_FACTS = 20_000
"""Facts in one part of a poll, so that a long backfill is kept in steps."""
PERSON_DAYS = 20_000
"""People × days that are held at once: where everybody does everything, a person's day takes a few KB until it is told."""
_GIVEN = frozenset({CoverageStatus.OK, CoverageStatus.PARTIAL})


def days_of(window: Window) -> list[date]:
    """Every day of a window, in order."""
    return [date.fromordinal(day) for day in range(window.since.toordinal(), window.through.toordinal() + 1)]


class Figures:
    """Numbers and coverage of one poll.

    ``wanted``: the metrics that were asked for. ``unsupported``: of those, the ones that this CRM does not say, with the
    reason. ``past``: why a snapshot of another day than ``newest`` is not given, as a rule the last one of the window.
    """

    def __init__(
        self,
        window: Window,
        wanted: Iterable[str],
        unsupported: Mapping[str, str],
        *,
        past: str,
        newest: date | None = None,
    ) -> None:
        self._window = window
        self._wanted = sorted(wanted)
        self._unsupported = unsupported
        self._past = past
        self._newest = newest or window.through
        self._status: dict[tuple[str, date], tuple[CoverageStatus, str]] = {}
        self._values: defaultdict[date, defaultdict[str, dict[str, float]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        self._without_zero: set[str] = set()
        self._faults: list[RowFault] = []
        self._notes: Counter[str] = Counter()

    def add(self, metric: str, user: str, day: date, number: float) -> None:
        """So much more of an event, or a snapshot's number. What is too large to be a number costs its metric that day."""
        if not math.isfinite(number):
            self.mark(metric, [day], CoverageStatus.PARTIAL, "a number is too large to be one")
            return
        values = self._values[day][user]
        values[metric] = values.get(metric, 0.0) + number

    def mark(self, metric: str, days: Iterable[date], status: CoverageStatus, detail: str = "") -> None:
        """What may be read of a metric on these days. The newest word counts, but a row that was bad stays said."""
        for day in days:
            known = self._status.get((metric, day))
            if known is None or known[0] is not CoverageStatus.PARTIAL or status is not CoverageStatus.OK:
                self._status[metric, day] = status, detail

    def leave_empty(self, metric: str) -> None:
        """No zeros for this metric: who has nothing to measure has no number (a share of nothing)."""
        self._without_zero.add(metric)

    def fault(self, fault: RowFault, metrics: Iterable[str], days: Iterable[date]) -> None:
        """A row that cannot be read: named, and whose number it was is not known, so nobody's is read on these days."""
        self._faults.append(fault)
        for metric in metrics:
            self.mark(metric, days, CoverageStatus.PARTIAL, f"a row could not be read: {fault.reason}")

    def note(self, blemish: str, count: int = 1) -> None:
        """Count something that is no fault."""
        self._notes[blemish] += count

    def parts(self, listed: Mapping[str, date | None], left_out: Collection[str] = ()) -> Iterator[Collected]:
        """Facts and coverage in parts of whole days. ``listed``: people -> the first day that they can have worked.

        Whoever is neither listed nor left out has facts as well where there are any: people who left worked until then.
        """
        facts: list[UsageFact] = []
        coverage: list[Coverage] = []
        faults, notes = tuple(self._faults), dict(sorted(self._notes.items()))
        for day in days_of(self._window):
            rows = [Coverage(metric, day, *self._said(metric, day)) for metric in self._wanted]
            coverage += rows
            facts += (fact for fact in self._facts(day, rows, listed) if fact.crm_id not in left_out)
            if len(facts) >= PART_FACTS or day == self._window.through:
                yield Collected(tuple(facts), tuple(coverage), faults, notes)
                facts, coverage, faults, notes = [], [], (), {}

    def _said(self, metric: str, day: date) -> tuple[CoverageStatus, str]:
        known = METRICS.get(metric)
        if known is None:
            return CoverageStatus.UNSUPPORTED, "no such metric"
        if metric in self._unsupported:
            return CoverageStatus.UNSUPPORTED, self._unsupported[metric]
        if known.kind is MetricKind.SNAPSHOT and day != self._newest:
            return CoverageStatus.UNSUPPORTED, self._past
        return self._status.get((metric, day), (CoverageStatus.ERROR, "it was not read"))

    def _facts(
        self, day: date, rows: Sequence[Coverage], listed: Mapping[str, date | None]
    ) -> Iterator[UsageFact]:
        given = [row.metric for row in rows if row.status in _GIVEN]
        zeros = dict.fromkeys((metric for metric in given if metric not in self._without_zero), 0.0)
        nothing = MappingProxyType(zeros)  # shared by all who did nothing that day
        allowed = frozenset(given)
        found: Mapping[str, dict[str, float]] = self._values.get(day, {})
        for user in sorted(found.keys() | listed.keys()):
            since = listed.get(user)
            values = found.get(user)
            if values is not None:
                kept = {key: number for key, number in values.items() if key in allowed}
                if kept or user in listed:
                    yield UsageFact(user, day, zeros | kept)
            elif zeros and (since is None or since <= day):
                yield UsageFact(user, day, nothing)


class Slices:
    """A window in parts, oldest first, of as many days as people × days stays near PERSON_DAYS. Few people: in one.

    A part that had fewer rows than people × days shows that little happens: the next one may be twice as long.
    """

    def __init__(self, window: Window, people: int) -> None:
        self._next, self._last = window.since, window.through
        self._people = people
        days = len(days_of(window))
        parts = max(math.ceil(people * days / PERSON_DAYS), 1)
        self._days = math.ceil(days / parts)

    def __iter__(self) -> Iterator[Window]:
        """The parts; ``had`` may be told what was in each before the next one is asked for."""
        while self._next <= self._last:
            through = min(self._next + timedelta(days=self._days - 1), self._last)
            yield Window(self._next, through)
            self._next = through + timedelta(days=1)

    def had(self, rows: int) -> None:
        """So many rows were read of the part that was given last."""
        if rows < self._people * self._days:
            self._days *= 2


def halves(first: date, last: date) -> tuple[tuple[date, date], tuple[date, date]]:
    """A span of two days or more, cut in the middle."""
    middle = first + timedelta(days=(last - first).days // 2)
    return (first, middle), (middle + timedelta(days=1), last)
