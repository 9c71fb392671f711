"""Whether what a tip says of somebody's deals is so at the moment at which it arrives, by the CRM's own tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sandbox.crm.records import day_text

if TYPE_CHECKING:
    from sandbox.crm.records import Crm
    from sandbox.promises.looks import Look

_FLAWS = {
    "past_close_date": ("CloseDate < ?2", "day"),
    "no_next_step": ("NextStep IS NULL AND substr(CreatedDate, 1, 10) <= ?2", "week"),
    "no_activity": ("coalesce(LastActivityDate, substr(CreatedDate, 1, 10)) <= ?2", "month"),
    "stuck_step": (
        "substr(coalesce(LastStageChangeDate, CreatedDate), 1, 10) <= ?2",
        "long",
    ),
    "missing_amount": ("Amount IS NULL AND substr(CreatedDate, 1, 10) <= ?2", "week"),
    "missing_account": ("AccountId IS NULL AND substr(CreatedDate, 1, 10) <= ?2", "week"),
}
"""What a tip says, as a condition on its owner's open opportunities: a week, 30 days and 60 days as in the bot's words."""
REFUSING = frozenset(
    {
        *(
            "crm_401",
            "crm_login_refused",
            "crm_request_limit",
            "crm_denied",
            "crm_timeout",
            "crm_timeout_500",
        ),
        *("crm_429", "crm_429_date", "crm_429_bare", "crm_503_html", "crm_truncated", "crm_dropped"),
    }
)
"""Kinds of trouble by which nothing can be read (sandbox.faults).

Not crm_own_logins: nobody is written to about logins. Nor a later page that fails: the first ones were read.
"""
_OBJECTS = {
    "leads": ("Lead",),
    "contacts": ("Contact",),
    "tasks": ("Task",),
    "activities": ("Task", "Event"),
    "accounts": ("Account",),
    "step": ("Opportunity", "OpportunityFieldHistory"),
    "entering": ("Opportunity",),
}
"""What a first-weeks tip is decided on, by what it invites to."""
LASTING = timedelta(hours=54)
"""A poll may be 30 hours old, and is about the day before."""


def owners_of(crm: Crm, email: str | None) -> frozenset[str]:
    """The CRM users behind an e-mail address, in whatever case."""
    rows = crm.select("SELECT Id FROM User WHERE lower(Email) = ?", ((email or "").lower(),))
    return frozenset(str(row[0]) for row in rows)


def check(crm: Crm, owners: frozenset[str], look: Look, now: datetime) -> str | None:
    """What is not so of a tip that names records; None when all of it is. Days are let off by one, for their zones."""
    marks = ",".join("?" * len(look.records))
    found = {
        str(row["Id"]): row
        for row in crm.rows(
            f"SELECT Id, OwnerId, IsClosed FROM Opportunity WHERE Id IN ({marks})",  # marks only
            *look.records,
        )
    }
    for record in look.records:
        row = found.get(record)
        if row is None:
            return f"{record} is no opportunity"
        if row["OwnerId"] not in owners:
            return f"{record} is somebody else's"
        if row["IsClosed"]:
            return f"{record} is closed"
    flaw = _FLAWS.get(look.about)
    if flaw is None:
        return None
    owner = str(found[look.records[0]]["OwnerId"])
    least, most = (_flawed(crm, flaw, owner, now, days) for days in (-1, 1))
    missing = [record for record in look.records if record not in most]
    if missing:
        return f"{missing[0]} has no {look.about}"
    if look.count is not None and not len(least) <= look.count <= len(most):
        return f"it counts {look.count}, there are {len(least)} to {len(most)}"
    return None


def _flawed(crm: Crm, flaw: tuple[str, str], owner: str, now: datetime, days: int) -> frozenset[str]:
    """The open deals of an owner with a flaw, seen from a day earlier or later."""
    seen = now.astimezone(UTC) + timedelta(days=days)
    today = seen.date()
    terms = {
        "day": day_text(today),
        "week": day_text(today - timedelta(days=7)),
        "month": day_text(today - timedelta(days=30)),
        "long": day_text(today - timedelta(days=60)),
    }
    condition, term = flaw
    sql = f"SELECT Id FROM Opportunity WHERE OwnerId = ?1 AND IsClosed = 0 AND {condition}"  # ours
    return frozenset(str(row[0]) for row in crm.select(sql, (owner, terms[term])))


@dataclass(frozen=True, slots=True)
class Trouble:
    """An object that a tip reads was out within the time that counts; `blind`: at all of that time."""

    object: str
    blind: bool


def trouble(crm: Crm, look: Look, now: datetime) -> Trouble | None:
    """What was in the way of reading what a tip is about; None when nothing was, and nothing is put to the test.

    A tip that names deals was read a moment ago, or should have waited; any other may be as old as a poll may be.
    """
    objects: tuple[str, ...] = ("Opportunity",)
    # Such a tip is decided the day before at the earliest: trouble since then is what it might have ignored.
    since, decided = now, now - timedelta(days=1)
    if not look.records:
        objects = _OBJECTS.get(look.about.partition(":")[2], ())
        since = decided = now - LASTING
    found = [
        Trouble(name, _out(crm, name, since, now)) for name in objects if _struck(crm, name, decided, now)
    ]
    return next((each for each in found if each.blind), found[0] if found else None)


def _out(crm: Crm, name: str, since: datetime, now: datetime) -> bool:
    """Whether an object could not be read at any time from `since` to `now`."""
    reached = since
    for begins, ends in _outages(crm, name):
        if begins <= reached:
            reached = max(reached, ends)
    return reached > now


def _struck(crm: Crm, name: str, since: datetime, now: datetime) -> bool:
    """Whether an object could not be read at some time from `since` to `now`."""
    return any(begins <= now and ends > since for begins, ends in _outages(crm, name))


def _outages(crm: Crm, name: str) -> list[tuple[datetime, datetime]]:
    """From and until when an object could not be read, in order."""
    return sorted(
        (outage.begins, outage.ends)
        for outage in crm.outages
        if outage.kind in REFUSING and outage.object in (None, name)
    )
