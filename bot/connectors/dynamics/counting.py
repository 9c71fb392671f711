"""A question's answer from an environment, in the way that it knows: FetchXML, ``$apply``, or rows one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from bot.connectors.dynamics.answers import NotUnderstood
from bot.connectors.dynamics.environment import Environment, Way
from bot.connectors.dynamics.queries import AUDIT, Question
from bot.connectors.dynamics.rows import Group, applied, fetched, listed, utc_day
from bot.connectors.dynamics.schema import property_of
from bot.connectors.figures import days_of
from bot.connectors.refusals import Denied
from bot.domain.usage import RowFault, Window


class _OutOfOrder(Exception):
    """Rows of different days come mixed, whatever was asked for."""


APPLY_DAYS = 7
"""Longer spans are read row by row where ``$apply`` would need a query a day."""


@dataclass(slots=True)
class Tally:
    """Counts of a question by person, day and group, and rows that could not be read."""

    question: Question
    counts: dict[tuple[str, date | None, tuple[Any, ...]], float] = field(default_factory=dict)
    sums: dict[tuple[str, date | None, tuple[Any, ...]], dict[str, float]] = field(default_factory=dict)
    faults: list[RowFault] = field(default_factory=list)
    rows: int = 0

    def put(self, read: Callable[[], Group]) -> None:
        """One more group. One that comes again on the next page, because rows came between them, is the same group."""
        self.add(read, again=False)

    def add(self, read: Callable[[], Group], *, again: bool = True) -> None:
        """One more row. ``again``: more of the same person and day may come."""
        self.rows += 1
        try:
            group = read()
        except ValueError as error:
            self.faults.append(RowFault(self.question.table.rows, self.rows, "", str(error)))
            return
        key = group.who, group.day, group.by
        if not again:
            self.counts.pop(key, None)
            self.sums.pop(key, None)
        self.counts[key] = self.counts.get(key, 0.0) + group.count
        if group.sums:
            known = self.sums.setdefault(key, {})
            for alias, number in group.sums.items():
                known[alias] = known.get(alias, 0.0) + number


async def tallied(
    crm: Environment,
    question: Question,
    first: date,
    last: date,
    *,
    until: datetime | None = None,
    way: Way | None = None,
) -> Tally:
    """A question's answer for a span of days, in the way that this server knows. Raises TooMany, TooSlow."""
    way = way or crm.way or Way.FETCH
    if way is Way.APPLY and (last - first).days >= APPLY_DAYS:
        way = Way.ROWS
    try:
        if way is Way.FETCH:
            return await _fetched(crm, question, first, last, until)
        if way is Way.APPLY:
            return await _applied(crm, question, first, last, until)
    except NotUnderstood:
        if question.without or question.filled:  # rows of the table itself do not tell
            raise
    except Denied:
        # Dataverse means the table. Who knows $apply only may mean no more than that this may not be grouped.
        if way is Way.FETCH or question.without or question.filled:
            raise
    return await _listed(crm, question, first, last, until)


async def _fetched(
    crm: Environment, question: Question, first: date, last: date, until: datetime | None
) -> Tally:
    where = (*question.where, *crm.wording.moments(question, first, last, until))
    tally = Tally(question)
    async for row in crm.fetch_rows(
        question.table,
        lambda page, cookie: crm.wording.fetch(question, where, page=page, cookie=cookie),
    ):
        tally.put(lambda row=row: fetched(question, row))  # type: ignore[misc]  # bound here, called at once
    return tally


async def _applied(
    crm: Environment, question: Question, first: date, last: date, until: datetime | None
) -> Tally:
    tally = Tally(question)
    days = days_of(Window(first, last)) if question.moment else [last]
    for day in days:
        where = (*question.where, *crm.wording.moments(question, day, day, until))
        query = {"$apply": crm.wording.apply(question, where)}
        async for page in crm.pages(crm.of(question.table), query, crm.prefer()):
            for row in page.rows:
                if "n" not in row:
                    raise NotUnderstood("the CRM does not count by $apply", code="no-apply")
                said = day if question.moment else None
                tally.put(lambda row=row, said=said: applied(question, row, said))  # type: ignore[misc]  # called at once
    return tally


async def _listed(
    crm: Environment, question: Question, first: date, last: date, until: datetime | None
) -> Tally:
    try:
        return await _listed_in(Tally(question), crm, first, last, until)
    except _OutOfOrder:
        tally = Tally(question)
        for day in days_of(Window(first, last)):
            await _listed_in(tally, crm, day, day, until)
        return tally


async def _listed_in(
    tally: Tally, crm: Environment, first: date, last: date, until: datetime | None
) -> Tally:
    """Rows of a span, one by one. What is counted once a day is remembered for a day: rows come in the order of days."""
    question = tally.question
    where = (*question.where, *crm.wording.moments(question, first, last, until))
    columns = (question.person, question.moment, *question.by, question.distinct, *question.sums.values())
    order = question.moment if question.table is AUDIT else ""
    today: date | None = None
    counted: set[int] = set()
    async for row in crm.rows(question.table, tuple(each for each in columns if each), where, order=order):
        if question.distinct:
            named = (question.person, *question.by, question.distinct)
            day = utc_day(row.get(question.moment))
            if day != today:
                if today is not None and day is not None and day < today:
                    raise _OutOfOrder
                today, counted = day, set()
            key = _fingerprint(*(str(row.get(property_of(each))) for each in named))
            if key in counted:
                continue
            counted.add(key)
        tally.add(lambda row=row: listed(question, row))  # type: ignore[misc]  # called at once
    return tally


def _fingerprint(*parts: str) -> int:
    """Eight bytes for what is remembered of a row: of a million, two are the same once in thirty million times."""
    return int.from_bytes(hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest())
