"""What Salesforce is asked: every query that a poll sends, and what its groups mean.

One grouped query for each metric, whatever the number of people. ``Status`` of LoginHistory cannot be filtered and
``LoginTime`` not grouped; groups have no next page, only a next key. All times are UTC, all days as DAY_ONLY() counts them.
A sum in a grouped query is in the corporate currency, also where the org has several.

Sources: SOQL and SOSL Reference (Aggregate Functions, Date Functions, GROUP BY, Querying Currency Fields in Multi-Currency
Orgs); Object Reference (User, UserLogin, LoginHistory, Opportunity, OpportunityFieldHistory, AccountHistory, Task, Event,
ForecastingQuota, LightningUsageByPageMetrics, LightningUsageByAppTypeMetrics).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from bot.connectors.open_records import grace_day, quiet_day, stuck_day
from bot.domain.usage import METRICS

GROUPS = 2000
"""Most groups that an aggregate query gives: there is no next page, only a next key."""
MOST_CLOSINGS = 7 * GROUPS
"""Groups of closed deals that are read of a span at most."""
QUOTA_DAYS = 92
"""How long ago the running period can have begun: a quarter."""
PAST = "Salesforce tells this as of now only, not for a day gone by"
_ACTIVITY = {"Call": "call", "Email": "email", "ListEmail": "email"}

_SUBTYPES = {
    "call": "TaskSubtype = 'Call'",
    "email": "TaskSubtype IN ('Email', 'ListEmail')",
    "task": "(TaskSubtype = null OR TaskSubtype NOT IN ('Call', 'Email', 'ListEmail'))",
}
"""The same as a condition."""

Row = Mapping[str, Any]
Number = tuple[str, date | None, float]
"""(metric, day of an event or None for a snapshot, how much)."""


@dataclass(frozen=True, slots=True)
class Question:
    """One grouped query. ``where`` has ``{a}``, ``{b}`` (instants), ``{first}``, ``{last}`` (days) for the span asked for.

    ``key``: the person that groups are counted for, and paged by. ``read``: a group -> its numbers; raises ValueError.
    ``spare``: field that may be hidden -> the question to ask instead, for the metrics that do not need it. ``also``: what
    has to be answered as well before the metrics may be read. ``most``: groups that are read at most, 0 for all. ``simpler``: what to ask instead for a day that has more.

    ``daily``: everybody has one group a day at most. ``parts``: the same in questions that are daily, for a day of a crowd.
    ``settled``: a group that says all that its person's groups can say.
    """

    metrics: tuple[str, ...]
    entity: str
    key: str
    select: str
    where: str
    group: str
    read: Callable[[Row], Sequence[Number]]
    spare: Mapping[str, Question] = field(default_factory=dict)
    also: tuple[Question, ...] = ()
    most: int = 0
    simpler: tuple[Question, ...] = ()
    daily: bool = False
    parts: tuple[Question, ...] = ()
    settled: Callable[[Row], bool] | None = None

    def soql(self, span: Mapping[str, str], after: str | None = None, upto: str | None = None) -> str:
        """The query for a span, for people after ``after`` and up to ``upto``."""
        beyond = f" AND {self.key} > '{after}'" if after is not None else ""
        until = f" AND {self.key} <= '{upto}'" if upto is not None else ""
        return (
            f"SELECT {self.select} FROM {self.entity} WHERE {self.where.format_map(span)}{beyond}{until}"
            f" GROUP BY {self.group} ORDER BY {self.key} LIMIT {GROUPS}"
        )

    def is_single(self, span: Mapping[str, str]) -> bool:
        """Whether everybody has one group at most in a span."""
        return self.group == self.key or (self.daily and span.get("first") == span.get("last"))

    @property
    def columns(self) -> tuple[str, ...]:
        """The keys of a row that tell one group from another."""
        items = [item for item in self.select.split(", ") if not item.startswith(("COUNT", "SUM"))]
        return tuple(item.rpartition(" ")[2] for item in items)

    @property
    def fields(self) -> frozenset[str]:
        """The fields of FIELDS that it needs."""
        return frozenset(re.findall(r"\w+", f"{self.select} {self.where}")) & FIELDS


FIELDS = frozenset({"Amount", "NextStep", "AccountId", "LastActivityDate", "LastStageChangeDate"})
"""Fields of an opportunity that an admin may hide, or an older version may not have."""


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


def _counting(metric: str, day: str = "d") -> Callable[[Row], Sequence[Number]]:
    def read(row: Row) -> Sequence[Number]:
        return ((metric, _day(row, day), _number(row, "n")),)

    return read


def _state(metric: str) -> Callable[[Row], Sequence[Number]]:
    def read(row: Row) -> Sequence[Number]:
        return ((metric, None, _number(row, "n")),)

    return read


def _activity(row: Row) -> Sequence[Number]:
    kind = _ACTIVITY.get(row.get("TaskSubtype") or "", "task")
    return ((f"activities_completed.{kind}", _day(row), _number(row, "n")),)


def _using(metric: str) -> Callable[[Row], Sequence[Number]]:
    def read(row: Row) -> Sequence[Number]:
        return ((metric, _day(row, "MetricsDate"), _sum(row, "n")),)

    return read


def _on_mobile(row: Row) -> Sequence[Number]:
    day = _day(row, "MetricsDate")
    mobile = "mobile" in str(row.get("AppExperience") or "").casefold()
    return (("feature_use.mobile", day, _number(row, "n")),) if mobile else ()


def _like(name: str, patterns: Iterable[str]) -> str:
    """The condition that a field is like one of these."""
    likes = [f"{name} LIKE '{each}'" for each in patterns]
    return f"({' OR '.join(likes)})"


def pushed(row: Row) -> date | None:
    """The day on which a close date was moved into the future; None when it was moved otherwise. Raises ValueError."""
    old, new = row.get("OldValue"), row.get("NewValue")
    moved = _day({"d": str(row.get("CreatedDate"))[:10]})
    if old is None or new is None:
        return None
    before, after = _day({"d": str(old)[:10]}), _day({"d": str(new)[:10]})
    return moved if after > before else None


def amount_of(row: Row) -> float:
    """What a group's amounts add up to. Raises ValueError."""
    return _sum(row, "amt")


def quota_of(row: Row) -> tuple[str, date, float]:
    """Forecast type, beginning of the period, quota. Raises ValueError."""
    return str(row.get("ForecastingTypeId") or ""), _day(row, "StartDate"), _number(row, "amt")


def _closed_on(row: Row) -> date:
    """The day on which the stage was changed for the last time; of what was entered as closed, the day of its entry.

    Its close date counts where that lies more than ENTERED_LATE before its entry: history that was imported.
    """
    if row.get("d") is not None:
        return _day(row)
    begun, close = _day(row, "begun"), _day(row, "CloseDate")
    return begun if close >= begun - ENTERED_LATE else close


def _written(row: Row) -> date:
    """The close date, where the last change of stage may not be seen."""
    return _day(row, "CloseDate")


def _cycle(row: Row, *, moved: bool) -> Sequence[Number]:
    day = _closed_on(row) if moved else _written(row)
    length = max((day - _day(row, "begun")).days, 0)
    return (("cycle_days", day, length * _number(row, "n")),)


def _closing(row: Row, *, moved: bool) -> Sequence[Number]:
    day, count = _closed_on(row) if moved else _written(row), _number(row, "n")
    if row.get("IsWon") is True:
        amount = (("won_amount", day, _sum(row, "amt")),) if "amt" in row else ()
        return (("won_count", day, count), *amount)
    if row.get("IsWon") is False:
        return (("lost_count", day, count),)
    raise ValueError(f"IsWon is {row.get('IsWon')!r}")


def _outcome(row: Row, *, moved: bool) -> Sequence[Number]:
    """A group of closed deals: outcome, amount and, of won ones, how long they took."""
    taken = _cycle(row, moved=moved) if row.get("IsWon") is True else ()
    return (*_closing(row, moved=moved), *taken)


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
        daily=not also,
    )


ENTERED_LATE = timedelta(days=31)
"""How long after its close date a deal may be entered as closed, and count on the day of its entry."""
_MOVED = "LastStageChangeDate >= {a} AND LastStageChangeDate < {b}"
_UNMOVED = (
    "LastStageChangeDate = null AND ((CreatedDate >= {a} AND CreatedDate < {b} AND CloseDate >= {early})"
    " OR (CloseDate >= {first} AND CloseDate <= {last} AND CreatedDate >= {late}))"
)
"""Entered as closed within the span, or imported long after a closing within it."""
_BY_CLOSE = "CloseDate >= {first} AND CloseDate <= {last}"
_MOVED_ON, _BEGUN_ON = "DAY_ONLY(LastStageChangeDate)", "DAY_ONLY(CreatedDate)"


def _closings(
    metrics: Sequence[str],
    select: str,
    group: str,
    when: str,
    read: Callable[[Row], Sequence[Number]],
    *,
    most: int = 0,
) -> Question:
    """Deals closed. ``when``: which ones, and on which days."""
    return Question(
        tuple(metrics),
        "Opportunity",
        "OwnerId",
        f"OwnerId, {select}",
        when,
        f"OwnerId, {group}",
        read,
        most=most,
    )


def _closed(*, amount: bool = True, moved: bool = True) -> Question:
    """Deals closed, all that is asked of them in one. ``amount``, ``moved``: whether the fields for it may be seen.

    A deal closes when its stage is changed for the last time. Its close date is what somebody wrote: it may lie before or
    after that day, and be written anew. A deal that never changed its stage was entered as closed. Where changes of stage
    may not be seen, the close date counts.
    """
    total = ", SUM(Amount) amt" if amount else ""
    day, grouped, when = "CloseDate", "CloseDate", _BY_CLOSE
    spare = {"Amount": (False, moved)} if amount else {}
    if moved:
        day, grouped = f"CloseDate, {_MOVED_ON} d", f"CloseDate, {_MOVED_ON}"
        when = f"(({_MOVED}) OR ({_UNMOVED}))"
        spare["LastStageChangeDate"] = amount, False
    outcomes = ("won_count", "lost_count", *(("won_amount",) if amount else ()))
    whole = _closings(
        (*outcomes, "cycle_days"),
        f"{day}, IsWon, {_BEGUN_ON} begun, COUNT(Id) n{total}",
        f"{grouped}, IsWon, {_BEGUN_ON}",
        f"IsClosed = true AND {when}",
        partial(_outcome, moved=moved),
        most=MOST_CLOSINGS,
    )
    return replace(
        whole,
        spare={name: _closed(amount=sums, moved=moves) for name, (sums, moves) in spare.items()},
        simpler=_simpler(outcomes, total, moved=moved),
    )


def _simpler(outcomes: Sequence[str], total: str, *, moved: bool) -> tuple[Question, Question]:
    """The same in fewer groups. What was entered as won took no days: its length is not asked for."""
    day, grouped, when = (f"{_MOVED_ON} d", _MOVED_ON, _MOVED) if moved else ("CloseDate",) * 2 + (_BY_CLOSE,)
    ended = _closings(
        outcomes,
        f"{day}, IsWon, COUNT(Id) n{total}",
        f"{grouped}, IsWon",
        f"IsClosed = true AND {when}",
        partial(_closing, moved=moved),
    )
    entered = _closings(
        outcomes,
        f"CloseDate, {_BEGUN_ON} begun, IsWon, COUNT(Id) n{total}",
        f"CloseDate, {_BEGUN_ON}, IsWon",
        f"IsClosed = true AND {_UNMOVED}",
        partial(_closing, moved=True),
    )
    taken = _closings(
        ("cycle_days",),
        f"{day}, {_BEGUN_ON} begun, COUNT(Id) n",
        f"{grouped}, {_BEGUN_ON}",
        f"IsWon = true AND {when}",
        partial(_cycle, moved=moved),
        most=MOST_CLOSINGS,
    )
    return replace(ended, also=(entered,) if moved else ()), taken


HISTORIES = {
    "opportunity": ("OpportunityFieldHistory", "OpportunityId"),
    "account": ("AccountHistory", "AccountId"),
    "contact": ("ContactHistory", "ContactId"),
    "lead": ("LeadHistory", "LeadId"),
    "case": ("CaseHistory", "CaseId"),
}
"""Where the changes of an object's tracked fields are kept, and the record that each is of."""
EVENTS: tuple[Question, ...] = (
    *(
        _by_day(
            [f"records_created.{entity.lower()}"],
            entity,
            "CreatedById",
            "CreatedDate",
            read=_counting(f"records_created.{entity.lower()}"),
        )
        for entity in ("Opportunity", "Account", "Contact", "Lead", "Case")
    ),
    *(
        _by_day(
            [f"records_updated.{thing}"],
            history,
            "CreatedById",
            "CreatedDate",
            count=f"COUNT_DISTINCT({record})",
            after=" AND Field != 'created'",
            read=_counting(f"records_updated.{thing}"),
        )
        for thing, (history, record) in HISTORIES.items()
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
    replace(
        _by_day(
            [f"activities_completed.{kind}" for kind in ("call", "email", "task")],
            "Task",
            "OwnerId",
            "CompletedDateTime",
            before="IsClosed = true AND ",
            also=", TaskSubtype",
            read=_activity,
        ),
        parts=tuple(
            _by_day(
                [f"activities_completed.{kind}"],
                "Task",
                "OwnerId",
                "CompletedDateTime",
                before="IsClosed = true AND ",
                after=f" AND {among}",
                read=_counting(f"activities_completed.{kind}"),
            )
            for kind, among in _SUBTYPES.items()
        ),
    ),
    _by_day(
        ["activities_completed.meeting"],
        "Event",
        "OwnerId",
        "StartDateTime",
        after=" AND IsChild = false",
        read=_counting("activities_completed.meeting"),
    ),
    _closed(),
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
_LACKING = {
    "opps_no_next_step": "NextStep",
    "opps_missing_amount": "Amount",
    "opps_missing_account": "AccountId",
}
"""Flaws that are an empty field, counted together: COUNT(field) counts what is not empty."""
SINGLY: Mapping[str, Question] = {
    metric: Question((metric,), entity, "OwnerId", "OwnerId, COUNT(Id) n", where, "OwnerId", _state(metric))
    for metric, (entity, where) in FLAWS.items()
    if metric != "opps_open"
}
"""Each flaw by a query of its own."""
STATES: tuple[Question, ...] = tuple(SINGLY[metric] for metric in SINGLY if metric not in _LACKING)
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


def lacking(fields: Iterable[str]) -> Question:
    """Open opportunities that are a week old, with how many have each of ``fields`` (of REQUIRED): what is missing."""
    known = {metric: name for metric, name in _LACKING.items() if name in fields}

    def read(row: Row) -> Sequence[Number]:
        count = _number(row, "n")
        return [(metric, None, count - _number(row, REQUIRED[name])) for metric, name in known.items()]

    counts = "".join(f", COUNT({name}) {REQUIRED[name]}" for name in known.values())
    return Question(
        tuple(known),
        "Opportunity",
        "OwnerId",
        f"OwnerId, COUNT(Id) n{counts}",
        "IsClosed = false AND CreatedDate < {grace}",
        "OwnerId",
        read,
    )


NEEDING = {name: metric for metric, name in _LACKING.items()}
"""Field -> the flaw that is its emptiness."""
LOGINS = Question(
    ("active_day",),
    "LoginHistory",
    "UserId",
    "UserId, Status, LoginType, Application, COUNT(Id) n",
    "LoginTime >= {a} AND LoginTime < {b}",
    "UserId, Status, LoginType, Application",
    lambda _row: (),
)
"""Asked day by day: LoginTime cannot be grouped, Status and Application cannot be filtered."""
INTERACTIVE = ("Application", "Lightning Login", "SAML", "Third Party SSO", "Employee Login", "Passwordless")
"""How LoginType begins when a person logged in; the others are integrations (LoginHistory, Object Reference)."""
REMOTE = "Remote Access"
"""How LoginType begins of what logs in by OAuth: integrations, and Salesforce's own app on a phone."""
APPS = ("Salesforce for", "Salesforce1")
"""How Application begins when it is that app ("Salesforce for iOS"). Not confirmed offline."""


def by_a_person(row: Row) -> bool:
    """Whether logins of a group are those of a person who got in."""
    kind, application = (str(row.get(name) or "") for name in ("LoginType", "Application"))
    on_a_phone = kind.startswith(REMOTE) and application.startswith(APPS)
    return row.get("Status") == "Success" and (on_a_phone or kind.startswith(INTERACTIVE))


LOGINS_OF_PEOPLE = replace(
    LOGINS,
    where=f"{LOGINS.where} AND {_like('LoginType', (f'{kind}%' for kind in (*INTERACTIVE, REMOTE)))}",
    settled=by_a_person,
)
"""The same without the older interfaces, for a crowd."""
USER = (
    *(
        "Id",
        "Name",
        "Email",
        "Username",
        "FederationIdentifier",
        "IsActive",
        "UserType",
        "ManagerId",
        "Profile.Name",
    ),
    *("Profile.UserLicense.Name", "UserRole.Name", "Department", "Title", "TimeZoneSidKey", "LocaleSidKey"),
    "CreatedDate",
)


def users(fields: Iterable[str] = USER) -> str:
    """Everybody, with these fields."""
    return f"SELECT {', '.join(fields)} FROM User WHERE UserType = 'Standard' ORDER BY Id"


USERS = users()
FROZEN = "SELECT UserId FROM UserLogin WHERE IsFrozen = true"
VIEW_ALL = (
    "SELECT PermissionSetId, PermissionSet.PermissionsViewAllData FROM PermissionSetAssignment WHERE AssigneeId = '{me}'"
    " ORDER BY Id"
)
"""Whether we see the records of everybody: a profile counts as a permission set."""
VIEWS_ALL = "SELECT PermissionsViewAllData FROM UserPermissionAccess"
"""The same of whoever asks, where the permission sets are not shown (Object Reference, UserPermissionAccess)."""
VIEW_ALL_RECORDS = (
    "SELECT SobjectType, PermissionsViewAllRecords FROM ObjectPermissions WHERE ParentId IN ({sets})"
    " AND SobjectType IN ('Account', 'Case', 'Contact', 'Lead', 'Opportunity') ORDER BY Id"
)
"""Where we do not: of which objects we see all records at least."""
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
_PAGES = {"report": "report", "dashboard": "dashboard", "list": "list"}
FEATURES: Mapping[str, Question] = {
    f"feature_use.{thing}": Question(
        (f"feature_use.{thing}",),
        "LightningUsageByPageMetrics",
        "UserId",
        "UserId, MetricsDate, SUM(TotalCount) n",
        f"MetricsDate >= {{first}} AND MetricsDate <= {{last}} AND PageName LIKE '%{word}%'",
        "UserId, MetricsDate",
        _using(f"feature_use.{thing}"),
        daily=True,
    )
    for thing, word in _PAGES.items()
} | {
    "feature_use.mobile": Question(
        ("feature_use.mobile",),
        "LightningUsageByAppTypeMetrics",
        "UserId",
        "UserId, MetricsDate, AppExperience, COUNT(Id) n",
        "MetricsDate >= {first} AND MetricsDate <= {last}",
        "UserId, MetricsDate, AppExperience",
        _on_mobile,
    )
}
"""What was opened in Lightning Experience, as the Lightning Usage App counts it: told a day later, and not in sandboxes.

Not confirmed offline: how the pages are called. A kind of page of which none was named in a span is not said at all.
"""
PAGES = {f"feature_use.{thing}": word for thing, word in _PAGES.items()}
OPENED = Question(
    tuple(PAGES),
    "LightningUsageByPageMetrics",
    "UserId",
    "UserId, MetricsDate, PageName, SUM(TotalCount) n",
    "MetricsDate >= {first} AND MetricsDate <= {last} AND "
    + _like("PageName", (f"%{word}%" for word in _PAGES.values())),
    "UserId, MetricsDate, PageName",
    lambda _row: (),
    most=1,
)
"""All kinds of pages in one, where one query has room for them."""
EVERY_PAGE = replace(OPENED, where="MetricsDate >= {first} AND MetricsDate <= {last}", most=50 * GROUPS)
"""Every page, where LIKE may not filter them: the kinds are told from one another here."""
MOBILE = replace(
    FEATURES["feature_use.mobile"],
    select="UserId, MetricsDate, COUNT(Id) n",
    where="MetricsDate >= {first} AND MetricsDate <= {last} AND AppExperience LIKE '%mobile%'",
    group="UserId, MetricsDate",
    read=_counting("feature_use.mobile", "MetricsDate"),
    daily=True,
)
"""Only what was done with the mobile app, for a crowd: a day on which nobody used it says nothing."""
QUOTAS = Question(
    ("quota_attainment",),
    "ForecastingQuota",
    "QuotaOwnerId",
    "QuotaOwnerId, ForecastingTypeId, StartDate, SUM(QuotaAmount) amt",
    "StartDate >= {quarter} AND StartDate <= {today} AND QuotaAmount > 0",
    "QuotaOwnerId, ForecastingTypeId, StartDate",
    lambda _row: (),
)
PERIODS = (
    "SELECT ForecastingTypeId, StartDate, SUM(QuotaAmount) amt FROM ForecastingQuota"
    " WHERE StartDate >= {quarter} AND StartDate <= {today} AND QuotaAmount > 0"
    " GROUP BY ForecastingTypeId, StartDate ORDER BY ForecastingTypeId LIMIT 2000"
)
"""Which quotas there are, for a crowd: then those of one period are asked for."""


def by_days(question: Question) -> str:
    """On which days there is anything of what a question about Lightning counts."""
    return (
        f"SELECT MetricsDate, COUNT(Id) n FROM {question.entity} WHERE {question.where}"
        f" GROUP BY MetricsDate ORDER BY MetricsDate LIMIT {GROUPS}"
    )


OF_PERIOD = Question(
    ("quota_attainment",),
    "ForecastingQuota",
    "QuotaOwnerId",
    "QuotaOwnerId, SUM(QuotaAmount) amt",
    "StartDate = {period} AND ForecastingTypeId = {type} AND QuotaAmount > 0",
    "QuotaOwnerId",
    lambda _row: (),
)
WON = Question(
    ("quota_attainment",),
    "Opportunity",
    "OwnerId",
    "OwnerId, SUM(Amount) amt",
    "IsWon = true AND CloseDate >= {first} AND CloseDate <= {last}",
    "OwnerId",
    lambda _row: (),
)
"""What of a quota is reached: won since its period began."""
PUSHES = (
    "SELECT Id, CreatedById, CreatedDate, OldValue, NewValue FROM OpportunityFieldHistory"
    " WHERE Field = 'CloseDate' AND CreatedDate >= {a} AND CreatedDate < {b} ORDER BY Id"
)
"""Old and new values can be neither filtered nor grouped, so these are rows."""
MOST_PUSHES, PUSHES_A_DAY = 10_000, 2_000
"""Rows of them that are read in a poll, and of a day at least: more of a day are not read at all."""
CHANGES = (
    "SELECT Field, COUNT(Id) n FROM OpportunityFieldHistory WHERE CreatedDate >= {a} AND CreatedDate < {b}"
    " GROUP BY Field ORDER BY Field LIMIT 2000"
)
"""Which fields of opportunities any change was kept of."""
TRACKED = (
    "SELECT Id FROM {history} WHERE CreatedDate >= {a} AND CreatedDate < {b} AND Field != 'created' LIMIT 1"
)
"""Whether any change was kept at all: an object whose history is not tracked has no rows, and says nothing about it."""
READ = frozenset(
    {
        "active_day",
        "opps_open",
        "pipeline_amount",
        "field_completeness",
        "close_date_pushes",
        "quota_attainment",
    }
    | FEATURES.keys()
    | SINGLY.keys()
    | {metric for question in EVENTS for metric in question.metrics}
)
"""The metrics that this connector reads; the others are ``unsupported``."""
UNSUPPORTED = {
    metric: f"{metric} is not read from Salesforce: it takes every won deal of everybody at every poll"
    for metric in METRICS
    if metric not in READ
}
ACTIVITIES = frozenset(
    {"opps_no_activity_30d", *(metric for metric in METRICS if metric.startswith("activities_completed."))}
)
"""What is not known where activities are not kept as Task and Event (``activity_source``)."""


def running_period(starts: Iterable[date], today: date) -> date | None:
    """When the period began that quotas run in; None when there is none for today.

    Periods are months or quarters, and a quota says only when its own begins: where two begin a month apart, they are months.
    """
    begun = sorted({start for start in starts if start <= today})
    if not begun:
        return None
    monthly = any((later - earlier).days <= 31 for earlier, later in pairwise(begun))
    if monthly and (begun[-1].year, begun[-1].month) != (today.year, today.month):
        return None
    return begun[-1]


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
        "early": (first - ENTERED_LATE).isoformat(),
        "late": instant(first + ENTERED_LATE + timedelta(days=1)),
    }


def thresholds(today: date) -> dict[str, str]:
    """What the flaws are measured by on a day: the same ages as bot/domain/usage.py says them, in whole days."""
    return {
        "today": today.isoformat(),
        "grace": instant(grace_day(today)),
        "quiet": instant(quiet_day(today)),
        "quiet_day": quiet_day(today).isoformat(),
        "stuck": instant(stuck_day(today)),
        "quarter": (today - timedelta(days=QUOTA_DAYS)).isoformat(),
    }
