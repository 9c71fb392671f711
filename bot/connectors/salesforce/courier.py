"""How queries travel to Salesforce and how their rows come back: several in one request, page by page, key by key.

The Composite resource takes up to five queries in one request, which counts as one call of the day; each has its own answer
and its own status. Where it is not offered (an older gateway, a server that has only ``query``) every query goes alone.

Sources: REST API Developer Guide (Composite, Query, Query More Results); Developer Limits Quick Reference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from bot.connectors.asking import all_of
from bot.connectors.http import Answer, Api, SessionRefused
from bot.connectors.refusals import TooSlow
from bot.connectors.salesforce.answers import LocatorGone, records_of, size_of
from bot.connectors.salesforce.queries import GROUPS, Question, Row
from bot.domain.errors import FullsteamError, Permanent, Retryable, Throttled

AT_A_TIME = 5
"""Queries in one composite request (REST API Developer Guide, Composite: 25 subrequests, of which 5 may be queries)."""
Range = tuple[str | None, str | None]
"""People after the first id, up to the second; None: no end."""
EVERYBODY: Range = (None, None)
_MARGIN = 0.9
"""How full the other ranges of a question are made, of what the first one held."""
_STUMBLES = 3
"""After so many composite requests in a row that failed, while their queries may go alone, they do so from then on."""
TIMED_OUT = "timeout"
"""The code of a request that nobody answered in time."""
_Waiting = tuple[str, "asyncio.Future[Answer]"]


class TooMany(TooSlow):
    """More rows than are read of anything."""


class Courier:
    """Carries queries to one org. ``page``: headers of a query; ``at_a_time``: queries in one request, ``at_once``: requests."""

    def __init__(self, api: Api, root: str, page: Mapping[str, str], *, at_a_time: int, at_once: int) -> None:
        self._api = api
        self._root = root
        self._page = page
        self._at_a_time = at_a_time
        self._at_once = at_once
        self._queue: list[_Waiting] = []
        self._busy: set[asyncio.Task[None]] = set()
        self._carriers = self._stumbles = 0
        self.is_plain = False
        """Whether the org was asked for several queries at once, and refused."""

    # -- rows -----------------------------------------------------------------------------------------------------------

    async def rows(self, soql: str, *, alone: bool = False, most: int = 0) -> Sequence[Row]:
        """All rows of a query, page by page. A cursor that was dropped starts the query again, once.

        ``alone``: not with others in one request. ``most``: rows that are read at most; more raise TooMany.
        """
        try:
            return await self._pages(soql, alone, most)
        except LocatorGone:
            return await self._pages(soql, alone, most)

    async def _pages(self, soql: str, alone: bool, most: int) -> Sequence[Row]:
        answer = await (self._get(soql) if alone else self._ask(soql))
        rows, more = records_of(answer)
        asked: set[str] = set()
        while more:
            if most and max(size_of(answer), len(rows)) > most:
                raise TooMany(f"Salesforce has more than {most} rows", code="too-many-rows")
            asked.add(more)
            if len(asked) >= size_of(answer):  # the first page and these: more pages than there are rows
                raise Retryable("Salesforce names more pages than it has rows", code="bad-answer")
            next_rows, more = records_of(await self._api.follow(more, self._page))
            if more in asked:
                raise Retryable("Salesforce names the same page again", code="bad-answer")
            rows += next_rows
        self._api.rows += len(rows)
        return rows

    # -- groups ---------------------------------------------------------------------------------------------------------

    async def groups(
        self,
        question: Question,
        where: Mapping[str, str],
        people: Range = EVERYBODY,
        known: Sequence[str] = (),
    ) -> Sequence[Row]:
        """All groups of a question, each once: as many queries as there are GROUPS groups, cut between two people.

        ``known``: ids of people in the order in which Salesforce sorts them; after the last one, nobody's need be read. With them the rest of a question is asked in
        ranges at the same time, as wide as the first answer says; ranges cover every id, known or not.
        """
        page, reached = await self._one(question, where, people, known)
        found = {_group(question, row): row for row in page}
        if reached is None:
            return list(found.values())
        ranges = _ranges((people[0], reached), people[1], known)
        if question.most and len(ranges) * GROUPS > question.most:
            raise TooMany(f"there are more than {question.most} groups", code="too-many-groups")
        for rest in await all_of([self._rest(question, where, each, known) for each in ranges]):
            found |= rest
        return list(found.values())

    async def _rest(
        self, question: Question, where: Mapping[str, str], people: Range, known: Sequence[str]
    ) -> Mapping[tuple[str, ...], Row]:
        """The groups of a range, one query after the other."""
        after, upto = people
        found: dict[tuple[str, ...], Row] = {}
        while True:
            page, reached = await self._one(question, where, (after, upto), known)
            found |= {_group(question, row): row for row in page}
            if reached is None:
                return found
            if reached == after:
                raise Retryable("Salesforce gives the same groups again", code="bad-answer")
            if question.most and len(found) > question.most:
                raise TooMany(f"there are more than {question.most} groups", code="too-many-groups")
            after = reached

    async def _one(
        self,
        question: Question,
        where: Mapping[str, str],
        people: Range,
        known: Sequence[str],
    ) -> tuple[Sequence[Row], str | None]:
        """One query of a question: its whole groups, and the person it got to; None when there is nothing after them."""
        page = await self.rows(question.soql(where, *people))
        if len(page) < GROUPS:
            return page, None
        last = page[-1].get(question.key)
        nobody_after = bool(known) and last == known[-1]
        if question.is_single(where) and len({row.get(question.key) for row in page}) == len(page):
            return page, None if nobody_after else str(last)
        settled = question.settled
        if settled and any(settled(row) for row in page if row.get(question.key) == last):
            return page, None if nobody_after else str(last)
        whole = [row for row in page if row.get(question.key) != last]
        if not whole:
            raise TooSlow("one person has more groups than a query gives", code="too-many-groups")
        return whole, str(whole[-1].get(question.key))

    # -- requests -------------------------------------------------------------------------------------------------------

    async def _get(self, soql: str) -> Answer:
        """A query alone. One that is not answered in time takes too long for the server, or for what stands between."""
        try:
            return await self._api.get(f"{self._root}/query", {"q": soql}, self._page)
        except Retryable as error:
            if error.code != TIMED_OUT:
                raise
            raise TooSlow(str(error), code=error.code, after=error.after) from error

    async def _ask(self, soql: str) -> Answer:
        """The first page of a query, in one request with others that are asked at the same time."""
        if self._at_a_time == 1:
            return await self._get(soql)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append((soql, answered))
        if self._carriers < self._at_once:
            self._carriers += 1
            task = asyncio.create_task(self._carry())
            self._busy.add(task)  # a task that nobody holds may be collected
            task.add_done_callback(self._busy.discard)
        return await answered

    async def _carry(self) -> None:
        """Send what waits, until nothing does."""
        try:
            while await self._carry_some():
                pass
        finally:
            self._carriers -= 1  # at once: whoever asks from now on needs another one

    async def _carry_some(self) -> bool:
        """Send what fits into one request; False when nothing waits."""
        waiting = -1
        while waiting != len(self._queue):  # whoever asks at this moment is taken along
            waiting = len(self._queue)
            await asyncio.sleep(0)
        batch = [each for each in self._queue[: self._at_a_time] if not each[1].done()]
        del self._queue[: self._at_a_time]
        if not batch:
            return bool(self._queue)
        try:
            await self._send(batch)
        except FullsteamError as error:
            for _, answered in batch:
                if not answered.done():
                    answered.set_exception(error)
        finally:
            for _, answered in batch:
                answered.cancel()  # only what nobody answered, because all of this was ended
        return True

    async def _send(self, batch: Sequence[_Waiting]) -> None:
        """One request for all, or one for each where they cannot go together."""
        alone = batch
        if len(batch) > 1 and self._at_a_time > 1:
            alone = await self._together(batch)
        await asyncio.gather(*(self._singly(each) for each in alone))

    async def _singly(self, waiting: _Waiting) -> None:
        soql, answered = waiting
        try:
            answer = await self._get(soql)
        except FullsteamError as error:
            if not answered.done():
                answered.set_exception(error)
        else:
            if not answered.done():
                answered.set_result(answer)

    def _leave_it(self) -> None:
        self._at_a_time, self.is_plain = 1, True

    async def _together(self, batch: Sequence[_Waiting]) -> Sequence[_Waiting]:
        """Ask for several queries in one request; what is left over has to go alone."""
        body = {
            "allOrNone": False,
            "compositeRequest": [
                {
                    "method": "GET",
                    "referenceId": f"q{place}",
                    "url": f"{self._root}/query?q={quote(soql, safe='')}",
                    **({"httpHeaders": dict(self._page)} if self._page else {}),
                }
                for place, (soql, _) in enumerate(batch)
            ],
        }
        try:
            answer = await self._api.post(f"{self._root}/composite", body)
        except (SessionRefused, Throttled):
            raise
        except Permanent:
            self._leave_it()  # it is not offered here
            return batch
        except Retryable as error:
            if error.code == "circuit-open":
                raise
            self._stumbles += error.code != TIMED_OUT  # five queries take five times as long as one
            if self._stumbles == _STUMBLES:
                self._leave_it()
            return batch  # one of them may be what it stumbled over
        parts = _parts(answer.body, len(batch))
        if parts is None:
            self._at_a_time = 1
            return batch
        self._stumbles = 0
        left = []
        for waiting, part in zip(batch, parts, strict=True):
            try:
                said = self._api.within(part)
            except FullsteamError as error:
                if not waiting[1].done():
                    waiting[1].set_exception(error)
                continue
            if said is None:
                left.append(waiting)
            elif not waiting[1].done():
                waiting[1].set_result(said)
        return left


def _parts(body: Any, count: int) -> Sequence[Answer] | None:
    """The answers in a composite one, in the order in which they were asked; None when it has another shape."""
    given = body.get("compositeResponse") if isinstance(body, dict) else None
    if not isinstance(given, list):
        return None
    by_name = {each.get("referenceId"): each for each in given if isinstance(each, dict)}
    found = []
    for place in range(count):
        each = by_name.get(f"q{place}")
        if each is None or not isinstance(each.get("httpStatusCode"), int):
            return None
        found.append(
            Answer(each["httpStatusCode"], {}, each.get("body"), is_json=each.get("body") is not None)
        )
    return found


def _group(question: Question, row: Row) -> tuple[str, ...]:
    """What tells one group from another: a group that comes twice is one."""
    return tuple(str(row.get(column)) for column in question.columns)


def _ranges(read: tuple[str | None, str], upto: str | None, known: Sequence[str]) -> Sequence[Range]:
    """What is left of a question, in ranges as full as the one that was just read. ``read``: from where to where it got."""
    places = {each: place for place, each in enumerate(known)}
    after, reached = read
    if reached not in places:
        return [(reached, upto)]
    begin = places[after] + 1 if after in places else 0
    end = places[upto] + 1 if upto in places else len(known)
    here = places[reached] + 1
    full = here - begin
    width = int(full * _MARGIN)
    if (
        width < 1 or end - here <= full
    ):  # one query more, if this one does not hold them, is what two would take
        return [(reached, upto)]
    cuts = [known[place - 1] for place in range(here + width, end, width)]
    return list(zip([reached, *cuts], [*cuts, upto], strict=True))


def middle(people: Range, known: Sequence[str]) -> str | None:
    """The person in the middle of a range; None where there is nothing left to halve."""
    after, upto = people
    begin = known.index(after) + 1 if after is not None else 0
    end = known.index(upto) + 1 if upto is not None else len(known)
    return known[(begin + end) // 2 - 1] if end - begin > 1 else None
