"""CRM in, from Salesforce (docs/connectors/salesforce.md): the REST API's ``query`` resource, and nothing that writes.

One grouped query for each metric, whatever the number of people; groups are paged by their key, because aggregate queries
have no locator. Events are counted by UTC day, because DAY_ONLY() is; snapshots are as of now, and never given an older date.
What is there and what we may see of it is asked once a day (describe): what is not there is not asked for. What Salesforce
refuses becomes the coverage of the metrics that need it, with what the admin has to change.

Sources: REST API Developer Guide (Query, Composite, Describe Global, sObject Describe, Status Codes and Error Responses, Limit
Info Header), SOQL and SOSL Reference (Aggregate Functions, Date Functions), Object Reference (LoginHistory, Opportunity,
OpportunityFieldHistory, Task, Event, ForecastingQuota).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
from pydantic import Field, SecretStr, model_validator

from bot.connectors.figures import Figures, Slices
from bot.connectors.http import Api, LogIn, Policy, SessionRefused
from bot.connectors.kept import KeptSpans
from bot.connectors.of_now import OfNow
from bot.connectors.salesforce.answers import (
    advice_of,
    api_used,
    client_credentials,
    judge,
    jwt_bearer,
    read_key,
)
from bot.connectors.salesforce.courier import AT_A_TIME, Courier
from bot.connectors.salesforce.evidence import Evidence
from bot.connectors.salesforce.offer import Reception
from bot.connectors.salesforce.people import People
from bot.connectors.salesforce.poll import Poll
from bot.connectors.salesforce.queries import ACTIVITIES, PAST, UNSUPPORTED, Row
from bot.connectors.salesforce.rows import LICENCES
from bot.connectors.settings import (
    Address,
    CrmSettings,
    ExistingFile,
    OptionalAddress,
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

API_VERSION = "v68.0"
EAC = "Einstein Activity Capture keeps e-mails and meetings where nobody can count them: FULLSTEAM_SALESFORCE_ACTIVITY_SOURCE"
NO_ACTIVITIES = "activities are not kept in Salesforce, by FULLSTEAM_SALESFORCE_ACTIVITY_SOURCE"


class SalesforceSettings(CrmSettings):
    """How to reach one org. ``url``: its My Domain. ``token_url``: "" is the usual place there.

    ``batch``: rows a page of plain queries.
    """

    name: str = "salesforce"
    url: Annotated[Address, ends_before("/services", "/lightning")] = Field(
        description="your org's My Domain, https://MYDOMAIN.my.salesforce.com"
    )
    client_id: str = Field(
        min_length=1,
        description="the consumer key of your external client app, see docs/connectors/salesforce.md",
    )
    client_secret: SecretStr | None = Field(
        None,
        min_length=1,
        description="the consumer secret of your external client app (client credentials flow)",
    )
    username: str = Field(
        "",
        json_schema_extra=asked(unless="client_secret"),
        description="the integration user's user name (JWT bearer flow)",
    )
    private_key_file: ExistingFile | None = Field(
        None,
        json_schema_extra=asked(after="username"),
        description="the file with the private key of the app's certificate, PEM (JWT bearer flow)",
    )
    audience: str = Field(
        "",
        description="whom a JWT is meant for, if not https://login.salesforce.com, or test.salesforce.com for a sandbox",
    )
    token_url: OptionalAddress = Field(
        "", description="where to log in, if not at services/oauth2/token of your My Domain"
    )
    api_version: str = Field(
        API_VERSION, pattern=r"^v\d{2,3}\.0$", description=f"a version that your org has, e.g. {API_VERSION}"
    )
    licences: str = Field(
        ", ".join(LICENCES),
        description="licences of those who work on opportunities, e.g. Salesforce, Sales Cloud",
    )
    activity_source: Literal["standard", "eac", "none"] = Field(
        "standard",
        description="where activities are: standard (Task and Event), eac (Einstein Activity Capture), or none",
    )
    time_out: Seconds = 130.0  # Salesforce itself gives up on a query after 120
    sees_all: bool = Field(
        default=False,
        description="yes, if the integration user sees everybody's records, tasks and events, and Salesforce does not say so",
    )
    forecast_type: str = Field(
        "", description="the id of the forecast type whose quotas count, if the org has several"
    )
    batch: int = Field(2000, ge=200, le=2000, description="rows a page, 200 to 2000")
    together: int = Field(
        AT_A_TIME, ge=1, le=AT_A_TIME, description="queries in one request, 1 to 5; 1: every query alone"
    )

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> SalesforceSettings:
        by_key = bool(self.username) or self.private_key_file is not None
        if self.client_secret is not None and by_key:
            raise ValueError(
                "set either <CLIENT_SECRET> (client credentials flow), or <USERNAME> and <PRIVATE_KEY_FILE> (JWT bearer flow)"
            )
        if self.client_secret is None and not by_key:
            raise ValueError(
                "<CLIENT_SECRET> is not set: the consumer secret of your external client app, or <USERNAME> and"
                " <PRIVATE_KEY_FILE> for the JWT bearer flow"
            )
        if by_key and not self.username:
            raise ValueError("<USERNAME> is not set: the integration user's user name (JWT bearer flow)")
        if by_key and self.private_key_file is None:
            raise ValueError("<PRIVATE_KEY_FILE> is not set: the file with the app's private key, PEM")
        if self.private_key_file is not None:
            try:
                read_key(self.private_key_file)
            except SessionRefused as error:
                raise for_settings(error, "salesforce") from None
        return self


class SalesforceConnector:
    """Reads one org; implements :class:`bot.domain.ports.Connector`. Opening it reads nothing yet."""

    lag_days = 0
    overlap_days = 3

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
        self._unsupported = dict(UNSUPPORTED)
        if settings.activity_source != "standard":
            why = EAC if settings.activity_source == "eac" else NO_ACTIVITIES
            self._unsupported |= dict.fromkeys(ACTIVITIES, why)
        self.api = Api(
            settings.url,
            name=settings.name,
            log_in=self._log_in(settings),
            judge=judge,
            used=api_used,
            clock=clock,
            policy=policy or Policy(read_seconds=settings.time_out, at_once=settings.at_once),
            advice=advice_of(settings.url, settings.token_url),
            transport=transport,
            sleep=sleep,
        )
        root = f"/services/data/{settings.api_version}"
        page = {"Sforce-Query-Options": f"batchSize={settings.batch}"} if settings.batch != 2000 else {}
        self.courier = Courier(self.api, root, page, at_a_time=settings.together, at_once=settings.at_once)
        self.people = People(
            self.api,
            self.courier,
            username=settings.username,
            licences=[each.strip() for each in settings.licences.split(",") if each.strip()],
            sandbox=".sandbox." in (urlsplit(settings.url).hostname or ""),
        )
        self._spans = KeptSpans(self.api.server_now)
        self._reception = Reception(self.api, self.courier, root, sees_all=settings.sees_all)
        self._of_now = OfNow(self.api.server_now, ZoneInfo(settings.zone))
        self._records = Evidence(self.api, self.courier, link=record_link, of_now=self._of_now)

    def _server_now(self) -> datetime:
        return self.api.server_now()

    def _log_in(self, settings: SalesforceSettings) -> LogIn:
        if settings.private_key_file is not None:
            return jwt_bearer(
                settings.url,
                settings.client_id,
                settings.username,
                settings.private_key_file,
                audience=settings.audience,
                token_url=settings.token_url,
                now=self._server_now,  # not there yet
            )
        secret = settings.client_secret.get_secret_value() if settings.client_secret is not None else ""
        return client_credentials(settings.url, settings.client_id, secret, settings.token_url)

    # -- the port -------------------------------------------------------------------------------------------------------

    async def probe(self) -> Probe:
        """What can be read today, by reading it. ``version``: the API version, if the org has it."""
        version = self._settings.api_version
        try:
            session = await self.api.session()
            offered = {
                said
                for each in await self._versions()
                if re.fullmatch(r"\d+\.\d", said := str(each.get("version")))
            }
            if offered and version.removeprefix("v") not in offered:
                newest = max(offered, key=float)
                advice = f"the org has no API {version}: set FULLSTEAM_SALESFORCE_API_VERSION, e.g. v{newest}"
                return Probe(self.name, version, ok=False, advice=advice)
            today = self._of_now.today()
            rows: list[Coverage] = []
            faults = [*(await self.people.known(today)).faults]
            async for part in self.collect(Window(today, today), frozenset(METRICS)):
                rows += part.coverage
                faults += part.faults
        except (Retryable, Permanent) as error:
            return Probe(self.name, version, ok=False, advice=str(error))
        log.info(
            "salesforce.probed", extra={"source": self.name, "user": session.user, "calls": self.api.calls}
        )
        advice = "; ".join(str(fault) for fault in faults if not fault.row)
        return Probe(self.name, version, ok=True, advice=advice, metrics=tuple(rows))

    async def users(self, through: date) -> tuple[Sequence[CrmUser], Sequence[RowFault]]:
        """Standard users with a CRM licence, and those whom they report to."""
        roster = await self.people.read(through)
        return roster.users, roster.faults

    async def collect(self, window: Window, metrics: frozenset[str]) -> AsyncIterator[Collected]:
        """Everything in about thirty queries, five in a request, up to four at once; then facts day by day.

        Many days of many people in parts, oldest first, so that what is held at once does not grow with the days.
        """
        roster = await self.people.known(window.through)
        offer = await self._reception.offer(roster.me)
        self._records.forget(offer.hidden)
        wanted = metrics - self._unsupported.keys()

        def empty(part: Window) -> Figures:
            made = Figures(part, metrics, self._unsupported, past=PAST, newest=window.through)
            made.leave_empty("field_completeness")
            made.leave_empty("quota_attainment")
            for fault in offer.faults if part.since == window.since else ():
                made.fault(fault, (), ())
            return made

        poll = Poll(
            self.courier,
            empty,
            window,
            wanted,
            roster,
            offer,
            spans=self._spans,
            forecast_type=self._settings.forecast_type,
            server_now=self.api.server_now,
        )
        listed = {user.crm_id: user.access_since for user in roster.users}
        slices, failed = Slices(window, len(listed)), 0
        for part in slices:
            before = poll.rows
            await poll.read(part, part.through == window.through and self._of_now.is_today(part.through))
            slices.had(poll.rows - before)
            failed += len(poll.failures)
            for told in poll.figures.parts(listed, left_out=roster.left_out):
                yield told
        log.info(
            "salesforce.collected",
            extra={
                "source": self.name,
                "calls": self.api.calls,
                "groups": poll.rows,
                "failed": failed,
            },
        )

    async def evidence(
        self, metric: str, owners: Sequence[str], limit: int, through: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        """The records behind a count, worst first, as of now: whatever day a decision was made for."""
        return await self._records.of(metric, owners, limit, through)

    def meter(self) -> Meter:
        """What was asked, and what is left of the org's daily calls."""
        return self.api.meter()

    async def close(self) -> None:
        """Let go of the connections."""
        await self.api.close()

    async def _versions(self) -> Sequence[Row]:
        body = (await self.api.get("/services/data/")).body
        return [each for each in body if isinstance(each, Mapping)] if isinstance(body, list) else []


def blank(asked: Asked) -> Any:
    """What an org without a record would answer."""
    if asked.path.endswith("/oauth2/token"):
        return {"access_token": "rehearsal", "id": "https://login.salesforce.com/id/00D/005000000000000AAA"}
    if asked.path.endswith("/services/data/"):
        return []
    if asked.path.endswith(("/composite", "/sobjects", "/describe")):
        return {}  # not offered: every query goes alone, and can be read
    records = []
    if " FROM PermissionSetAssignment " in asked.query.get("q", ""):
        # Without View All Data, so that what is asked then is seen too.
        said = {"PermissionsViewAllData": False}
        records = [{"PermissionSetId": "0PS000000000000AAA", "PermissionSet": said}]
    return {"totalSize": len(records), "done": True, "records": records}


CONNECTOR = ConnectorKind(
    name="salesforce",
    open=opener(SalesforceSettings, SalesforceConnector),
    settings=SalesforceSettings,
    blank=blank,
    owner="005000000000001AAA",
)
