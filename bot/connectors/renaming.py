"""A source that has another name than its kind has variables of its own name: what it says is said with those."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

from bot.domain.errors import Permanent, Retryable
from bot.domain.people import CrmUser
from bot.domain.ports import Closable, Connector, Meter, Metered, Probe
from bot.domain.usage import Collected, RecordRef, RowFault, Window


def variable(name: str) -> str:
    """A name as it stands in the environment: ``sales-emea`` is ``SALES_EMEA``."""
    return "".join(letter if letter.isalnum() else "_" for letter in name).upper()


class Renamed:
    """Another connector, in whose words each variable that begins with ``usual`` begins with ``own``. It is not changed."""

    def __init__(self, connector: Connector, usual: str, own: str) -> None:
        self.name = connector.name
        self.lag_days = connector.lag_days
        self.overlap_days = connector.overlap_days
        self._connector = connector
        self._usual, self._own = usual, own
        # A name that begins with that of the kind, as dynamics-emea does, may be said as it is.
        longer = own.removeprefix(usual) if own.startswith(usual) else ""
        self._pattern = re.compile(re.escape(usual) + (f"(?!{re.escape(longer)})" if longer else ""))

    async def probe(self) -> Probe:
        with self._in_own_words():
            probe = await self._connector.probe()
        metrics = tuple(replace(row, detail=self._said(row.detail)) for row in probe.metrics)
        return replace(probe, advice=self._said(probe.advice), metrics=metrics)

    async def users(self, through: date) -> tuple[Sequence[CrmUser], Sequence[RowFault]]:
        with self._in_own_words():
            users, faults = await self._connector.users(through)
        return users, self._faults(faults)

    async def collect(self, window: Window, metrics: frozenset[str]) -> AsyncIterator[Collected]:
        with self._in_own_words():
            async for part in self._connector.collect(window, metrics):
                coverage = tuple(replace(row, detail=self._said(row.detail)) for row in part.coverage)
                yield replace(part, coverage=coverage, faults=self._faults(part.faults))

    async def evidence(
        self, metric: str, owners: Sequence[str], limit: int, through: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        with self._in_own_words():
            return await self._connector.evidence(metric, owners, limit, through)

    def meter(self) -> Meter:
        return self._connector.meter() if isinstance(self._connector, Metered) else Meter(0, 0)

    async def close(self) -> None:
        if isinstance(self._connector, Closable):
            await self._connector.close()

    def _said(self, text: str) -> str:
        return self._pattern.sub(self._own, text) if self._usual in text else text

    def _faults(self, faults: Sequence[RowFault]) -> tuple[RowFault, ...]:
        return tuple(replace(fault, reason=self._said(fault.reason)) for fault in faults)

    @contextmanager
    def _in_own_words(self) -> Iterator[None]:
        try:
            yield
        except (Retryable, Permanent) as error:
            error.args = (self._said(str(error)), *error.args[1:])
            raise
