"""What Salesforce is asked: every query that a poll sends, and what its groups mean.

One grouped query for each metric, whatever the number of people. ``Status`` of LoginHistory cannot be filtered and
``LoginTime`` not grouped; groups have no next page, only a next key. All times are UTC, all days as DAY_ONLY() counts them.

Sources: SOQL and SOSL Reference (Aggregate Functions, Date Functions, GROUP BY); Object Reference (User, UserLogin,
LoginHistory, Opportunity, OpportunityFieldHistory, Task, Event).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from bot.domain.usage import GRACE_DAYS, METRICS, QUIET_DAYS, STUCK_DAYS

GROUPS = 2000
"""Most groups that an aggregate query gives: there is no next page, only a next key."""
_ACTIVITY = {"Call": "call", "Email": "email", "ListEmail": "email"}

Row = Mapping[str, Any]
Number = tuple[str, date | None, float]
"""(metric, day of an event or None for a snapshot, how much)."""


@dataclass(frozen=True, slots=True)
class Question:
    """One grouped query. ``where`` has ``{a}``, ``{b}`` (instants), ``{first}``, ``{last}`` (days) for the span asked for.

    ``key``: the person that groups are counted for, and paged by. ``read``: a group -> its numbers; raises ValueError.
    ``spare``: field that may be hidden -> the question to ask instead, for the metrics that do not need it.
    """

    metrics: tuple[str, ...]
    entity: str
    key: str
    select: str
    where: str
    group: str
    read: Callable[[Row], Sequence[Number]]
    spare: Mapping[str, Question] = field(default_factory=dict)

    def soql(self, span: Mapping[str, str], after: str | None) -> str:
        """The query for a span, for people after ``after``."""
        beyond = f" AND {self.key} > '{after}'" if after is not None else ""
        return (
            f"SELECT {self.select} FROM {self.entity} WHERE {self.where.format_map(span)}{beyond}"
            f" GROUP BY {self.group} ORDER BY {self.key} LIMIT {GROUPS}"
        )


def _number(row: Row, key: str) -> float:
    value = row.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"{value!r} is no number")


def _sum(row: Row, key: str) -> float:
    """A SUM: null when there was nothing to add."""
    return 0.0 if row.get(key) is None else _number(row, key)


def _day(row: Row, key: str = "d") -> date:
    value = row.get(key)
    try:
        return date.fromisoformat(value)  # type: ignore[arg-type]  # what is no text raises TypeError
    except (TypeError, ValueError) as error:
        raise ValueError(f"{value!r} is no day") from error


def _counting(metric: str) -> Callable[[Row], Sequence[Number]]:
    def read(row: Row) -> Sequence[Number]:
        return ((metric, _day(row), _number(row, "n")),)

    return read


def _state(metric: str) -> Callable[[Row], Sequence[Number]]:
    def read(row: Row) -> Sequence[Number]:
        return ((metric, None, _number(row, "n")),)

    return read


def _activity(row: Row) -> Sequence[Number]:
    kind = _ACTIVITY.get(row.get("TaskSubtype") or "", "task")
    return ((f"activities_completed.{kind}", _day(row), _number(row, "n")),)


def _closing(row: Row) -> Sequence[Number]:
    day, count = _day(row, "CloseDate"), _number(row, "n")
    if row.get("IsWon") is True:
        amount = (("won_amount", day, _sum(row, "amt")),) if "amt" in row else ()
        return (("won_count", day, count), *amount)
    if row.get("IsWon") is False:
        return (("lost_count", day, count),)
    raise ValueError(f"IsWon is {row.get('IsWon')!r}")


def _by_day(
    metrics: Sequence[str],
    entity: str,
    key: str,
    moment: str,
    *,
    read: Callable[[Row], Sequence[Number]],
    count: str = "COUNT(Id)",
    before: str = "",
    after: str = "",
    also: str = "",
) -> Question:
    """Events grouped by person and UTC day."""
    group = f"{key}, DAY_ONLY({moment}){also}"
    return Question(
        tuple(metrics),
        entity,
        key,
        f"{key}, DAY_ONLY({moment}) d{also}, {count} n",
        f"{before}{moment} >= {{a}} AND {moment} < {{b}}{after}",
        group,
        read,
    )


_COUNTED = Question(
    ("won_count", "lost_count"),
    "Opportunity",
    "OwnerId",
    "OwnerId, CloseDate, IsWon, COUNT(Id) n",
    "IsClosed = true AND CloseDate >= {first} AND CloseDate <= {last}",
    "OwnerId, CloseDate, IsWon",
    _closing,
)
_CLOSED = replace(
    _COUNTED,
    metrics=("won_count", "lost_count", "won_amount"),
    select=f"{_COUNTED.select}, SUM(Amount) amt",
    spare={"Amount": _COUNTED},
)
EVENTS: tuple[Question, ...] = (
    *(
        _by_day(
            [f"records_created.{entity.lower()}"],
            entity,
            "CreatedById",
            "CreatedDate",
            read=_counting(f"records_created.{entity.lower()}"),
        )
        for entity in ("Opportunity", "Account", "Contact", "Lead")
    ),
    _by_day(
        ["records_updated.opportunity"],
        "OpportunityFieldHistory",
        "CreatedById",
        "CreatedDate",
        count="COUNT_DISTINCT(OpportunityId)",
        after=" AND Field != 'created'",
        read=_counting("records_updated.opportunity"),
    ),
    _by_day(
        ["step_moves"],
        "OpportunityFieldHistory",
        "CreatedById",
        "CreatedDate",
        count="COUNT_DISTINCT(OpportunityId)",
        after=" AND Field = 'StageName'",
        read=_counting("step_moves"),
    ),
    _by_day(
        [f"activities_completed.{kind}" for kind in ("call", "email", "task")],
        "Task",
        "OwnerId",
        "CompletedDateTime",
        before="IsClosed = true AND ",
        also=", TaskSubtype",
        read=_activity,
    ),
    _by_day(
        ["activities_completed.meeting"],
        "Event",
        "OwnerId",
        "StartDateTime",
        after=" AND IsChild = false",
        read=_counting("activities_completed.meeting"),
    ),
    _CLOSED,
)
"""Events of a span of days, one question each. A meeting counts once it has begun: its span ends now at the latest."""

FLAWS: Mapping[str, tuple[str, str]] = {
    "opps_open": ("Opportunity", "IsClosed = false"),
    "opps_past_close": ("Opportunity", "IsClosed = false AND CloseDate < {today}"),
    "opps_no_next_step": ("Opportunity", "IsClosed = false AND NextStep = null AND CreatedDate < {grace}"),
    "opps_no_activity_30d": (
        "Opportunity",
        "IsClosed = false AND (LastActivityDate < {quiet_day} OR (LastActivityDate = null AND CreatedDate < {quiet}))",
    ),
    "opps_stuck_step": (
        "Opportunity",
        "IsClosed = false AND (LastStageChangeDate < {stuck} OR (LastStageChangeDate = null AND CreatedDate < {stuck}))",
    ),
    "opps_missing_amount": ("Opportunity", "IsClosed = false AND Amount = null AND CreatedDate < {grace}"),
    "opps_missing_account": (
        "Opportunity",
        "IsClosed = false AND AccountId = null AND CreatedDate < {grace}",
    ),
    "tasks_overdue": ("Task", "IsClosed = false AND ActivityDate < {today}"),
}
"""Snapshot metrics with records behind them: object, and which of its records are counted."""
STATES: tuple[Question, ...] = tuple(
    Question((metric,), entity, "OwnerId", "OwnerId, COUNT(Id) n", where, "OwnerId", _state(metric))
    for metric, (entity, where) in FLAWS.items()
    if metric != "opps_open"
)
REQUIRED = {"NextStep": "next_steps", "Amount": "amounts", "AccountId": "accounts"}
"""Fields that every open opportunity should have, and what their count is called. Name, step and close date always are."""


def pipeline(fields: Iterable[str]) -> Question:
    """Open opportunities of everybody, with how many have each of ``fields`` (of REQUIRED)."""
    known = [name for name in REQUIRED if name in fields]

    def read(row: Row) -> Sequence[Number]:
        count = _number(row, "n")
        found: list[Number] = [("opps_open", None, count)]
        if "Amount" in known:
            found.append(("pipeline_amount", None, _sum(row, "amt")))
        if len(known) == len(REQUIRED) and count:
            filled = sum(_number(row, name) for name in REQUIRED.values())
            found.append(("field_completeness", None, round(100 * filled / (count * len(REQUIRED)), 2)))
        return found

    total = ", SUM(Amount) amt" if "Amount" in known else ""
    counts = "".join(f", COUNT({name}) {REQUIRED[name]}" for name in known)
    return Question(
        ("opps_open", "pipeline_amount", "field_completeness"),
        "Opportunity",
        "OwnerId",
        f"OwnerId, COUNT(Id) n{total}{counts}",
        "IsClosed = false",
        "OwnerId",
        read,
    )


LOGINS = Question(
    ("active_day",),
    "LoginHistory",
    "UserId",
    "UserId, Status, LoginType, COUNT(Id) n",
    "LoginTime >= {a} AND LoginTime < {b}",
    "UserId, Status, LoginType",
    lambda _row: (),
)
"""Asked day by day: LoginTime cannot be grouped, and Status cannot be filtered."""
USERS = (
    "SELECT Id, Name, Email, Username, FederationIdentifier, IsActive, UserType, ManagerId, Profile.Name,"
    " Profile.UserLicense.Name, UserRole.Name, Department, Title, TimeZoneSidKey, LocaleSidKey, CreatedDate"
    " FROM User WHERE UserType = 'Standard' ORDER BY Id"
)
FROZEN = "SELECT UserId FROM UserLogin WHERE IsFrozen = true"
INTERACTIVE = ("Application", "Lightning Login", "SAML", "Third Party SSO", "Employee Login", "Passwordless")
"""How LoginType begins when a person logged in; the others are integrations (LoginHistory, Object Reference)."""
DEAL = (
    "Id",
    "Name",
    "OwnerId",
    "StageName",
    "CloseDate",
    "Amount",
    "NextStep",
    "CreatedDate",
    "LastActivityDate",
    "LastStageChangeDate",
    "AccountId",
    "Account.Name",
)
TASK = ("Id", "Subject", "OwnerId", "ActivityDate")
READ = frozenset(
    {"active_day", "opps_open", "pipeline_amount", "field_completeness"}
    | {metric for question in (*EVENTS, *STATES) for metric in question.metrics}
)
"""The metrics that this connector reads; the others are ``unsupported``."""
UNSUPPORTED = {
    metric: f"{metric} is not read from Salesforce by this version"
    for metric in METRICS
    if metric not in READ
}


def instant(day: date) -> str:
    """The beginning of a UTC day as SOQL writes it."""
    return f"{day.isoformat()}T00:00:00Z"


def span(first: date, last: date, until: datetime | None = None) -> dict[str, str]:
    """What a question's ``where`` names for these days. ``until``: nothing after it."""
    end = datetime.combine(last + timedelta(days=1), time(), UTC)
    if until is not None and until < end:
        end = max(until, datetime.combine(first, time(), UTC))
    return {
        "a": instant(first),
        "b": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "first": first.isoformat(),
        "last": last.isoformat(),
    }


def thresholds(today: date) -> dict[str, str]:
    """What the flaws are measured by on a day: the same ages as bot/domain/usage.py says them, in whole days."""
    quiet = today - timedelta(days=QUIET_DAYS - 1)
    return {
        "today": today.isoformat(),
        "grace": instant(today - timedelta(days=GRACE_DAYS - 1)),
        "quiet": instant(quiet),
        "quiet_day": quiet.isoformat(),
        "stuck": instant(today - timedelta(days=STUCK_DAYS - 1)),
    }
