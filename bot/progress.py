"""A progress bar over simulated days, for replays and the demo."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn


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
