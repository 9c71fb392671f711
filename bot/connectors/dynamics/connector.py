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
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
from pydantic import Field, SecretStr, model_validator

from bot.connectors.dynamics.answers import Credentials, entra, judge, read_certificate
from bot.connectors.dynamics.environment import Environment
from bot.connectors.dynamics.people import People
from bot.connectors.dynamics.poll import PAST, Poll
from bot.connectors.dynamics.queries import (
    CLOSINGS,
    DEAL_STATES,
    OPPORTUNITY,
    PROBE_FETCH,
    TASK,
    Habits,
    Table,
    unsupported,
)
from bot.connectors.dynamics.records import OpenRecords
from bot.connectors.dynamics.rows import id_of
from bot.connectors.figures import Figures
from bot.connectors.http import Advice, Api, LogIn, Policy, Send, Session, SessionRefused
from bot.connectors.of_now import OfNow
from bot.connectors.open_records import OpenDeal, OpenTask, worst_of_each
from bot.connectors.settings import (
    ASKED,
    Address,
    CrmSettings,
    ExistingFile,
    OptionalAddress,
    PathPrefix,
    Seconds,
    asked,
    ends_before,
    for_settings,
    opener,
)
from bot.domain.errors import Permanent, Retryable
from bot.domain.people import CrmUser
from bot.domain.ports import Asked, Clock, ConnectorKind, Meter, Probe
from bot.domain.usage import METRICS, Collected, Coverage, RecordRef, RowFault, Window

log = logging.getLogger(__name__)

API_VERSION = "v9.2"
AUTHORITY = "https://login.microsoftonline.com"


class DynamicsSettings(CrmSettings):
    """How to reach one environment. ``scope``, ``token_url``: "" is what follows from the address and the tenant.

    ``login`` "none": no log-in at all, for a server on this machine. ``batch``: rows a page.
    """

    name: str = "dynamics"
    time_out: Seconds = 130.0  # Dataverse itself gives up on a query after about 120
    url: Annotated[Address, ends_before("/api/data", "/main.aspx")] = Field(
        description="your environment, e.g. https://ORG.crm4.dynamics.com"
    )
    tenant: str = Field(
        "",
        pattern=r"^[\w.-]*$",
        json_schema_extra=ASKED,
        description="the directory (tenant) id or a domain of it, e.g. contoso.onmicrosoft.com",
    )
    client_id: str = Field(
        "",
        json_schema_extra=ASKED,
        description="the application (client) id of your app registration",
    )
    client_secret: SecretStr = Field(SecretStr(""), description="a client secret of your app registration")
    certificate: ExistingFile | None = Field(
        None,
        json_schema_extra=asked(unless="client_secret"),
        description="instead of a secret: a PEM file with the private key and the certificate",
    )
    certificate_password: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=asked(after="certificate"),
        description="what opens the certificate's private key",
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
        secret, by_file = bool(self.client_secret.get_secret_value()), self.certificate is not None
        if secret and by_file:
            raise ValueError("set either <CLIENT_SECRET> or <CERTIFICATE>")
        missing = [
            f"<{name.upper()}> ({type(self).model_fields[name].description})"
            for name, there in (
                ("tenant", bool(self.tenant or self.token_url)),
                ("client_id", bool(self.client_id)),
                ("client_secret", secret or by_file),
            )
            if not there
        ]
        if missing:
            instead = "" if secret or by_file else "; or <CERTIFICATE> instead of a secret"
            raise ValueError(f"not set: {', '.join(missing)}{instead}; see docs/connectors/dynamics.md")
        if self.certificate is not None:
            try:
                read_certificate(self.certificate, self.certificate_password.get_secret_value())
            except SessionRefused as error:
                raise for_settings(error, "dynamics") from None
        return self

    @property
    def log_in_at(self) -> tuple[str, str]:
        """Where to log in, and the variable that says so; "" where nobody does."""
        if self.login == "none":
            return "", ""
        if self.token_url:
            return self.token_url, "FULLSTEAM_DYNAMICS_TOKEN_URL"
        return f"{self.authority}/{self.tenant}/oauth2/v2.0/token", "FULLSTEAM_DYNAMICS_AUTHORITY"


class DynamicsConnector:
    """Reads one environment; implements :class:`bot.domain.ports.Connector`. Opening it reads nothing yet."""

    lag_days = 0
    overlap_days = 5
    """Rows of the audit may come up to two days late; so today and the four days before it are read again, in any zone."""

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
        zone = ZoneInfo(settings.zone)
        self.habits = Habits(settings.next_step, settings.step_since)
        self._record_link = record_link
        self.api = Api(
            settings.url,
            name=settings.name,
            log_in=self._log_in(),
            judge=judge,
            clock=clock,
            policy=policy or Policy(read_seconds=settings.time_out, at_once=settings.at_once),
            advice=self._advice(),
            transport=transport,
            sleep=sleep,
        )
        self.environment = Environment(
            self.api,
            root=f"{settings.prefix}/{settings.api_version}".rstrip("/"),
            batch=settings.batch,
            zone=zone,
            habits=self.habits,
        )
        self._people = People(self.environment, source=self.name)
        self._records = OpenRecords(self.environment)
        self._of_now = OfNow(self.api.server_now, zone)

    def _log_in(self) -> LogIn:
        if self.settings.login == "none":
            return _no_log_in
        given = self.settings
        where, setting = given.log_in_at
        return entra(
            Credentials(
                given.client_id,
                where,
                given.scope or f"{given.url}/.default",
                given.client_secret.get_secret_value(),
                given.certificate,
                given.certificate_password.get_secret_value(),
                setting,
            ),
            self._server_now,
        )

    def _advice(self) -> Advice:
        where, setting = self.settings.log_in_at
        refused = (
            "check FULLSTEAM_DYNAMICS_URL and FULLSTEAM_DYNAMICS_SCOPE, and the application user of the environment"
            if setting
            else "this server wants a log-in, so set FULLSTEAM_DYNAMICS_LOGIN=entra"
        )
        return Advice("FULLSTEAM_DYNAMICS_API_VERSION", setting, where, refused)

    # -- the port -------------------------------------------------------------------------------------------------------

    async def probe(self) -> Probe:
        """What can be read today, by reading it. ``version``: the API version, and how this server counts."""
        version = self.settings.api_version
        try:
            await self.environment.start()
            today = self._of_now.today()
            rows: list[Coverage] = []
            async for part in self.collect(Window(today, today), frozenset(METRICS)):
                # Closings of earlier days may come as well: what can be read is said of today.
                rows += (each for each in part.coverage if each.day == today)
        except (Retryable, Permanent) as error:
            return Probe(self.name, version, ok=False, advice=str(error))
        log.info(
            "dynamics.probed",
            extra={"source": self.name, "user": self.environment.me, "calls": self.api.calls},
        )
        said = f"{version}, counts by {self.environment.way}".removeprefix(", ")
        unread = (self.environment.unread_schema, self._people.unread_tastes)
        advice = "; ".join(each for each in unread if each)
        return Probe(self.name, said, ok=True, advice=advice, metrics=tuple(rows))

    async def users(self, through: date) -> tuple[Sequence[CrmUser], Sequence[RowFault]]:
        """Users with read-write, administrative or read access, and those whom they report to."""
        roster = await self._people.read(through)
        return roster.users, roster.faults

    async def collect(self, window: Window, metrics: frozenset[str]) -> AsyncIterator[Collected]:
        """Everything in about forty queries, up to four at once; then facts day by day.

        Where deals were booked in the window that were closed before it, the closings of those days come as well, first.
        """
        crm = self.environment
        await crm.start()
        roster = self._people.known(window.through)
        if roster is None:
            roster = await self._people.read(window.through)  # our rights are read with them
        await crm.look_up_rights(again=False)
        await crm.look_up_closed()
        self._records.forget()
        figures = Figures(window, metrics, unsupported(self.habits), past=PAST)
        figures.leave_empty("field_completeness")
        figures.leave_empty("quota_attainment")
        access = [int(each) for each in self.settings.access_actions.split(",")]
        poll = Poll(crm, figures, window, metrics, roster, access)
        await poll.read(self._of_now.is_today(window.through))
        earlier = await poll.booked_late()
        again = None
        if earlier is not None:
            closings = metrics & CLOSINGS
            again = Figures(earlier, closings, {}, past=PAST)
            try:
                await Poll(crm, again, earlier, closings, roster, access).read(snapshots=False)
            except SessionRefused:
                raise
            except (Retryable, Permanent) as error:
                poll.failures.append(
                    error
                )  # those days stay as they were read; the next poll asks for them again
                again = None
        log.info(
            "dynamics.collected",
            extra={
                "source": self.name,
                "calls": self.api.calls,
                "groups": poll.rows,
                "failed": len(poll.failures),
            },
        )
        listed_since = {user.crm_id: user.access_since for user in roster.users}
        for found in (again, figures):
            if found is not None:
                for part in found.parts(listed_since, left_out=roster.left_out):
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
        await self.environment.start()
        self._of_now.check_recent(through, "Dataverse", PAST)
        today = self._of_now.today()
        records: Mapping[str, Sequence[OpenDeal | OpenTask]]
        if metric == "tasks_overdue":
            records, link = await self._records.tasks(asked, today), self._link(TASK)
        else:
            records, link = await self._records.deals(metric, asked, today), self._link(OPPORTUNITY)
        return worst_of_each(metric, records, limit, today, link)

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


async def _no_log_in(_send: Send) -> Session:
    """For a server on this machine that asks nobody who they are."""
    return Session("")


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
    open=opener(DynamicsSettings, DynamicsConnector),
    settings=DynamicsSettings,
    blank=blank,
    owner="00000000-0000-0000-0000-000000000002",
)
