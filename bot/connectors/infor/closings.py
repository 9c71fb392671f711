"""Opportunities that were won or lost, each on one day that is the same whenever it is read.

That day is the date of closing. Who books a closing long after its date books it on a day that no poll reads any more: it
counts on the day on which it was booked, as an audited change of its status tells, or its creation where that came after the
closing. Nothing else is known of when a closing was booked: the last change of a record may be about anything.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from bot.connectors.infor.answers import NotUnderstood
from bot.connectors.infor.installation import Installation
from bot.connectors.infor.lists import twice
from bot.connectors.infor.queries import (
    BOOKED,
    BOOKED_LATE_DAYS,
    BOOKED_WITHIN_DAYS,
    CLOSED,
    CLOSED_LATE,
    OUTCOMES,
    STATUS_FIELDS,
    any_of,
    folded,
    instant,
    span,
)
from bot.connectors.infor.rows import (
    Row,
    at,
    calendar_day,
    changes_of,
    day_of,
    is_id,
    key_of,
    moment_of,
    number_of,
)
from bot.connectors.infor.tally import Tally
from bot.connectors.refusals import Denied, NotOffered
from bot.connectors.values import text_of

TOGETHER = 20
"""Closings in one condition."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Closing:
    id: str
    who: str
    won: bool
    day: date
    amount: float
    created: date | None
    """The day of its creation, where it is."""
    cycle: int | None
    touched: date | None
    """The day of its last change, where it is."""

    @property
    def may_be_late(self) -> bool:
        """Whether it was changed, or begun, when its date was not read any more."""
        last = max(each for each in (self.touched, self.created, self.day) if each is not None)
        return last - self.day > timedelta(days=BOOKED_WITHIN_DAYS) and is_id(self.id)

    def counts_on(self, booked: date | None) -> date:
        """The day that it counts on. ``booked``: when its status became what it is, if that is known."""
        if booked is None:
            booked = max(self.created or self.day, self.day)
        late = (booked - self.day).days
        return booked if BOOKED_WITHIN_DAYS < late <= BOOKED_LATE_DAYS else self.day


class Closings:
    """Reads the closings of some days."""

    def __init__(self, installation: Installation) -> None:
        self._crm = installation

    async def read(self, first: date, last: date) -> Tally:
        """Those that count on these days, and others that are of no concern. Raises whatever a list raises."""

        async def read() -> Tally:
            tally, late = Tally(), list[_Closing]()
            # A day more on both sides: a date may be stored as another zone's midnight.
            wide = span(first - _DAY, last + _DAY)
            await self._take(CLOSED.where.format_map(wide), tally, late)
            if not self._crm.lists.is_absent(CLOSED, "ModifyDate"):
                oldest = instant(first - timedelta(days=BOOKED_LATE_DAYS + 1))
                where = CLOSED_LATE.where.format(oldest=oldest, before=wide["a"], a=wide["a"])
                with suppress(
                    NotUnderstood
                ):  # where it cannot be asked like that, closings count on their dates
                    await self._take(where, tally, late)
            await self._date(late, tally)
            return tally

        return await twice(read)

    async def _take(self, where: str, tally: Tally, late: list[_Closing]) -> None:
        async for row in self._crm.lists.rows(CLOSED, where):
            tally.rows += 1
            closing = self._closing(row, tally)
            if closing is None:
                continue
            if not closing.may_be_late:
                _count(closing, closing.day, tally)
                continue
            late.append(closing)
            if len(late) == TOGETHER:
                await self._date(late, tally)

    def _closing(self, row: Row, tally: Tally) -> _Closing | None:
        settings = self._crm.settings
        status = text_of(row.get("Status"))
        word = status.casefold()
        won = word in folded(settings.won_status)
        try:
            day = calendar_day(row.get("ActualClose"), self._crm.zone)
            if day is None:
                raise ValueError("a closing without a date")  # noqa: TRY301 - handled like any other bad row
            if not won and word not in folded(settings.lost_status):
                if word not in folded(settings.open_status) | folded(settings.other_status):
                    tally.strange[day].add(status)
                return None
            tally.kinds.add("won" if won else "lost")
            amount = number_of(row.get("ActualAmount")) if won else None
            if won and amount is None:
                amount = number_of(row.get("SalesPotential"))
            begun, created = day_of(row.get("CreateDate")), self._local(row.get("CreateDate"))
            touched = self._local(row.get("ModifyDate"))
        except ValueError as error:
            tally.fault(CLOSED.kind, error, OUTCOMES)
            return None
        cycle = None if begun is None else max((day - begun).days, 0)
        who = key_of(at(row, "AccountManager/$key"))
        return _Closing(key_of(row), who, won, day, amount or 0.0, created, cycle, touched)

    def _local(self, value: object) -> date | None:
        moment = moment_of(value)
        return self._day(moment) if moment else None

    def _day(self, moment: datetime) -> date:
        return moment.astimezone(self._crm.zone).date()

    async def _date(self, late: list[_Closing], tally: Tally) -> None:
        """Count closings that may have been booked late, by what the history says of them."""
        booked = await self._booked(late) if late else {}
        for closing in late:
            _count(closing, closing.counts_on(booked.get(closing.id)), tally)
        late.clear()

    async def _booked(self, late: list[_Closing]) -> dict[str, date]:
        settings = self._crm.settings
        closed = folded(settings.won_status) | folded(settings.lost_status)
        dates = {closing.id: closing.day for closing in late}
        found: dict[str, date] = {}
        where = BOOKED.where.format(deals=any_of("OpportunityId", sorted(dates)))
        try:
            async for row in self._crm.lists.rows(BOOKED, where):
                deal = key_of(row.get("OpportunityId"))
                day = self._when(row)
                ended = any(
                    change.field in STATUS_FIELDS and change.new.casefold() in closed
                    for change in changes_of(row.get("Notes"))
                )
                # A change well before the date is of an earlier closing, of which this one is no part.
                if ended and day is not None and deal in dates and day >= dates[deal] - _DAY:
                    found[deal] = min(day, found.get(deal, day))
        except (Denied, NotOffered, NotUnderstood):
            return {}  # the metrics of the history say so; closings count on their dates
        return found

    def _when(self, row: Row) -> date | None:
        try:
            return self._local(row.get("CreateDate"))
        except ValueError:
            return None  # named by the poll


def _count(closing: _Closing, day: date, tally: Tally) -> None:
    if not closing.won:
        tally.add("lost_count", closing.who, day)
        return
    tally.add("won_count", closing.who, day)
    tally.add("won_amount", closing.who, day, closing.amount)
    if closing.cycle is None:
        unknown = ValueError("an opportunity without the date of its creation")
        tally.fault(CLOSED.kind, unknown, ["cycle_days"], day, "CreateDate")
    else:
        tally.add("cycle_days", closing.who, day, closing.cycle)
