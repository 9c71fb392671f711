"""CRM in, from Salesforce (docs/connectors/salesforce.md): the REST API's ``query`` resource, and nothing that writes.

One grouped query for each metric, whatever the number of people; groups are paged by their key, because aggregate queries
have no locator. Events are counted by UTC day, because DAY_ONLY() is; snapshots are as of now, and never given an older date.
What Salesforce refuses becomes the coverage of the metrics that need it, with what the admin has to change.

Sources: REST API Developer Guide (Query, Status Codes and Error Responses, Limit Info Header), SOQL and SOSL Reference
(Aggregate Functions, Date Functions), Object Reference (LoginHistory, Opportunity, OpportunityFieldHistory, Task, Event).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from zoneinfo import ZoneInfo

import httpx

from bot.connectors.countries import country_of_zone
from bot.connectors.figures import Figures, days_of, halves
from bot.connectors.http import (
    Answer,
    Api,
    LogIn,
    Policy,
    Send,
    Session,
    SessionRefused,
    Throttled,
    check_base_url,
)
from bot.domain.errors import ConfigurationError, FullsteamError, Permanent, Retryable
from bot.domain.people import CrmUser, fold_email
from bot.domain.ports import Clock, ConnectorKind, Probe
from bot.domain.usage import (
    GRACE_DAYS,
    METRICS,
    QUIET_DAYS,
    STUCK_DAYS,
    Collected,
    Coverage,
    CoverageStatus,
    RecordRef,
    RowFault,
    Window,
)

log = logging.getLogger(__name__)

API_VERSION = "v68.0"
GROUPS = 2000
"""Most groups that an aggregate query gives: there is no next page, only a next key."""
OWNERS = 400
"""Owners in one IN list: about 11 kB of address, under the 16 kB that Salesforce takes (REST API limits)."""
CLOCK_TOLERANCE = timedelta(minutes=15)
EVIDENCE_DAYS = 7
"""How old the day may be that a decision was made for; the records are read as of now in any case."""
DEALS_LIFE = timedelta(seconds=1)
ROSTER_LIFE = timedelta(minutes=10)
LOGIN_LOOK_BACK = timedelta(days=30)
PAST = "Salesforce tells this as of now only, not for a day gone by"
LATER = "is not read from Salesforce by this version"
LICENCES = ("Salesforce",)
"""Licences (Profile.UserLicense.Name) with which somebody can work on opportunities."""
_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_VERSION = re.compile(r"v\d{2,3}\.0")
_LIMIT_INFO = re.compile(r"\bapi-usage\s*=\s*(\d+)\s*/\s*(\d+)")
_NO_COLUMN = re.compile(r"No such column '(?P<field>[^']+)' on entity '(?P<entity>[^']+)'")
_NO_RELATION = re.compile(r"Didn't understand relationship '(?P<field>[^']+)' in field path")
_INTERACTIVE = ("Application", "Lightning Login", "SAML", "Third Party SSO", "Employee Login", "Passwordless")
"""How LoginType begins when a person logged in; the others are integrations (LoginHistory, Object Reference)."""
_STALE_SESSIONS = ("not valid for use with the REST API", "Connected app is not attached to Agent")
"""401s that a new login does not heal (jsforce, src/http-api.ts)."""
_ACTIVITY = {"Call": "call", "Email": "email", "ListEmail": "email"}


class Denied(Permanent):
    """The integration user may not read an object or a field. The message says what to grant."""


class FieldHidden(Denied):
    """A field that is not there for us: hidden by field-level security, or not in this org. ``field`` as we named it."""

    def __init__(self, field: str, entity: str) -> None:
        super().__init__(
            f"{entity}.{field} is hidden from the integration user: give it read access to the field",
            code="field-hidden",
        )
        self.field = field


class TooSlow(Retryable):
    """QUERY_TIMEOUT: the same for a shorter span may work. It is not an answer, and never "no rows"."""


class LocatorGone(Retryable):
    """The cursor of a paged query was dropped: the query starts again."""


@dataclass(frozen=True, slots=True)
class SalesforceSettings:
    """How to reach one org. ``url``: its My Domain. ``token_url``: "" is the usual place there.

    ``zone``: where the programme's day begins: snapshots are of that day. ``batch``: rows a page of plain queries.
    """

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    api_version: str = API_VERSION
    token_url: str = ""
    name: str = "salesforce"
    zone: str = "UTC"
    time_out: float = 60.0
    licences: tuple[str, ...] = LICENCES
    batch: int = 2000


# --- questions -----------------------------------------------------------------------------------------------------------

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
_DEAL = (
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
_TASK = ("Id", "Subject", "OwnerId", "ActivityDate")
READ = frozenset(
    {"active_day", "opps_open", "pipeline_amount", "field_completeness"}
    | {metric for question in (*EVENTS, *STATES) for metric in question.metrics}
)
"""The metrics that this connector reads; the others are ``unsupported``."""
_UNSUPPORTED = {metric: f"{metric} {LATER}" for metric in METRICS if metric not in READ}
_GRANTS = {
    "LoginHistory": 'give the integration user the permission "Monitor Login History"',
    "OpportunityFieldHistory": "turn on field history tracking for opportunities (Stage, Close Date, Next Step, Amount), and"
    ' give the integration user "View All" on Opportunity',
    "UserLogin": 'give the integration user the permission "Manage Users", or live with frozen users being taken for active',
}


def grant(entity: str) -> str:
    """What an admin has to change so that an object can be read."""
    return _GRANTS.get(entity, f'give the integration user "View All" on {entity}')


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


# --- what answers mean ---------------------------------------------------------------------------------------------------


def api_used(headers: Mapping[str, str]) -> float | None:
    """Used share of the daily calls by ``Sforce-Limit-Info``, whatever parts stand beside it.

    ``api-usage=10018/100000; api-bursts=1/750``, ``api-usage=25/5000; per-app-api-usage=17/250(appName=x)``.
    """
    for part in re.split("[;,]", headers.get("sforce-limit-info", "")):
        if part.strip().startswith("api-usage") and (said := _LIMIT_INFO.search(part)):
            most = int(said[2])
            return int(said[1]) / most if most else None
    return None


def judge(answer: Answer) -> FullsteamError | None:
    """What a refusal means (reference/crm.md §3). The texts are ours: Salesforce's repeat the query."""
    errors = answer.body if isinstance(answer.body, list) else [answer.body]
    first = errors[0] if errors and isinstance(errors[0], Mapping) else {}
    code, message = str(first.get("errorCode") or ""), str(first.get("message") or "")
    if answer.status == 401:
        if any(said in message for said in _STALE_SESSIONS):
            return SessionRefused(
                "Salesforce refuses this kind of session for its REST API: check the OAuth policies of the external client app",
                code="unauthorised",
            )
        return None
    match code:
        case "QUERY_TIMEOUT":
            return TooSlow("Salesforce gave up on a query that took too long", code="query-timeout")
        case "REQUEST_LIMIT_EXCEEDED" if "Concurrent" not in message:  # of those, one waits a moment
            return Throttled("Salesforce's API calls of the last 24 hours are used up", code="throttled")
        case "INVALID_QUERY_LOCATOR":
            return LocatorGone("Salesforce dropped the cursor of a query", code="locator-gone")
        case "INVALID_FIELD":
            found = _NO_COLUMN.search(message) or _NO_RELATION.search(message)
            if found:
                entity = found.groupdict().get("entity") or "related object"
                return FieldHidden(found["field"], entity)
            return Permanent("Salesforce does not allow a field to be used like this", code="invalid-field")
        case "TXN_SECURITY_METERING_ERROR":
            return Denied(
                'give the integration user the permission "Exempt from Transaction Security"',
                code="transaction-security",
            )
        case "API_DISABLED_FOR_ORG" | "API_CURRENTLY_DISABLED":
            return Denied(
                "the API is not enabled: enable it for the org, and for the integration user",
                code="api-disabled",
            )
        case "INVALID_TYPE" | "FUNCTIONALITY_NOT_ENABLED":
            return Denied("", code="denied")
        case "MALFORMED_QUERY":
            return Permanent(
                "Salesforce does not understand a query: check the API version", code="malformed"
            )
    if code.startswith("INSUFFICIENT_ACCESS") or (answer.status == 403 and code != "REQUEST_LIMIT_EXCEEDED"):
        return Denied("", code="denied")
    if "security evaluation for non-admin users" in message:
        return Denied("", code="denied")
    return None


def client_credentials(settings: SalesforceSettings) -> LogIn:
    """OAuth 2.0 client credentials flow (Salesforce Help, "OAuth 2.0 Client Credentials Flow")."""
    where = settings.token_url or f"{settings.url.rstrip('/')}/services/oauth2/token"
    body = urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": settings.client_id,
            "client_secret": settings.client_secret,
        }
    ).encode()

    async def log_in(send: Send) -> Session:
        answer = await send("POST", where, {"Content-Type": "application/x-www-form-urlencoded"}, body)
        said = answer.body if isinstance(answer.body, dict) else {}
        token = said.get("access_token")
        if answer.status == 200 and isinstance(token, str) and token:
            link = str(said.get("instance_url") or settings.url).rstrip("/")
            return Session(token, str(said.get("id") or "").rpartition("/")[2], link)
        if not answer.is_json:
            raise SessionRefused(
                f"there is no login at this address (it answered {answer.status}): check FULLSTEAM_SALESFORCE_URL",
                code="wrong-address",
            )
        code = re.sub(r"[^a-z_]", "", str(said.get("error") or ""))[:40]
        raise SessionRefused(
            f"Salesforce rejects the login ({code or answer.status}): {_login_advice(code, said)}",
            code="login-rejected",
        )

    return log_in


def _login_advice(code: str, said: Mapping[str, Any]) -> str:
    described = str(said.get("error_description") or "").casefold()
    if "no client credentials user" in described:
        return 'choose a "Run As" user in the client credentials policy of the external client app'
    if code in ("invalid_client_id", "invalid_client"):
        return "check FULLSTEAM_SALESFORCE_CLIENT_ID and FULLSTEAM_SALESFORCE_CLIENT_SECRET"
    if code == "unsupported_grant_type":
        return "enable the client credentials flow in the external client app, and use the My Domain address"
    return "check the external client app: client credentials flow enabled, a Run As user chosen, API access granted"


# --- people --------------------------------------------------------------------------------------------------------------

_ROLE_WORDS = (
    ("sales_development", re.compile(r"\b(sdr|bdr|sales development|business development)\b", re.IGNORECASE)),
    ("customer_success", re.compile(r"\b(customer success|csm|renewals?|account care)\b", re.IGNORECASE)),
    ("service", re.compile(r"\b(support|service desk|customer service|field service)\b", re.IGNORECASE)),
)
_MACHINES = re.compile(r"\b(integration|api only|automated process|platform integration)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Roster:
    """Who is in the CRM. ``left_out``: ids of integration users, whose records are nobody's use; ``me``: our own, or ""."""

    users: tuple[CrmUser, ...]
    faults: tuple[RowFault, ...]
    left_out: frozenset[str]
    me: str = ""


def read_users(
    rows: Sequence[Row],
    frozen: frozenset[str],
    *,
    me: str,
    through: date,
    licences: Sequence[str] = LICENCES,
    sandbox: bool = False,
) -> Roster:
    """User rows -> people. Who is inactive is left out, except while somebody still reports to them.

    ``me``: our own user. ``sandbox``: addresses end in ``.invalid`` there. Whoever was created after ``through`` is not
    known yet.
    """
    faults: list[RowFault] = []
    left_out = {full_id(me)} if me else set()
    kept: dict[str, tuple[Row, bool, date | None]] = {}
    for line, row in enumerate(rows, 1):
        identity, name = row.get("Id"), row.get("Name")
        if not isinstance(identity, str) or not _ID.fullmatch(identity) or not isinstance(name, str):
            faults.append(RowFault("User", line, "Id", f"{identity!r} is no id of a user with a name"))
            continue
        profile, licence = _path(row, "Profile", "Name"), _path(row, "Profile", "UserLicense", "Name")
        if identity in left_out or _MACHINES.search(profile) or _MACHINES.search(licence):
            left_out.add(identity)
            continue
        since = _date_of(row.get("CreatedDate"))
        if since is not None and since > through:
            continue
        active = (
            row.get("IsActive") is True and identity not in frozen and (not licence or licence in licences)
        )
        kept.setdefault(identity, (row, active, since))
    bosses = _without_circles(
        {who: str(row.get("ManagerId") or "") for who, (row, _, _) in kept.items()}, faults
    )
    led = {bosses[who] for who, (_, active, _) in kept.items() if active and who in bosses}
    users = tuple(
        _user(who, row, bosses.get(who), sandbox=sandbox, active=active, leads=who in led, since=since)
        for who, (row, active, since) in sorted(kept.items())
        if active or who in led
    )
    return Roster(users, tuple(faults), frozenset(left_out), full_id(me))


def _user(
    who: str, row: Row, manager: str | None, *, sandbox: bool, active: bool, leads: bool, since: date | None
) -> CrmUser:
    email = fold_email(str(row.get("Email") or "")) or ""
    zone = str(row.get("TimeZoneSidKey") or "") or None
    words = " ".join(
        (_path(row, "UserRole", "Name"), str(row.get("Title") or ""), _path(row, "Profile", "Name"))
    )
    role = next((role for role, said in _ROLE_WORDS if said.search(words)), "seller")
    return CrmUser(
        crm_id=who,
        name=str(row["Name"]),
        email=(email.removesuffix(".invalid") if sandbox else email) or None,
        role="manager" if leads else role,
        manager=manager,
        active=active,
        zone=zone if zone is not None and _is_zone(zone) else None,
        country=country_of_zone(zone),
        access_since=since,
    )


def _without_circles(bosses: Mapping[str, str], faults: list[RowFault]) -> dict[str, str]:
    """Managers, without those who would be their own: a circle is cut at its smallest id."""
    tied = {who: boss for who, boss in bosses.items() if boss in bosses and boss != who}
    for start in sorted(tied):
        seen, at = {start}, tied.get(start)
        while at is not None and at not in seen:
            seen.add(at)
            at = tied.get(at)
        if at == start:
            del tied[start]
            faults.append(
                RowFault("User", 0, "ManagerId", f"{start} is their own manager by a circle", dropped=False)
            )
    return tied


def full_id(identity: str) -> str:
    """The 18 characters of an id of 15 (Salesforce Help, "Converting a 15-Character ID to an 18-Character ID")."""
    if len(identity) != 15:
        return identity
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    parts = (identity[at : at + 5] for at in (0, 5, 10))
    return identity + "".join(
        letters[sum(1 << place for place, letter in enumerate(part) if letter.isupper())] for part in parts
    )


def _path(row: Row, *names: str) -> str:
    value: Any = row
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return str(value or "")


def _date_of(text: object) -> date | None:
    """The UTC day of an instant or a day."""
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True


# --- records -------------------------------------------------------------------------------------------------------------


NEEDED = {
    "opps_past_close": "CloseDate",
    "opps_no_next_step": "NextStep",
    "opps_no_activity_30d": "LastActivityDate",
    "opps_stuck_step": "LastStageChangeDate",
    "opps_missing_amount": "Amount",
    "opps_missing_account": "AccountId",
}
"""The field that a flaw is in."""


def is_flawed(metric: str, row: Row, today: date) -> bool:
    """Whether an open record is among those that FLAWS counts: the same conditions, on a row that was read."""
    created = _date_of(row.get("CreatedDate")) or today
    value = row.get(NEEDED.get(metric, "Id"))
    match metric:
        case "opps_past_close":
            close = _date_of(value)
            return close is not None and close < today
        case "opps_no_next_step" | "opps_missing_amount" | "opps_missing_account":
            return value is None and (today - created).days >= GRACE_DAYS
        case "opps_no_activity_30d":
            return (today - (_date_of(value) or created)).days >= QUIET_DAYS
        case "opps_stuck_step":
            return (today - (_date_of(value) or created)).days >= STUCK_DAYS
    return True


def badness(metric: str, row: Row, today: date) -> int:
    """How bad a record is, in days: since when it has been so, or open."""
    since = {
        "tasks_overdue": "ActivityDate",
        "opps_past_close": "CloseDate",
        "opps_no_activity_30d": "LastActivityDate",
        "opps_stuck_step": "LastStageChangeDate",
    }.get(metric, "CreatedDate")
    day = _date_of(row.get(since)) or _date_of(row.get("CreatedDate"))
    return (today - day).days if day is not None else 0


def record(metric: str, row: Row, today: date, link: str) -> RecordRef:
    """A record as a message names it: display values as of ``today``. ``link``: with ``{id}``."""
    identity, bad = str(row["Id"]), badness(metric, row, today)
    address = link.replace("{id}", quote(identity, safe=""))
    if metric == "tasks_overdue":
        due = str(row.get("ActivityDate") or "")
        details = {"due_date": due, "days_past": str(bad)} if due else {}
        return RecordRef(identity, str(row.get("Subject") or identity), address, details)
    details = {}
    created = _date_of(row.get("CreatedDate"))
    if created is not None:
        details = {"days_open": str((today - created).days), "open_since": created.isoformat()}
    if account := _path(row, "Account", "Name"):
        details["account"] = account
    if step := str(row.get("StageName") or ""):
        details["step"] = step
    if metric == "opps_past_close":
        details |= {"close_date": str(row.get("CloseDate")), "days_past": str(bad)}
    elif metric == "opps_no_activity_30d":
        details["days_quiet"] = str(bad)
        last = _date_of(row.get("LastActivityDate"))
        if last is not None and (created is None or last > created):
            details["last_activity"] = last.isoformat()
    elif metric == "opps_stuck_step":
        details["days_in_step"] = str(bad)
    return RecordRef(identity, str(row.get("Name") or identity), address, details)


# --- the connector -------------------------------------------------------------------------------------------------------


class SalesforceConnector:
    """Reads one org; implements :class:`bot.domain.ports.Connector`. Opened by :func:`open_salesforce`."""

    lag_days = 0

    def __init__(
        self,
        settings: SalesforceSettings,
        *,
        clock: Clock | None = None,
        record_link: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        policy: Policy | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = settings.name
        self._settings = settings
        self._zone = ZoneInfo(settings.zone)
        self._record_link = record_link
        self._sandbox = ".sandbox." in (urlsplit(settings.url).hostname or "")
        self._root = f"/services/data/{settings.api_version}"
        self._page = {"Sforce-Query-Options": f"batchSize={settings.batch}"} if settings.batch != 2000 else {}
        self._hidden: defaultdict[str, set[str]] = defaultdict(set)
        self._roster: tuple[datetime, date, Roster] | None = None
        self._deals: tuple[datetime, dict[str, Sequence[Row]]] | None = None
        self.api = Api(
            settings.url,
            name=settings.name,
            log_in=client_credentials(settings),
            judge=judge,
            used=api_used,
            clock=clock,
            policy=policy or Policy(read_seconds=settings.time_out),
            transport=transport,
            sleep=sleep,
        )

    # -- the port -------------------------------------------------------------------------------------------------------

    async def probe(self) -> Probe:
        """What can be read today, by reading it. ``version``: the API version, if the org has it."""
        version = self._settings.api_version
        try:
            session = await self.api.session()
            offered = {str(each.get("version")) for each in await self._versions()}
            if offered and version.removeprefix("v") not in offered:
                newest = max(offered, key=float)
                advice = f"the org has no API {version}: set FULLSTEAM_SALESFORCE_API_VERSION, e.g. v{newest}"
                return Probe(self.name, version, ok=False, advice=advice)
            today = self._today()
            rows: list[Coverage] = []
            async for part in self.collect(Window(today, today), frozenset(METRICS)):
                rows += part.coverage
        except (Retryable, Permanent) as error:
            return Probe(self.name, version, ok=False, advice=str(error))
        log.info(
            "salesforce.probed", extra={"source": self.name, "user": session.user, "calls": self.api.calls}
        )
        return Probe(self.name, version, ok=True, advice="", metrics=tuple(rows))

    async def users(self, through: date) -> tuple[Sequence[CrmUser], Sequence[RowFault]]:
        """Standard users with a CRM licence, and those whom they report to."""
        roster = await self._read_roster(through)
        return roster.users, roster.faults

    async def collect(self, window: Window, metrics: frozenset[str]) -> AsyncIterator[Collected]:
        """Everything in about twenty queries, up to four at once; then facts day by day."""
        roster = await self._known_roster(window.through)
        self._hidden.clear()  # rights may have been granted since
        self._deals = None
        figures = Figures(window, metrics, _UNSUPPORTED, past=PAST)
        figures.leave_empty("field_completeness")
        reading = _Reading(self, figures, window, metrics, roster.me)
        await reading.run(self._is_today(window.through))
        log.info(
            "salesforce.collected",
            extra={
                "source": self.name,
                "calls": self.api.calls,
                "groups": reading.groups,
                "failed": len(reading.failures),
            },
        )
        if reading.failures and not reading.answered:
            raise reading.failures[0]
        listed = {user.crm_id: user.access_since for user in roster.users}
        for part in figures.parts(listed, left_out=roster.left_out):
            yield part

    async def evidence(
        self, metric: str, owners: Sequence[str], limit: int, through: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        """The records behind a count, worst first, as of now: whatever day a decision was made for."""
        if metric not in FLAWS:
            return {}
        asked = [owner for owner in dict.fromkeys(owners) if _ID.fullmatch(owner)]
        if not asked:
            return {}
        session = await self.api.session()
        today = self._today()
        if not -1 <= (today - through).days <= EVIDENCE_DAYS:
            raise Retryable(f"Salesforce is not asked about {through}: {PAST}", code="as-of-now")
        link = self._record_link or f"{session.link}/lightning/r/{FLAWS[metric][0]}/{{id}}/view"
        if metric == "tasks_overdue":
            rows = await self._overdue(asked, today)
        else:
            rows = await self._open_deals(asked, NEEDED.get(metric, "Id"))
        found: dict[str, tuple[int, tuple[RecordRef, ...]]] = {}
        for owner in asked:
            own = [row for row in rows.get(owner, ()) if is_flawed(metric, row, today)]
            if own:
                worst = sorted(own, key=lambda row: (-badness(metric, row, today), str(row["Id"])))
                found[owner] = len(own), tuple(record(metric, row, today, link) for row in worst[:limit])
        return found

    async def close(self) -> None:
        """Let go of the connections."""
        await self.api.close()

    # -- time -----------------------------------------------------------------------------------------------------------

    def _today(self) -> date:
        return self.api.server_now().astimezone(self._zone).date()

    def _is_today(self, day: date) -> bool:
        """Whether it is that day in the programme's zone, give or take what two clocks may differ by."""
        now = self.api.server_now()
        return day in {
            moment.astimezone(self._zone).date()
            for moment in (now - CLOCK_TOLERANCE, now, now + CLOCK_TOLERANCE)
        }

    # -- queries --------------------------------------------------------------------------------------------------------

    async def query(self, soql: str) -> Sequence[Row]:
        """All rows of a query, page by page. A cursor that was dropped starts the query again, once."""
        try:
            return await self._pages(soql)
        except LocatorGone:
            return await self._pages(soql)

    async def _pages(self, soql: str) -> Sequence[Row]:
        answer = await self.api.get(f"{self._root}/query", {"q": soql}, self._page)
        rows, more = _records(answer)
        while more:
            if not more.startswith("/services/"):
                raise Permanent("Salesforce names a next page elsewhere", code="bad-answer")
            next_rows, more = _records(await self.api.get(more, None, self._page))
            rows += next_rows
        return rows

    async def groups(self, question: Question, where: Mapping[str, str]) -> Sequence[Row]:
        """All groups of a question: as many queries as there are GROUPS groups, each beginning after the last whole person."""
        rows: list[Row] = []
        after: str | None = None
        while True:
            page = await self.query(question.soql(where, after))
            if len(page) < GROUPS:
                return [*rows, *page]
            last = page[-1].get(question.key)
            whole = [row for row in page if row.get(question.key) != last]
            if not whole:
                raise TooSlow("one person has more groups than a query gives", code="too-many-groups")
            rows += whole
            after = str(whole[-1].get(question.key))

    async def _versions(self) -> Sequence[Row]:
        body = (await self.api.get("/services/data/")).body
        return [each for each in body if isinstance(each, Mapping)] if isinstance(body, list) else []

    async def _open_deals(self, owners: Sequence[str], needed: str) -> Mapping[str, Sequence[Row]]:
        """Open opportunities by owner: one query for all their flaws, good for a second. ``needed``: a field.

        Whoever plans a batch asks for one metric after the other, and whoever sends it asks again at once: the same people.
        """
        now = self.api.server_now()
        if self._deals is None or not timedelta(0) <= now - self._deals[0] <= DEALS_LIFE:
            self._deals = now, {}
        deals = self._deals[1]
        missing = [owner for owner in owners if owner not in deals]
        if missing:
            found = await self._of_owners("Opportunity", "IsClosed = false", _DEAL, "CloseDate", missing)
            for owner in missing:
                deals[owner] = found.get(owner, ())
        if needed in self._hidden["Opportunity"]:
            raise FieldHidden(needed, "Opportunity")
        return deals

    async def _overdue(self, owners: Sequence[str], today: date) -> Mapping[str, Sequence[Row]]:
        entity, where = FLAWS["tasks_overdue"]
        return await self._of_owners(
            entity, where.format_map(thresholds(today)), _TASK, "ActivityDate", owners
        )

    async def _of_owners(
        self, entity: str, where: str, names: Sequence[str], due: str, owners: Sequence[str]
    ) -> Mapping[str, Sequence[Row]]:
        """Records of these owners, each once; a column that is hidden is left out."""
        found: defaultdict[str, dict[str, Row]] = defaultdict(dict)
        for at in range(0, len(owners), OWNERS):
            among = ", ".join(f"'{owner}'" for owner in owners[at : at + OWNERS])
            for row in await self._shown(entity, f"{where} AND OwnerId IN ({among})", names, due):
                identity, owner = row.get("Id"), row.get("OwnerId")
                if isinstance(identity, str) and isinstance(owner, str):
                    found[owner][identity] = row  # a row that comes on two pages is one
        return {owner: tuple(rows.values()) for owner, rows in found.items()}

    async def _shown(self, entity: str, where: str, names: Sequence[str], due: str) -> Sequence[Row]:
        hidden = self._hidden[entity]
        while True:
            shown = [name for name in names if name.partition(".")[0] not in hidden]
            order = ", ".join(name for name in ("OwnerId", due, "Id") if name in shown)
            try:
                return await self.query(
                    f"SELECT {', '.join(shown)} FROM {entity} WHERE {where} ORDER BY {order}"
                )
            except FieldHidden as error:
                name = error.field.partition(".")[0]
                if name in hidden or name in ("Id", "OwnerId") or re.search(rf"\b{re.escape(name)}\b", where):
                    raise
                hidden.add(name)

    # -- people ---------------------------------------------------------------------------------------------------------

    async def _known_roster(self, through: date) -> Roster:
        """Who is in the CRM, read a moment ago or now."""
        if self._roster is not None:
            at, asked, roster = self._roster
            if asked == through and abs(self.api.server_now() - at) <= ROSTER_LIFE:
                return roster
        return await self._read_roster(through)

    async def _read_roster(self, through: date) -> Roster:
        session = await self.api.session()
        unknown: list[RowFault] = []

        async def frozen_ids() -> frozenset[str]:
            try:
                rows = await self.query(FROZEN)
            except Denied:
                unknown.append(RowFault("UserLogin", 0, "IsFrozen", grant("UserLogin"), dropped=False))
                return frozenset()
            return frozenset(str(row.get("UserId")) for row in rows)

        rows, frozen = await _all([self._all_users(), frozen_ids()])
        roster = read_users(
            rows,
            frozen,
            me=session.user,
            through=through,
            licences=self._settings.licences,
            sandbox=self._sandbox,
        )
        roster = replace(roster, faults=(*roster.faults, *unknown))
        self._roster = self.api.server_now(), through, roster
        return roster

    async def _all_users(self) -> Sequence[Row]:
        try:
            return await self.query(USERS)
        except Denied as error:
            raise Permanent(
                f'users cannot be read: give the integration user "View All Users" ({error.code})',
                code=error.code,
            ) from error


class _Reading:
    """One poll: every question asked, what came of it kept in figures."""

    def __init__(
        self,
        connector: SalesforceConnector,
        figures: Figures,
        window: Window,
        metrics: frozenset[str],
        me: str,
    ) -> None:
        self.groups = 0
        self.answered = False
        """Whether anything was answered, a refusal by rights included."""
        self.failures: list[Retryable | Permanent] = []
        self._crm = connector
        self._figures = figures
        self._window = window
        self._metrics = metrics
        self._me = me
        self._days = days_of(window)

    async def run(self, snapshots: bool) -> None:
        """Ask everything that is wanted; the policy holds back what is more than it allows at once."""
        first, last = self._window.since, self._window.through
        tasks: list[Coroutine[Any, Any, None]] = [
            self._events(question, first, last) for question in EVENTS if self._wants(question)
        ]
        if "active_day" in self._metrics:
            tasks.append(self._logins())
        if snapshots:
            tasks += [self._state(question) for question in STATES if self._wants(question)]
            if self._wants(pipeline(REQUIRED)):
                tasks.append(self._pipeline())
        else:
            for metric in sorted(self._metrics & {*FLAWS, "pipeline_amount", "field_completeness"}):
                self._figures.mark(metric, [last], CoverageStatus.UNSUPPORTED, PAST)
        await _all(tasks)

    def _wants(self, question: Question) -> bool:
        return not self._metrics.isdisjoint(question.metrics)

    # -- kinds of questions ---------------------------------------------------------------------------------------------

    async def _events(self, question: Question, first: date, last: date) -> None:
        """Events of a span; a query that takes too long is asked in halves, down to a day."""
        until = self._crm.api.server_now() if question.entity == "Event" else None
        try:
            rows = await self._crm.groups(question, span(first, last, until))
        except TooSlow as error:
            if first == last:
                self._fail(question.entity, question.metrics, [first], error)
                return
            for half in halves(first, last):
                await self._events(question, *half)
            return
        except FieldHidden as error:
            spare = question.spare.get(error.field)
            kept = spare.metrics if spare is not None else ()
            lost = [metric for metric in question.metrics if metric not in kept]
            self._fail(question.entity, lost, days_of(Window(first, last)), error)
            if spare is not None:
                await self._events(spare, first, last)
            return
        except (Retryable, Permanent) as error:
            self._fail(question.entity, question.metrics, days_of(Window(first, last)), error)
            return
        self._keep(question, rows, days_of(Window(first, last)))

    async def _state(self, question: Question) -> None:
        """A snapshot: everybody's number now."""
        try:
            rows = await self._crm.groups(question, thresholds(self._window.through))
        except (Retryable, Permanent) as error:
            self._fail(question.entity, question.metrics, [self._window.through], error)
            return
        self._keep(question, rows, [self._window.through])

    async def _pipeline(self) -> None:
        """Open opportunities; a hidden field costs only the metrics that need it."""
        fields, through = set(REQUIRED), [self._window.through]
        while True:
            question = pipeline(fields)
            try:
                rows = await self._crm.groups(question, {})
            except FieldHidden as error:
                if error.field not in fields:
                    self._fail(question.entity, question.metrics, through, error)
                    return
                fields.discard(error.field)
                lost = ["field_completeness", *(["pipeline_amount"] if error.field == "Amount" else [])]
                self._fail(question.entity, lost, through, error)
                continue
            except (Retryable, Permanent) as error:
                self._fail(question.entity, question.metrics, through, error)
                return
            break
        self._keep(
            question,
            rows,
            through,
            [
                "opps_open",
                *(["pipeline_amount"] if "Amount" in fields else []),
                *(["field_completeness"] if fields == set(REQUIRED) else []),
            ],
        )

    async def _logins(self) -> None:
        """Who logged in on each day. Without the right to see it Salesforce shows our own logins only, and says nothing."""
        me = self._me
        found = await _all([self._logins_of(day) for day in self._days])
        seen = {str(row.get("UserId")) for rows in found if rows is not None for row in rows}
        read = [day for day, rows in zip(self._days, found, strict=True) if rows is not None]
        if read and not seen - {me} and len(seen) <= 1 and await self._only_our_own(me):
            self._fail("LoginHistory", ["active_day"], read, Denied("", code="denied"))
            return
        for day, rows in zip(self._days, found, strict=True):
            if rows is None:
                continue
            self._answered(rows)
            self._figures.mark("active_day", [day], CoverageStatus.OK)
            people = {
                str(row.get("UserId"))
                for row in rows
                if row.get("Status") == "Success" and str(row.get("LoginType") or "").startswith(_INTERACTIVE)
            }
            for who in people:
                self._figures.add("active_day", who, day, 1.0)

    async def _logins_of(self, day: date) -> Sequence[Row] | None:
        try:
            return await self._crm.groups(LOGINS, span(day, day))
        except (Retryable, Permanent) as error:
            self._fail("LoginHistory", ["active_day"], [day], error)
            return None

    async def _only_our_own(self, me: str) -> bool:
        """Whether nobody else is seen to log in over a longer time: a quiet day is no missing right."""
        until = self._window.through
        try:
            rows = await self._crm.query(LOGINS.soql(span(until - LOGIN_LOOK_BACK, until), None))
        except (Retryable, Permanent):
            return True  # not known: then nobody's number is read
        seen = {str(row.get("UserId")) for row in rows}
        return not seen - {me} if me else len(seen) <= 1

    # -- keeping --------------------------------------------------------------------------------------------------------

    def _answered(self, rows: Sequence[Row]) -> None:
        self.answered = True
        self.groups += len(rows)

    def _keep(
        self,
        question: Question,
        rows: Sequence[Row],
        days: Sequence[date],
        metrics: Sequence[str] | None = None,
    ) -> None:
        """Numbers of people; groups of queues and of what is no person are left out."""
        self._answered(rows)
        figures, inside, through = self._figures, frozenset(days), self._window.through
        given = question.metrics if metrics is None else metrics
        for metric in given:
            figures.mark(metric, days, CoverageStatus.OK)
        for line, row in enumerate(rows, 1):
            who = row.get(question.key)
            try:
                numbers = question.read(row) if isinstance(who, str) and _ID.fullmatch(who) else None
                why = f"{who!r} is no id"
            except ValueError as error:
                numbers, why = None, str(error)
            if numbers is None:
                figures.fault(RowFault(question.entity, line, "", why), given, days)
                continue
            if not str(who).startswith("005"):
                figures.note(f"{question.entity} groups of queues")
                continue
            for metric, day, number in numbers:
                if day is None:
                    figures.add(metric, str(who), through, number)
                elif day in inside:
                    figures.add(metric, str(who), day, number)

    def _fail(
        self, entity: str, metrics: Iterable[str], days: Sequence[date], error: Retryable | Permanent
    ) -> None:
        """What a failure means for the metrics of a query. A login that is refused is no matter of one query."""
        if isinstance(error, SessionRefused):
            raise error
        if isinstance(error, Denied):
            self.answered = True
            status, detail = CoverageStatus.DENIED, str(error) or grant(entity)
        elif isinstance(error, Throttled):
            self.answered = True
            status, detail = CoverageStatus.THROTTLED, str(error)
        else:
            self.failures.append(error)
            status, detail = CoverageStatus.ERROR, str(error)
        for metric in metrics:
            self._figures.mark(metric, days, status, detail)


async def _all(tasks: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Run all; when one raises, the others end and its error is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(each) for each in tasks]
    except* FullsteamError as errors:
        found: BaseException = errors
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        raise found from None
    return [each.result() for each in running]


def _records(answer: Answer) -> tuple[list[Row], str]:
    """Rows of a page and where the next one is, "" when there is none."""
    body = answer.body
    if not isinstance(body, dict) or not isinstance(body.get("records"), list):
        raise Retryable("Salesforce's answer has no records", code="bad-answer")
    rows: list[Row] = [row for row in body["records"] if isinstance(row, dict)]
    more = body.get("nextRecordsUrl")
    if body.get("done") is False and not isinstance(more, str):
        raise Retryable("Salesforce's answer names no next page", code="bad-answer")
    return rows, more if isinstance(more, str) and body.get("done") is not True else ""


def open_salesforce(
    settings: SalesforceSettings,
    *,
    clock: Clock | None = None,
    record_link: str | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> SalesforceConnector:
    """Open one org; nothing is read yet. Raises ConfigurationError with every fault of the settings.

    ``clock``: whose time sessions and pauses are measured in (a steered one in a simulation). ``transport``: how requests
    travel, if not by the network.
    """
    faults: list[str] = []
    for name, address in (("URL", settings.url), ("TOKEN_URL", settings.token_url)):
        try:
            if address or name == "URL":
                check_base_url(address, f"FULLSTEAM_SALESFORCE_{name}")
        except ConfigurationError as error:
            faults += error.faults
    if not settings.client_id or not settings.client_secret:
        faults.append(
            "FULLSTEAM_SALESFORCE_CLIENT_ID and FULLSTEAM_SALESFORCE_CLIENT_SECRET must both be set"
        )
    if not _VERSION.fullmatch(settings.api_version):
        faults.append(
            f"FULLSTEAM_SALESFORCE_API_VERSION is no version, e.g. {API_VERSION}: {settings.api_version!r}"
        )
    if not _is_zone(settings.zone):
        faults.append(f"the programme's zone is no IANA time zone: {settings.zone!r}")
    if faults:
        raise ConfigurationError(faults, title="Salesforce cannot be opened")
    return SalesforceConnector(settings, clock=clock, record_link=record_link, transport=transport)


def _open(settings: Mapping[str, Any], record_link: str | None) -> SalesforceConnector:
    transport, clock = settings.get("transport"), settings.get("clock")
    known = {name: value for name, value in settings.items() if name not in {"transport", "clock"}}
    return open_salesforce(
        SalesforceSettings(**known), clock=clock, record_link=record_link, transport=transport
    )


CONNECTOR = ConnectorKind(name="salesforce", open=_open)
"""Settings: the fields of SalesforceSettings; ``clock`` and ``transport`` as :func:`open_salesforce` takes them."""
