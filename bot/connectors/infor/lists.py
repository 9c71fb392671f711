"""Lists of an SData server, read to their end: page by page, in the order of their ids, into whatever counts them.

Pages by number are the last resort: on long lists servers give other rows at each reading (public clients of Infor CRM found
400 and 529 of the same rows within minutes), and none that moves between two pages is seen twice or never.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from datetime import date, timedelta
from typing import TypeVar

from bot.connectors.figures import days_of
from bot.connectors.http import Answer, Api
from bot.connectors.infor.answers import Moved, NotUnderstood, Page, metric_of, page_of
from bot.connectors.infor.queries import (
    IS_AUDITED,
    OPEN,
    SETTLED_DAYS,
    SETTLED_FOR,
    Question,
    address,
    instant,
    span,
)
from bot.connectors.infor.rows import Row, key_of
from bot.connectors.kept import Kept
from bot.domain.errors import FullsteamError, Retryable
from bot.domain.usage import Window

SMALLEST_PAGE = 20
_HALF = frozenset({"http-500", "http-502", "http-503", "http-504", "timeout", "query-timeout"})
"""What a page may be too long for: it is asked for a shorter one."""
_Read = TypeVar("_Read")


class _NoOrder(Exception):
    """The server gives no rows in the order of their ids."""


class Lists:
    """Reads lists. ``where_is``: a question -> the path of its resource; ``size``: rows a page."""

    def __init__(
        self,
        api: Api,
        decide: Callable[[Answer], FullsteamError | None],
        where_is: Callable[[Question], str],
        size: int,
    ) -> None:
        self._api = api
        self._decide = decide
        self._where_is = where_is
        self._size = size
        self._unordered: set[str] = set()
        self._absent: defaultdict[str, set[str]] = defaultdict(set)
        self._touched: defaultdict[Question, Kept[dict[date, set[str]]]] = defaultdict(
            lambda: Kept(api.server_now, SETTLED_FOR)
        )

    def forget(self) -> None:
        """What was found not to be there may be by now."""
        self._absent.clear()
        self._unordered.clear()

    def forget_settled(self) -> None:
        """What was read of days gone by was not everybody's."""
        self._touched.clear()

    def leave_out(self, question: Question, column: str) -> None:
        """A column that is not there."""
        self._absent[question.kind].add(column)

    async def rows(self, question: Question, where: str) -> AsyncGenerator[Row, None]:
        """All rows of a list, in the order of their ids; by page number where the server gives no order.

        Whoever counts them counts from the beginning when this raises: what was given until then is not the whole list.
        """
        where = f"({where})" if where else ""
        if question.kind not in self._unordered:
            try:
                async for row in self._by_id(question, where):
                    yield row
            except _NoOrder:
                self._unordered.add(question.kind)
            else:
                return
        async for row in self._by_number(question, where):
            yield row

    async def _by_id(self, question: Question, where: str) -> AsyncIterator[Row]:
        """Each page is a query of its own that begins after the last id. Raises _NoOrder before it gives a row."""
        size, last, before = self._size, "", frozenset[str]()
        while True:
            beyond = " and ".join(part for part in (where, f"Id gt '{last}'" if last else "") if part)
            try:
                page = await self._page(question, beyond, size, order="Id")
            except NotUnderstood as error:
                if last:
                    raise self._by_number_next(question) from error
                raise _NoOrder from error
            except Retryable as error:
                if error.code not in _HALF or size <= SMALLEST_PAGE:
                    raise
                size = max(SMALLEST_PAGE, size // 5)
                continue
            keys = [key_of(row) for row in page.rows]
            fresh = [
                (key, row) for key, row in zip(keys, page.rows, strict=True) if key and key not in before
            ]
            ordered = [last.casefold(), *(key.casefold() for key, _ in fresh)]
            if not all(keys) or ordered != sorted(ordered):
                if not last:
                    raise _NoOrder
                raise Retryable("Infor CRM gives rows in another order than before", code="bad-answer")
            if page.rows and not fresh:
                raise self._by_number_next(question)
            for _, row in fresh:
                yield row
            if not page.rows or (
                len(page.rows) < size and (page.total is None or page.total <= len(page.rows))
            ):
                return
            last, before = fresh[-1][0], frozenset(keys)

    def _by_number_next(self, question: Question) -> Moved:
        """The server orders rows by their ids, but does not begin after one: read again, by number."""
        self._unordered.add(question.kind)
        return Moved("Infor CRM does not go on after an id", code="moved")

    async def _by_number(self, question: Question, where: str) -> AsyncIterator[Row]:
        """Pages by number, each row once. Raises Moved when they are not as many as the server says that there are."""
        start, seen, total = 1, set[int](), None
        while True:
            page = await self._page(question, where, self._size, start=start)
            if total is not None and page.total not in (None, total):
                raise Moved("rows came or went while a list was read", code="moved")
            total = page.total if page.total is not None else total
            fresh = 0
            for row in page.rows:
                key = key_of(row)
                if not key:
                    raise Retryable("Infor CRM gives rows without an id", code="bad-answer")
                if hash(key) not in seen:
                    seen.add(hash(key))
                    fresh += 1
                    yield row
            start += len(page.rows)
            if not page.rows or (total is not None and start > total):
                break
            if not fresh:
                raise Moved("Infor CRM gives the same rows again", code="moved")
        if total is not None and len(seen) != total:
            raise Moved("rows came or went while a list was read", code="moved")

    async def _page(
        self, question: Question, where: str, size: int, *, start: int = 1, order: str = ""
    ) -> Page:
        """One page; a column that may be missing, and is, is left out from then on."""
        path = self._where_is(question)
        while True:
            absent = self._absent[question.kind]
            select = [
                *question.fields,
                *(each for each in question.spare if each not in absent),
            ]
            query = [("format", "json"), ("select", ",".join(select)), ("startIndex", str(start))]
            query += [("count", str(size))]
            query += [("where", where)] if where else []
            query += [("orderby", order)] if order else []
            try:
                page = page_of(await self._api.get(address(path, query)), self._decide)
            except NotUnderstood as error:
                if not await self._drop(path, question, error):
                    raise
                continue
            self._api.rows += len(page.rows)
            return page

    async def _drop(self, path: str, question: Question, error: NotUnderstood) -> bool:
        """Find the columns that are not there: those that the server names, else each is asked for by itself."""
        absent = self._absent[question.kind]
        spare = [each for each in question.spare if each not in absent]
        named = [each for each in spare if each.partition("/")[0] in error.words]
        if len(named) != 1:  # it names none, or repeats the whole query
            named = []
            for each in spare:
                query = [("format", "json"), ("select", each), ("startIndex", "1"), ("count", "1")]
                try:
                    page_of(await self._api.get(address(path, query)), self._decide)
                except NotUnderstood:
                    named.append(each)
        absent.update(named)
        return bool(named)

    def is_absent(self, question: Question, column: str) -> bool:
        """Whether a column was found not to be there."""
        return column in self._absent[question.kind]

    async def counted(self, metric: str, where: str) -> Mapping[str, float]:
        """What the server counts by account manager (``$queries/executeMetric``). Raises whatever a list raises."""
        path = f"{self._where_is(OPEN)}/$queries/executeMetric"
        found: dict[str, float] = {}
        start, groups = 1, 0
        while True:
            query = [
                ("_filterName", "AccountManager"),
                ("_metricName", metric),
                ("_activeFilter", where),
                ("startIndex", str(start)),
                ("count", str(self._size)),
                ("format", "json"),
            ]
            page = page_of(await self._api.get(address(path, query)), self._decide)
            self._api.rows += len(page.rows)
            groups += len(page.rows)
            try:
                new = dict(metric_of(page.rows))
            except ValueError as error:
                raise Retryable("Infor CRM's metric has no number", code="bad-answer") from error
            if len(new) != len(page.rows) or new.keys() & found.keys():
                raise Retryable("Infor CRM's metric names somebody twice", code="bad-answer")
            found |= new
            start += len(page.rows)
            if page.rows and (page.total is None or groups < page.total):
                continue
            if page.total is not None and groups < page.total:
                raise Retryable("Infor CRM's metric is not complete", code="bad-answer")
            return found

    async def touched(
        self,
        question: Question,
        first: date,
        today: date,
        take: Callable[[Row], tuple[str, date] | None],
        late: Question | None = None,
    ) -> Mapping[str, date]:
        """When each opportunity was last worked on, or moved, since ``first``. What is settled is read once a day.

        ``late``: asks for rows that were written since, of days that were settled by then.
        """
        kept = self._touched[question]
        known = kept.get() or {}
        settled = today - timedelta(days=SETTLED_DAYS)
        missing = [day for day in days_of(Window(first, settled)) if day not in known]
        since = min([*missing, settled + timedelta(days=1)])
        # A day more than today: somewhere it is tomorrow already.
        where = question.where.format_map(span(since, today + timedelta(days=1)))
        found = await self._touched_on(question, where, today, take)
        if late is not None and since > first:
            where = late.where.format(oldest=instant(first), a=instant(since))
            with suppress(NotUnderstood):  # where it cannot be asked like that, it is seen a day later
                for day, deals in (await self._touched_on(late, where, today, take)).items():
                    found[day] |= deals
        if not known:
            known = kept.keep({})
        for day in list(known):
            if day < first:
                del known[day]
        for day in days_of(Window(first, settled)):
            known.setdefault(day, set()).update(found[day])
        latest: dict[str, date] = {}
        for day in days_of(Window(first, today)):
            for deal in known.get(day, set()) | found[day]:
                latest[deal] = day
        return latest

    async def _touched_on(
        self, question: Question, where: str, today: date, take: Callable[[Row], tuple[str, date] | None]
    ) -> defaultdict[date, set[str]]:
        """The opportunities of each day. What is of tomorrow is of today."""

        async def read() -> defaultdict[date, set[str]]:
            found: defaultdict[date, set[str]] = defaultdict(set)
            async for row in self.rows(question, where):
                taken = take(row)
                if taken is not None:
                    found[min(taken[1], today)].add(taken[0])
            return found

        return await twice(read)

    async def says(self, condition: str) -> bool:
        """Whether there is any audited change of a kind."""
        query = IS_AUDITED.where.format(what=condition)
        return bool((await self._page(IS_AUDITED, query, 1)).rows)

    async def total(self, question: Question, where: str) -> int | None:
        """How many rows a list has by the server's own word; None where it does not say."""
        return (await self._page(question, f"({where})", 1)).total

    async def has(
        self, question: Question, where: str, holds: Callable[[Row], bool], *, otherwise: str = ""
    ) -> bool:
        """Whether a list has a row for which something holds: one is asked for, and all where that one is another.

        ``where``: a condition that only such rows should meet; ``otherwise``: one for all of them, if the server does not
        understand it.
        """
        try:
            rows = (await self._page(question, f"({where})", 1)).rows
            if not rows or holds(rows[0]):
                return bool(rows)
        except NotUnderstood:
            where = otherwise
        async with aclosing(self.rows(question, where)) as every:
            async for row in every:
                if holds(row):
                    return True
        return False


async def twice(read: Callable[[], Awaitable[_Read]]) -> _Read:
    """Read a list; once more when it moved meanwhile."""
    try:
        return await read()
    except Moved:
        return await read()
