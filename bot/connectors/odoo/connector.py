"""CRM in, from Odoo CRM (docs/connectors/odoo.md): its external API, JSON-2 from 19 on, JSON-RPC before; nothing that writes.

One grouped query for each number, whatever the count of people. Events are counted by UTC day; snapshots are as of now, and
never given an older date. Odoo keeps nobody's logins but the latest one: today's are seen, at each poll, and those of a day
gone by are as they were seen on it. What Odoo refuses becomes the coverage of the metrics that need it.

Sources: Odoo documentation, "External JSON-2 API", "External RPC API", "Search domains"; the models named in queries.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx
from pydantic import Field, SecretStr

from bot.connectors.asking import Asking, all_of
from bot.connectors.figures import Figures, days_of
from bot.connectors.http import Api, Policy, SessionRefused
from bot.connectors.odoo.answers import (
    Server,
    grouped,
    groups_of,
    id_of,
    judge,
    log_in,
    result_of,
    rpc,
)
from bot.connectors.odoo.queries import (
    DEAL,
    EVENTS,
    FLAWS,
    MAILS,
    PIPELINE,
    RECENT,
    REQUIRED,
    ROWS,
    SINCE,
    STATES,
    STEP_SUBTYPES,
    TASK,
    TRACKED,
    UNSUPPORTED,
    UPDATED,
    USER_FIELDS,
    USERS,
    VALUED,
    Domain,
    Question,
    Row,
    day_of,
    done,
    filled,
    number_of,
    pushes,
    span,
    step_moves,
    thresholds,
)
from bot.connectors.odoo.rows import (
    PAGE_MODELS,
    Roster,
    by_employees,
    by_teams,
    day_or_none,
    deal_of,
    is_id,
    is_number,
    kind_of,
    page_of,
    read_users,
    task_of,
    text_of,
)
from bot.connectors.open_records import worst
from bot.connectors.refusals import Denied, NotOffered, TooSlow
from bot.connectors.settings import Address, CrmSettings, opener, variable
from bot.domain.errors import Permanent, Retryable
from bot.domain.people import CrmUser
from bot.domain.ports import Asked, Clock, ConnectorKind, Meter, Probe
from bot.domain.usage import METRICS, Collected, Coverage, CoverageStatus, RecordRef, RowFault, Window

log = logging.getLogger(__name__)

CLOCK_TOLERANCE = timedelta(minutes=15)
EVIDENCE_DAYS = 7
"""How old the day may be that a decision was made for; the records are read as of now in any case."""
DEALS_LIFE = timedelta(seconds=1)
ROSTER_LIFE = timedelta(minutes=10)
CUT_AFTERWARDS = frozenset({"mail.message", "mail.activity"})
EXPIRY_NEAR = timedelta(days=14)
"""From when on somebody is told that the API key is about to end."""
PAST = "Odoo tells this as of now only, not for a day gone by"
LAST_LOGIN_ONLY = (
    "Odoo keeps only the latest login of each person: a day is known if it was polled while it ran"
)
NO_LOGINS = (
    'nobody\'s last login is shown: make the integration user an internal user ("User types / Internal User")'
)
_GRANTS = {
    "crm.lead": 'give the integration user the group "Sales / User: All Documents"',
    "res.partner": 'give the integration user the group "Sales / User: All Documents"',
    "helpdesk.ticket": 'give the integration user the group "Helpdesk / User"',
    "calendar.event": 'make the integration user an internal user ("User types / Internal User")',
    "mail.message": 'make the integration user an internal user ("User types / Internal User")',
    "mail.activity": 'make the integration user an internal user ("User types / Internal User")',
    "mail.tracking.value": "only administrators may read mail.tracking.value: give it an access right for reading, for a"
    " group of the integration user's, or live without",
    "res.users": 'make the integration user an internal user ("User types / Internal User")',
}


class OdooSettings(CrmSettings):
    """How to reach one database."""

    name: str = "odoo"
    url: Address = Field(description="where Odoo is, https://mycompany.odoo.com")
    database: str = Field(
        "",
        description="the database's name; needed over JSON-RPC, and wherever a server has several databases",
    )
    login: str = Field("", description="the integration user's login; needed over JSON-RPC (Odoo 16 to 18)")
    api_key: SecretStr = Field(
        min_length=1, description="an API key of the integration user, see docs/connectors/odoo.md"
    )
    key_expires_on: date | None = Field(
        None, description="the day on which the API key ends, as 2026-12-31, if Odoo does not tell it"
    )
    api: Literal["auto", "json2", "jsonrpc"] = Field(
        "auto", description="json2 or jsonrpc, if not what the version has (auto)"
    )


class OdooConnector:
    """Reads one database; implements :class:`bot.domain.ports.Connector`. Opened by :func:`open_odoo`."""

    lag_days = 0
    overlap_days = 1
    """Odoo knows a record's last change only: a day that is read again late has lost what was changed again since."""

    def __init__(
        self,
        settings: OdooSettings,
        *,
        clock: Clock | None = None,
        record_link: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        policy: Policy | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = settings.name
        self.key_setting = f"FULLSTEAM_{variable(settings.name)}_API_KEY"
        self._settings = settings
        self._zone = ZoneInfo(settings.zone)
        self._record_link = record_link
        self._found: list[Server] = []
        self._roster: tuple[datetime, date, Roster] | None = None
        self._deals: tuple[datetime, dict[str, Sequence[Row]]] | None = None
        self.api = Api(
            settings.url,
            name=settings.name,
            log_in=log_in(
                settings.url,
                database=settings.database,
                login=settings.login,
                api_key=settings.api_key.get_secret_value(),
                api=settings.api,
                found=self._found,
            ),
            judge=judge,
            clock=clock,
            policy=policy or Policy(read_seconds=settings.time_out, at_once=settings.at_once),
            transport=transport,
            sleep=sleep,
        )

    # -- the port -------------------------------------------------------------------------------------------------------

    async def probe(self) -> Probe:
        """What can be read today, by reading it. ``version``: Odoo's own."""
        try:
            server = await self.server()
            today = self._today()
            rows: list[Coverage] = []
            async for part in self.collect(Window(today, today), frozenset(METRICS)):
                rows += part.coverage
            expiry = await self.expires_on()
        except (Retryable, Permanent) as error:
            version = self._found[-1].version if self._found else ""
            return Probe(self.name, version, ok=False, advice=str(error))
        log.info(
            "odoo.probed", extra={"source": self.name, "version": server.version, "calls": self.api.calls}
        )
        return Probe(
            self.name, server.version, ok=True, advice=self._near(expiry, today), metrics=tuple(rows)
        )

    async def users(self, through: date) -> tuple[Sequence[CrmUser], Sequence[RowFault]]:
        """Internal users, and those whom they report to."""
        roster = await self._read_roster(through)
        return roster.users, roster.faults

    async def collect(self, window: Window, metrics: frozenset[str]) -> AsyncIterator[Collected]:
        """Everything in about twenty-five queries, up to four at once; then facts day by day."""
        server = await self.server()
        roster = await self._known_roster(window.through)
        self._deals = None
        figures = Figures(window, metrics, UNSUPPORTED, past=PAST)
        figures.leave_empty("field_completeness")
        reading = _Reading(self, figures, window, metrics, roster, server)
        await reading.read(now_is=self._is_today(window.through))
        log.info(
            "odoo.collected",
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
        server = await self.server()
        if server.major < SINCE.get(metric, 0):
            return {}
        today = self._today()
        if not -1 <= (today - through).days <= EVIDENCE_DAYS:
            raise Retryable(f"Odoo is not asked about {through}: {PAST}", code="as-of-now")
        try:
            if metric == "tasks_overdue":
                return await self._overdue(server, asked, limit, today)
            rows = await self._open_deals(asked)
            last: Mapping[int, date] = {}
            if metric == "opps_no_activity_30d":
                last = await self._last_activity([row["id"] for own in rows.values() for row in own])
        except Denied as error:
            raise Denied(str(error) or _GRANTS[FLAWS[metric][0]], code=error.code) from error
        link = self._record_link or page_of(self._settings.url, server.major, "crm.lead", "{id}")
        found: dict[str, tuple[int, tuple[RecordRef, ...]]] = {}
        for owner in asked:
            own = [deal_of(row, last.get(row["id"])) for row in rows.get(owner, ())]
            count, named = worst(metric, own, limit, today, link)
            if count:
                found[owner] = count, named
        return found

    def meter(self) -> Meter:
        """What was asked; Odoo has no budget of calls."""
        return self.api.meter()

    async def close(self) -> None:
        """Let go of the connections."""
        await self.api.close()

    async def expires_on(self) -> date | None:
        """The day on which the API key ends, by the settings, else by Odoo (18 and later); None where nobody says.

        Odoo does not say which of a user's keys is in use. Those with Fullsteam in their name are looked at, or all of them
        where there is none; the one that ends first counts.
        """
        if self._settings.key_expires_on is not None:
            return self._settings.key_expires_on
        me = (await self.api.session()).user
        domain: Domain = [["user_id", "=", int(me)]] if me else []
        try:
            rows = await self.read("res.users.apikeys", domain, ("name", "expiration_date"))
        except (NotOffered, Denied):
            return None
        ours = [row for row in rows if "fullsteam" in text_of(row.get("name")).casefold()] or rows
        return min(
            (day for row in ours if (day := day_or_none(row.get("expiration_date"))) is not None),
            default=None,
        )

    def _near(self, expiry: date | None, today: date) -> str:
        """A warning when the key is about to end, else ""."""
        if expiry is None or expiry - today > EXPIRY_NEAR:
            return ""
        return f"the API key ends on {expiry.isoformat()}: make a new one and set {self.key_setting} before that day"

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

    def local_day(self, moment: datetime) -> date:
        """The day of an instant where the programme lives."""
        return moment.astimezone(self._zone).date()

    # -- asking ---------------------------------------------------------------------------------------------------------

    async def server(self) -> Server:
        """Which Odoo it is; logs in when nobody has."""
        await self.api.session()
        return self._found[-1]

    async def call(
        self,
        model: str,
        method: str,
        named: Mapping[str, Any],
        *,
        archived: bool = False,
        ids: Sequence[int] = (),
    ) -> Any:
        """One method of one model. ``archived``: archived records are among those found. Days are cut in UTC."""
        server = await self.server()
        context = {"lang": "en_US", "tz": "UTC", "active_test": not archived}
        if server.json2:
            body = {**({"ids": list(ids)} if ids else {}), **named, "context": context}
            return (await self.api.post(f"/json/2/{model}/{method}", body)).body
        session = await self.api.session()
        args = [list(ids)] if ids else []
        asked = rpc(
            "object",
            "execute_kw",
            self._settings.database,
            int(session.user),
            self._settings.api_key.get_secret_value(),
            model,
            method,
            args,
            {**named, "context": context},
        )
        try:
            return result_of(await self.api.post("/jsonrpc", asked))
        except SessionRefused as error:
            self.api.reject(error)
            raise

    async def pages(
        self, model: str, domain: Domain, fields: Iterable[str], *, archived: bool = False
    ) -> AsyncGenerator[Sequence[Row], None]:
        """Records, page by page, in the order of their ids: each page begins after the last record of the one before.

        A page of messages or activities may be shorter than it could be, because what is hidden from us is taken out of it
        afterwards (mail.message, mail.activity: _search): of those only an empty one is the last.
        """
        names = sorted({"id", *fields})
        after = 0
        while True:
            page = await self.call(
                model,
                "search_read",
                {
                    "domain": [*domain, ["id", ">", after]],
                    "fields": names,
                    "limit": ROWS,
                    "order": "id",
                },
                archived=archived,
            )
            if not isinstance(page, list) or not all(isinstance(row, Mapping) for row in page):
                raise Retryable("Odoo's answer has no records", code="bad-answer")
            if not page:
                return
            last = max((row["id"] for row in page if is_number(row.get("id"))), default=after)
            if last <= after:
                raise Retryable("Odoo gives the same records again", code="bad-answer")
            self.api.rows += len(page)
            after = last
            yield page
            if len(page) < ROWS and model not in CUT_AFTERWARDS:
                return

    async def read(
        self, model: str, domain: Domain, fields: Iterable[str], *, archived: bool = False
    ) -> list[Row]:
        """All records, for what is as many as people are."""
        rows: list[Row] = []
        async with aclosing(self.pages(model, domain, fields, archived=archived)) as pages:
            async for page in pages:
                rows += page
        return rows

    async def groups(self, question: Question, domain: Domain, server: Server) -> list[Row]:
        """All groups of a question; one that moves to the next page while we read is one group."""
        found: dict[tuple[Any, ...], Row] = {}
        offset, pages = 0, 0
        while True:
            method, named = grouped(question, domain, offset, server)
            body = await self.call(question.model, method, named, archived=question.archived)
            page = groups_of(question, body, server)
            before = len(found)
            for row in page:
                found[tuple(str(row.get(spec)) for spec in question.groupby)] = row
            self.api.rows += len(page)
            if len(page) < named["limit"]:
                return list(found.values())
            if len(found) == before:
                raise Retryable("Odoo gives the same groups again", code="bad-answer")
            pages += 1
            offset += len(page)

    # -- records --------------------------------------------------------------------------------------------------------

    async def _open_deals(self, owners: Sequence[str]) -> Mapping[str, Sequence[Row]]:
        """Open opportunities by owner: one query for all their flaws, good for a second.

        Whoever plans a batch asks for one metric after the other, and whoever sends it asks again at once: the same people.
        """
        now = self.api.server_now()
        if self._deals is None or not timedelta(0) <= now - self._deals[0] <= DEALS_LIFE:
            self._deals = now, {}
        deals = self._deals[1]
        missing = [owner for owner in owners if owner not in deals]
        if missing:
            domain = [*FLAWS["opps_open"][1], ["user_id", "in", [int(owner) for owner in missing]]]
            found: defaultdict[str, list[Row]] = defaultdict(list)
            for row in await self.read("crm.lead", domain, DEAL):
                found[str(id_of(row.get("user_id")))].append(row)
            for owner in missing:
                deals[owner] = found.get(owner, ())
        return deals

    async def _overdue(
        self, server: Server, owners: Sequence[str], limit: int, today: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        """Planned activities past their day. An activity has no page: the link is to what it is planned on."""
        model, where = FLAWS["tasks_overdue"]
        domain = [*filled(where, thresholds(today)), ["user_id", "in", [int(owner) for owner in owners]]]
        found: defaultdict[str, list[Row]] = defaultdict(list)
        pages: dict[str, str] = {}
        for row in await self.read(model, domain, TASK):
            found[str(id_of(row.get("user_id")))].append(row)
            about, number = text_of(row.get("res_model")), row.get("res_id")
            if about in PAGE_MODELS and is_number(number):
                pages[str(row["id"])] = page_of(
                    self._settings.url, server.major, about, quote(str(number), safe="")
                )
        told: dict[str, tuple[int, tuple[RecordRef, ...]]] = {}
        for owner in owners:
            count, named = worst(
                "tasks_overdue", [task_of(row) for row in found.get(owner, ())], limit, today, ""
            )
            if count:
                told[owner] = count, tuple(replace(each, link=pages.get(each.id)) for each in named)
        return told

    async def _last_activity(self, deals: Sequence[int]) -> Mapping[int, date]:
        """When something was last done about each deal, where anything was."""
        found: dict[int, date] = {}
        if not deals:
            return found
        domain: Domain = [["model", "=", "crm.lead"], ["res_id", "in", sorted(deals)], *RECENT[1:]]
        async with aclosing(self.pages("mail.message", domain, ("res_id", "date"))) as pages:
            async for page in pages:
                for row in page:
                    number, day = row.get("res_id"), day_or_none(row.get("date"))
                    if isinstance(number, int) and day is not None:
                        found[number] = max(day, found.get(number, day))
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
        unknown: list[RowFault] = []
        try:
            shown = await self._shown("res.users", USER_FIELDS)
            rows = await self.read("res.users", USERS, shown, archived=True)
        except Denied as error:
            raise Permanent(f"users cannot be read: {_GRANTS['res.users']}", code=error.code) from error
        session = await self.api.session()
        me = session.user or next(
            (str(row["id"]) for row in rows if text_of(row.get("login")) == self._settings.login != ""), ""
        )
        bosses = await self._bosses(rows, unknown)
        roster = read_users(rows, bosses, me=me, through=through, logins_shown="login_date" in shown)
        roster = replace(roster, faults=(*roster.faults, *unknown))
        self._roster = self.api.server_now(), through, roster
        return roster

    async def _shown(self, model: str, names: Sequence[str]) -> list[str]:
        """Those of ``names`` that this Odoo has and shows us."""
        said = await self.call(model, "fields_get", {"allfields": list(names), "attributes": ["type"]})
        if not isinstance(said, Mapping):
            raise Retryable("Odoo's answer has no fields", code="bad-answer")
        return [name for name in names if name in said or name == "id"]

    async def _bosses(self, users: Sequence[Row], unknown: list[RowFault]) -> Mapping[str, str]:
        """User -> manager: by employees where they are kept and have managers, else by the leader of the sales team."""
        try:
            found = by_employees(await self.read("hr.employee.public", [], ("user_id", "parent_id")))
        except (NotOffered, Denied):
            found = {}
        try:
            teams = by_teams(users, await self.read("crm.team", [], ("user_id",)))
        except (NotOffered, Denied):
            teams = {}
            if not found:
                advice = 'nobody\'s manager is known: give the integration user "Sales / User: All Documents", or install Employees'
                unknown.append(RowFault("crm.team", 0, "manager", advice, dropped=False))
        return {**teams, **found}


class _Reading(Asking):
    """One poll: every question asked, what came of it kept in figures."""

    def __init__(
        self,
        connector: OdooConnector,
        figures: Figures,
        window: Window,
        metrics: frozenset[str],
        roster: Roster,
        server: Server,
    ) -> None:
        super().__init__(figures)
        self._crm = connector
        self._window = window
        self._metrics = metrics
        self._roster = roster
        self._server = server
        self._days = days_of(window)

    async def read(self, *, now_is: bool) -> None:
        """Ask everything that is wanted; the policy holds back what is more than it allows at once."""
        first, last = self._window.since, self._window.through
        tasks: list[Coroutine[Any, Any, None]] = [
            self._events(question, first, last) for question in EVENTS if self._wants(question.metrics)
        ]
        tasks += [
            self._events(question, day, day)
            for question in UPDATED
            if self._wants(question.metrics)
            for day in self._days
        ]
        if self._wants(done({}).metrics):
            tasks.append(self._done(first, last))
        if "step_moves" in self._metrics:
            tasks.append(self._moves(first, last))
        if "close_date_pushes" in self._metrics:
            tasks.append(self._pushed(first, last))
        if "active_day" in self._metrics:
            self._logins(now_is=now_is)
        if now_is:
            tasks += [self._state(question) for question in STATES if self._wants(question.metrics)]
            if self._wants(PIPELINE.metrics):
                tasks.append(self._pipeline())
        else:
            for metric in sorted(self._metrics & {*FLAWS, "pipeline_amount", "field_completeness"}):
                self.figures.mark(metric, [last], CoverageStatus.UNSUPPORTED, PAST)
        await self.run(tasks)

    def _wants(self, metrics: Collection[str]) -> bool:
        return not self._metrics.isdisjoint(metrics)

    # -- kinds of questions ---------------------------------------------------------------------------------------------

    async def _events(self, question: Question, first: date, last: date) -> None:
        """Events of a span; what is too much for the server is asked in halves, down to a day."""

        async def ask(since: date, until: date) -> None:
            days = days_of(Window(since, until))
            domain = question.domain(span(since, until, self._crm.api.server_now()))
            try:
                rows = await self._groups(question, domain)
            except TooSlow:
                raise
            except (Retryable, Permanent) as error:
                self._fail(question.model, question.metrics, days, error)
                return
            self._keep(question, rows, days)

        await self.by_halves(
            first, last, ask, lambda day, error: self._fail(question.model, question.metrics, [day], error)
        )

    async def _groups(self, question: Question, domain: Domain) -> Iterable[Row]:
        """Groups; where Odoo groups for administrators only, the records are read and counted here."""
        try:
            return await self._crm.groups(question, domain, self._server)
        except Denied:
            if not question.fields:
                raise
        counted: Counter[tuple[Any, ...]] = Counter()
        pages = self._crm.pages(question.model, domain, question.fields, archived=question.archived)
        async with aclosing(pages):
            async for page in pages:
                counted.update(tuple(_of_record(row, spec) for spec in question.groupby) for row in page)
        return [
            {**dict(zip(question.groupby, group, strict=True)), "n": count}
            for group, count in sorted(counted.items(), key=repr)
        ]

    async def _state(self, question: Question) -> None:
        """A snapshot: everybody's number now."""
        through = [self._window.through]
        try:
            if self._server.major < question.since:
                raise NotOffered(
                    f"Odoo {question.since} or later is needed to ask for this", code="old-version"
                )
            domain = question.domain(thresholds(self._window.through))
            rows = await self._crm.groups(question, domain, self._server)
        except (Retryable, Permanent) as error:
            self._fail(question.model, question.metrics, through, error)
            return
        self._keep(question, rows, through)

    async def _pipeline(self) -> None:
        """Open opportunities, their amount, and how much of what should be filled in is."""
        through = self._window.through
        try:
            found, valued = await all_of(
                [self._crm.groups(each, each.domain({}), self._server) for each in (PIPELINE, VALUED)]
            )
        except (Retryable, Permanent) as error:
            self._fail(PIPELINE.model, PIPELINE.metrics, [through], error)
            return
        self._keep(PIPELINE, found, [through])
        amounts = {row.get("user_id"): row.get("n") for row in valued}
        for line, row in enumerate(found, 1):
            who = row.get("user_id")
            try:
                count = number_of(row, "n")
                filled_in = (
                    number_of(row, "accounts") + number_of(row, "dates") + float(amounts.get(who) or 0)
                )
            except ValueError as error:
                fault = RowFault(PIPELINE.model, line, "", str(error))
                self.figures.fault(fault, ["field_completeness"], [through])
                continue
            if is_number(who) and count:
                share = min(100.0, round(100 * filled_in / (count * REQUIRED), 2))
                self.figures.add("field_completeness", str(who), through, share)

    async def _done(self, first: date, last: date) -> None:
        """Activities that were marked as done, by their type, and mails that were sent: a mail may be either."""
        try:
            rows = await self._crm.read("mail.activity.type", [], ("category", "icon"), archived=True)
        except (Retryable, Permanent) as error:
            self._fail("mail.message", done({}).metrics, self._days, error)
            return
        question = done({row["id"]: kind_of(row) for row in rows})

        async def ask(since: date, until: date) -> None:
            days, named = days_of(Window(since, until)), span(since, until, self._crm.api.server_now())
            try:
                marked = await self._groups(question, question.domain(named))
            except TooSlow:
                raise
            except (Retryable, Permanent) as error:
                self._fail(question.model, question.metrics, days, error)
                return
            try:
                mails = await self._groups(MAILS, MAILS.domain(named))
            except TooSlow:
                raise
            except (Retryable, Permanent) as error:
                self._fail(MAILS.model, MAILS.metrics, days, error)
                others = tuple(each for each in question.metrics if each not in MAILS.metrics)
                self._keep(replace(question, metrics=others), marked, days)
                return
            self._keep(question, marked, days)
            self._keep(MAILS, mails, days)

        await self.by_halves(
            first, last, ask, lambda day, error: self._fail(question.model, question.metrics, [day], error)
        )

    async def _moves(self, first: date, last: date) -> None:
        """Moves to another stage: an opportunity's own thread says them, under subtypes that Odoo brings."""
        try:
            rows = await self._crm.read(
                "mail.message.subtype", [["res_model", "=", "crm.lead"]], ("internal",)
            )
            ids = [row["id"] for row in rows]
            names = (
                await self._crm.call("mail.message.subtype", "get_external_id", {}, ids=ids) if ids else {}
            )
            found = [int(key) for key, name in dict(names).items() if name in STEP_SUBTYPES]
            if not found:
                raise NotOffered(
                    "this Odoo has none of the messages that tell of a stage's change", code="no-subtype"
                )
        except (TypeError, ValueError):
            error = Retryable("Odoo's answer has no names of subtypes", code="bad-answer")
            self._fail("mail.message", ["step_moves"], self._days, error)
            return
        except (Retryable, Permanent) as error:
            self._fail("mail.message", ["step_moves"], self._days, error)
            return
        await self._events(step_moves(found), first, last)

    async def _pushed(self, first: date, last: date) -> None:
        """Closing dates that were moved into the future, where they are tracked and we may read that."""
        metric, numbers = "close_date_pushes", Counter[tuple[str, date]]()
        try:
            await _check_tracked(self._crm)
            domain = filled(pushes(self._server.major), span(first, last, self._crm.api.server_now()))
            count, faults = 0, []
            async with aclosing(self._crm.pages("mail.tracking.value", domain, TRACKED)) as pages:
                async for page in pages:
                    count += len(page)
                    for row in page:
                        try:
                            who, day = id_of(row.get("create_uid")), day_of(row.get("create_date"))
                        except ValueError as error:
                            faults.append(RowFault("mail.tracking.value", count, "", str(error)))
                            continue
                        before = day_or_none(row.get("old_value_datetime"))
                        after = day_or_none(row.get("new_value_datetime"))
                        if before is not None and after is not None and after > before and is_number(who):
                            numbers[str(who), day] += 1
        except (Retryable, Permanent) as error:
            self._fail("mail.tracking.value", [metric], self._days, error)
            return
        self.keep([metric], self._days, count)
        for fault in faults:
            self.figures.fault(fault, [metric], self._days)
        for (who, day), number in numbers.items():
            self.figures.add(metric, who, day, number)

    def _logins(self, *, now_is: bool) -> None:
        """Who has logged in today. Of a day gone by nothing is known any more but what was seen on it."""
        today, roster = self._window.through, self._roster
        gone = self._days[:-1] if now_is else self._days
        self.figures.mark("active_day", gone, CoverageStatus.UNSUPPORTED, LAST_LOGIN_ONLY)
        if not now_is:
            return
        if not roster.logins_shown or (roster.users and not roster.logins):
            self.figures.mark("active_day", [today], CoverageStatus.DENIED, NO_LOGINS)
            return
        self.figures.mark(
            "active_day", [today], CoverageStatus.OK
        )  # by the list of users: no query is answered by it
        for who, at in roster.logins.items():
            if self._crm.local_day(at) == today:
                self.figures.add("active_day", who, today, 1.0)

    # -- keeping --------------------------------------------------------------------------------------------------------

    def _keep(self, question: Question, rows: Iterable[Row], days: Sequence[date]) -> None:
        """Numbers of people; what nobody did, and what a contact wrote who is no user, is left out."""
        figures, inside, through = self.figures, frozenset(days), self._window.through
        rows = list(rows)
        self.keep(question.metrics, days, len(rows))
        for line, row in enumerate(rows, 1):
            who = row.get(question.key)
            try:
                numbers = question.read(_known(row, question.key))
            except ValueError as error:
                figures.fault(RowFault(question.model, line, "", str(error)), question.metrics, days)
                continue
            person = self._roster.contacts.get(who or 0) if question.key == "author_id" else who
            if person is None:
                figures.note(f"{question.model} groups of nobody's")
                continue
            for metric, day, number in numbers:
                if metric not in question.metrics:
                    continue
                if day is None:
                    figures.add(metric, str(person), through, number)
                elif day in inside:
                    figures.add(metric, str(person), day, number)

    def _fail(
        self, model: str, metrics: Iterable[str], days: Sequence[date], error: Retryable | Permanent
    ) -> None:
        self.fail(
            metrics, days, error, _GRANTS.get(model, f"give the integration user the right to read {model}")
        )


async def _check_tracked(crm: OdooConnector) -> None:
    """Raises NotOffered where changes of the expected closing date are not written down: that is Odoo's default."""
    where: Domain = [["model", "=", "crm.lead"], ["name", "=", "date_deadline"]]
    rows = await crm.read("ir.model.fields", where, ("tracking",))
    if not any(row.get("tracking") for row in rows):
        raise NotOffered(
            "changes of the expected closing date are not tracked: turn tracking on for crm.lead's date_deadline",
            code="not-tracked",
        )


def _known(row: Row, key: str) -> Row:
    """A group of somebody's, or of nobody's. Raises ValueError."""
    who = row.get(key)
    if who is not None and not is_number(who):
        raise ValueError(f"{who!r} is no id")
    return row


def _of_record(row: Row, spec: str) -> Any:
    """What a record would be grouped by."""
    name, _, step = spec.partition(":")
    value = id_of(row.get(name))
    return value[:10] if step and isinstance(value, str) else value


def open_odoo(
    settings: OdooSettings,
    *,
    clock: Clock | None = None,
    record_link: str | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> OdooConnector:
    """Open one database; nothing is read yet.

    ``clock``: whose time sessions and pauses are measured in (a steered one in a simulation). ``transport``: how requests
    travel, if not by the network.
    """
    return OdooConnector(settings, clock=clock, record_link=record_link, transport=transport)


def blank(asked: Asked) -> Any:
    """What a database without a record would answer, Odoo's own types and subtypes aside."""
    if asked.path.endswith("/web/version"):
        return {"version": "19.0", "version_info": [19, 0, 0, "final", 0, ""]}
    body = asked.body if isinstance(asked.body, dict) else {}
    if asked.path.endswith("/jsonrpc"):
        args = body.get("params", {}).get("args", [])
        if len(args) < 7:
            return {"jsonrpc": "2.0", "id": 1, "result": 2 if args else {"server_version": "18.0"}}
        return {"jsonrpc": "2.0", "id": 1, "result": _blank(args[3], args[4], args[6])}
    *_, model, method = asked.path.split("/")
    return _blank(model, method, body)


def _blank(model: str, method: str, named: Mapping[str, Any]) -> Any:
    if method == "context_get":
        return {"lang": "en_US", "tz": "UTC", "uid": 2}
    if method == "fields_get":
        return {name: {"type": "char"} for name in named.get("allfields", ())}
    if method == "get_external_id":
        return {str(number): name for number, name in enumerate(sorted(STEP_SUBTYPES), 1)}
    first = named.get("domain") and named["domain"][-1] == ["id", ">", 0]
    if first and model == "mail.message.subtype":
        return [{"id": number, "internal": False} for number, _ in enumerate(sorted(STEP_SUBTYPES), 1)]
    if first and model == "ir.model.fields":
        return [{"id": 1, "tracking": 1}]
    return []


CONNECTOR = ConnectorKind(
    name="odoo",
    open=opener(OdooSettings, open_odoo),
    settings=OdooSettings,
    blank=blank,
    owner="2",
)
