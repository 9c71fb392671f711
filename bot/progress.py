"""Progress on a terminal: days of a replay or the demo, calls of a poll."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class DayBar:
    """Hears of days that are done. ``None`` inside: nothing is shown."""

    def __init__(self, bar: Progress | None) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def tell(self, done: int, total: int, label: str = "") -> None:
        """``done`` of ``total`` days are over; ``label``: which day it is."""
        if self._bar is None:
            return
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task(label, total=total)
        self._bar.update(self._task, completed=max(0, done), description=label)

    def stop(self) -> None:
        """Take it off the screen."""
        if self._bar is not None:
            self._bar.stop()


@contextlib.contextmanager
def day_bar(shown: bool) -> Iterator[DayBar]:
    """A bar on stderr that goes away at the end, or none."""
    if not shown:
        yield DayBar(None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} days"),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
    )
    bar = DayBar(Progress(*columns, console=Console(stderr=True), transient=True))
    try:
        yield bar
    finally:
        bar.stop()


class CallCounter:
    """Hears how much of a CRM was asked. ``None`` inside: nothing is shown."""

    def __init__(self, shown: Progress | None) -> None:
        self._shown = shown
        self._task = shown.add_task("Reading …") if shown is not None else None

    def tell(self, calls: int, rows: int) -> None:
        """So many requests were sent, so many rows came back."""
        if self._shown is not None and self._task is not None:
            self._shown.update(self._task, description=f"Reading … {calls:,} calls, {rows:,} rows")


@contextlib.contextmanager
def call_counter(shown: bool) -> Iterator[CallCounter]:
    """A line on stderr with the time that it takes, which goes away at the end; or none."""
    if not shown:
        yield CallCounter(None)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield CallCounter(progress)
