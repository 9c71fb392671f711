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
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
from pydantic import Field, SecretStr, model_validator

from bot.connectors.asking import Asking, all_of
from bot.connectors.figures import Figures, days_of, halves
from bot.connectors.http import Api, LogIn, Policy, SessionRefused
from bot.connectors.open_records import OpenDeal, OpenTask, worst
from bot.connectors.refusals import Denied, FieldHidden, NotOffered, TooSlow
from bot.connectors.salesforce.answers import (
    NOT_HERE,
    api_used,
    client_credentials,
    grant,
    judge,
    jwt_bearer,
)
from bot.connectors.salesforce.courier import AT_A_TIME, EVERYBODY, Courier, Range, TooMany, middle
from bot.connectors.salesforce.queries import (
    ACTIVITIES,
    DEAL,
    EVENTS,
    FEATURES,
    FIELDS,
    FLAWS,
    FROZEN,
    HISTORIES,
    INTERACTIVE,
    LOGINS,
    MOST_PUSHES,
    NEEDING,
    PUSHES,
    QUOTAS,
    REQUIRED,
    SINGLY,
    STATES,
    TASK,
    TRACKED,
    UNSUPPORTED,
    USERS,
    VIEW_ALL,
    WON,
    Question,
    Row,
    amount_of,
    lacking,
    pipeline,
    pushed,
    quota_of,
    running_period,
    span,
    thresholds,
)
from bot.connectors.salesforce.rows import (
    LICENCES,
    NEEDED,
    Roster,
    deal_of,
    is_id,
    read_users,
    sees_all,
    task_of,
)
from bot.connectors.settings import Address, CrmSettings, ExistingFile, OptionalAddress, opener
from bot.domain.errors import Permanent, Retryable, Throttled
from bot.domain.people import CrmUser
from bot.domain.ports import Asked, Clock, ConnectorKind, Meter, Probe
from bot.domain.usage import METRICS, Collected, Coverage, CoverageStatus, RecordRef, RowFault, Window

log = logging.getLogger(__name__)

API_VERSION = "v68.0"
OWNERS = 400
"""Owners in one IN list: about 11 kB of address, under the 16 kB that Salesforce takes (REST API limits)."""
CLOCK_TOLERANCE = timedelta(minutes=15)
EVIDENCE_DAYS = 7
"""How old the day may be that a decision was made for; the records are read as of now in any case."""
DEALS_LIFE = timedelta(seconds=1)
ROSTER_LIFE = timedelta(minutes=10)
LOOK_BACK = timedelta(days=30)
"""How far back it is looked whether anything is ever seen of what seems empty."""
OFFER_LIFE = timedelta(days=1)
STEPS_OF_HALVING = 3
"""How often everybody is halved for a query that takes too long: eighths."""
OTHERS = frozenset({"tasks_overdue", *(ACTIVITIES - {"opps_no_activity_30d"})})
"""Metrics of tasks and events, which are seen by whom they are shared with."""
CERTAIN = frozenset(
    {
        *("Opportunity", "Account", "Contact", "Lead", "Case", "Task", "Event", "ForecastingQuota"),
        *(history for history, _ in HISTORIES.values()),
    }
)
"""Objects that are listed where they are there: one of them that is not listed is not asked for."""
NOT_TRACKED = "no such change was kept for 30 days"
EAC = "Einstein Activity Capture keeps e-mails and meetings where nobody can count them: FULLSTEAM_SALESFORCE_ACTIVITY_SOURCE"
NO_ACTIVITIES = "activities are not kept in Salesforce, by FULLSTEAM_SALESFORCE_ACTIVITY_SOURCE"
NEXT_DAY = "Salesforce tells it a day later"
PAST = "Salesforce tells this as of now only, not for a day gone by"


class SalesforceSettings(CrmSettings):
    """How to reach one org. ``url``: its My Domain. ``token_url``: "" is the usual place there.

    ``batch``: rows a page of plain queries.
    """

    name: str = "salesforce"
    url: Address = Field(description="your org's My Domain, https://MYDOMAIN.my.salesforce.com")
    client_id: str = Field(
        min_length=1,
        description="the consumer key of your external client app, see docs/connectors/salesforce.md",
    )
    client_secret: SecretStr | None = Field(
        None,
        min_length=1,
        description="the consumer secret of your external client app (client credentials flow)",
    )
    username: str = Field("", description="the integration user's user name (JWT bearer flow)")
    private_key_file: ExistingFile | None = Field(
        None, description="the file with the private key of the app's certificate, PEM (JWT bearer flow)"
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
        return self


@dataclass(frozen=True, slots=True)
class _Offer:
    """What the org has for us. None: it does not say, so it is asked for. ``fields``: of Opportunity -> may be counted.

    ``blind``: it says that we see the activities of some people only.
    """

    objects: frozenset[str] | None = None
    fields: Mapping[str, bool] | None = None
    blind: bool = False

    def has(self, entity: str) -> bool:
        """Whether to ask for an object at all."""
        return self.objects is None or entity not in CERTAIN or entity in self.objects


class SalesforceConnector:
    """Reads one org; implements :class:`bot.domain.ports.Connector`. Opened by :func:`open_salesforce`."""

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
        self._zone = ZoneInfo(settings.zone)
        self._record_link = record_link
        self._sandbox = ".sandbox." in (urlsplit(settings.url).hostname or "")
        self._root = f"/services/data/{settings.api_version}"
        self._page = {"Sforce-Query-Options": f"batchSize={settings.batch}"} if settings.batch != 2000 else {}
        self._hidden: defaultdict[str, set[str]] = defaultdict(set)
        self._offer: tuple[datetime, _Offer] | None = None
        self._unsupported = dict(UNSUPPORTED)
        if settings.activity_source != "standard":
            why = EAC if settings.activity_source == "eac" else NO_ACTIVITIES
            self._unsupported |= dict.fromkeys(ACTIVITIES, why)
        self._roster: tuple[datetime, date, Roster] | None = None
        self._deals: tuple[datetime, dict[str, Sequence[Row]]] | None = None
        self.api = Api(
            settings.url,
            name=settings.name,
            log_in=self._log_in(settings),
            judge=judge,
            used=api_used,
            clock=clock,
            policy=policy or Policy(read_seconds=settings.time_out, at_once=settings.at_once),
            transport=transport,
            sleep=sleep,
        )
        self.courier = Courier(
            self.api,
            self._root,
            self._page,
            at_a_time=settings.together,
            at_once=settings.at_once,
        )

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
        """Everything in about thirty queries, five in a request, up to four at once; then facts day by day."""
        roster = await self._known_roster(window.through)
        offer = await self._known_offer()
        self._hidden.clear()  # rights may have been granted since
        if offer.fields is not None:
            self._hidden["Opportunity"] |= FIELDS - offer.fields.keys()
        self._deals = None
        figures = Figures(window, metrics, self._unsupported, past=PAST)
        figures.leave_empty("field_completeness")
        figures.leave_empty("quota_attainment")
        wanted = metrics - self._unsupported.keys()
        reading = _Reading(self, figures, window, wanted, roster, offer)
        await reading.read(self._is_today(window.through))
        log.info(
            "salesforce.collected",
            extra={
                "source": self.name,
                "calls": self.api.calls,
                "groups": reading.rows,
                "failed": len(reading.failures),
            },
        )
        listed = {user.crm_id: user.access_since for user in roster.users}
        for part in figures.parts(listed, left_out=roster.left_out):
            yield part

    async def evidence(
        self, metric: str, owners: Sequence[str], limit: int, through: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        """The records behind a count, worst first, as of now: whatever day a decision was made for."""
        if metric not in FLAWS:
            return {}
        asked = [owner for owner in dict.fromkeys(owners) if is_id(owner)]
        if not asked:
            return {}
        session = await self.api.session()
        today = self._today()
        if not -1 <= (today - through).days <= EVIDENCE_DAYS:
            raise Retryable(f"Salesforce is not asked about {through}: {PAST}", code="as-of-now")
        link = self._record_link or f"{session.link}/lightning/r/{FLAWS[metric][0]}/{{id}}/view"
        shape: Callable[[Row], OpenDeal | OpenTask] = deal_of
        if metric == "tasks_overdue":
            rows, shape = await self._overdue(asked, today), task_of
        else:
            rows = await self._open_deals(asked, NEEDED.get(metric, "Id"))
        found: dict[str, tuple[int, tuple[RecordRef, ...]]] = {}
        for owner in asked:
            own = [shape(row) for row in rows.get(owner, ())]
            count, named = worst(metric, own, limit, today, link)
            if count:
                found[owner] = count, named
        return found

    @property
    def forecast_type(self) -> str:
        """Whose quotas count, "" where there is only one type."""
        return self._settings.forecast_type

    def meter(self) -> Meter:
        """What was asked, and what is left of the org's daily calls."""
        return self.api.meter()

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
        """All rows of a query, page by page."""
        return await self.courier.rows(soql, alone=True)

    async def groups(
        self,
        question: Question,
        where: Mapping[str, str],
        people: Range = EVERYBODY,
        known: Sequence[str] = (),
    ) -> Sequence[Row]:
        """All groups of a question (see Courier). Raises FieldHidden for what is known not to be there."""
        if question.entity == "Opportunity":
            for name in sorted(question.fields & self._hidden["Opportunity"]):
                raise FieldHidden(name, question.entity)
        return await self.courier.groups(question, where, people, known)

    async def _known_offer(self) -> _Offer:
        """What is there for us, by describe: asked once a day. An org that does not say is asked for everything."""
        now = self.api.server_now()
        if self._offer is not None and abs(now - self._offer[0]) <= OFFER_LIFE:
            return self._offer[1]
        listed, described, blind = await all_of(
            [
                self._described("sobjects"),
                self._described("sobjects/Opportunity/describe"),
                self._is_blind(),
            ]
        )
        objects = frozenset(str(each.get("name")) for each in _list(listed, "sobjects"))
        fields = {
            str(each.get("name")): bool(each.get("aggregatable", True)) for each in _list(described, "fields")
        }
        offer = _Offer(
            objects if {"User", "Task"} <= objects else None,
            fields if fields.keys() >= {"Id", "OwnerId", "IsClosed", "CloseDate"} else None,
            blind,
        )
        self._offer = now, offer
        return offer

    async def _is_blind(self) -> bool:
        """Whether it is certain that we lack View All Data, without which others' activities are missing unsaid."""
        me = (await self.api.session()).user
        if not is_id(me):
            return False
        try:
            rows = await self.query(VIEW_ALL.format(me=me))
        except (SessionRefused, Throttled):
            raise
        except (Retryable, Permanent):
            return False
        return bool(rows) and not any(sees_all(row) for row in rows)

    async def _described(self, path: str) -> Any:
        try:
            return (await self.api.get(f"{self._root}/{path}")).body
        except (SessionRefused, Throttled):
            raise
        except (Retryable, Permanent):
            return None

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
            found = await self._of_owners("Opportunity", "IsClosed = false", DEAL, "CloseDate", missing)
            for owner in missing:
                deals[owner] = found.get(owner, ())
        if needed in self._hidden["Opportunity"]:
            raise FieldHidden(needed, "Opportunity")
        return deals

    async def _overdue(self, owners: Sequence[str], today: date) -> Mapping[str, Sequence[Row]]:
        entity, where = FLAWS["tasks_overdue"]
        return await self._of_owners(
            entity, where.format_map(thresholds(today)), TASK, "ActivityDate", owners
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
            except Denied as error:
                raise Denied(str(error) or grant(entity), code=error.code) from error

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
                rows = await self.courier.rows(FROZEN)
            except Denied:
                unknown.append(RowFault("UserLogin", 0, "IsFrozen", grant("UserLogin"), dropped=False))
                return frozenset()
            return frozenset(str(row.get("UserId")) for row in rows)

        rows, frozen = await all_of([self._all_users(), frozen_ids()])
        roster = read_users(
            rows,
            frozen,
            me=session.user,
            through=through,
            licences=[each.strip() for each in self._settings.licences.split(",") if each.strip()],
            sandbox=self._sandbox,
        )
        roster = replace(roster, faults=(*roster.faults, *unknown))
        self._roster = self.api.server_now(), through, roster
        return roster

    async def _all_users(self) -> Sequence[Row]:
        try:
            return await self.courier.rows(USERS)
        except Denied as error:
            raise Permanent(
                f'users cannot be read: give the integration user "View All Users" ({error.code})',
                code=error.code,
            ) from error


class _Reading(Asking):
    """One poll: every question asked, what came of it kept in figures."""

    def __init__(
        self,
        connector: SalesforceConnector,
        figures: Figures,
        window: Window,
        metrics: frozenset[str],
        roster: Roster,
        offer: _Offer,
    ) -> None:
        super().__init__(figures)
        self._crm = connector
        self._window = window
        self._metrics = metrics
        self._me = roster.me
        self._known = roster.known
        self._offer = offer
        self._days = days_of(window)
        self._hopeless: set[tuple[str, ...]] = set()

    async def read(self, snapshots: bool) -> None:
        """Ask everything that is wanted; the policy holds back what is more than it allows at once."""
        first, last = self._window.since, self._window.through
        tasks: list[Coroutine[Any, Any, None]] = [
            self._events(question, first, last) for question in EVENTS if self._wants(question.metrics)
        ]
        tasks += [self._features(question) for question in FEATURES.values() if self._wants(question.metrics)]
        if "active_day" in self._metrics:
            tasks.append(self._logins())
        if "close_date_pushes" in self._metrics:
            tasks.append(self.by_halves(first, last, self._pushes, self._too_many_pushes))
        if snapshots:
            tasks += [self._state(question) for question in STATES if self._wants(question.metrics)]
            if self._wants(pipeline(REQUIRED).metrics):
                tasks.append(self._by_field(pipeline))
            if self._wants(lacking(REQUIRED).metrics):
                tasks.append(self._by_field(lacking))
            if "quota_attainment" in self._metrics:
                tasks.append(self._quotas())
        else:
            late = {*FLAWS, "pipeline_amount", "field_completeness", "quota_attainment"}
            for metric in sorted(self._metrics & late):
                self.figures.mark(metric, [last], CoverageStatus.UNSUPPORTED, PAST)
        await self.run(tasks)
        if self._offer.blind:
            self._silence_activities()

    def _silence_activities(self) -> None:
        """Others' tasks and events are missing, and nobody says which: what was counted of them is too low."""
        for metric in sorted(self._metrics & OTHERS):
            days = [self._window.through] if metric in FLAWS else self._days
            self.figures.mark(metric, days, CoverageStatus.DENIED, grant("Task"))

    def _wants(self, metrics: Iterable[str]) -> bool:
        return not self._metrics.isdisjoint(metrics)

    # -- kinds of questions ---------------------------------------------------------------------------------------------

    async def _asked(self, question: Question, where: Mapping[str, str], days: int = 1) -> Sequence[Row]:
        """The groups of a question. What takes too long for a day is asked for half of the people at a time.

        Raises TooSlow when an eighth of them is too much as well: then it is not tried again for another day.
        """
        if not self._offer.has(question.entity):
            raise Denied("", code="denied")
        known = self._known
        try:
            return await self._crm.groups(question, where, EVERYBODY, known)
        except TooMany:
            raise
        except TooSlow:
            if days > 1 or question.metrics in self._hopeless:
                raise
            try:
                return await self._halved(question, where, EVERYBODY, STEPS_OF_HALVING)
            except TooSlow:
                self._hopeless.add(question.metrics)
                raise

    async def _halved(
        self, question: Question, where: Mapping[str, str], people: Range, steps: int
    ) -> Sequence[Row]:
        cut = middle(people, self._known)
        if cut is None or not steps:
            raise TooSlow("Salesforce gave up on a query that took too long", code="query-timeout")
        rows: list[Row] = []
        for part in ((people[0], cut), (cut, people[1])):
            try:
                rows += await self._crm.groups(question, where, part, self._known)
            except TooSlow:
                rows += await self._halved(question, where, part, steps - 1)
        return rows

    async def _events(self, question: Question, first: date, last: date) -> None:
        """Events of a span; a query that takes too long is asked in halves, down to a day."""
        until = self._crm.api.server_now() if question.entity == "Event" else None
        where, days = span(first, last, until), days_of(Window(first, last))
        try:
            answers = [(question, await self._asked(question, where, len(days)))]
            for other in question.also:
                try:
                    answers.append((other, await self._asked(other, where, len(days))))
                except FieldHidden as error:
                    if error.field != "LastStageChangeDate":
                        raise
            if question.entity in _RECORDS and not answers[0][1]:
                await self._check_tracked(question)
        except TooSlow as error:
            if first == last:
                self._fail(question.entity, question.metrics, days, _given_up(error))
                return
            for half in halves(first, last):
                await self._events(question, *half)
        except FieldHidden as error:
            spare = question.spare.get(error.field)
            kept = spare.metrics if spare is not None else ()
            lost = [metric for metric in question.metrics if metric not in kept]
            self._fail(question.entity, lost, days, error)
            if spare is not None:
                await self._events(spare, first, last)
        except (Retryable, Permanent) as error:
            self._fail(question.entity, question.metrics, days, error)
        else:
            for each, rows in answers:
                self._keep(each, rows, days)

    async def _check_tracked(self, question: Question) -> None:
        """Raises NotOffered where nothing was kept of anybody for a month: a history that is off has no rows."""
        condition = "Field = 'StageName'" if question.metrics == ("step_moves",) else "Field != 'created'"
        await self._check_kept(question.entity, condition)

    async def _check_kept(self, history: str, condition: str) -> None:
        until = self._window.through
        soql = TRACKED.format(
            history=history, field=condition, **_only(span(until - LOOK_BACK, until), "a", "b")
        )
        if not _is_kept(await self._crm.courier.rows(soql)):
            raise NotOffered(f"{NOT_TRACKED}: {grant(history)}", code="not-tracked")

    async def _pushes(self, first: date, last: date) -> None:
        """Close dates that were moved into the future, row by row. Raises TooSlow for more rows than are read of a span."""
        days, metrics = days_of(Window(first, last)), ("close_date_pushes",)
        history, _ = HISTORIES["opportunity"]
        try:
            if not self._offer.has(history):
                raise Denied("", code="denied")
            soql = PUSHES.format_map(span(first, last))
            rows = await self._crm.courier.rows(soql, most=MOST_PUSHES)
            if not rows:
                await self._check_kept(history, "Field = 'CloseDate'")
        except TooSlow:
            raise
        except (Retryable, Permanent) as error:
            self._fail(history, metrics, days, error)
            return
        self.keep(metrics, days, len(rows))
        unique = {str(row.get("Id")): row for row in rows}  # a row that comes on two pages is one
        for line, row in enumerate(unique.values(), 1):
            who = row.get("CreatedById")
            try:
                day = pushed(row) if is_id(who) else None
            except ValueError as error:
                self.figures.fault(RowFault(history, line, "", str(error)), metrics, days)
                continue
            if day is not None and day in days:
                self.figures.add("close_date_pushes", str(who), day, 1.0)

    def _too_many_pushes(self, day: date, error: TooSlow) -> None:
        self._fail("OpportunityFieldHistory", ["close_date_pushes"], [day], _given_up(error))

    async def _features(self, question: Question) -> None:
        """What was opened, as far as Salesforce has told it: the days after its newest one are not said yet."""
        days, (metric,) = self._days, question.metrics
        try:
            rows = await self._asked(question, span(days[0], days[-1]))
        except (Retryable, Permanent) as error:
            self._fail(question.entity, question.metrics, days, error)
            return
        told = (
            [day for day in days if day.isoformat() <= max(str(row.get("MetricsDate")) for row in rows)]
            if rows
            else []
        )
        self._keep(question, rows, told)
        self.answered = True
        why = NEXT_DAY if rows else "nothing of the kind was opened by anybody on these days"
        self.figures.mark(metric, days[len(told) :], CoverageStatus.UNSUPPORTED, why)

    async def _state(self, question: Question) -> None:
        """A snapshot: everybody's number now."""
        try:
            rows = await self._asked(question, thresholds(self._window.through))
        except (Retryable, Permanent) as error:
            self._fail(question.entity, question.metrics, [self._window.through], error)
            return
        self._keep(question, rows, [self._window.through])

    async def _by_field(self, ask: Callable[[Iterable[str]], Question]) -> None:
        """Open opportunities by how many have each field; a hidden field costs only the metrics that need it."""
        fields, through, everything = set(REQUIRED), [self._window.through], ask(REQUIRED).metrics
        while True:
            question = ask(fields)
            uncounted = [name for name in sorted(fields) if not self._counts(name)]
            try:
                rows = await self._counted(question, uncounted)
            except FieldHidden as error:
                if error.field not in fields:
                    self._fail(question.entity, everything, through, error)
                    return
                fields.discard(error.field)
                self._fail(question.entity, _lost(ask, error.field), through, error)
                if not fields and ask is lacking:
                    return
                continue
            except Permanent as error:
                if error.code not in ("malformed", "invalid-field") or not fields:
                    self._fail(question.entity, question.metrics, through, error)
                    return
                # What cannot be counted in a field may be filtered by it.
                dropped = uncounted or sorted(fields)
                fields -= set(dropped)
                if ask is lacking:
                    for name in dropped:
                        await self._state(SINGLY[NEEDING[name]])
                    if not fields:
                        return
                else:
                    for name in dropped:
                        self._fail(question.entity, _lost(ask, name), through, error)
                continue
            except Retryable as error:
                self._fail(question.entity, question.metrics, through, error)
                return
            break
        lost = {metric for name in REQUIRED if name not in fields for metric in _lost(ask, name)}
        self._keep(question, rows, through, [metric for metric in question.metrics if metric not in lost])

    async def _counted(self, question: Question, uncounted: Sequence[str]) -> Sequence[Row]:
        """The groups of a question by field. ``uncounted``: fields of it that describe says cannot be counted."""
        if uncounted:
            raise Permanent(f"{uncounted[0]} cannot be counted", code="invalid-field")
        return await self._asked(question, thresholds(self._window.through))

    def _counts(self, name: str) -> bool:
        """Whether the values of an opportunity's field may be counted, as far as is known."""
        return self._offer.fields is None or self._offer.fields.get(name, True)

    async def _quotas(self) -> None:
        """Won since the running period began, of what that period's quota says."""
        through, metrics, asked = self._window.through, QUOTAS.metrics, QUOTAS
        try:
            rows = await self._asked(QUOTAS, thresholds(through))
            quotas: dict[tuple[str, date], dict[str, float]] = {}
            for row in rows:
                kind, start, quota = quota_of(row)
                quotas.setdefault((kind, start), {})[str(row.get(QUOTAS.key))] = quota
            wanted = self._crm.forecast_type
            chosen = _running({key for key in quotas if wanted in ("", key[0])}, through)
            start = chosen[1]
            asked = WON
            won = await self._asked(WON, span(start, through))
            amounts = {str(row.get(WON.key)): amount_of(row) for row in won}
        except ValueError as error:
            self.keep(metrics, [through], 0)
            self.figures.fault(RowFault(QUOTAS.entity, 1, "", str(error)), metrics, [through])
            return
        except (Retryable, Permanent) as error:
            self._fail(asked.entity, metrics, [through], error)
            return
        self.keep(metrics, [through], len(rows))
        for who, quota in sorted(quotas[chosen].items()):
            if who.startswith("005") and is_id(who) and quota > 0:
                reached = round(100 * amounts.get(who, 0.0) / quota, 2)
                self.figures.add("quota_attainment", who, through, reached)

    async def _logins(self) -> None:
        """Who logged in on each day. Without the right to see it Salesforce shows our own logins only, and says nothing."""
        me = self._me
        found = await all_of([self._logins_of(day) for day in self._days])
        seen = {str(row.get("UserId")) for rows in found if rows is not None for row in rows}
        read = [day for day, rows in zip(self._days, found, strict=True) if rows is not None]
        if read and not seen - {me} and len(seen) <= 1 and await self._only_our_own(me):
            self._fail("LoginHistory", ["active_day"], read, Denied("", code="denied"))
            return
        for day, rows in zip(self._days, found, strict=True):
            if rows is None:
                continue
            self.keep(["active_day"], [day], len(rows))
            people = {
                str(row.get("UserId"))
                for row in rows
                if row.get("Status") == "Success" and str(row.get("LoginType") or "").startswith(INTERACTIVE)
            }
            for who in people:
                self.figures.add("active_day", who, day, 1.0)

    async def _logins_of(self, day: date) -> Sequence[Row] | None:
        try:
            return await self._asked(LOGINS, span(day, day))
        except (Retryable, Permanent) as error:
            self._fail("LoginHistory", ["active_day"], [day], error)
            return None

    async def _only_our_own(self, me: str) -> bool:
        """Whether nobody else is seen to log in over a longer time: a quiet day is no missing right."""
        until = self._window.through
        try:
            rows = await self._crm.courier.rows(LOGINS.soql(span(until - LOOK_BACK, until)))
        except (Retryable, Permanent):
            return True  # not known: then nobody's number is read
        seen = {str(row.get("UserId")) for row in rows}
        return not seen - {me} if me else len(seen) <= 1

    # -- keeping --------------------------------------------------------------------------------------------------------

    def _keep(
        self,
        question: Question,
        rows: Sequence[Row],
        days: Sequence[date],
        metrics: Sequence[str] | None = None,
    ) -> None:
        """Numbers of people; groups of queues and of what is no person are left out."""
        figures, inside, through = self.figures, frozenset(days), self._window.through
        given = question.metrics if metrics is None else metrics
        self.keep(given, days, len(rows))
        for line, row in enumerate(rows, 1):
            who = row.get(question.key)
            try:
                numbers = question.read(row) if is_id(who) else None
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
        missing = isinstance(error, Denied) and not isinstance(error, FieldHidden) and not str(error)
        if entity in NOT_HERE and missing:
            error = NotOffered(NOT_HERE[entity], code="not-offered")
        self.fail(metrics, days, error, grant(entity))


_RECORDS = frozenset(history for history, _ in HISTORIES.values())


def _list(body: Any, key: str) -> Sequence[Row]:
    """The objects in a list of an answer; none where it has another shape."""
    given = body.get(key) if isinstance(body, Mapping) else None
    return [each for each in given if isinstance(each, Mapping)] if isinstance(given, list) else []


def _is_kept(rows: Sequence[Row]) -> bool:
    """Whether a history that is empty for a span is kept at all, by what it has of a longer time."""
    return bool(rows)


def _only(values: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: values[name] for name in names}


def _running(quotas: Iterable[tuple[str, date]], today: date) -> tuple[str, date]:
    """The forecast type, and the period of its quotas, that is running. Raises NotOffered."""
    given = list(quotas)
    begun = running_period((start for _, start in given), today)
    kinds = [key for key in sorted(given) if key[1] == begun]
    if not kinds:
        raise NotOffered("nobody has a quota for the running period", code="no-quota")
    if len(kinds) > 1:
        raise NotOffered(
            "several forecast types have quotas: set FULLSTEAM_SALESFORCE_FORECAST_TYPE to the id of one of them",
            code="forecast-types",
        )
    return kinds[0]


def _given_up(error: TooSlow) -> Retryable | Permanent:
    """What is left to say of a day that was too much: more rows than are read are never read, a time-out may pass."""
    return (
        NotOffered(f"{error} on one day: they are not counted", code=error.code)
        if isinstance(error, TooMany)
        else error
    )


def _lost(ask: Callable[[Iterable[str]], Question], name: str) -> Sequence[str]:
    """The metrics of a question by field that need this one."""
    if ask is lacking:
        return [NEEDING[name]]
    return ["field_completeness", *(["pipeline_amount"] if name == "Amount" else [])]


def open_salesforce(
    settings: SalesforceSettings,
    *,
    clock: Clock | None = None,
    record_link: str | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> SalesforceConnector:
    """Open one org; nothing is read yet.

    ``clock``: whose time sessions and pauses are measured in (a steered one in a simulation). ``transport``: how requests
    travel, if not by the network.
    """
    return SalesforceConnector(settings, clock=clock, record_link=record_link, transport=transport)


def blank(asked: Asked) -> Any:
    """What an org without a record would answer."""
    if asked.path.endswith("/oauth2/token"):
        return {"access_token": "rehearsal", "id": "https://login.salesforce.com/id/00D/005000000000000AAA"}
    if asked.path.endswith("/services/data/"):
        return []
    if asked.path.endswith(("/composite", "/sobjects", "/describe")):
        return {}  # not offered: every query goes alone, and can be read
    return {"totalSize": 0, "done": True, "records": []}


CONNECTOR = ConnectorKind(
    name="salesforce",
    open=opener(SalesforceSettings, open_salesforce),
    settings=SalesforceSettings,
    blank=blank,
    owner="005000000000001AAA",
)
