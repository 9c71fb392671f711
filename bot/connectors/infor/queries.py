"""What Infor CRM is asked: every list that a poll reads, with its condition and its columns.

SData gives lists of records, page by page; only a few of the CRM's own metrics are counted by the server. The conditions use
no more of the language than eq, ne, lt, ge, gt, and, or; ``like`` once, for a column that public clients ask like that.

Sources: Saleslogix/argos-saleslogix (names of resources and fields, DefaultMetrics); Sage SData 1.1 (query language).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from urllib.parse import quote

from bot.domain.usage import METRICS

THINGS: Mapping[str, tuple[str, str]] = {
    "opportunity": ("opportunities", "OpportunityId"),
    "case": ("tickets", "TicketId"),
    "lead": ("leads", "LeadId"),
    "contact": ("contacts", "ContactId"),
    "account": ("accounts", "AccountId"),
}
"""A thing of the vocabulary -> its resource, and what its id is called in the history. In the order in which a history row is
about something: a row about an opportunity names its account as well."""
DONE_AS: Mapping[str, str] = {
    "atphonecall": "call",
    "atappointment": "meeting",
    "atemail": "email",
    "attodo": "task",
    "atliterature": "task",
}
STEP_FIELDS = frozenset({"stage"})
STATUS_FIELDS = frozenset({"status"})
CLOSE_FIELDS = frozenset({"estimatedclose"})
CREATING = timedelta(minutes=1)
"""How long after its creation a record still changes by being created."""
BOOKED_WITHIN_DAYS = 2
"""A closing that is booked so soon after its date counts on that date: the polls of these days read it again."""
BOOKED_LATE_DAYS = 90
"""A closing that is booked later than this counts on its date."""
SEEN_DAYS = 30
"""Somebody has logged in within so many days, or what a login is has been told wrongly."""
FRESH_FOR = timedelta(hours=12)
"""How long after a day the last change of a record still tells who changed it on that day."""
SETTLED_DAYS = 3
"""What is older is read once a day only to know when a deal was last worked on, or moved."""
SETTLED_FOR = timedelta(days=1)
"""How long it is known then: rows that went, and a right that was given, are seen after that."""
_LITERAL = "'@(),/:$-_"
"""Stays as it is in an address: some servers do not find a text whose quotes are escaped."""


@dataclass(frozen=True, slots=True)
class Question:
    """A list. ``where`` has names in braces. ``spare``: columns that may not be there; without them the rest is read.

    ``system``: whether the resource is one of the contract "system" rather than "dynamic".
    """

    kind: str
    where: str
    fields: tuple[str, ...]
    spare: tuple[str, ...] = ()
    system: bool = False


CREATED: Mapping[str, Question] = {
    thing: Question(kind, "CreateDate ge {a} and CreateDate lt {b}", ("CreateUser", "CreateDate"))
    for thing, (kind, _) in THINGS.items()
}
DONE = Question(
    "history",
    "Type ne 'atDatabaseChange' and CompletedDate ge {a} and CompletedDate lt {b}",
    ("Type", "CompletedDate", "CompletedUser", "UserId"),
)
CHANGED = Question(
    "history",
    "Type eq 'atDatabaseChange' and CreateDate ge {a} and CreateDate lt {b}",
    ("CreateUser", "CreateDate", "Notes", *(identity for _, identity in THINGS.values())),
    ("Result",),
)
MODIFIED: Mapping[str, Question] = {
    thing: Question(
        kind, "ModifyDate ge {a} and ModifyDate lt {b}", ("ModifyUser", "ModifyDate", "CreateDate")
    )
    for thing, (kind, _) in THINGS.items()
}
"""Where changes are not audited: the last one of each record is all that is known."""
CLOSED = Question(
    "opportunities",
    "ActualClose ge {a} and ActualClose lt {b}",
    ("AccountManager/$key", "Status", "ActualClose", "CreateDate", "SalesPotential"),
    ("ActualAmount", "ModifyDate"),
)
CLOSED_LATE = replace(
    CLOSED, where="ActualClose ge {oldest} and ActualClose lt {before} and ModifyDate ge {a}"
)
"""Closings with an older date that may have been booked since."""
BOOKED = Question(
    "history", "Type eq 'atDatabaseChange' and {deals}", ("OpportunityId", "CreateDate", "Notes")
)
"""When a closing was booked, where changes of the status are audited."""
OWNED = Question("opportunities", "{what}", ("AccountManager/$key", "Status"))
"""Whether there is a single opportunity of a kind: of somebody else, or of a status."""
OPEN = Question(
    "opportunities",
    "{open}",
    ("AccountManager/$key", "Stage", "EstimatedClose", "SalesPotential", "CreateDate", "Account/$key"),
)
OPEN_NAMED = Question(
    OPEN.kind,
    "{open} and {owners}",
    ("Description", *OPEN.fields, "Account/AccountName"),
)
OVERDUE = Question(
    "activities",
    "(Type eq 'atToDo' or Type eq 'atPhoneCall') and StartDate lt {b}",
    ("Type", "StartDate", "Timeless", "Recurring", "UserId", "Leader/$key"),
    system=True,
)
OVERDUE_NAMED = Question(
    OVERDUE.kind, OVERDUE.where + " and {owners}", ("Description", *OVERDUE.fields), system=True
)
WORKED_ON = Question(
    "history",
    "Type ne 'atDatabaseChange' and OpportunityId ne null and CompletedDate ge {a} and CompletedDate lt {b}",
    ("OpportunityId", "CompletedDate"),
)
WORKED_ON_LATE = replace(
    WORKED_ON,
    where=(
        "Type ne 'atDatabaseChange' and OpportunityId ne null and CompletedDate ge {oldest} and CompletedDate lt {a}"
        " and ModifyDate ge {a}"
    ),
)
"""People write themselves when they completed something: what was written of late, with an older date."""
MOVED_ON = Question(
    "history",
    "Type eq 'atDatabaseChange' and OpportunityId ne null and CreateDate ge {a} and CreateDate lt {b}",
    ("OpportunityId", "CreateDate", "Notes"),
)
IS_AUDITED = Question("history", "Type eq 'atDatabaseChange' and {what}", ("CreateDate",))
"""Whether there is a single one: no audited change in some days may as well mean that nothing is audited."""
PEOPLE = (
    "UserName",
    "Enabled",
    "Type",
    "UserInfo/UserName",
    "UserInfo/FirstName",
    "UserInfo/LastName",
    "UserInfo/Email",
    "UserInfo/Title",
    "UserInfo/Department",
    "UserInfo/Region",
)
COUNTED: Mapping[str, tuple[str, str]] = {
    "opps_open": ("CountOpportunities", "{open}"),
    "pipeline_amount": ("SumSalesPotential", "{open}"),
}
"""Snapshots that the server counts by account manager -> its metric, and the condition."""
FLAWS = (
    "opps_open",
    "opps_past_close",
    "opps_no_next_step",
    "opps_no_activity_30d",
    "opps_stuck_step",
    "opps_missing_amount",
    "opps_missing_account",
)
STATES = frozenset({*FLAWS, "pipeline_amount", "field_completeness", "tasks_overdue"})
UPDATED = frozenset({*(f"records_updated.{thing}" for thing in THINGS), "step_moves", "close_date_pushes"})
WON = ("won_count", "won_amount", "cycle_days")
LOST = ("lost_count",)
OUTCOMES = (*WON, *LOST)
ACTIVITIES = tuple(sorted({f"activities_completed.{kind}" for kind in DONE_AS.values()}))
READ = frozenset(
    {
        "active_day",
        *(f"records_created.{thing}" for thing in THINGS),
        *UPDATED,
        *OUTCOMES,
        *ACTIVITIES,
        *STATES,
    }
)
UNSUPPORTED: Mapping[str, str] = {
    metric: (
        "Infor CRM keeps no record of which reports, dashboards and lists are opened"
        if metric.startswith("feature_use.")
        else "Infor CRM's interface has no quotas that are known here"
        if metric == "quota_attainment"
        else "Infor CRM is not asked for this"
    )
    for metric in METRICS
    if metric not in READ
}
NO_LOGINS = (
    "which resource has the logins differs by installation: look for the audit log in the list that the address of the"
    " contract gives ($schema), and set {}"
)
NOT_AUDITED_CODE = "not-audited"
NOT_AUDITED = "no change of {} is in the history: turn on auditing of it in the CRM's Application Architect"
NO_SUCH_STATUS = (
    "no opportunity has ever had the status {}: set {} to what it is called in the CRM's pick list"
)
STRANGE_STATUS = "closed opportunities have the status {}: say with {}, {} or {} what that means"
NOBODY_LOGGED_IN = f"nobody is seen to have logged in for {SEEN_DAYS} days: check {{}}, {{}} and {{}}"
ONLY_OUR_OWN = (
    "no opportunity of anybody but the integration user is seen, so what others do may be hidden: give the integration user"
    " the right to read all opportunities, of every owner"
)
LAST_CHANGE_ONLY = "changes of {} are not audited, and only the last one of each record is known: that tells of a day while it is fresh"
PAST = "Infor CRM tells this as of now only, not for a day gone by"


def instant(day: date) -> str:
    """The beginning of a UTC day, as it stands in a condition."""
    return f"@{day.isoformat()}T00:00:00Z@"


def span(first: date, last: date) -> dict[str, str]:
    """What ``{a}`` and ``{b}`` are for days, both included."""
    return {"a": instant(first), "b": instant(last + timedelta(days=1))}


def literal(text: str) -> str:
    """A text in a condition."""
    return "'" + text.replace("'", "''") + "'"


def any_of(field: str, values: Iterable[str]) -> str:
    """One of these: the language has ``in``, which servers do not have."""
    return "(" + " or ".join(f"{field} eq {literal(value)}" for value in values) + ")"


def address(path: str, query: Iterable[tuple[str, str]]) -> str:
    """A path with its query, as servers want it written."""
    said = "&".join(f"{name}={quote(value, safe=_LITERAL)}" for name, value in query)
    return f"{path}?{said}"


def grant(kind: str) -> str:
    """What an admin has to change so that a resource can be read."""
    return f"give the integration user the right to read all {kind}, of every owner"


def statuses_of(said: str) -> list[str]:
    """The words of a setting with commas."""
    return [each.strip() for each in said.split(",") if each.strip()]


def folded(said: str) -> frozenset[str]:
    """The same, in small letters."""
    return frozenset(each.casefold() for each in statuses_of(said))
