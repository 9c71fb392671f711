"""CRM in, from Dynamics 365 Sales (docs/connectors/dynamics.md): Dataverse's Web API, and nothing that writes.

One grouped query for each metric, whatever the number of people: as FetchXML, which Dataverse itself recommends; where a
server does not know that, as ``$apply``; where it knows neither, by reading rows page by page. Which it is, is found out
once. Events are counted by UTC day; snapshots are as of now, and never given an older date. What is refused becomes the
coverage of the metrics that need it, with what the admin has to change.

Sources: Microsoft Learn, Dataverse: "Use the Dataverse Web API", "Query data using FetchXML", "Service protection API
limits", "Auditing overview", "Use change tracking to synchronize data with external systems"; OData 4.0, part 1 and 2.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, Self
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import httpx
from pydantic import Field, SecretStr, model_validator

from bot.connectors.asking import Asking, all_of
from bot.connectors.dynamics.answers import (
    Credentials,
    NotUnderstood,
    Page,
    TokenExpired,
    TooMany,
    entra,
    is_gone,
    judge,
    page_of,
)
from bot.connectors.dynamics.queries import (
    ACTIVITY,
    AUDIT,
    AUDIT_STARTED,
    CYCLE,
    DEAL,
    DEAL_STATES,
    EVENTS,
    GOAL,
    GOALS,
    GROUPS,
    OPEN,
    OPPORTUNITY,
    ORGANISATION,
    OVERDUE,
    PLANNED,
    PROBE_FETCH,
    RECORDS,
    TABLES,
    TASK,
    USER,
    Condition,
    Either,
    Habits,
    Question,
    Row,
    Table,
    Wording,
    accessed,
    audited,
    grace_day,
    modified,
    quiet_day,
    required,
    states,
    unsupported,
)
from bot.connectors.dynamics.rows import (
    SHOWN,
    Group,
    Reader,
    Roster,
    Tastes,
    applied,
    attainment,
    fetched,
    id_of,
    listed,
    read_tastes,
    read_users,
    utc_day,
)
from bot.connectors.dynamics.schema import Schema, property_of, read_metadata
from bot.connectors.figures import Figures, days_of, halves
from bot.connectors.http import Api, LogIn, Policy, Send, Session
from bot.connectors.open_records import OpenDeal, OpenTask, is_flawed, worst
from bot.connectors.refusals import Denied, FieldHidden, NotOffered, TooSlow
from bot.connectors.settings import Address, CrmSettings, ExistingFile, OptionalAddress, PathPrefix, opener
from bot.domain.errors import Permanent, Retryable
from bot.domain.people import CrmUser
from bot.domain.ports import Asked, Clock, ConnectorKind, Meter, Probe
from bot.domain.usage import METRICS, Collected, Coverage, CoverageStatus, RecordRef, RowFault, Window

log = logging.getLogger(__name__)

API_VERSION = "v9.2"
AUTHORITY = "https://login.microsoftonline.com"
OWNERS = 80
"""Owners in one filter: about 6 kB of address, under what any server takes (Dataverse: 32 kB)."""
CLOCK_TOLERANCE = timedelta(minutes=15)
EVIDENCE_DAYS = 7
"""How old the day may be that a decision was made for; the records are read as of now in any case."""
DEALS_LIFE = timedelta(seconds=1)
ROSTER_LIFE = timedelta(minutes=10)
SCHEMA_LIFE = timedelta(days=1)
APPLY_DAYS = 7
"""Longer spans are read row by row where ``$apply`` would need a query a day."""
AGES = (30, 90, 180, 365, 730)
"""Days ago between which open opportunities are counted apart where they are too many to be counted at once."""
PAST = "Dataverse tells this as of now only, not for a day gone by"
_HEADERS = {"OData-Version": "4.0", "OData-MaxVersion": "4.0", "If-None-Match": "null"}
_PAGED = 'odata.include-annotations="Microsoft.Dynamics.CRM.fetchxmlpagingcookie,Microsoft.Dynamics.CRM.morerecords"'
_FORMATTED = f'odata.include-annotations="{SHOWN[1:]}"'
_IN_LINKS = "%/:=&?~#+!$,;'@()*[]-._"
"""What stands in a link as it is: a server may have left spaces in it, and nothing else is touched."""
_WHOLE, _WHOLE_NUMBER = "Global", 3
"""How deep a privilege goes that is for the whole organization (PrivilegeDepth, as a word and as a number)."""
_ALLOWED = 4
"""FieldPermissionType: a secured column may be read."""
_NOT_HERE = (NotUnderstood, NotOffered, FieldHidden)


class Way(StrEnum):
    """How a server counts."""

    FETCH = "FetchXML"
    APPLY = "$apply"
    ROWS = "rows"


class DynamicsSettings(CrmSettings):
    """How to reach one environment. ``scope``, ``token_url``: "" is what follows from the address and the tenant.

    ``login`` "none": no log-in at all, for a server on this machine. ``batch``: rows a page.
    """

    name: str = "dynamics"
    url: Address = Field(description="your environment, e.g. https://ORG.crm4.dynamics.com")
    tenant: str = Field(
        "",
        pattern=r"^[\w.-]*$",
        description="the directory (tenant) id or a domain of it, e.g. contoso.onmicrosoft.com",
    )
    client_id: str = Field("", description="the application (client) id of your app registration")
    client_secret: SecretStr = Field(SecretStr(""), description="a client secret of your app registration")
    certificate: ExistingFile | None = Field(
        None, description="instead of a secret: a PEM file with the private key and the certificate"
    )
    certificate_password: SecretStr = Field(
        SecretStr(""), description="what opens the certificate's private key"
    )
    authority: Address = Field(
        AUTHORITY, description=f"where to log in, e.g. {AUTHORITY}, or https://login.microsoftonline.us"
    )
    token_url: OptionalAddress = Field(
        "", description="the whole address of the token endpoint, if not there"
    )
    scope: str = Field("", description="what the token is for, if not {url}/.default")
    login: Literal["entra", "none"] = Field(
        "entra", description="entra, or none for a server on this machine"
    )
    prefix: PathPrefix = Field("/api/data", description="the path before the API version, e.g. /api/data")
    api_version: str = Field(
        API_VERSION,
        pattern=r"^(v\d+\.\d+)?$",
        description=f"e.g. {API_VERSION}, or nothing where there is none",
    )
    app_id: str = Field(
        "", pattern=r"^[0-9A-Fa-f-]*$", description="the model-driven app that links open in, by its id"
    )
    access_actions: str = Field(
        "64",
        pattern=r"^\d+(\s*,\s*\d+)*$",
        description="audit actions that are a person's access: 64 is by a model-driven app, 65 by web services",
    )
    next_step: str = Field(
        "",
        pattern=r"^[a-z0-9_]*$",
        description="a text column of opportunity with the next step; nothing: an open activity is the next step",
    )
    step_since: str = Field(
        "", pattern=r"^[a-z0-9_]*$", description="a date column of opportunity: since when it is in its step"
    )
    batch: int = Field(5000, ge=1, le=5000, description="rows a page, 1 to 5000")

    @model_validator(mode="after")
    def _has_a_login(self) -> Self:
        if self.login == "none":
            if urlsplit(self.url).scheme != "http":
                raise ValueError("<LOGIN> is none: that is for a server on this machine only (http)")
            return self
        missing = [name for name in ("client_id", "tenant") if not getattr(self, name)]
        if self.token_url and "tenant" in missing:
            missing.remove("tenant")
        if missing:
            raise ValueError(" and ".join(f"<{name.upper()}>" for name in missing) + " have to be set")
        if bool(self.client_secret.get_secret_value()) == (self.certificate is not None):
            raise ValueError("set either <CLIENT_SECRET> or <CERTIFICATE>")
        return self


@dataclass(frozen=True, slots=True)
class Organisation:
    """What an environment records of its use. ``interval``: hours between two rows of access; ``days``: kept for, None: for
    ever.
    """

    audit: bool
    access: bool
    interval: int
    days: int | None


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


class DynamicsConnector:
    """Reads one environment; implements :class:`bot.domain.ports.Connector`. Opened by :func:`open_dynamics`."""

    lag_days = 0
    overlap_days = 4
    """Rows of the audit may come up to two days late; so today and the three days before it are read again."""

    def __init__(
        self,
        settings: DynamicsSettings,
        *,
        clock: Clock | None = None,
        record_link: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        policy: Policy | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = settings.name
        self.settings = settings
        self.zone = ZoneInfo(settings.zone)
        self.habits = Habits(settings.next_step, settings.step_since)
        self.schema = Schema()
        self.way: Way | None = None
        self.rights: Mapping[str, str] | None = None
        self._record_link = record_link
        self._root = f"{settings.prefix}/{settings.api_version}".rstrip("/")
        self._started: datetime | None = None
        self._starting = asyncio.Lock()
        self._unread_schema = ""
        self._me = ""
        self._definitions: Sequence[Row] | None = None
        self._people: dict[str, Row] = {}
        self._delta = ""
        self._tracks = True
        self._roster: tuple[datetime, date, Roster] | None = None
        self._deals: tuple[datetime, dict[str, Sequence[Row]]] | None = None
        self._activities: tuple[datetime, dict[tuple[str, str], date]] | None = None
        self.api = Api(
            settings.url,
            name=settings.name,
            log_in=self._log_in(),
            judge=judge,
            clock=clock,
            policy=policy or Policy(read_seconds=settings.time_out, at_once=settings.at_once),
            transport=transport,
            sleep=sleep,
        )

    def _log_in(self) -> LogIn:
        if self.settings.login == "none":
            return _no_log_in
        given = self.settings
        return entra(
            Credentials(
                given.client_id,
                given.token_url or f"{given.authority}/{given.tenant}/oauth2/v2.0/token",
                given.scope or f"{given.url}/.default",
                given.client_secret.get_secret_value(),
                given.certificate,
                given.certificate_password.get_secret_value(),
            ),
            self._server_now,
        )

    # -- the port -------------------------------------------------------------------------------------------------------

    async def probe(self) -> Probe:
        """What can be read today, by reading it. ``version``: the API version, and how this server counts."""
        version = self.settings.api_version
        try:
            await self.start()
            today = self._today()
            rows: list[Coverage] = []
            async for part in self.collect(Window(today, today), frozenset(METRICS)):
                rows += part.coverage
        except (Retryable, Permanent) as error:
            return Probe(self.name, version, ok=False, advice=str(error))
        log.info("dynamics.probed", extra={"source": self.name, "user": self._me, "calls": self.api.calls})
        said = f"{version}, counts by {self.way}".removeprefix(", ")
        return Probe(self.name, said, ok=True, advice=self._unread_schema, metrics=tuple(rows))

    async def users(self, through: date) -> tuple[Sequence[CrmUser], Sequence[RowFault]]:
        """Users with read-write, administrative or read access, and those whom they report to."""
        roster = await self._read_roster(through)
        return roster.users, roster.faults

    async def collect(self, window: Window, metrics: frozenset[str]) -> AsyncIterator[Collected]:
        """Everything in about thirty queries, up to four at once; then facts day by day."""
        await self.start()
        before = self._roster
        roster = await self._known_roster(window.through)
        if self._roster is before:  # else they have just been read
            self.rights = await self._read_rights()
        self.schema = replace(self.schema, closed=await self._read_closed())
        self._deals = self._activities = None
        figures = Figures(window, metrics, unsupported(self.habits), past=PAST)
        figures.leave_empty("field_completeness")
        figures.leave_empty("quota_attainment")
        reading = _Reading(self, figures, window, metrics, roster)
        await reading.read(self._is_today(window.through))
        log.info(
            "dynamics.collected",
            extra={
                "source": self.name,
                "calls": self.api.calls,
                "groups": reading.rows,
                "failed": len(reading.failures),
            },
        )
        listed_since = {user.crm_id: user.access_since for user in roster.users}
        for part in figures.parts(listed_since, left_out=roster.left_out):
            yield part

    async def evidence(
        self, metric: str, owners: Sequence[str], limit: int, through: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        """The records behind a count, worst first, as of now: whatever day a decision was made for."""
        if metric not in {*DEAL_STATES, "tasks_overdue"} or metric in unsupported(self.habits):
            return {}
        asked = [who for owner in dict.fromkeys(owners) if (who := id_of(owner)) and who == owner]
        if not asked:
            return {}
        await self.start()
        today = self._today()
        if not -1 <= (today - through).days <= EVIDENCE_DAYS:
            raise Retryable(f"Dataverse is not asked about {through}: {PAST}", code="as-of-now")
        table = TASK if metric == "tasks_overdue" else OPPORTUNITY
        rows = await (self._overdue(asked, today) if table is TASK else self._open_deals(asked))
        reader = Reader(self.schema, self.habits, self.zone)
        shape: Callable[[Row], OpenDeal | OpenTask] = reader.task if table is TASK else reader.deal
        if metric == "opps_no_activity_30d":
            last = await self._last_activities(asked, rows, (), quiet_day(today))
            shape = lambda row: reader.deal(row, last.get(id_of(row.get(OPPORTUNITY.key))))  # noqa: E731
        elif metric == "opps_no_next_step" and not self.habits.next_step:
            due = await self._last_activities(asked, rows, PLANNED, grace_day(today))
            shape = lambda row: reader.deal(row, planned=id_of(row.get(OPPORTUNITY.key)) in due)  # noqa: E731
        found: dict[str, tuple[int, tuple[RecordRef, ...]]] = {}
        for owner in asked:
            own = [shape(row) for row in rows.get(owner, ())]
            count, named = worst(metric, own, limit, today, self._link(table))
            if count:
                found[owner] = count, named
        return found

    def meter(self) -> Meter:
        """What was asked; Dataverse does not say what is left."""
        return self.api.meter()

    async def close(self) -> None:
        """Let go of the connections."""
        await self.api.close()

    def _link(self, table: Table) -> str:
        """Where a record opens (Microsoft Learn, "Open apps, forms, views, and dashboards with a URL")."""
        app = f"appid={self.settings.app_id}&" if self.settings.app_id else ""
        return (
            self._record_link
            or f"{self.settings.url}/main.aspx?{app}etn={table.name}&pagetype=entityrecord&id={{id}}"
        )

    # -- time -----------------------------------------------------------------------------------------------------------

    def _server_now(self) -> datetime:
        return self.api.server_now()

    def _today(self) -> date:
        return self.api.server_now().astimezone(self.zone).date()

    def _is_today(self, day: date) -> bool:
        """Whether it is that day in the programme's zone, give or take what two clocks may differ by."""
        now = self.api.server_now()
        return day in {
            moment.astimezone(self.zone).date()
            for moment in (now - CLOCK_TOLERANCE, now, now + CLOCK_TOLERANCE)
        }

    # -- getting to know the server -------------------------------------------------------------------------------------

    @property
    def wording(self) -> Wording:
        """How questions are put to this server."""
        return Wording(self.schema, self.zone)

    async def start(self) -> None:
        """Who we are, which tables there are and how the server counts: found out once, and again after a day."""
        async with self._starting:
            now = self.api.server_now()
            if self._started is not None and timedelta(0) <= now - self._started < SCHEMA_LIFE:
                return
            absent = False
            try:
                said = (await self.api.get(f"{self._root}/WhoAmI", headers=_HEADERS)).body
                self._me = id_of(said.get("UserId")) if isinstance(said, Mapping) else ""
            except Denied as error:
                raise Permanent(
                    "the application user may read nothing: give it the security role of docs/connectors/dynamics.md",
                    code="no-role",
                ) from error
            except (NotUnderstood, NotOffered):
                absent = True  # an OData server that is no Dataverse
            try:
                self.schema, self._unread_schema = await self._read_schema(), ""
            except (NotUnderstood, NotOffered, Denied, ValueError) as error:
                if absent:
                    raise Permanent(
                        f"there is no Web API at {self._root}: check FULLSTEAM_DYNAMICS_URL, FULLSTEAM_DYNAMICS_PREFIX"
                        " and FULLSTEAM_DYNAMICS_API_VERSION",
                        code="wrong-address",
                    ) from error
                self.schema = Schema()
                self._unread_schema = (
                    "its $metadata cannot be read: its tables are taken for the standard ones"
                )
            self.way = await self._find_way()
            self._started = now

    async def _read_schema(self) -> Schema:
        answer = await self.api.get(
            f"{self._root}/$metadata", headers={"Accept": "application/xml"}, text=True
        )
        return await asyncio.to_thread(read_metadata, answer.raw)

    async def _find_way(self) -> Way:
        """How the server counts: by what it answers, since one that does not know a parameter may leave it unread."""
        users = TABLES["systemuser"]
        try:
            page = page_of(
                await self.api.get(self._of(users), {"fetchXml": PROBE_FETCH}, self._prefer(_PAGED))
            )
            if len(page.rows) == 1 and "n" in page.rows[0]:
                return Way.FETCH
        except TooMany:
            return Way.FETCH
        except Denied as error:
            raise _no_users(error) from error
        except _NOT_HERE:
            pass
        column = "isdisabled" if self.schema.has(users.rows, "isdisabled") else users.key
        grouped = f"groupby(({column}),aggregate($count as n))"
        try:
            page = page_of(await self.api.get(self._of(users), {"$apply": grouped}, self._prefer()))
            if page.rows and all("n" in row for row in page.rows):
                return Way.APPLY
        except TooMany:
            return Way.APPLY
        except _NOT_HERE:
            pass
        return Way.ROWS

    async def _read_rights(self) -> Mapping[str, str] | None:
        """Our privileges, in lower case, and how deep each goes; None where the server does not say.

        Without this a right to one's own records only would look like a CRM in which nobody else has any.
        """
        if not self._me:
            return None
        path = f"{self._of(TABLES['systemuser'])}({self._me})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()"
        try:
            said = (await self.api.get(path, headers=_HEADERS)).body
        except (NotUnderstood, NotOffered, Denied):
            return None
        rows = said.get("RolePrivileges") if isinstance(said, Mapping) else None
        found: dict[str, str] = {}
        for row in rows if isinstance(rows, list) else []:
            if isinstance(row, Mapping) and row.get("PrivilegeName"):
                name, depth = str(row["PrivilegeName"]).lower(), row.get("Depth")
                # By several roles and teams the same right may come more than once: the deepest counts.
                if found.get(name) != _WHOLE:
                    found[name] = _WHOLE if depth in {_WHOLE, _WHOLE_NUMBER} else str(depth)
        return found or None

    async def _read_closed(self) -> frozenset[tuple[str, str]]:
        """Columns of opportunities that are secured and not ours to read: Dataverse shows them as empty, and says nothing.

        Source: Microsoft Learn, "Column-level security"; RetrievePrincipalAttributePrivileges, FieldPermissionType.
        """
        if not self._me:
            return frozenset()
        query = {"$select": "LogicalName,MetadataId", "$filter": "IsSecured eq true"}
        path = self._of(f"EntityDefinitions(LogicalName='{OPPORTUNITY.name}')/Attributes")
        try:
            secured = {
                str(row.get("LogicalName")): str(row.get("MetadataId")).lower()
                async for page in self.pages(path, query, _HEADERS)
                for row in page.rows
            }
        except (NotUnderstood, NotOffered, Denied):
            return frozenset()
        if not secured:
            return frozenset()
        path = f"{self._of(TABLES['systemuser'])}({self._me})/Microsoft.Dynamics.CRM.RetrievePrincipalAttributePrivileges()"
        try:
            said = (await self.api.get(path, headers=_HEADERS)).body
        except (NotUnderstood, NotOffered, Denied):
            said = None
        rows = said.get("AttributePrivileges") if isinstance(said, Mapping) else None
        readable = {
            str(row.get("AttributeId")).lower()
            for row in (rows if isinstance(rows, list) else [])
            if isinstance(row, Mapping) and row.get("CanRead") == _ALLOWED
        }
        return frozenset((OPPORTUNITY.rows, name) for name, known in secured.items() if known not in readable)

    def refused(self, table: Table) -> Denied | None:
        """Whether we may not read everybody's rows of a table."""
        if self.rights is None:
            return None
        depth = self.rights.get(table.right.lower())
        if depth == _WHOLE:
            return None
        why = "has no right" if depth is None else "may read only a part: it has no right"
        return Denied(
            f"the application user {why} to read {table.rows} of the whole organization: give its role {table.right}"
            " at organization level",
            code="denied",
        )

    # -- asking ---------------------------------------------------------------------------------------------------------

    def _of(self, table: Table | str) -> str:
        return f"{self._root}/{table if isinstance(table, str) else table.rows}"

    def _prefer(self, *preferences: str) -> dict[str, str]:
        said = ",".join((f"odata.maxpagesize={self.settings.batch}", *preferences))
        return {**_HEADERS, "Prefer": said}

    async def pages(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> AsyncIterator[Page]:
        """Pages of rows. Where the next one is, is the server's to say; the same wishes go along with it."""
        page = page_of(await self.api.get(path, query, headers))
        asked: set[str] = set()
        while True:
            self.api.rows += len(page.rows)
            yield page
            if not page.link:
                return
            if page.link in asked:
                raise Retryable("the CRM names the same page again", code="bad-answer")
            asked.add(page.link)
            page = page_of(await self.api.follow(self._followed(page.link), headers))

    def _followed(self, link: str) -> str:
        """A link as it can be asked for: one without a path is below the service's root (OData 4.0, part 1, 4.5.5)."""
        whole = link if "://" in link or link.startswith("/") else f"{self._root}/{link}"
        return quote(whole, safe=_IN_LINKS)

    async def rows(
        self,
        table: Table,
        columns: tuple[str, ...],
        where: Sequence[Condition | Either] = (),
        *,
        filtered: str = "",
        order: str = "",
        shown: bool = False,
    ) -> AsyncIterator[Row]:
        """Rows of a table, each once: one that comes again on the next page, because it was changed meanwhile, is one."""
        query = {"$select": self.schema.select(table.rows, (table.key, *columns))}
        said = " and ".join(part for part in (self.wording.odata(table, where), filtered) if part)
        if said:
            query["$filter"] = said
        query["$orderby"] = order or table.key
        recent: deque[frozenset[str]] = deque(maxlen=2)
        async for page in self.pages(self._of(table), query, self._prefer(*([_FORMATTED] if shown else []))):
            seen = frozenset().union(*recent)
            own: set[str] = set()
            for row in page.rows:
                identity = str(row.get(table.key) or "")
                if identity and (identity in seen or identity in own):
                    continue
                own.add(identity)
                yield row
            recent.append(frozenset(own))

    async def count(
        self,
        question: Question,
        first: date,
        last: date,
        *,
        until: datetime | None = None,
        way: Way | None = None,
    ) -> Tally:
        """A question's answer for a span of days, in the way that this server knows. Raises TooMany, TooSlow."""
        way = way or self.way or Way.FETCH
        if way is Way.APPLY and (last - first).days >= APPLY_DAYS:
            way = Way.ROWS
        try:
            if way is Way.FETCH:
                return await self._fetched(question, first, last, until)
            if way is Way.APPLY:
                return await self._applied(question, first, last, until)
        except NotUnderstood:
            if question.without or question.filled:  # rows of the table itself do not tell
                raise
        return await self._listed(question, first, last, until)

    async def _fetched(self, question: Question, first: date, last: date, until: datetime | None) -> Tally:
        where = (*question.where, *self.wording.moments(question, first, last, until))
        tally = Tally(question)
        async for row in self._fetch_rows(
            question.table,
            lambda page, cookie: self.wording.fetch(question, where, page=page, cookie=cookie),
        ):
            tally.put(lambda row=row: fetched(question, row))  # type: ignore[misc]  # bound here, called at once
        return tally

    async def _fetch_rows(self, table: Table, write: Callable[[int, str], str]) -> AsyncIterator[Row]:
        """Groups, page by page: by the cookie, where there is one."""
        number, cookie, before = 1, "", None
        while True:
            page = page_of(
                await self.api.get(self._of(table), {"fetchXml": write(number, cookie)}, self._prefer(_PAGED))
            )
            self.api.rows += len(page.rows)
            if page.rows and (page.rows == before or (cookie and page.cookie == cookie)):
                raise Retryable("the CRM gives the same groups again", code="bad-answer")
            for row in page.rows:
                yield row
            more = len(page.rows) >= GROUPS if page.more is None else page.more
            if not page.rows or not more:
                return
            number, cookie, before = number + 1, page.cookie, page.rows

    async def _applied(self, question: Question, first: date, last: date, until: datetime | None) -> Tally:
        tally = Tally(question)
        days = days_of(Window(first, last)) if question.moment else [last]
        for day in days:
            where = (*question.where, *self.wording.moments(question, day, day, until))
            query = {"$apply": self.wording.apply(question, where)}
            async for page in self.pages(self._of(question.table), query, self._prefer()):
                for row in page.rows:
                    if "n" not in row:
                        raise NotUnderstood("the CRM does not count by $apply", code="no-apply")
                    said = day if question.moment else None
                    tally.put(lambda row=row, said=said: applied(question, row, said))  # type: ignore[misc]  # called at once
        return tally

    async def _listed(self, question: Question, first: date, last: date, until: datetime | None) -> Tally:
        where = (*question.where, *self.wording.moments(question, first, last, until))
        columns = (question.person, question.moment, *question.by, question.distinct, *question.sums.values())
        order = question.moment if question.table is AUDIT else ""
        tally = Tally(question)
        counted: set[tuple[Any, ...]] = set()
        async for row in self.rows(
            question.table, tuple(each for each in columns if each), where, order=order
        ):
            if question.distinct:
                named = (question.person, *question.by, question.distinct)
                key = (
                    *(str(row.get(property_of(each))) for each in named),
                    utc_day(row.get(question.moment)),
                )
                if key in counted:
                    continue
                counted.add(key)
            tally.add(lambda row=row: listed(question, row))  # type: ignore[misc]  # called at once
        return tally

    # -- records --------------------------------------------------------------------------------------------------------

    async def _open_deals(self, owners: Sequence[str]) -> Mapping[str, Sequence[Row]]:
        """Open opportunities by owner: one query for all their flaws, good for a second.

        Whoever plans a batch asks for one metric after the other, and whoever sends it asks again at once: the same people.
        """
        now = self.api.server_now()
        if self._deals is None or not timedelta(0) <= now - self._deals[0] <= DEALS_LIFE:
            self._deals, self._activities = (now, {}), (now, {})
        deals = self._deals[1]
        missing = [owner for owner in owners if owner not in deals]
        if missing:
            found = await self._of_owners(OPPORTUNITY, self.deal_columns(), (OPEN,), missing)
            for owner in missing:
                deals[owner] = found.get(owner, ())
        return deals

    def deal_columns(self) -> tuple[str, ...]:
        """What is read of an opportunity."""
        habits = (self.habits.next_step, self.habits.step_since)
        return (*DEAL, *(each for each in habits if each))

    async def _overdue(self, owners: Sequence[str], today: date) -> Mapping[str, Sequence[Row]]:
        due = Condition("scheduledend", "lt", today, zoned=True)
        return await self._of_owners(TASK, OVERDUE, (OPEN, due), owners)

    async def _of_owners(
        self, table: Table, columns: tuple[str, ...], where: tuple[Condition, ...], owners: Sequence[str]
    ) -> Mapping[str, Sequence[Row]]:
        """Records of these owners, each once."""
        owner = self.schema.column(table.rows, "owner")
        found: defaultdict[str, dict[str, Row]] = defaultdict(dict)

        async def read(some: Sequence[str]) -> None:
            among = Condition(owner, "in", tuple(some))
            async for row in self.rows(table, columns, (*where, among), shown=True):
                identity, who = id_of(row.get(table.key)), id_of(row.get(property_of(owner)))
                if identity and who:
                    found[who][identity] = row

        try:
            await all_of([read(owners[at : at + OWNERS]) for at in range(0, len(owners), OWNERS)])
        except Denied as error:
            advice = f"give the application user's role {table.right} at organization level"
            raise Denied(str(error) or advice, code=error.code) from error
        return {who: tuple(rows.values()) for who, rows in found.items()}

    async def _last_activities(
        self,
        owners: Sequence[str],
        deals: Mapping[str, Sequence[Row]],
        where: tuple[Condition, ...],
        before: date,
    ) -> Mapping[str, date]:
        """Opportunity id -> the day of the last activity about it. ``before``: only older opportunities matter."""
        known = self._activities[1] if self._activities is not None else {}
        kind = "planned" if where else "any"
        missing = [owner for owner in owners if (kind, owner) not in known]
        found = await self._count_activities(missing, where)
        if found is None:
            old = [
                identity
                for owner in missing
                for row in deals.get(owner, ())
                if (utc_day(row.get("createdon")) or date.min) < before
                and (identity := id_of(row.get(OPPORTUNITY.key)))
            ]
            parts = [old[at : at + OWNERS] for at in range(0, len(old), OWNERS)]
            found = await all_of([self._list_activities(part, where) for part in parts])
        for part in found:
            known.update({(kind, identity): day for identity, day in part.items()})
        known.update({(kind, owner): date.min for owner in missing})
        return {identity: day for (said, identity), day in known.items() if said == kind}

    async def _count_activities(
        self, owners: Sequence[str], where: tuple[Condition, ...]
    ) -> list[Mapping[str, date]] | None:
        """By FetchXML; None where the server does not count them so."""
        if self.way is not Way.FETCH:
            return None
        parts = [owners[at : at + OWNERS] for at in range(0, len(owners), OWNERS)]
        try:
            return await all_of([self._fetch_activities(part, where) for part in parts])
        except (NotUnderstood, TooMany):
            return None

    async def _fetch_activities(
        self, owners: Sequence[str], where: tuple[Condition, ...]
    ) -> Mapping[str, date]:
        found: dict[str, date] = {}
        try:
            async for row in self._fetch_rows(
                ACTIVITY, lambda page, cookie: self.wording.about(owners, where, page=page, cookie=cookie)
            ):
                day = utc_day(row.get("last"))
                if day is not None:
                    found[id_of(row.get("r"))] = day
        except TooMany:
            if len(owners) == 1:
                raise
            middle = len(owners) // 2
            for part in (owners[:middle], owners[middle:]):
                found.update(await self._fetch_activities(part, where))
        return found

    async def _list_activities(
        self, deals: Sequence[str], where: tuple[Condition, ...]
    ) -> Mapping[str, date]:
        found: dict[str, date] = {}
        about = Condition("regardingobjectid", "in", tuple(deals))
        async for row in self.rows(ACTIVITY, ("regardingobjectid", "modifiedon"), (*where, about)):
            identity, day = id_of(row.get(property_of("regardingobjectid"))), utc_day(row.get("modifiedon"))
            if day is not None:
                found[identity] = max(day, found.get(identity, day))
        return found

    async def regarding(self, where: tuple[Condition, ...]) -> Mapping[str, date]:
        """What such activities are about -> the day of the last one, row by row: memory grows with records, not with rows."""
        found: dict[str, date] = {}
        about = Condition("regardingobjectid", "not-null")
        async for row in self.rows(ACTIVITY, ("regardingobjectid", "modifiedon"), (*where, about)):
            identity, day = id_of(row.get(property_of("regardingobjectid"))), utc_day(row.get("modifiedon"))
            if day is not None:
                found[identity] = max(day, found.get(identity, day))
        return found

    # -- people ---------------------------------------------------------------------------------------------------------

    async def _known_roster(self, through: date) -> Roster:
        """Who is in the CRM, read a moment ago or now."""
        if self._roster is not None:
            at, asked, roster = self._roster
            if asked == through and abs(self.api.server_now() - at) <= ROSTER_LIFE:
                return roster
        return await self._read_roster(through)

    async def _read_roster(self, through: date) -> Roster:
        await self.start()
        try:
            rows, (tastes, unknown) = await all_of([self._read_people(), self._read_tastes()])
        except Denied as error:
            raise _no_users(error) from error
        self.rights = await self._read_rights()
        if self.refused(TABLES["systemuser"]) is not None:
            raise _no_users(Denied("", code="denied"))
        roster = read_users(rows, tastes, me=self._me, through=through)
        roster = replace(roster, faults=(*roster.faults, *unknown))
        self._roster = self.api.server_now(), through, roster
        return roster

    async def _read_people(self) -> Sequence[Row]:
        """Rows of users. After the first time only what has changed, while the server still knows it; else all of them."""
        if self._delta:
            try:
                await self._follow_changes(self._delta)
                return list(self._people.values())
            except (TokenExpired, NotUnderstood, NotOffered, Denied):
                log.info("dynamics.changes_expired", extra={"source": self.name})
                self._delta = ""
        query = {"$select": self.schema.select("systemusers", USER)}
        wishes = [_FORMATTED]
        if self._tracks:
            try:
                await self._take_people(query, [*wishes, "odata.track-changes"])
                return list(self._people.values())
            except (NotUnderstood, TokenExpired):
                self._tracks = False  # change tracking is off for users
        await self._take_people({**query, "$orderby": TABLES["systemuser"].key}, wishes)
        return list(self._people.values())

    async def _take_people(self, query: Mapping[str, str], wishes: Sequence[str]) -> None:
        people: dict[str, Row] = {}
        delta = ""
        async for page in self.pages(self._of("systemusers"), query, self._prefer(*wishes)):
            for row in page.rows:
                people[id_of(row.get("systemuserid")) or f"?{len(people)}"] = row
            delta = delta or page.delta
        self._people, self._delta = people, delta

    async def _follow_changes(self, link: str) -> None:
        people, delta = dict(self._people), ""
        page = page_of(await self.api.follow(self._followed(link), self._prefer(_FORMATTED)))
        asked = {link}
        while True:
            self.api.rows += len(page.rows)
            for row in page.rows:
                gone = id_of(is_gone(row))
                if gone:
                    people.pop(gone, None)
                    continue
                who = id_of(row.get("systemuserid")) or f"?{len(people)}"
                people[who] = {**people.get(who, {}), **row}
            delta = delta or page.delta
            if not page.link:
                break
            if page.link in asked:
                raise Retryable("the CRM names the same page again", code="bad-answer")
            asked.add(page.link)
            page = page_of(await self.api.follow(self._followed(page.link), self._prefer(_FORMATTED)))
        self._people, self._delta = people, delta

    async def _read_tastes(self) -> tuple[Tastes, Sequence[RowFault]]:
        """Zones and languages; where they cannot be read, nobody's is known, and that is said."""
        try:
            if self._definitions is None:
                self._definitions = await self._all("timezonedefinitions", ("timezonecode", "standardname"))
            settings = await self._all(
                "usersettingscollection", ("systemuserid", "timezonecode", "uilanguageid")
            )
        except (Denied, NotOffered, NotUnderstood, FieldHidden):
            why = "time zones and languages cannot be read: give the application user Read on User Settings"
            return Tastes({}, {}), (
                RowFault("usersettingscollection", 0, "timezonecode", why, dropped=False),
            )
        return read_tastes(settings, self._definitions), ()

    async def _all(self, rows: str, columns: tuple[str, ...]) -> list[Row]:
        """All rows of a small table."""
        if not self.schema.has(rows):
            raise NotOffered(f"this CRM has no table {rows}", code="no-table")
        query = {"$select": self.schema.select(rows, columns)}
        return [row async for page in self.pages(self._of(rows), query, self._prefer()) for row in page.rows]

    # -- the audit ------------------------------------------------------------------------------------------------------

    async def organisation(self) -> Organisation:
        """Whether the environment records who changes and opens it, and for how long."""
        rows = await self._all("organizations", ORGANISATION)
        if not rows:
            raise Retryable("the CRM does not say whether it keeps an audit", code="bad-answer")
        row = rows[0]
        days, interval = row.get("auditretentionperiodv2"), row.get("useraccessauditinginterval")
        audit = row.get("isauditenabled") is True
        return Organisation(
            audit,
            audit and row.get("isuseraccessauditenabled") is True,
            interval if isinstance(interval, int) and interval > 0 else 4,
            (days if days > 0 else None) if isinstance(days, int) else 30,
        )

    async def audited_tables(self) -> frozenset[str]:
        """Tables whose changes are recorded."""
        said = " or ".join(f"LogicalName eq '{name}'" for name in RECORDS)
        query = {"$select": "LogicalName,IsAuditEnabled", "$filter": said}
        found = set()
        async for page in self.pages(self._of("EntityDefinitions"), query, _HEADERS):
            for row in page.rows:
                switch = row.get("IsAuditEnabled")
                if switch is True or (isinstance(switch, Mapping) and switch.get("Value") is True):
                    found.add(str(row.get("LogicalName")))
        return frozenset(found)

    async def audit_begins(self) -> Mapping[tuple[int, str], datetime]:
        """When recording was last turned on, as far as the audit remembers: (action, table or "") -> when."""
        found: dict[tuple[int, str], datetime] = {}
        columns = ("action", "createdon", "objecttypecode")
        where = (Condition("action", "in", AUDIT_STARTED),)
        async for row in self.rows(AUDIT, columns, where, order="createdon desc"):
            action, at = row.get("action"), row.get("createdon")
            if not isinstance(action, int) or not isinstance(at, str):
                continue
            moment = _moment(at)
            key = action, str(row.get("objecttypecode") or "") if action == AUDIT_STARTED[0] else ""
            if moment is not None and (key not in found or found[key] < moment):
                found[key] = moment
        return found


class _Reading(Asking):
    """One poll: every question asked, what came of it kept in figures."""

    def __init__(
        self,
        connector: DynamicsConnector,
        figures: Figures,
        window: Window,
        metrics: frozenset[str],
        roster: Roster,
    ) -> None:
        super().__init__(figures)
        self._crm = connector
        self._window = window
        self._metrics = metrics
        self._roster = roster
        self._lost: set[str] = set()
        """Metrics that are not in this CRM, or that we may not read."""

    async def read(self, snapshots: bool) -> None:
        """Ask everything that is wanted; the policy holds back what is more than it allows at once."""
        first, last = self._window.since, self._window.through
        tasks: list[Coroutine[Any, Any, None]] = [
            self._events(question, first, last) for question in EVENTS if self._wants(question)
        ]
        if self._wants(CYCLE):
            tasks.append(self._cycles())
        updates = [name for name, word in RECORDS.items() if f"records_updated.{word}" in self._metrics]
        if updates or "active_day" in self._metrics:
            tasks.append(self._audits(updates))
        now = {*DEAL_STATES, "pipeline_amount", "field_completeness", "tasks_overdue", "quota_attainment"}
        if snapshots:
            tasks.append(self._states())
            if "quota_attainment" in self._metrics:
                tasks.append(self._quotas())
        else:
            for metric in sorted(self._metrics & now):
                self.figures.mark(metric, [last], CoverageStatus.UNSUPPORTED, PAST)
        await self.run(tasks)

    def _wants(self, question: Question) -> bool:
        return not self._metrics.isdisjoint(question.metrics)

    def _fitted(self, question: Question, days: Sequence[date]) -> Question | None:
        """The question as this CRM can be asked it; what it cannot answer, or not to us, is said."""
        rows = question.table.rows
        fit, lost = question.fitted(self._crm.schema)
        for metric, column in lost.items():
            if (rows, column) in self._crm.schema.closed:
                why = f"{rows}.{column} is secured: give the application user a column security profile that may read it"
                self.fail([metric], days, Denied(why, code="secured"))
                continue
            what = f"{rows} has no column {column} here" if column else f"this CRM has no table {rows}"
            self.fail([metric], days, NotOffered(what, code="not-here"))
        denied = self._crm.refused(question.table) if fit is not None else None
        if denied is not None:
            self.fail(question.metrics, days, denied)
            return None
        return fit

    # -- events ---------------------------------------------------------------------------------------------------------

    async def _events(self, question: Question, first: date, last: date, partial: str = "") -> None:
        """Events of a span. ``partial``: why less is known than was done."""
        fit = self._fitted(question, days_of(Window(first, last)))
        if fit is not None:
            await self._span(fit, first, last, partial)

    async def _span(self, question: Question, first: date, last: date, partial: str = "") -> None:
        """What is too much for the server is asked in halves; a day that is still too much is read row by row."""
        days = days_of(Window(first, last))
        until = self._crm.api.server_now()
        try:
            try:
                tally = await self._crm.count(question, first, last, until=until)
            except TooMany:
                if first != last:
                    raise
                tally = await self._crm.count(question, first, last, until=until, way=Way.ROWS)
        except TooSlow as error:
            if first == last:
                self._fail(question, days, error)
                return
            for half in halves(first, last):
                await self._span(question, *half, partial)
            return
        except (Retryable, Permanent) as error:
            self._fail(question, days, error)
            return
        if partial:
            for metric in question.metrics:
                self.figures.mark(metric, days, CoverageStatus.PARTIAL, partial)
        self._keep(tally, days)

    async def _cycles(self) -> None:
        """Days from creation to winning, row by row."""
        first, last = self._window.since, self._window.through
        days = days_of(self._window)
        fit = self._fitted(CYCLE, days)
        if fit is None:
            return
        where = (*fit.where, *self._crm.wording.moments(fit, first, last))
        found: defaultdict[tuple[str, date], float] = defaultdict(float)
        faults: list[RowFault] = []
        line = 0
        try:
            async for row in self._crm.rows(OPPORTUNITY, (fit.person, "createdon", fit.moment), where):
                line += 1
                begun, won = utc_day(row.get("createdon")), utc_day(row.get(fit.moment))
                if begun is None or won is None:
                    faults.append(RowFault(OPPORTUNITY.rows, line, fit.moment, "a day cannot be read"))
                    continue
                who = id_of(row.get(property_of(fit.person)))
                if who:
                    found[who, won] += max((won - begun).days, 0)
        except (Retryable, Permanent) as error:
            self._fail(fit, days, error)
            return
        self.keep(fit.metrics, days, line)
        for fault in faults:
            self.figures.fault(fault, fit.metrics, days)
        for (who, won), number in found.items():
            if who in self._roster.known and won in days:
                self.figures.add("cycle_days", who, won, number)

    # -- the audit ------------------------------------------------------------------------------------------------------

    async def _audits(self, updates: Sequence[str]) -> None:
        """Who opened the CRM and who changed what, as far as the environment records it."""
        try:
            kept, begun = await self._audit_kept()
        except (Retryable, Permanent) as error:
            if "active_day" in self._metrics:
                self.fail(["active_day"], days_of(self._window), error, _grant(AUDIT))
            await self._modified(updates, str(error) or _grant(AUDIT))
            return
        tasks = []
        if "active_day" in self._metrics:
            tasks.append(self._accesses(kept, begun))
        if updates:
            tasks.append(self._updates(updates, kept, begun))
        await all_of(tasks)

    async def _audit_kept(self) -> tuple[Organisation, Mapping[tuple[int, str], datetime]]:
        if not self._crm.schema.has(AUDIT.rows):
            raise NotOffered("this CRM keeps no audit", code="no-audit")
        denied = self._crm.refused(AUDIT)
        if denied is not None:
            raise denied
        kept = await self._crm.organisation()
        return kept, (await self._crm.audit_begins()) if kept.audit else {}

    async def _accesses(self, kept: Organisation, begun: Mapping[tuple[int, str], datetime]) -> None:
        days = days_of(self._window)
        if not kept.access:
            what = "user access auditing" if kept.audit else "auditing and user access auditing"
            advice = (
                f"turn on {what} in the Power Platform admin center (Settings, Audit settings: log access)"
            )
            self.fail(["active_day"], days, NotOffered(advice, code="no-audit"))
            return
        started = [begun[key] for key in ((AUDIT_STARTED[1], ""), (AUDIT_STARTED[2], "")) if key in begun]
        read = self._since(["active_day"], kept, started)
        if not read:
            return
        if kept.interval > 24:
            why = f"access is recorded every {kept.interval} hours only: set the interval to 24 or less"
            self.figures.mark("active_day", read, CoverageStatus.PARTIAL, why)
        actions = [int(each) for each in self._crm.settings.access_actions.split(",")]
        await self._events(accessed(actions), read[0], read[-1])

    def _since(self, metrics: Sequence[str], kept: Organisation, started: Sequence[datetime]) -> list[date]:
        """Days that the audit can tell about: not before it was turned on, and not longer ago than it is kept."""
        days = days_of(self._window)
        oldest = date.min
        if kept.days is not None:
            oldest = self._crm.api.server_now().date() - timedelta(days=kept.days - 1)
        begins = max((moment.astimezone(UTC).date() for moment in started), default=date.min)
        for metric in metrics:
            self.figures.mark(
                metric,
                [day for day in days if day < max(oldest, begins)],
                CoverageStatus.UNSUPPORTED,
                "the audit does not reach back to this day",
            )
            if begins in days:
                why = "the audit was turned on in the course of this day"
                self.figures.mark(metric, [begins], CoverageStatus.PARTIAL, why)
        return [day for day in days if day >= max(oldest, begins)]

    async def _updates(
        self, names: Sequence[str], kept: Organisation, begun: Mapping[tuple[int, str], datetime]
    ) -> None:
        """Changed records: by the audit where a table has one, else by who changed them last."""
        known: frozenset[str] = frozenset()
        if kept.audit:
            try:
                known = await self._crm.audited_tables()
            except (NotUnderstood, NotOffered, Denied):
                pass
            except (Retryable, Permanent) as error:
                self.fail(
                    [f"records_updated.{RECORDS[name]}" for name in names], days_of(self._window), error
                )
                return
        by_audit = [name for name in names if name in known]
        tasks = []
        if others := [name for name in names if name not in known]:
            tasks.append(self._modified(others, "turn on auditing for this table"))
        if by_audit:
            tasks.append(self._changes(by_audit, kept, begun))
        await all_of(tasks)

    async def _changes(
        self, names: Sequence[str], kept: Organisation, begun: Mapping[tuple[int, str], datetime]
    ) -> None:
        reaches: dict[str, list[date]] = {}
        for name in names:
            keys = ((AUDIT_STARTED[0], name), (AUDIT_STARTED[1], ""))
            metric = f"records_updated.{RECORDS[name]}"
            reaches[metric] = self._since([metric], kept, [begun[key] for key in keys if key in begun])
        asked = sorted({day for days in reaches.values() for day in days})
        if not asked:
            return
        await self._events(audited(names), asked[0], asked[-1])
        for metric, days in reaches.items():
            early = [day for day in asked if day not in days]
            why = "the audit does not reach back to this day"
            self.figures.mark(metric, early, CoverageStatus.UNSUPPORTED, why)

    async def _modified(self, names: Sequence[str], why: str) -> None:
        """Changed records by who changed them last: an earlier change of somebody else is not seen."""
        first, last = self._window.since, self._window.through
        said = f"only the last change of each record is known: {why}"
        await all_of([self._events(modified(name), first, last, said) for name in names])

    # -- snapshots ------------------------------------------------------------------------------------------------------

    async def _states(self) -> None:
        """Everybody's numbers now. What is too much to be counted at once, or cannot be counted here, is read row by row."""
        today = [self._window.through]
        scanned: list[Question] = []
        counted: list[Question] = []
        for question in states(self._window.through, self._crm.habits):
            if not self._wants(question):
                continue
            fit = self._fitted(question, today)
            if fit is None:
                continue
            if question.without and not self._crm.schema.has(ACTIVITY.rows):
                self.fail(question.metrics, today, NotOffered("this CRM has no activities", code="no-table"))
                continue
            denied = self._crm.refused(ACTIVITY) if question.without else None
            if denied is not None:
                self.fail(question.metrics, today, denied)
            elif fit.table is TASK or self._crm.way is Way.FETCH:
                counted.append(fit)
            else:
                scanned.append(fit)
        left = await all_of([self._state(question) for question in counted])
        scanned += [question for question in left if question is not None]
        if scanned:
            await self._scan(scanned)

    async def _state(self, question: Question) -> Question | None:
        """A snapshot by one count; gives the question back when its rows have to be read instead."""
        today = self._window.through
        try:
            tally = await self._crm.count(question, today, today)
        except TooMany as error:
            if question.table is not OPPORTUNITY:
                try:
                    tally = await self._crm.count(question, today, today, way=Way.ROWS)
                except (Retryable, Permanent) as again:
                    self._fail(question, [today], again)
                    return None
            elif question.without:
                await self._by_age(question, error)
                return None
            else:
                return question
        except NotUnderstood as error:
            if question.table is OPPORTUNITY:
                return question
            self._fail(question, [today], error)
            return None
        except (Retryable, Permanent) as error:
            self._fail(question, [today], error)
            return None
        self._keep(tally, [today])
        return None

    async def _by_age(self, question: Question, error: TooMany) -> None:
        """Opportunities of one age after the other, where all of them are too many; each span in halves if need be."""
        today = self._window.through
        whole = Tally(question)
        try:
            for first, last in age_spans(today):
                await self._add_ages(whole, question, first, last)
        except (Retryable, Permanent) as failed:
            self._fail(question, [today], failed if not isinstance(failed, TooMany) else error)
            return
        self._keep(whole, [today])

    async def _add_ages(self, whole: Tally, question: Question, first: date, last: date) -> None:
        born = (Condition("createdon", "ge", first), Condition("createdon", "lt", last + timedelta(days=1)))
        part = replace(question, where=(*question.where, *born))
        try:
            tally = await self._crm.count(part, last, last)
        except TooMany:
            if first == last:
                raise
            for half in halves(first, last):
                await self._add_ages(whole, question, *half)
            return
        whole.rows += tally.rows
        whole.faults += tally.faults
        for key, count in tally.counts.items():
            whole.counts[key] = whole.counts.get(key, 0.0) + count

    async def _scan(self, questions: Sequence[Question]) -> None:
        """All open opportunities, once, for all that could not be counted; memory grows with people, not with rows."""
        today = self._window.through
        metrics = sorted({metric for question in questions for metric in question.metrics} & self._metrics)
        habits = self._crm.habits
        reader = Reader(self._crm.schema, habits, self._crm.zone)
        numbers: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
        filled: defaultdict[str, int] = defaultdict(int)
        faults: list[RowFault] = []
        line = teams = 0
        columns = tuple(required(habits).values())
        try:
            recent: Mapping[str, date] = {}
            planned: Mapping[str, date] = {}
            if "opps_no_activity_30d" in metrics:
                recent = await self._crm.regarding((Condition("modifiedon", "ge", quiet_day(today)),))
            if "opps_no_next_step" in metrics and not habits.next_step:
                planned = await self._crm.regarding(PLANNED)
            async for row in self._crm.rows(OPPORTUNITY, self._crm.deal_columns(), (OPEN,)):
                line += 1
                try:
                    identity = id_of(row.get(OPPORTUNITY.key))
                    deal = reader.deal(row, recent.get(identity), planned=identity in planned)
                    amount = reader.amount(row)
                except ValueError as error:
                    faults.append(RowFault(OPPORTUNITY.rows, line, "", str(error)))
                    continue
                if deal.owner not in self._roster.known:
                    teams += 1
                    continue
                own = numbers[deal.owner]
                own["all"] += 1
                own["pipeline_amount"] += amount
                filled[deal.owner] += reader.filled(row, columns)
                for metric in metrics:
                    if metric in DEAL_STATES and is_flawed(metric, deal, today):
                        own[metric] += 1
        except (Retryable, Permanent) as error:
            for question in questions:
                self._fail(question, [today], error)
            return
        self.keep(metrics, [today], line)
        for fault in faults:
            self.figures.fault(fault, metrics, [today])
        if teams:
            self.figures.note(f"{OPPORTUNITY.rows} of teams", teams)
        for who, own in numbers.items():
            share = round(100 * filled[who] / (own["all"] * len(columns)), 2)
            for metric in metrics:
                number = share if metric == "field_completeness" else own.get(metric, 0.0)
                self.figures.add(metric, who, today, number)

    async def _quotas(self) -> None:
        """Running goals of people, in percent."""
        today = self._window.through
        if not self._crm.schema.has(GOAL.rows):
            self.fail(["quota_attainment"], [today], NotOffered("this CRM has no goals", code="no-table"))
            return
        denied = self._crm.refused(GOAL)
        if denied is not None:
            self.fail(["quota_attainment"], [today], denied)
            return
        running = (
            OPEN,
            Condition("goalstartdate", "lt", today + timedelta(days=1), zoned=True),
            Condition("goalenddate", "ge", today, zoned=True),
        )
        try:
            rows = [row async for row in self._crm.rows(GOAL, GOALS, running)]
            found = attainment(rows, today, self._crm.zone)
        except ValueError as error:
            self.figures.fault(RowFault(GOAL.rows, 0, "", str(error)), ["quota_attainment"], [today])
            return
        except (Retryable, Permanent) as error:
            self.fail(["quota_attainment"], [today], error, _grant(GOAL))
            return
        people = {who: share for who, share in found.items() if who in self._roster.known}
        if not people:
            why = "nobody has a running goal with an amount: keep quotas as goals in Dynamics 365 Sales"
            self.fail(["quota_attainment"], [today], NotOffered(why, code="no-goals"))
            return
        self.keep(["quota_attainment"], [today], len(rows))
        for who, share in people.items():
            self.figures.add("quota_attainment", who, today, share)

    # -- keeping --------------------------------------------------------------------------------------------------------

    def _keep(self, tally: Tally, days: Sequence[date]) -> None:
        """Numbers of people; what belongs to a team, or to nobody who is known, is counted as such."""
        question, figures, inside = tally.question, self.figures, frozenset(days)
        self.keep(question.metrics, days, tally.rows)
        for fault in tally.faults:
            figures.fault(fault, question.metrics, days)
        for key, count in tally.counts.items():
            who, day, by = key
            if who not in self._roster.known:
                if question.moment or question.table is TASK or "opps_open" in question.metrics:
                    figures.note(f"{question.table.rows} of teams", int(count))
                continue
            if day is not None and day not in inside:
                continue
            try:
                numbers = question.read(by, count, tally.sums.get(key, {}))
            except ValueError as error:
                figures.fault(RowFault(question.table.rows, 0, "", str(error)), question.metrics, days)
                continue
            for metric, number in numbers:
                figures.add(metric, who, day or self._window.through, number)

    def _fail(self, question: Question, days: Sequence[date], error: Retryable | Permanent) -> None:
        self.fail(question.metrics, days, error, _grant(question.table))


def age_spans(today: date) -> list[tuple[date, date]]:
    """Days of creation, all until today, in spans that are shorter the newer they are."""
    edges = [date(1990, 1, 1), *(today - timedelta(days=age) for age in reversed(AGES))]
    ends = [*(edge - timedelta(days=1) for edge in edges[1:]), today]
    return list(zip(edges, ends, strict=True))


def _grant(table: Table) -> str:
    """What an admin has to change so that a table can be read."""
    return f"give the application user's role {table.right} at organization level"


def _no_users(error: Denied) -> Permanent:
    return Permanent(
        f"users cannot be read: {_grant(TABLES['systemuser'])} ({error.code})", code="users-denied"
    )


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


async def _no_log_in(_send: Send) -> Session:
    """For a server on this machine that asks nobody who they are."""
    return Session("")


def open_dynamics(
    settings: DynamicsSettings,
    *,
    clock: Clock | None = None,
    record_link: str | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> DynamicsConnector:
    """Open one environment; nothing is read yet.

    ``clock``: whose time sessions and pauses are measured in (a steered one in a simulation). ``transport``: how requests
    travel, if not by the network.
    """
    return DynamicsConnector(settings, clock=clock, record_link=record_link, transport=transport)


def blank(asked: Asked) -> Any:
    """What an environment without a record would answer: it audits some tables, so that both ways of asking are shown."""
    last = asked.path.rpartition("/")[2]
    if last == "token":
        return {"access_token": "rehearsal", "expires_in": 3600}
    if last == "WhoAmI":
        return {"UserId": "00000000-0000-0000-0000-000000000001"}
    if last == "organizations":
        return {"value": [{"isauditenabled": True, "isuseraccessauditenabled": True}]}
    if last == "EntityDefinitions":
        audited_here = ("opportunity", "account", "contact")
        return {"value": [{"LogicalName": name, "IsAuditEnabled": {"Value": True}} for name in audited_here]}
    if asked.query.get("fetchXml") == PROBE_FETCH:
        return {"value": [{"n": 0}]}
    return {"value": []}


CONNECTOR = ConnectorKind(
    name="dynamics",
    open=opener(DynamicsSettings, open_dynamics),
    settings=DynamicsSettings,
    blank=blank,
    owner="00000000-0000-0000-0000-000000000002",
)
