"""What one list said, counted row by row until it was read to its end; and what of it cannot be read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from bot.domain.usage import RowFault

MOST_FAULTS = 50
"""Rows of one list that are named when they cannot be read; the others are counted."""


@dataclass
class Tally:
    """``rows``: how many; ``unowned``: of nobody; ``unread``: that cannot be read, and are not named any more.

    ``strange``: words that nobody told us the meaning of, by day; ``kinds``: what kinds of rows there were.
    """

    numbers: dict[tuple[str, str, date], float] = field(default_factory=lambda: defaultdict(float))
    faults: list[tuple[RowFault, tuple[str, ...], date | None]] = field(default_factory=list)
    strange: dict[date, set[str]] = field(default_factory=lambda: defaultdict(set))
    kinds: set[str] = field(default_factory=set)
    rows: int = 0
    unowned: int = 0
    unread: int = 0
    spoiled: dict[tuple[tuple[str, ...], date | None], str] = field(default_factory=dict)
    """(metrics, day) that rows cost which are not named -> why, of one of them."""

    def add(self, metric: str, who: str, day: date, number: float = 1.0) -> None:
        """So much more."""
        self.numbers[metric, who, day] += number

    def fault(
        self, kind: str, error: ValueError, metrics: Iterable[str], day: date | None = None, column: str = ""
    ) -> None:
        """A row that cannot be read; ``day`` None: it may be of any."""
        touched = tuple(metrics)
        if len(self.faults) < MOST_FAULTS:
            fault = RowFault(kind, self.rows, column, str(error), dropped=not column)
            self.faults.append((fault, touched, day))
        else:
            self.unread += 1
            self.spoiled.setdefault((touched, day), str(error))
