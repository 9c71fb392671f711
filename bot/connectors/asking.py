"""One poll of a CRM that is asked over its interface: queries side by side, and what came of each kept in figures.

A query that fails costs the metrics that need it, on the days that it was for, and nothing else: the others go on. A poll
fails as a whole only where a login is refused, or where nothing at all was answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import date
from typing import Any

from bot.connectors.figures import Figures, halves
from bot.connectors.http import SessionRefused
from bot.connectors.refusals import Denied, NotOffered, TooSlow, status_of
from bot.domain.errors import FullsteamError, Permanent, Retryable
from bot.domain.usage import CoverageStatus


class Asking:
    """What was answered and what was not. ``figures``: where numbers and coverage go."""

    def __init__(self, figures: Figures) -> None:
        self.figures = figures
        self.answered = False
        """Whether anything was answered, a refusal by rights included."""
        self.rows = 0
        self.failures: list[Retryable | Permanent] = []

    async def run(self, tasks: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Ask everything; the policy holds back what is more than it allows at once. Raises what ends the whole poll."""
        await all_of(tasks)
        if self.failures and not self.answered:
            raise self.failures[0]

    def keep(self, metrics: Iterable[str], days: Sequence[date], rows: int) -> None:
        """A query was answered: its metrics may be read on these days. Numbers are added to the figures by the caller."""
        self.answered = True
        self.rows += rows
        for metric in metrics:
            self.figures.mark(metric, days, CoverageStatus.OK)

    def fail(
        self, metrics: Iterable[str], days: Sequence[date], error: Retryable | Permanent, advice: str = ""
    ) -> None:
        """What a failure means for the metrics of a query. ``advice``: what an admin has to do, if the error does not say."""
        if isinstance(error, SessionRefused):
            raise error
        status = status_of(error)
        if isinstance(error, Denied | NotOffered):
            self.answered = True
        else:
            self.failures.append(error)
        for metric in metrics:
            self.figures.mark(metric, days, status, str(error) or advice)

    async def by_halves(
        self,
        first: date,
        last: date,
        ask: Callable[[date, date], Awaitable[None]],
        give_up: Callable[[date, TooSlow], None],
    ) -> None:
        """Ask for a span of days; what is too much for the server is asked in halves, down to a day, then given up."""
        try:
            await ask(first, last)
        except TooSlow as error:
            if first == last:
                give_up(first, error)
                return
            for half in halves(first, last):
                await self.by_halves(*half, ask, give_up)


async def all_of(tasks: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Run all; when one raises, the others end and its error is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(each) for each in tasks]
    except* FullsteamError as errors:
        found: BaseException = errors
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        raise found from None
    return [each.result() for each in running]
