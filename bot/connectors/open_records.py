"""Open deals and tasks of a CRM that keeps no history of them: what is out of order on one now, and how a message names it.

Ages are whole days; the same conditions as the counted metrics have (bot/domain/usage.py), on records that were read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import quote

from bot.domain.usage import GRACE_DAYS, QUIET_DAYS, STUCK_DAYS, RecordRef


@dataclass(frozen=True, slots=True)
class OpenDeal:
    """An open opportunity as the CRM shows it. None, "" where it says nothing.

    ``account``: the account's name, or its id where only that is known. ``step_since``: since when it is in its step.
    """

    id: str
    owner: str
    name: str = ""
    created: date | None = None
    close: date | None = None
    amount: float | None = None
    next_step: str = ""
    account: str = ""
    step: str = ""
    step_since: date | None = None
    last_activity: date | None = None


@dataclass(frozen=True, slots=True)
class OpenTask:
    """An open task."""

    id: str
    owner: str
    subject: str = ""
    due: date | None = None


DEAL_FLAWS: Mapping[str, str] = {
    "opps_open": "id",
    "opps_past_close": "close",
    "opps_no_next_step": "next_step",
    "opps_no_activity_30d": "last_activity",
    "opps_stuck_step": "step_since",
    "opps_missing_amount": "amount",
    "opps_missing_account": "account",
}
"""Snapshot metrics that count open deals, and the field of :class:`OpenDeal` that each is about."""


def grace_day(today: date) -> date:
    """Records that were created before this day have had a week."""
    return today - timedelta(days=GRACE_DAYS - 1)


def quiet_day(today: date) -> date:
    """An activity since this day is one of the last 30 days."""
    return today - timedelta(days=QUIET_DAYS - 1)


def stuck_day(today: date) -> date:
    """In its step since before this day: for 60 days."""
    return today - timedelta(days=STUCK_DAYS - 1)


def is_flawed(metric: str, deal: OpenDeal, today: date) -> bool:
    """Whether an open deal is among those that a metric of DEAL_FLAWS counts."""
    created = deal.created or today
    match metric:
        case "opps_past_close":
            return deal.close is not None and deal.close < today
        case "opps_no_next_step":
            return not deal.next_step and (today - created).days >= GRACE_DAYS
        case "opps_missing_amount":
            return deal.amount is None and (today - created).days >= GRACE_DAYS
        case "opps_missing_account":
            return not deal.account and (today - created).days >= GRACE_DAYS
        case "opps_no_activity_30d":
            return (today - (deal.last_activity or created)).days >= QUIET_DAYS
        case "opps_stuck_step":
            return (today - (deal.step_since or created)).days >= STUCK_DAYS
    return True


def badness(metric: str, record: OpenDeal | OpenTask, today: date) -> int:
    """How bad a record is, in days: since when it has been so, or open."""
    if isinstance(record, OpenTask):
        return (today - record.due).days if record.due is not None else 0
    since = {
        "opps_past_close": record.close,
        "opps_no_activity_30d": record.last_activity,
        "opps_stuck_step": record.step_since,
    }.get(metric)
    day = since or record.created
    return (today - day).days if day is not None else 0


def reference(metric: str, record: OpenDeal | OpenTask, today: date, link: str) -> RecordRef:
    """A record as a message names it: display values as of ``today``. ``link``: with ``{id}``; "" for none."""
    address = link.replace("{id}", quote(record.id, safe="")) or None
    bad = badness(metric, record, today)
    if isinstance(record, OpenTask):
        due = record.due.isoformat() if record.due is not None else ""
        details = {"due_date": due, "days_past": str(bad)} if due else {}
        return RecordRef(record.id, record.subject or record.id, address, details)
    details = {}
    if record.created is not None:
        details = {"days_open": str((today - record.created).days), "open_since": record.created.isoformat()}
    if record.account:
        details["account"] = record.account
    if record.step:
        details["step"] = record.step
    if metric == "opps_past_close" and record.close is not None:
        details |= {"close_date": record.close.isoformat(), "days_past": str(bad)}
    elif metric == "opps_no_activity_30d":
        details["days_quiet"] = str(bad)
        if record.last_activity is not None and (
            record.created is None or record.last_activity > record.created
        ):
            details["last_activity"] = record.last_activity.isoformat()
    elif metric == "opps_stuck_step":
        details["days_in_step"] = str(bad)
    return RecordRef(record.id, record.name or record.id, address, details)


def worst(
    metric: str, records: Iterable[OpenDeal | OpenTask], limit: int, today: date, link: str
) -> tuple[int, tuple[RecordRef, ...]]:
    """How many of somebody's open records a metric counts, and up to ``limit`` of them, worst first."""
    counted = [each for each in records if isinstance(each, OpenTask) or is_flawed(metric, each, today)]
    first = sorted(counted, key=lambda each: (-badness(metric, each, today), each.id))[:limit]
    return len(counted), tuple(reference(metric, each, today, link) for each in first)


def worst_of_each(
    metric: str, records: Mapping[str, Iterable[OpenDeal | OpenTask]], limit: int, today: date, link: str
) -> dict[str, tuple[int, tuple[RecordRef, ...]]]:
    """The same for each owner in ``records``, as a connector's ``evidence`` gives it; who has none is not in it."""
    found = {owner: worst(metric, own, limit, today, link) for owner, own in records.items()}
    return {owner: named for owner, named in found.items() if named[0]}
