"""Opportunities in memory, seen as they were known on a day: begun later does not exist, closed later is still open.

Days are ordinals (:meth:`datetime.date.toordinal`) in here: a million rows are compared, few are shown.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar

from bot.domain.usage import GRACE_DAYS, QUIET_DAYS, STUCK_DAYS, RecordRef

USUAL_FROM_WON = 5
USUAL_SHARE = 0.75
AFTER_EVERYTHING = date.max.toordinal()


@dataclass(slots=True)
class Deal:
    """One opportunity. ``closed``: the day it was won or lost; AFTER_EVERYTHING while it is open.

    ``won_amount`` is known from ``closed`` on, ``amount`` (of the open deal) while it is open; None: the file has none.
    """

    id: str
    owner: str
    created: int
    closed: int = AFTER_EVERYTHING
    won: bool = False
    won_amount: float | None = None
    name: str = ""
    account: str = ""
    product: str = ""
    step: str = ""
    step_since: int | None = None
    expected_close: int | None = None
    next_step: str = ""
    amount: float | None = None
    last_activity: int | None = None


@dataclass(slots=True)
class _Wins:
    """An owner's won deals by the day they were won, and how long each had been open."""

    days: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Day:
    """What is open on a day, by owner, and how long each owner's won deals usually took until then."""

    day: int
    by_owner: Mapping[str, list[Deal]]
    usual: Mapping[str, int]


class DealBook:
    """All deals of one reading. Built once, asked for any day; answers never depend on what is dated after that day."""

    def __init__(
        self,
        deals: Sequence[Deal],
        *,
        activities: Mapping[str, Sequence[int]] | None = None,
        amount_changes_at_close: bool = False,
    ) -> None:
        """``activities``: deal id -> days of its activities, ascending. ``amount_changes_at_close``: the file has one amount

        for the open and the won deal, so that of a deal closed later is not known.
        """
        self._deals = sorted(deals, key=lambda deal: (deal.created, deal.id))
        self._created = [deal.created for deal in self._deals]
        self._activities = activities or {}
        self._amount_changes = amount_changes_at_close
        wins: defaultdict[str, _Wins] = defaultdict(_Wins)
        won = (deal for deal in self._deals if deal.won)
        for deal in sorted(won, key=lambda deal: (deal.closed, deal.id)):
            wins[deal.owner].days.append(deal.closed)
            wins[deal.owner].lengths.append(deal.closed - deal.created)
        self._wins = dict(wins)
        self._seen: _Day | None = None

    def __len__(self) -> int:
        return len(self._deals)

    def open_on(self, day: int) -> Mapping[str, list[Deal]]:
        """Owner -> deals that were open at the end of that day."""
        return self._on(day).by_owner

    def usual_days(self, owner: str, day: int) -> int | None:
        """Days within which three quarters of the owner's deals won until then were won (nearest rank); None under 5."""
        return self._on(day).usual.get(owner)

    def counts(self, metric: str, owner: str, day: int) -> float:
        """A snapshot metric of one owner: a count of deals, or the amount of their pipeline."""
        seen = self._on(day)
        deals = seen.by_owner.get(owner, ())
        if metric == "pipeline_amount":
            return float(sum(self._amount(deal) or 0.0 for deal in deals))
        judge = self.JUDGES[metric]
        return float(sum(1 for deal in deals if judge(self, deal, seen) is not None))

    def worst(self, metric: str, owner: str, day: int) -> list[tuple[int, Deal]]:
        """The deals behind a count with how bad each is (days), worst first."""
        seen = self._on(day)
        judge = self.JUDGES[metric]
        judged = ((judge(self, deal, seen), deal) for deal in seen.by_owner.get(owner, ()))
        return sorted(
            ((bad, deal) for bad, deal in judged if bad is not None), key=lambda each: (-each[0], each[1].id)
        )

    def last_activity(self, deal: Deal, day: int) -> int | None:
        """The last activity on a deal that was known on that day; its beginning when there was none. None: unknown."""
        days = self._activities.get(deal.id, ())
        known = [deal.created, *days[: bisect_right(days, day)][-1:]]
        if deal.last_activity is not None:
            if deal.last_activity > day and not days:
                return None  # the column was overwritten since; what it said on that day is gone
            if deal.last_activity <= day:
                known.append(deal.last_activity)
        return max(known)

    def _on(self, day: int) -> _Day:
        if self._seen is None or self._seen.day != day:
            by_owner: dict[str, list[Deal]] = {}
            for deal in self._deals[: bisect_right(self._created, day)]:
                if deal.closed > day:
                    by_owner.setdefault(deal.owner, []).append(deal)
            usual = {}
            for owner, wins in self._wins.items():
                until = bisect_right(wins.days, day)
                if until >= USUAL_FROM_WON:
                    usual[owner] = sorted(wins.lengths[:until])[math.ceil(USUAL_SHARE * until) - 1]
            self._seen = _Day(day, by_owner, usual)
        return self._seen

    def _amount(self, deal: Deal) -> float | None:
        return None if self._amount_changes and deal.closed != AFTER_EVERYTHING else deal.amount

    # -- what is wrong with an open deal: how many days, or None when nothing is ----------------------------------------

    def _open(self, deal: Deal, seen: _Day) -> int | None:
        return seen.day - deal.created

    def _past_grace(self, deal: Deal, seen: _Day) -> int | None:
        """Days open, for what nobody fills in on the first day; None while it is too early to speak of it."""
        return seen.day - deal.created if seen.day - deal.created >= GRACE_DAYS else None

    def _past_close(self, deal: Deal, seen: _Day) -> int | None:
        expected = deal.expected_close
        return seen.day - expected if expected is not None and expected < seen.day else None

    def _no_next_step(self, deal: Deal, seen: _Day) -> int | None:
        return self._past_grace(deal, seen) if not deal.next_step else None

    def _no_activity(self, deal: Deal, seen: _Day) -> int | None:
        last = self.last_activity(deal, seen.day)
        return seen.day - last if last is not None and seen.day - last >= QUIET_DAYS else None

    def _stuck(self, deal: Deal, seen: _Day) -> int | None:
        since = deal.step_since
        # An empty cell says nothing, and a step that began later hides the one before: nothing is known about either.
        if since is None or since > seen.day:
            return None
        return seen.day - since if seen.day - since >= STUCK_DAYS else None

    def _missing_amount(self, deal: Deal, seen: _Day) -> int | None:
        if deal.amount is not None or (self._amount_changes and deal.closed != AFTER_EVERYTHING):
            return None
        return self._past_grace(deal, seen)

    def _missing_account(self, deal: Deal, seen: _Day) -> int | None:
        return self._past_grace(deal, seen) if not deal.account else None

    def _open_long(self, deal: Deal, seen: _Day) -> int | None:
        usual = seen.usual.get(deal.owner)
        return seen.day - deal.created if usual is not None and seen.day - deal.created > usual else None

    JUDGES: ClassVar[Mapping[str, Callable[[DealBook, Deal, _Day], int | None]]] = {
        "opps_open": _open,
        "opps_past_close": _past_close,
        "opps_no_next_step": _no_next_step,
        "opps_no_activity_30d": _no_activity,
        "opps_stuck_step": _stuck,
        "opps_missing_amount": _missing_amount,
        "opps_missing_account": _missing_account,
        "opps_open_long": _open_long,
    }

    # -- what is shown of one -------------------------------------------------------------------------------------------

    def record(self, metric: str, deal: Deal, day: int, *, title: str, link: str | None) -> RecordRef:
        """A deal as a message names it: display values as known on that day."""
        details = {
            "days_open": str(day - deal.created),
            "open_since": date.fromordinal(deal.created).isoformat(),
        }
        for key in ("account", "product"):
            if value := getattr(deal, key):
                details[key] = value
        if (
            deal.step
            and deal.closed == AFTER_EVERYTHING
            and deal.step_since is not None
            and deal.step_since <= day
        ):
            details["step"] = deal.step
        if metric == "opps_stuck_step" and deal.step_since is not None:
            details["days_in_step"] = str(day - deal.step_since)
        if metric == "opps_past_close" and deal.expected_close is not None:
            details["close_date"] = date.fromordinal(deal.expected_close).isoformat()
            details["days_past"] = str(day - deal.expected_close)
        if metric == "opps_no_activity_30d":
            last = self.last_activity(deal, day)
            if last is not None:
                if last > deal.created:
                    details["last_activity"] = date.fromordinal(last).isoformat()
                details["days_quiet"] = str(day - last)
        if metric == "opps_open_long":
            usual = self.usual_days(deal.owner, day)
            if usual is not None:
                details["usual_days"] = str(usual)
        return RecordRef(deal.id, title, link, details)


RECORD_METRICS: Collection[str] = frozenset(DealBook.JUDGES)
"""Snapshot metrics with deals behind them that a message can name."""
