"""What is to happen in the workspace later: redeliveries, and what scripted people will do."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Doing = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Appointment:
    """Something to do at `at` (seconds, workspace clock). Those of one `lane` happen one after the other."""

    at: float
    lane: str
    do: Doing


class Agenda:
    """A queue by due time; two things due together keep the order in which they were entered."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Appointment]] = []
        self._count = itertools.count()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, at: float, lane: str, do: Doing) -> None:
        """Enter something to do at `at`, in seconds of the workspace clock."""
        heapq.heappush(self._heap, (at, next(self._count), Appointment(at, lane, do)))

    def next_at(self) -> float | None:
        """When the next thing is due, or None."""
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> list[Appointment]:
        """Remove and return everything due at `now` or before, in order."""
        due: list[Appointment] = []
        while self._heap and self._heap[0][0] <= now:
            due.append(heapq.heappop(self._heap)[2])
        return due
