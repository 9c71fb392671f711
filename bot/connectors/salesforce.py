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
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
from pydantic import Field, SecretStr

from bot.connectors.asking import Asking, all_of
from bot.connectors.figures import Figures, days_of, halves
from bot.connectors.http import Api, Policy
from bot.connectors.open_records import OpenDeal, OpenTask, worst
from bot.connectors.refusals import Denied, FieldHidden, TooSlow
from bot.connectors.salesforce_answers import (
    LocatorGone,
    api_used,
    client_credentials,
    grant,
    judge,
    records_of,
    size_of,
)
from bot.connectors.salesforce_queries import (
    DEAL,
    EVENTS,
    FLAWS,
    FROZEN,
    GROUPS,
    INTERACTIVE,
    LOGINS,
    REQUIRED,
    STATES,
    TASK,
    UNSUPPORTED,
    USERS,
    Question,
    Row,
    pipeline,
    span,
    thresholds,
)
from bot.connectors.salesforce_rows import (
    LICENCES,
    NEEDED,
    Roster,
    deal_of,
    is_id,
    read_users,
    task_of,
)
from bot.connectors.settings import Address, CrmSettings, OptionalAddress, opener
from bot.domain.errors import Permanent, Retryable
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
LOGIN_LOOK_BACK = timedelta(days=30)
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
    client_secret: SecretStr = Field(
        min_length=1, description="the consumer secret of your external client app"
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
    batch: int = Field(2000, ge=200, le=2000, description="rows a page, 200 to 2000")


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
        self._roster: tuple[datetime, date, Roster] | None = None
        self._deals: tuple[datetime, dict[str, Sequence[Row]]] | None = None
        self.api = Api(
            settings.url,
            name=settings.name,
            log_in=client_credentials(
                settings.url,
                settings.client_id,
                settings.client_secret.get_secret_value(),
                settings.token_url,
            ),
            judge=judge,
            used=api_used,
            clock=clock,
            policy=policy or Policy(read_seconds=settings.time_out, at_once=settings.at_once),
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
        figures = Figures(window, metrics, UNSUPPORTED, past=PAST)
        figures.leave_empty("field_completeness")
        reading = _Reading(self, figures, window, metrics, roster.me)
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
        """All rows of a query, page by page. A cursor that was dropped starts the query again, once."""
        try:
            return await self._pages(soql)
        except LocatorGone:
            return await self._pages(soql)

    async def _pages(self, soql: str) -> Sequence[Row]:
        answer = await self.api.get(f"{self._root}/query", {"q": soql}, self._page)
        rows, more = records_of(answer)
        asked: set[str] = set()
        while more:
            if not more.startswith("/services/"):
                raise Permanent("Salesforce names a next page elsewhere", code="bad-answer")
            asked.add(more)
            if len(asked) >= size_of(answer):  # the first page and these: more pages than there are rows
                raise Retryable("Salesforce names more pages than it has rows", code="bad-answer")
            next_rows, more = records_of(await self.api.follow(more, self._page))
            if more in asked:
                raise Retryable("Salesforce names the same page again", code="bad-answer")
            rows += next_rows
        self.api.rows += len(rows)
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
            before, after = after, str(whole[-1].get(question.key))
            if after == before:
                raise Retryable("Salesforce gives the same groups again", code="bad-answer")

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
                rows = await self.query(FROZEN)
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
            return await self.query(USERS)
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
        me: str,
    ) -> None:
        super().__init__(figures)
        self._crm = connector
        self._window = window
        self._metrics = metrics
        self._me = me
        self._days = days_of(window)

    async def read(self, snapshots: bool) -> None:
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
                self.figures.mark(metric, [last], CoverageStatus.UNSUPPORTED, PAST)
        await self.run(tasks)

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
        self.fail(metrics, days, error, grant(entity))


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
    return {"totalSize": 0, "done": True, "records": []}


CONNECTOR = ConnectorKind(
    name="salesforce",
    open=opener(SalesforceSettings, open_salesforce),
    settings=SalesforceSettings,
    blank=blank,
    owner="005000000000001AAA",
)
