"""CRM in, from Infor CRM, once Sage SalesLogix (docs/connectors/infor.md): lists over SData, and nothing that writes.

SData has no grouped queries beyond a few metrics of the CRM's own, so lists are read page by page into counters, in the order
of their ids: pages by number lose rows there (a list that moves, and a fault of servers with long lists). What a list says
counts when it was read to its end. What the server refuses becomes the coverage of the metrics that need it.

Sources: Sage SData 1.1; Saleslogix/argos-sdk and argos-saleslogix, Infor's own client, for the log-in, resources, fields and
metrics; public clients for audited changes and paging by id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal

import httpx
from pydantic import Field, SecretStr, model_validator

from bot.connectors.figures import Figures
from bot.connectors.http import Advice, Api, Policy, SessionRefused
from bot.connectors.infor.answers import basic, has_service_account, ion, judge, read_ionapi
from bot.connectors.infor.evidence import NAMED, Evidence
from bot.connectors.infor.installation import Installation
from bot.connectors.infor.people import People
from bot.connectors.infor.poll import Poll
from bot.connectors.infor.queries import NO_LOGINS, PAST, UNSUPPORTED
from bot.connectors.infor.rows import is_id
from bot.connectors.settings import (
    ASKED,
    Address,
    CrmSettings,
    ExistingFile,
    OptionalAddress,
    PathPrefix,
    asked,
    ends_before,
    opener,
    variable,
)
from bot.domain.errors import Permanent, Retryable
from bot.domain.people import CrmUser
from bot.domain.ports import Asked, Clock, ConnectorKind, Meter, Probe
from bot.domain.usage import METRICS, Collected, Coverage, RecordRef, RowFault, Window

log = logging.getLogger(__name__)

_NAME = r"^[A-Za-z$][\w$/]*$"


class InforSettings(CrmSettings):
    """How to reach one installation. Exactly one way to log in: user name and password, or an .ionapi file."""

    name: str = "infor"
    at_once: int = Field(2, ge=1, le=4, description="requests at the same time, 1 to 4")
    url: Annotated[Address, ends_before("/sdata")] = Field(
        description="the server, https://crm.example.com, or the gateway with tenant and suite, see docs/connectors/infor.md"
    )
    path: PathPrefix = Field("/sdata/slx", description="where SData is on the server, e.g. /sdata/slx")
    dynamic: str = Field(
        "dynamic", pattern=r"^[\w.-]+$", description="contract with the records, e.g. dynamic"
    )
    system: str = Field(
        "system", pattern=r"^[\w.-]+$", description="contract with the activities, e.g. system"
    )
    dataset: str = Field("-", pattern=r"^[\w.-]+$", description="dataset, - for the server's own")
    username: str = Field(
        "", json_schema_extra=ASKED, description="login name of a user of its own for Fullsteam"
    )
    password: SecretStr = Field(
        SecretStr(""), json_schema_extra=asked(after="username"), description="that user's password"
    )
    ionapi_file: ExistingFile | None = Field(
        None,
        json_schema_extra=asked(unless="username"),
        description="path of the .ionapi file of a backend service with a service account",
    )
    token_url: OptionalAddress = Field("", description="where to log in, if not where the .ionapi file says")
    grant: Literal["", "password", "client_credentials"] = Field(
        "",
        description="password or client_credentials; without it the service account's keys are used if there are any",
    )
    page: int = Field(100, ge=10, le=500, description="rows a page, 10 to 500")
    open_status: str = Field("Open", min_length=1, description="status of open opportunities, with commas")
    won_status: str = Field(
        "Closed - Won", min_length=1, description="status of opportunities that were won, with commas"
    )
    lost_status: str = Field(
        "Closed - Lost", min_length=1, description="status of opportunities that were lost, with commas"
    )
    other_status: str = Field(
        "Inactive", description="status of opportunities that are neither open, won nor lost, with commas"
    )
    next_step: str = Field(
        "NextStep", pattern=_NAME, description="field of an opportunity with its next step, e.g. NextStep"
    )
    manager: str = Field(
        "Manager/$key", pattern=_NAME, description="field of a user with the manager, e.g. Manager/$key"
    )
    audit_dates: str = Field(
        "%m/%d/%Y", pattern="%[A-Za-z]", description="how dates are written in audited changes, e.g. %d.%m.%Y"
    )
    left_out: str = Field(
        "ADMIN", description="ids or login names of users who are no people, with commas, e.g. ADMIN"
    )
    login_resource: str = Field(
        "", pattern=r"^[\w-]*$", description="resource with the logins, as it is called in your installation"
    )
    login_user: str = Field("UserId", pattern=_NAME, description="its field with the user, e.g. UserId")
    login_date: str = Field("EventDate", pattern=_NAME, description="its field with the time, e.g. EventDate")
    login_where: str = Field(
        "EventName eq 'Login'", description="condition for what is a login, e.g. EventName eq 'Login'"
    )
    web_url: OptionalAddress = Field(
        "", description="address of the web client, https://crm.example.com/SlxClient"
    )

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> InforSettings:
        name_or_password = bool(self.username), bool(self.password.get_secret_value())
        if self.ionapi_file is not None and any(name_or_password):
            raise ValueError("set <IONAPI_FILE>, or <USERNAME> and <PASSWORD>, but not both")
        if self.ionapi_file is None and not all(name_or_password):
            raise ValueError("set <USERNAME> and <PASSWORD>, or <IONAPI_FILE>")
        if self.ionapi_file is not None:
            try:
                keys = read_ionapi(self.ionapi_file)
            except SessionRefused as error:
                raise ValueError(f"<IONAPI_FILE>: {error}") from None
            if self.grant == "password" and not has_service_account(keys):
                raise ValueError(
                    "<IONAPI_FILE>: the file has no service account, which <GRANT>=password needs: download it with one,"
                    " or set <GRANT> to client_credentials"
                )
        return self

    def variable(self, field_name: str) -> str:
        """What a setting is called in the environment."""
        return f"FULLSTEAM_{variable(self.name)}_{field_name.upper()}"

    def path_of(self, contract: str, kind: str) -> str:
        """Where a resource is below the server's address."""
        return f"{self.path}/{contract}/{self.dataset}/{kind}"


class InforConnector:
    """Reads one installation; implements :class:`bot.domain.ports.Connector`. Opening it reads nothing yet."""

    lag_days = 0
    overlap_days = 3

    def __init__(
        self,
        settings: InforSettings,
        *,
        clock: Clock | None = None,
        record_link: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        policy: Policy | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = settings.name
        self.settings = settings
        decide = judge(settings.variable)
        whoami = f"{settings.url}{settings.path_of(settings.system, '$service/getCurrentUser')}?format=json"
        self.api = Api(
            settings.url,
            name=settings.name,
            log_in=(
                ion(settings.ionapi_file, settings.token_url, settings.grant, whoami, settings.variable)
                if settings.ionapi_file is not None
                else basic(settings.username, settings.password.get_secret_value(), whoami, settings.variable)
            ),
            judge=decide,
            clock=clock,
            policy=policy or Policy(read_seconds=settings.time_out, at_once=settings.at_once, cookies=True),
            advice=_advice(settings),
            transport=transport,
            sleep=sleep,
        )
        self.installation = Installation(settings, self.api, decide)
        self._people = People(self.installation)
        self._evidence = Evidence(self.installation, record_link)

    async def probe(self) -> Probe:
        """What can be read today, by reading it."""
        version = "SData"
        try:
            session = await self.api.session()
            today = self.installation.of_now.today()
            rows: list[Coverage] = []
            async for part in self.collect(Window(today, today), frozenset(METRICS)):
                rows += part.coverage
        except (Retryable, Permanent) as error:
            return Probe(self.name, version, ok=False, advice=str(error))
        log.info("infor.probed", extra={"source": self.name, "user": session.user, "calls": self.api.calls})
        return Probe(self.name, version, ok=True, advice="", metrics=tuple(rows))

    async def users(self, through: date) -> tuple[Sequence[CrmUser], Sequence[RowFault]]:
        """Users who can log in and work, and those whom they report to."""
        roster = await self._people.read(through)
        return roster.users, roster.faults

    async def collect(self, window: Window, metrics: frozenset[str]) -> AsyncIterator[Collected]:
        """Lists side by side, each into counters; then facts day by day."""
        roster = await self._people.known(window.through)
        self.installation.lists.forget()  # a field may have been added since
        self._evidence.forget()
        unsupported = dict(UNSUPPORTED)
        if not self.settings.login_resource:
            unsupported["active_day"] = NO_LOGINS.format(self.settings.variable("login_resource"))
        figures = Figures(window, metrics, unsupported, past=PAST)
        figures.leave_empty("field_completeness")
        poll = Poll(self.installation, figures, window, metrics, roster)
        await poll.read(snapshots=self.installation.of_now.is_today(window.through))
        log.info(
            "infor.collected",
            extra={
                "source": self.name,
                "calls": self.api.calls,
                "rows": self.api.rows,
                "failed": len(poll.failures),
            },
        )
        listed = {user.crm_id: user.access_since for user in roster.users}
        for part in figures.parts(listed, left_out=roster.left_out):
            yield part

    async def evidence(
        self, metric: str, owners: Sequence[str], limit: int, through: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        """The records behind a count, worst first, as of now: whatever day a decision was made for."""
        asked = [owner for owner in dict.fromkeys(owners) if is_id(owner)]
        if metric not in NAMED or not asked:
            return {}
        of_now = self.installation.of_now
        of_now.check_recent(through, "Infor CRM", PAST)
        return await self._evidence.of(metric, asked, limit, of_now.today())

    def meter(self) -> Meter:
        """What was asked; the server has no budget that it tells."""
        return self.api.meter()

    async def close(self) -> None:
        """Let go of the connections."""
        await self.api.close()


def _advice(settings: InforSettings) -> Advice:
    """What to look at when something is wrong. With user name and password there is no place that is for logging in only."""
    refused = f"check {settings.variable('url')}, and what its user may do there"
    if settings.token_url:
        return Advice(log_in=settings.variable("token_url"), log_in_at=settings.token_url, refused=refused)
    where = f"{settings.variable('ionapi_file')}, or set {settings.variable('token_url')}"
    return Advice(log_in=where, refused=refused)


def blank(asked: Asked) -> Any:
    """What an installation without a record would answer."""
    if asked.path.endswith("$service/getCurrentUser"):
        return {"response": {"userId": "REHEARSAL", "userName": "rehearsal"}}
    if asked.method == "POST":
        return {"access_token": "rehearsal", "token_type": "Bearer", "expires_in": 7200}
    if asked.path.endswith("/users"):
        return {"$totalResults": 1, "$resources": [{"$key": "REHEARSAL", "UserName": "rehearsal"}]}
    return {"$totalResults": 0, "$startIndex": 1, "$itemsPerPage": 100, "$resources": []}


CONNECTOR = ConnectorKind(
    name="infor",
    open=opener(InforSettings, InforConnector),
    settings=InforSettings,
    blank=blank,
    owner="UREHEARSAL01",
)
