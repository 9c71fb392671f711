"""A question's answer from an environment, in the way that it knows: FetchXML, ``$apply``, or rows one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from bot.connectors.dynamics.answers import NotUnderstood, TooMany
from bot.connectors.dynamics.environment import Environment, Way
from bot.connectors.dynamics.queries import AUDIT, Question
from bot.connectors.dynamics.rows import Group, applied, fetched, listed, side_by_side, utc_day
from bot.connectors.dynamics.schema import property_of
from bot.connectors.figures import days_of
from bot.connectors.refusals import Denied, TooSlow
from bot.domain.errors import Retryable
from bot.domain.usage import RowFault, Window


class _OutOfOrder(Exception):
    """Rows of different days come mixed, whatever was asked for."""


APPLY_DAYS = 7
"""Longer spans are read row by row where ``$apply`` would need a query a day."""
BESIDE = 7
"""Most days that FetchXML counts beside each other, each by a join: a query may have 15, which cost time (Microsoft Learn,
"Join tables using FetchXml").
"""


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
    people: int = 0,
) -> Tally:
    """A question's answer for a span of days, in the way that this server knows. Raises TooMany, TooSlow.

    ``people``: how many there are, by which a question is put in the way that needs fewer pages.
    """
    way = way or crm.way or Way.FETCH
    if way is Way.APPLY and (last - first).days >= APPLY_DAYS:
        way = Way.ROWS
    try:
        if way is Way.FETCH:
            beside = await _beside(crm, question, first, last, until, people)
            return beside or await _fetched(crm, question, first, last, until)
        if way is Way.APPLY:
            short = await _short(crm, question, first, last, until)
            return short or await _applied(crm, question, first, last, until)
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
        lambda page, cookie: crm.wording.fetch(question, where, page=page, cookie=cookie, most=crm.groups),
    ):
        tally.put(lambda row=row: fetched(question, row))  # type: ignore[misc]  # bound here, called at once
    return tally


async def _beside(
    crm: Environment, question: Question, first: date, last: date, until: datetime | None, people: int
) -> Tally | None:
    """Days counted beside each other, a group a person; None where that is no fewer pages, or not how this server counts.

    Groups come 5,000 a page: of 2,000 people five days are two pages as a group a day, and one as a group a person. The days
    have to add up to the rows of the group, or it is not believed.
    """
    days = days_of(Window(first, last))
    parts = [days[at : at + BESIDE] for at in range(0, len(days), BESIDE)]
    most = people * (len(question.metrics) if question.by else 1)
    if not question.moment or question.sums or question.filled:
        return None
    if len(parts) * _pages(most, crm.groups) >= _pages(most * len(days), crm.groups):
        return None
    learned, kind = crm.learned, AUDIT.name if question.table is AUDIT else ""
    if kind not in learned.beside:
        async with learned.trying:  # one question finds it out; the others wait for that
            if kind not in learned.beside:
                return await _tried(crm, question, parts, until, kind)
    return await _tried(crm, question, parts, until, kind) if learned.beside[kind] else None


async def _tried(
    crm: Environment, question: Question, parts: Sequence[Sequence[date]], until: datetime | None, kind: str
) -> Tally | None:
    """``kind``: the audit is kept elsewhere than the other tables, and may not be joined where they are."""
    tally = Tally(question)
    try:
        for part in parts:
            await _add_beside(tally, crm, part, until)
    except TooMany:  # so they are in whatever way they are counted
        raise
    except (NotUnderstood, TooSlow, ValueError):
        crm.learned.beside[kind] = False
        return None
    except Retryable as error:
        if error.code != "http-500":
            raise
        crm.learned.beside[kind] = False
        return None
    crm.learned.beside[kind] = True
    return tally


def _pages(groups: int, size: int) -> int:
    return max(-(-groups // size), 1)


async def _add_beside(tally: Tally, crm: Environment, days: Sequence[date], until: datetime | None) -> None:
    question = tally.question
    where = (*question.where, *crm.wording.moments(question, days[0], days[-1], until))
    each = [crm.wording.moments(question, day, day, until) for day in days]
    async for row in crm.fetch_rows(
        question.table,
        lambda page, cookie: crm.wording.fetch(
            question, where, page=page, cookie=cookie, most=crm.groups, beside=each
        ),
    ):
        for group in side_by_side(question, row, days):
            tally.put(lambda group=group: group)  # type: ignore[misc]  # bound here, called at once


async def _short(
    crm: Environment, question: Question, first: date, last: date, until: datetime | None
) -> Tally | None:
    """All days at once, row by row, where that is no more than a page: ``$apply`` takes a query a day."""
    if not question.moment or first == last or question.metrics in crm.learned.long:
        return None
    try:
        return await _listed(crm, question, first, last, until, one_page=True)
    except TooMany:
        crm.learned.long.add(question.metrics)
        return None


async def _applied(
    crm: Environment, question: Question, first: date, last: date, until: datetime | None
) -> Tally:
    tally = Tally(question)
    days = days_of(Window(first, last)) if question.moment else [last]
    for day in days:
        where = (*question.where, *crm.wording.moments(question, day, day, until))
        said, order = crm.wording.apply(question, where), crm.wording.order(question)
        async for row in crm.apply_rows(question.table, said, order):
            if "n" not in row:
                raise NotUnderstood("the CRM does not count by $apply", code="no-apply")
            at = day if question.moment else None
            tally.put(lambda row=row, at=at: applied(question, row, at))  # type: ignore[misc]  # called at once
    return tally


async def _listed(
    crm: Environment,
    question: Question,
    first: date,
    last: date,
    until: datetime | None,
    *,
    one_page: bool = False,
) -> Tally:
    try:
        return await _listed_in(Tally(question), crm, first, last, until, one_page=one_page)
    except _OutOfOrder:
        tally = Tally(question)
        for day in days_of(Window(first, last)):
            await _listed_in(tally, crm, day, day, until)
        return tally


async def _listed_in(
    tally: Tally,
    crm: Environment,
    first: date,
    last: date,
    until: datetime | None,
    *,
    one_page: bool = False,
) -> Tally:
    """Rows of a span, one by one. What is counted once a day is remembered for a day: rows come in the order of days."""
    question = tally.question
    where = (*question.where, *crm.wording.moments(question, first, last, until))
    columns = (question.person, question.moment, *question.by, question.distinct, *question.sums.values())
    order = question.moment if question.table is AUDIT else ""
    today: date | None = None
    counted: set[int] = set()
    named_columns = tuple(each for each in columns if each)
    async for row in crm.rows(question.table, named_columns, where, order=order, one_page=one_page):
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
