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
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Literal
from zoneinfo import ZoneInfo

import httpx
from pydantic import Field, SecretStr, model_validator

from bot.connectors.asking import Asking
from bot.connectors.figures import Figures, days_of
from bot.connectors.http import Api, Policy, SessionRefused
from bot.connectors.infor.answers import (
    basic,
    ion,
    judge,
    read_ionapi,
)
from bot.connectors.infor.lists import Lists, twice
from bot.connectors.infor.queries import (
    ACTIVITIES,
    CHANGED,
    CLOSE_FIELDS,
    CLOSED,
    COUNTED,
    CREATED,
    CREATING,
    DONE,
    DONE_AS,
    FLAWS,
    MODIFIED,
    MOVED_ON,
    NO_LOGINS,
    NOT_AUDITED,
    OPEN,
    OPEN_NAMED,
    OUTCOMES,
    OVERDUE,
    OVERDUE_NAMED,
    PEOPLE,
    STATES,
    STEP_FIELDS,
    THINGS,
    UNSUPPORTED,
    UPDATED,
    WORKED_ON,
    Question,
    any_of,
    span,
)
from bot.connectors.infor.rows import (
    Roster,
    Row,
    at,
    calendar_day,
    changes_of,
    day_of,
    deal_of,
    has,
    is_id,
    is_pushed,
    is_true,
    key_of,
    moment_of,
    number_of,
    read_users,
    task_of,
    text_of,
)
from bot.connectors.open_records import OpenDeal, OpenTask, is_flawed, worst
from bot.connectors.refusals import Denied, FieldHidden, NotOffered, TooSlow
from bot.connectors.settings import (
    Address,
    CrmSettings,
    ExistingFile,
    OptionalAddress,
    PathPrefix,
    opener,
    variable,
)
from bot.domain.errors import Permanent, Retryable, Throttled
from bot.domain.people import CrmUser
from bot.domain.ports import Asked, Clock, ConnectorKind, Meter, Probe
from bot.domain.usage import (
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

OWNERS = 20
"""Ids in one condition: each is a comparison of its own."""
CLOCK_TOLERANCE = timedelta(minutes=15)
EVIDENCE_DAYS = 7
DEALS_LIFE = timedelta(seconds=1)
ROSTER_LIFE = timedelta(minutes=10)
MOST_FAULTS = 50
"""Rows of one list that are named when they cannot be read; the others are counted."""
PAST = "Infor CRM tells this as of now only, not for a day gone by"
_NAME = r"^[A-Za-z$][\w$/]*$"


class InforSettings(CrmSettings):
    """How to reach one installation. Exactly one way to log in: user name and password, or an .ionapi file."""

    name: str = "infor"
    at_once: int = Field(2, ge=1, le=4, description="requests at the same time, 1 to 4")
    url: Address = Field(
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
    username: str = Field("", description="login name of a user of its own for Fullsteam")
    password: SecretStr = Field(SecretStr(""), description="that user's password")
    ionapi_file: ExistingFile | None = Field(
        None, description="path of the .ionapi file of a backend service with a service account"
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
    next_step: str = Field(
        "NextStep", pattern=_NAME, description="field of an opportunity with its next step, e.g. NextStep"
    )
    manager: str = Field(
        "Manager/$key", pattern=_NAME, description="field of a user with the manager, e.g. Manager/$key"
    )
    audit_dates: str = Field(
        "%m/%d/%Y", min_length=2, description="how dates are written in audited changes, e.g. %d.%m.%Y"
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
                read_ionapi(self.ionapi_file)
            except SessionRefused as error:
                raise ValueError(f"<IONAPI_FILE>: {error}") from None
        return self


class InforConnector:
    """Reads one installation; implements :class:`bot.domain.ports.Connector`. Opened by :func:`open_infor`."""

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
        self.zone = ZoneInfo(settings.zone)
        self._record_link = record_link
        self._roster: tuple[datetime, date, Roster] | None = None
        self._deals: tuple[datetime, dict[str, list[OpenDeal]]] | None = None
        decide = judge(self.variable)
        who = self.path(settings.system, "$service/getCurrentUser")
        whoami = f"{settings.url}{who}?format=json"
        self.api = Api(
            settings.url,
            name=settings.name,
            log_in=(
                ion(settings.ionapi_file, settings.token_url, settings.grant, whoami, self.variable)
                if settings.ionapi_file is not None
                else basic(settings.username, settings.password.get_secret_value(), whoami, self.variable)
            ),
            judge=decide,
            clock=clock,
            policy=policy or Policy(read_seconds=settings.time_out, at_once=settings.at_once, cookies=True),
            transport=transport,
            sleep=sleep,
        )
        self.lists = Lists(self.api, decide, self._where_is, settings.page)

    # -- the port -------------------------------------------------------------------------------------------------------

    async def probe(self) -> Probe:
        """What can be read today, by reading it."""
        version = "SData"
        try:
            session = await self.api.session()
            today = self._today()
            rows: list[Coverage] = []
            async for part in self.collect(Window(today, today), frozenset(METRICS)):
                rows += part.coverage
        except (Retryable, Permanent) as error:
            return Probe(self.name, version, ok=False, advice=str(error))
        log.info("infor.probed", extra={"source": self.name, "user": session.user, "calls": self.api.calls})
        return Probe(self.name, version, ok=True, advice="", metrics=tuple(rows))

    async def users(self, through: date) -> tuple[Sequence[CrmUser], Sequence[RowFault]]:
        """Users who can log in and work, and those whom they report to."""
        roster = await self._read_roster(through)
        return roster.users, roster.faults

    async def collect(self, window: Window, metrics: frozenset[str]) -> AsyncIterator[Collected]:
        """Lists side by side, each into counters; then facts day by day."""
        roster = await self._known_roster(window.through)
        self.lists.forget()  # a field may have been added since
        self._deals = None
        unsupported = dict(UNSUPPORTED)
        if not self.settings.login_resource:
            unsupported["active_day"] = NO_LOGINS.format(self.variable("login_resource"))
        figures = Figures(window, metrics, unsupported, past=PAST)
        figures.leave_empty("field_completeness")
        reading = _Reading(self, figures, window, metrics, roster)
        await reading.read(snapshots=self._is_today(window.through))
        log.info(
            "infor.collected",
            extra={
                "source": self.name,
                "calls": self.api.calls,
                "rows": self.api.rows,
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
        if metric not in FLAWS and metric != "tasks_overdue":
            return {}
        asked = [owner for owner in dict.fromkeys(owners) if is_id(owner)]
        if not asked:
            return {}
        today = self._today()
        if not -1 <= (today - through).days <= EVIDENCE_DAYS:
            raise Retryable(f"Infor CRM is not asked about {through}: {PAST}", code="as-of-now")
        link = self._record_link or ""
        records: Mapping[str, Sequence[OpenDeal | OpenTask]]
        kind = OVERDUE.kind if metric == "tasks_overdue" else OPEN.kind
        try:
            if metric == "tasks_overdue":
                records = await self._tasks_of(asked, today)
            else:
                records = await self._deals_of(asked, metric, today)
                if not link and self.settings.web_url:
                    link = f"{self.settings.web_url}/Opportunity.aspx?entityid={{id}}"
        except Denied as error:
            raise Denied(str(error) or grant(kind), code=error.code) from error
        found: dict[str, tuple[int, tuple[RecordRef, ...]]] = {}
        for owner in asked:
            count, named = worst(metric, records.get(owner, ()), limit, today, link)
            if count:
                found[owner] = count, named
        return found

    def meter(self) -> Meter:
        """What was asked; the server has no budget that it tells."""
        return self.api.meter()

    async def close(self) -> None:
        """Let go of the connections."""
        await self.api.close()

    # -- time and names -------------------------------------------------------------------------------------------------

    def variable(self, field_name: str) -> str:
        """What a setting is called in the environment."""
        return f"FULLSTEAM_{variable(self.name)}_{field_name.upper()}"

    def path(self, contract: str, kind: str) -> str:
        """Where a resource is below the server's address."""
        return f"{self.settings.path}/{contract}/{self.settings.dataset}/{kind}"

    def _where_is(self, question: Question) -> str:
        return self.path(self.settings.system if question.system else self.settings.dynamic, question.kind)

    def _today(self) -> date:
        return self.api.server_now().astimezone(self.zone).date()

    def _is_today(self, day: date) -> bool:
        """Whether it is that day in the programme's zone, give or take what two clocks may differ by."""
        now = self.api.server_now()
        return day in {
            moment.astimezone(self.zone).date()
            for moment in (now - CLOCK_TOLERANCE, now, now + CLOCK_TOLERANCE)
        }

    def status_where(self, statuses: str) -> str:
        """The condition for opportunities of a status."""
        return any_of("Status", statuses_of(statuses))

    # -- lists ----------------------------------------------------------------------------------------------------------

    def open_deals(self, question: Question = OPEN) -> Question:
        """Open opportunities, with the field that this installation has the next step in."""
        return replace(question, spare=(self.settings.next_step,))

    async def steps_are_audited(self) -> bool:
        """Whether changes of the step are in the history at all."""
        return await self.lists.says("Description like '%Stage%'")

    # -- what a message names -------------------------------------------------------------------------------------------

    async def _deals_of(
        self, owners: Sequence[str], metric: str, today: date
    ) -> Mapping[str, Sequence[OpenDeal]]:
        """Open opportunities by owner: read once for all flaws, good for a second."""
        question = self.open_deals(OPEN_NAMED)
        now = self.api.server_now()
        if self._deals is None or not timedelta(0) <= now - self._deals[0] <= DEALS_LIFE:
            self._deals = now, {}
        known = self._deals[1]
        missing = [owner for owner in owners if owner not in known]
        for begin in range(0, len(missing), OWNERS):
            known |= await twice(partial(self._open_of, question, missing[begin : begin + OWNERS]))
        if metric == "opps_no_next_step" and self.lists.is_absent(question, self.settings.next_step):
            raise FieldHidden(self.settings.next_step, "opportunities", self.next_step_advice())
        deals = {owner: known.get(owner, []) for owner in owners}
        if metric == "opps_no_activity_30d":
            return await self._dated(deals, today, WORKED_ON, self.worked_on, QUIET_DAYS, _last_worked)
        if metric == "opps_stuck_step":
            dated = await self._dated(deals, today, MOVED_ON, self.moved_on, STUCK_DAYS, _last_moved)
            moved = any(deal.step_since is not None for each in dated.values() for deal in each)
            if not moved and any(dated.values()) and not await self.steps_are_audited():
                raise NotOffered(NOT_AUDITED.format("Stage"), code="not-audited")
            return dated
        return deals

    async def _open_of(self, question: Question, owners: Sequence[str]) -> dict[str, list[OpenDeal]]:
        found: dict[str, list[OpenDeal]] = {owner: [] for owner in owners}
        statuses = self.status_where(self.settings.open_status)
        where = question.where.format(open=statuses, owners=any_of("AccountManager.Id", owners))
        said = False
        rows = 0
        async for row in self.lists.rows(question, where):
            rows += 1
            said = said or has(row, self.settings.next_step)
            try:
                deal = deal_of(row, self.zone, self.settings.next_step)
            except ValueError:
                continue  # named by the poll
            if deal.owner in found:
                found[deal.owner].append(deal)
        if rows and not said:
            self.lists.leave_out(question, self.settings.next_step)
        return found

    async def _dated(
        self,
        deals: Mapping[str, Sequence[OpenDeal]],
        today: date,
        question: Question,
        take: Callable[[Row], tuple[str, date] | None],
        least: int,
        dated: Callable[[OpenDeal, date | None], OpenDeal],
    ) -> Mapping[str, Sequence[OpenDeal]]:
        """The deals that are old enough, with the day on which each was last worked on or moved: whenever that was."""
        old = [
            deal.id
            for each in deals.values()
            for deal in each
            if (today - (deal.created or today)).days >= least and is_id(deal.id)
        ]
        condition = question.where.partition(" and ")[0]
        latest: dict[str, date] = {}
        for begin in range(0, len(old), OWNERS):
            among = any_of("OpportunityId", old[begin : begin + OWNERS])

            async def read(among: str = among) -> dict[str, date]:
                found: dict[str, date] = {}
                async for row in self.lists.rows(question, f"{condition} and {among}"):
                    taken = take(row)
                    if taken is not None and taken[1] <= today:
                        found[taken[0]] = max(taken[1], found.get(taken[0], taken[1]))
                return found

            latest |= await twice(read)
        return {owner: [dated(deal, latest.get(deal.id)) for deal in each] for owner, each in deals.items()}

    async def _tasks_of(self, owners: Sequence[str], today: date) -> Mapping[str, Sequence[OpenTask]]:
        found: defaultdict[str, list[OpenTask]] = defaultdict(list)
        for begin in range(0, len(owners), OWNERS):
            owned = any_of("UserId", owners[begin : begin + OWNERS])
            where = OVERDUE_NAMED.where.format(owners=owned, **span(today, today))

            async def read(where: str = where) -> list[OpenTask]:
                return [
                    task
                    async for row in self.lists.rows(OVERDUE_NAMED, where)
                    if (task := self.overdue(row, today)) is not None
                ]

            for task in await twice(read):
                found[task.owner].append(task)
        return found

    def overdue(self, row: Row, today: date) -> OpenTask | None:
        """An open activity that was due before today; None for what is not, and for what comes again and again."""
        if is_true(row.get("Recurring")):
            return None
        try:
            task = task_of(row, self.zone)
        except ValueError:
            return None
        return task if task.due is not None and task.due < today else None

    def worked_on(self, row: Row) -> tuple[str, date] | None:
        """(opportunity, day) of a completed activity."""
        return _touch(row, "CompletedDate")

    def moved_on(self, row: Row) -> tuple[str, date] | None:
        """(opportunity, day) of a change of its step."""
        moved = any(change.field in STEP_FIELDS for change in changes_of(row.get("Notes")))
        return _touch(row, "CreateDate") if moved else None

    def next_step_advice(self) -> str:
        """What to do where opportunities have no such field."""
        return (
            f"opportunities have no field {self.settings.next_step}: set {self.variable('next_step')} to the one that"
            " has the next step"
        )

    # -- people ---------------------------------------------------------------------------------------------------------

    async def _known_roster(self, through: date) -> Roster:
        """Who is in the CRM, read a moment ago or now."""
        if self._roster is not None:
            when, asked, roster = self._roster
            if asked == through and abs(self.api.server_now() - when) <= ROSTER_LIFE:
                return roster
        return await self._read_roster(through)

    async def _read_roster(self, through: date) -> Roster:
        session = await self.api.session()
        manager = self.settings.manager
        question = Question("users", "", PEOPLE, (manager, "FederatedIdentity", "CreateDate"))

        async def read() -> list[Row]:
            return [row async for row in self.lists.rows(question, "")]

        try:
            rows = await twice(read)
        except SessionRefused:
            raise
        except NotOffered as error:
            raise Permanent(
                f"there are no users at this address: check {self.variable('url')} and {self.variable('path')}",
                code=error.code,
            ) from error
        except Denied as error:
            raise Permanent(
                "users cannot be read: give the integration user the right to see them", code=error.code
            ) from error
        if not rows:
            raise Retryable("Infor CRM lists no users, not even our own", code="no-users")
        roster = read_users(
            rows,
            me=session.user,
            username=self.settings.username,
            through=through,
            left_out=self.settings.left_out.split(","),
            manager=manager,
        )
        if self.lists.is_absent(question, manager):
            advice = f"users have no field {manager}: set {self.variable('manager')}, or there are no teams"
            fault = RowFault("users", 0, "manager", advice, dropped=False)
            roster = replace(roster, faults=(*roster.faults, fault))
        self._roster = self.api.server_now(), through, roster
        return roster


@dataclass
class _Tally:
    """What one list said, until it was read to its end. ``rows``: how many; ``unowned``: of nobody."""

    numbers: dict[tuple[str, str, date], float] = field(default_factory=lambda: defaultdict(float))
    faults: list[tuple[RowFault, tuple[str, ...], date | None]] = field(default_factory=list)
    rows: int = 0
    unowned: int = 0
    unread: int = 0

    def add(self, metric: str, who: str, day: date, number: float = 1.0) -> None:
        """So much more."""
        self.numbers[metric, who, day] += number

    def fault(
        self, kind: str, error: ValueError, metrics: Iterable[str], day: date | None = None, column: str = ""
    ) -> None:
        """A row that cannot be read; ``day`` None: it may be of any."""
        if len(self.faults) < MOST_FAULTS:
            fault = RowFault(kind, self.rows, column, str(error), dropped=not column)
            self.faults.append((fault, tuple(metrics), day))
        else:
            self.unread += 1


class _Reading(Asking):
    """One poll: every list that is wanted, what came of it kept in figures."""

    def __init__(
        self,
        connector: InforConnector,
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
        self._days = days_of(window)

    async def read(self, *, snapshots: bool) -> None:
        """Ask everything that is wanted; the policy holds back what is more than it allows at once."""
        tasks = [
            self._spans(question, {f"records_created.{thing}"}, self._created(thing))
            for thing, question in CREATED.items()
            if f"records_created.{thing}" in self._metrics
        ]
        if self._metrics & set(ACTIVITIES):
            tasks.append(self._spans(DONE, set(ACTIVITIES), self._done))
        if self._metrics & set(OUTCOMES):
            tasks.append(self._spans(CLOSED, set(OUTCOMES), self._closed, margin=1))
        if self._metrics & UPDATED:
            tasks.append(self._changes())
        if "active_day" in self._metrics and self._crm.settings.login_resource:
            tasks.append(self._logins())
        wanted = self._metrics & STATES
        if snapshots:
            if "tasks_overdue" in wanted:
                tasks.append(self._overdue())
            if wanted - {"tasks_overdue"}:
                tasks.append(self._states(wanted - {"tasks_overdue"}))
        else:
            for metric in sorted(wanted):
                figures = self.figures
                figures.mark(metric, [self._window.through], CoverageStatus.UNSUPPORTED, PAST)
        await self.run(tasks)

    # -- events ---------------------------------------------------------------------------------------------------------

    async def _spans(
        self,
        question: Question,
        metrics: Collection[str],
        take: Callable[[Row, _Tally], None],
        *,
        margin: int = 0,
    ) -> None:
        """Events of the whole window; what takes too long is asked in halves, down to a day.

        ``margin``: days more on both sides, where a date may be stored as another zone's midnight.
        """
        wanted = sorted(self._metrics & set(metrics))

        async def ask(first: date, last: date) -> None:
            wide = span(first - timedelta(days=margin), last + timedelta(days=margin))
            days = days_of(Window(first, last))
            try:
                tally = await self._tallied(question, question.where.format_map(wide), take)
            except TooSlow:
                raise
            except (Retryable, Permanent) as error:
                self.fail(wanted, days, error, grant(question.kind))
                return
            self._commit(question.kind, wanted, days, tally)

        def give_up(day: date, error: TooSlow) -> None:
            self.fail(wanted, [day], error)

        await self.by_halves(self._window.since, self._window.through, ask, give_up)

    def _created(self, thing: str) -> Callable[[Row, _Tally], None]:
        metric = f"records_created.{thing}"

        def take(row: Row, tally: _Tally) -> None:
            _count(row, tally, THINGS[thing][0], metric, "CreateDate", key_of(row.get("CreateUser")))

        return take

    def _modified(self, thing: str) -> Callable[[Row, _Tally], None]:
        metric, kind = f"records_updated.{thing}", THINGS[thing][0]

        def take(row: Row, tally: _Tally) -> None:
            try:
                created, modified = moment_of(row.get("CreateDate")), moment_of(row.get("ModifyDate"))
            except ValueError as error:
                tally.fault(kind, error, [metric])
                return
            if modified is not None and (created is None or modified - created > CREATING):
                tally.add(metric, key_of(row.get("ModifyUser")), modified.date())

        return take

    def _done(self, row: Row, tally: _Tally) -> None:
        kind = DONE_AS.get(text_of(row.get("Type")).casefold())
        if kind is not None:
            who = key_of(row.get("CompletedUser")) or key_of(row.get("UserId"))
            _count(row, tally, DONE.kind, f"activities_completed.{kind}", "CompletedDate", who)

    def _closed(self, row: Row, tally: _Tally) -> None:
        settings, who = self._crm.settings, key_of(at(row, "AccountManager/$key"))
        status = text_of(row.get("Status")).casefold()
        try:
            day = calendar_day(row.get("ActualClose"), self._crm.zone)
            if day is None:
                raise ValueError("a closing without a date")  # noqa: TRY301 - handled like any other bad row
            if status in folded(settings.lost_status):
                tally.add("lost_count", who, day)
            elif status in folded(settings.won_status):
                amount = number_of(row.get("ActualAmount"))
                amount = number_of(row.get("SalesPotential")) if amount is None else amount
                created = day_of(row.get("CreateDate"))
                tally.add("won_count", who, day)
                tally.add("won_amount", who, day, amount or 0.0)
                if created is None:
                    unknown = ValueError("an opportunity without the date of its creation")
                    tally.fault(CLOSED.kind, unknown, ["cycle_days"], day, "CreateDate")
                else:
                    tally.add("cycle_days", who, day, max((day - created).days, 0))
        except ValueError as error:
            tally.fault(CLOSED.kind, error, OUTCOMES)

    async def _logins(self) -> None:
        settings = self._crm.settings
        during = f"{settings.login_date} ge {{a}} and {settings.login_date} lt {{b}}"
        question = Question(
            settings.login_resource,
            f"({settings.login_where}) and {during}" if settings.login_where else during,
            (settings.login_user, settings.login_date),
        )

        def take(row: Row, tally: _Tally) -> None:
            who = key_of(at(row, settings.login_user))
            try:
                day = day_of(at(row, settings.login_date))
            except ValueError as error:
                tally.fault(question.kind, error, ["active_day"])
                return
            if day is not None:
                tally.numbers["active_day", who, day] = 1

        await self._spans(question, {"active_day"}, take)

    # -- audited changes ------------------------------------------------------------------------------------------------

    async def _changes(self) -> None:
        """Audited changes, day by day: a record that somebody changed ten times on a day counts once."""
        wanted = sorted(self._metrics & UPDATED)
        read: list[tuple[date, _Tally]] = []
        about: set[str] = set()
        for day in self._days:
            where = CHANGED.where.format_map(span(day, day))
            seen: set[tuple[str, str, str]] = set()
            try:
                take = partial(self._change, seen=seen, about=about, day=day)
                tally = await self._tallied(CHANGED, where, take, seen.clear)
            except (Retryable, Permanent) as error:
                self.fail(wanted, [day], error, grant("history"))
                continue
            read.append((day, tally))
        for metric in wanted if read else ():
            given = [day for day, _ in read]
            try:
                audited = await self._is_audited(metric, about)
            except (Retryable, Permanent) as error:
                self.fail([metric], given, error, grant("history"))
                continue
            thing = metric.partition("records_updated.")[2]
            if not audited and thing:
                await self._spans(MODIFIED[thing], {metric}, self._modified(thing))
                continue
            if not audited:
                self.fail([metric], given, NotOffered(NOT_AUDITED.format(_audited(metric))))
                continue
            self.keep([metric], given, 0)
        for day, tally in read:
            self._commit(CHANGED.kind, [], [day], tally)

    def _change(
        self, row: Row, tally: _Tally, *, seen: set[tuple[str, str, str]], about: set[str], day: date
    ) -> None:
        who = key_of(row.get("CreateUser"))
        thing, record = next(
            ((thing, key) for thing, (_, name) in THINGS.items() if (key := key_of(row.get(name)))), ("", "")
        )
        changes = changes_of(row.get("Notes"))
        if not thing or text_of(row.get("Result")).casefold() in ("insert", "delete"):
            return
        about.add(thing)
        found = [f"records_updated.{thing}"]
        if thing == "opportunity":
            about.update(change.field for change in changes)
            if any(change.field in STEP_FIELDS for change in changes):
                found.append("step_moves")
            try:
                pushed = any(
                    change.field in CLOSE_FIELDS and is_pushed(change, self._crm.settings.audit_dates)
                    for change in changes
                )
            except ValueError as error:
                column = f"{error}: set {self._crm.variable('audit_dates')}"
                tally.fault(CHANGED.kind, ValueError(column), ["close_date_pushes"], day, "Notes")
                pushed = False
            if pushed:
                tally.add("close_date_pushes", who, day)
        for metric in found:
            if (metric, who, record) not in seen:
                seen.add((metric, who, record))
                tally.add(metric, who, day)

    async def _is_audited(self, metric: str, about: Collection[str]) -> bool:
        """Whether such changes are recorded: one was seen, or there is one of another time."""
        if metric == "step_moves":
            return bool(STEP_FIELDS & set(about)) or await self._crm.steps_are_audited()
        if metric == "close_date_pushes":
            return bool(CLOSE_FIELDS & set(about)) or await self._crm.lists.says(
                "Description like '%EstimatedClose%'"
            )
        thing = metric.partition(".")[2]
        return thing in about or await self._crm.lists.says(f"{THINGS[thing][1]} ne null")

    # -- snapshots ------------------------------------------------------------------------------------------------------

    async def _overdue(self) -> None:
        today, kind = self._window.through, OVERDUE.kind
        again = 0

        def take(row: Row, tally: _Tally) -> None:
            nonlocal again
            try:
                if is_true(row.get("Recurring")):
                    again += 1
                    return
                task = task_of(row, self._crm.zone)
            except ValueError as error:
                tally.fault(kind, error, ["tasks_overdue"])
                return
            if task.due is not None and task.due < today:
                tally.add("tasks_overdue", task.owner, today)

        def begin() -> None:
            nonlocal again
            again = 0

        try:
            tally = await self._tallied(OVERDUE, OVERDUE.where.format_map(span(today, today)), take, begin)
        except (Retryable, Permanent) as error:
            self.fail(["tasks_overdue"], [today], error, grant(kind))
            return
        if again:
            self.figures.note("activities that come again and again", again)
        self._commit(kind, ["tasks_overdue"], [today], tally)

    async def _states(self, wanted: Collection[str]) -> None:
        """Open opportunities: what the server counts by itself, and the rest from the list of them."""
        left = set(wanted)
        where = self._crm.status_where(self._crm.settings.open_status)
        for metric, (name, condition) in COUNTED.items():
            if metric in wanted and await self._by_metric(metric, name, condition.format(open=where)):
                left.discard(metric)
        if left:
            await self._by_list(left, where)

    async def _by_metric(self, metric: str, name: str, where: str) -> bool:
        """Whether the server counts this, and did. It need not: its metrics differ by installation."""
        try:
            found = await self._crm.lists.counted(name, where)
        except (SessionRefused, Throttled) as error:
            self.fail([metric], [self._window.through], error)
            return True
        except (Retryable, Permanent) as error:
            log.info("infor.metric_not_counted", extra={"source": self._crm.name, "code": error.code})
            return False
        tally = _Tally(rows=len(found))
        for who, number in found.items():
            tally.add(metric, who, self._window.through, number)
        self._commit(OPEN.kind, [metric], [self._window.through], tally)
        return True

    async def _by_list(self, wanted: set[str], where: str) -> None:
        """Every open opportunity, for what is wanted of them."""
        today, question = self._window.through, self._crm.open_deals()
        worked = await self._look_back(
            wanted, "opps_no_activity_30d", QUIET_DAYS, WORKED_ON, self._crm.worked_on
        )
        moved = await self._look_back(wanted, "opps_stuck_step", STUCK_DAYS, MOVED_ON, self._crm.moved_on)
        flaws = [metric for metric in FLAWS if metric in wanted]
        filled: Counter[str] = Counter()
        named: Counter[str] = Counter()
        owned: Counter[str] = Counter()
        said = False

        def begin() -> None:
            nonlocal said
            said = False
            for counter in (filled, named, owned):
                counter.clear()

        def take(row: Row, tally: _Tally) -> None:
            nonlocal said
            try:
                deal = deal_of(row, self._crm.zone, question.spare[0])
            except ValueError as error:
                tally.fault(question.kind, error, wanted, today)
                return
            if deal.created is not None and deal.created > today:
                return
            said = said or has(row, question.spare[0])
            deal = replace(deal, last_activity=worked.get(deal.id), step_since=moved.get(deal.id))
            owned[deal.owner] += 1
            filled[deal.owner] += (deal.amount is not None) + (deal.close is not None) + bool(deal.account)
            named[deal.owner] += bool(deal.next_step)
            for metric in flaws:
                if is_flawed(metric, deal, today):
                    tally.add(metric, deal.owner, today)
            if "pipeline_amount" in wanted:
                tally.add("pipeline_amount", deal.owner, today, deal.amount or 0.0)

        try:
            tally = await self._tallied(question, where, take, begin)
        except (Retryable, Permanent) as error:
            self.fail(wanted, [today], error, grant(question.kind))
            return
        me = self._roster.me
        if me and owned.keys() == {me} and any(user.crm_id != me for user in self._roster.users):
            self.fail(wanted, [today], Denied(grant(question.kind), code="only-our-own"))
            return
        steps = not self._crm.lists.is_absent(question, question.spare[0]) and (said or not tally.rows)
        if not steps and "opps_no_next_step" in wanted:
            hidden = FieldHidden(question.spare[0], "opportunities", self._crm.next_step_advice())
            self.fail(["opps_no_next_step"], [today], hidden)
        if "field_completeness" in wanted:
            for who, count in owned.items():
                parts = filled[who] + (named[who] if steps else 0)
                tally.add("field_completeness", who, today, 100 * parts / (count * (4 if steps else 3)))
        told = wanted - ({"opps_no_next_step"} if not steps else set())
        self._commit(question.kind, sorted(told), [today], tally)

    async def _look_back(
        self,
        wanted: set[str],
        metric: str,
        days: int,
        question: Question,
        take: Callable[[Row], tuple[str, date] | None],
    ) -> Mapping[str, date]:
        """Opportunities that something happened to in so many days. Where that cannot be read, the metric is not wanted."""
        if metric not in wanted:
            return {}
        today = self._window.through
        try:
            found = await self._crm.lists.touched(question, today - timedelta(days=days - 1), today, take)
            if question is MOVED_ON and not found and not await self._crm.steps_are_audited():
                raise NotOffered(NOT_AUDITED.format("Stage"), code="not-audited")
        except (Retryable, Permanent) as error:
            self.fail([metric], [today], error, grant("history"))
            wanted.discard(metric)
            return {}
        return found

    # -- keeping --------------------------------------------------------------------------------------------------------

    async def _tallied(
        self,
        question: Question,
        where: str,
        take: Callable[[Row, _Tally], None],
        begin: Callable[[], None] | None = None,
    ) -> _Tally:
        """A list, counted to its end. ``begin``: what else has to be empty when it begins anew."""

        async def read() -> _Tally:
            if begin is not None:
                begin()
            tally = _Tally()
            async for row in self._crm.lists.rows(question, where):
                tally.rows += 1
                take(row, tally)
            return tally

        return await twice(read)

    def _commit(self, kind: str, metrics: Sequence[str], days: Sequence[date], tally: _Tally) -> None:
        """Numbers of people, on these days; and what could not be read of them."""
        figures, inside = self.figures, frozenset(days)
        self.keep(metrics, days, tally.rows)
        for (metric, who, day), number in tally.numbers.items():
            if not is_id(who):
                tally.unowned += 1
            elif day in inside:
                figures.add(metric, who, day, number)
        for fault, touched, on in tally.faults:
            figures.fault(fault, sorted(self._metrics & set(touched)), days if on is None else [on])
        if tally.unowned:
            figures.note(f"{kind} of nobody", tally.unowned)
        if tally.unread:
            figures.note(f"{kind} that cannot be read", tally.unread)


def grant(kind: str) -> str:
    """What an admin has to change so that a resource can be read."""
    return f"give the integration user the right to read all {kind}, of every owner"


def statuses_of(said: str) -> list[str]:
    """The words of a setting with commas."""
    return [each.strip() for each in said.split(",") if each.strip()]


def folded(said: str) -> frozenset[str]:
    """The same, in small letters."""
    return frozenset(each.casefold() for each in statuses_of(said))


def _count(row: Row, tally: _Tally, kind: str, metric: str, column: str, who: str) -> None:
    try:
        day = day_of(row.get(column))
        if day is None:
            raise ValueError(f"{row.get(column)!r} is no date")  # noqa: TRY301 - handled like any other bad row
    except ValueError as error:
        tally.fault(kind, error, [metric])
        return
    tally.add(metric, who, day)


def _last_worked(deal: OpenDeal, day: date | None) -> OpenDeal:
    return replace(deal, last_activity=day)


def _last_moved(deal: OpenDeal, day: date | None) -> OpenDeal:
    return replace(deal, step_since=day)


def _touch(row: Row, column: str) -> tuple[str, date] | None:
    record = key_of(row.get("OpportunityId"))
    try:
        day = day_of(row.get(column))
    except ValueError:
        return None
    return (record, day) if record and day is not None else None


def _audited(metric: str) -> str:
    named = {"step_moves": "Stage", "close_date_pushes": "EstimatedClose"}
    return named.get(metric) or THINGS[metric.partition(".")[2]][0]


def open_infor(
    settings: InforSettings,
    *,
    clock: Clock | None = None,
    record_link: str | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> InforConnector:
    """Open one installation; nothing is read yet. Arguments as in :func:`bot.connectors.salesforce.open_salesforce`."""
    return InforConnector(settings, clock=clock, record_link=record_link, transport=transport)


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
    open=opener(InforSettings, open_infor),
    settings=InforSettings,
    blank=blank,
    owner="UREHEARSAL01",
)
