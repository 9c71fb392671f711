"""One poll: every list that is wanted, read to its end into counters, and what came of it kept in figures.

What a list says counts when it was read to its end. What the server refuses becomes the coverage of the metrics that need it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial

from bot.connectors.asking import Asking
from bot.connectors.figures import Figures, days_of
from bot.connectors.http import SessionRefused
from bot.connectors.infor.closings import Closings
from bot.connectors.infor.installation import Installation
from bot.connectors.infor.lists import twice
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
    FRESH_FOR,
    LAST_CHANGE_ONLY,
    LOST,
    MODIFIED,
    MOVED_ON,
    NO_SUCH_STATUS,
    NOBODY_LOGGED_IN,
    NOT_AUDITED,
    NOT_AUDITED_CODE,
    ONLY_OUR_OWN,
    OPEN,
    OUTCOMES,
    OVERDUE,
    OWNED,
    PAST,
    READ,
    SEEN_DAYS,
    STATES,
    STEP_FIELDS,
    STRANGE_STATUS,
    THINGS,
    UPDATED,
    WON,
    WORKED_ON,
    WORKED_ON_LATE,
    Question,
    any_of,
    grant,
    literal,
    span,
    statuses_of,
)
from bot.connectors.infor.rows import (
    Roster,
    Row,
    at,
    changes_of,
    day_of,
    deal_of,
    has,
    is_id,
    is_pushed,
    is_true,
    key_of,
    moment_of,
    moved_on,
    task_of,
    worked_on,
)
from bot.connectors.infor.tally import Tally
from bot.connectors.open_records import is_flawed
from bot.connectors.refusals import Denied, NotOffered, TooSlow
from bot.connectors.values import text_of
from bot.domain.errors import Permanent, Retryable, Throttled
from bot.domain.usage import QUIET_DAYS, STUCK_DAYS, CoverageStatus, Window

log = logging.getLogger(__name__)


class Poll(Asking):
    """One poll: every list that is wanted, what came of it kept in figures."""

    def __init__(
        self,
        installation: Installation,
        figures: Figures,
        window: Window,
        metrics: frozenset[str],
        roster: Roster,
    ) -> None:
        super().__init__(figures)
        self._crm = installation
        self._window = window
        self._metrics = metrics
        self._roster = roster
        self._days = days_of(window)
        self._blind: Retryable | Permanent | None = None
        """Why what is not there means nothing."""
        self._counts: Mapping[str, float] | None = None
        """Open opportunities as the server counts them, if it can be believed."""

    async def read(self, *, snapshots: bool) -> None:
        """Ask everything that is wanted; the policy holds back what is more than it allows at once."""
        if self._metrics & READ - {"active_day"}:
            self._blind = await self._blindness()
        tasks = [
            self._spans(question, {f"records_created.{thing}"}, self._created(thing))
            for thing, question in CREATED.items()
            if f"records_created.{thing}" in self._metrics
        ]
        if self._metrics & set(ACTIVITIES):
            tasks.append(self._spans(DONE, set(ACTIVITIES), self._done))
        if self._metrics & set(OUTCOMES):
            tasks.append(self._closings())
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
        if self._blind is not None:
            self._crm.lists.forget_settled()

    async def _blindness(self) -> Retryable | Permanent | None:
        """Why numbers of others would mean nothing; None where an opportunity of somebody else is seen.

        Ownership hides records without a word: whoever sees nothing of anybody sees 0 of everything.
        """
        ours = {self._roster.me} - {""} or self._roster.left_out
        others = " and ".join(f"AccountManager.Id ne {literal(each)}" for each in sorted(ours) if is_id(each))

        def holds(row: Row) -> bool:
            who = key_of(at(row, "AccountManager/$key"))
            return is_id(who) and who not in ours

        try:
            seen = await twice(
                partial(self._crm.lists.has, OWNED, others or "AccountManager.Id ne null", holds)
            )
        except SessionRefused:
            raise
        except (Denied, NotOffered):
            return None  # it is said aloud, and costs what needs opportunities
        except (Retryable, Permanent) as error:
            return error
        return None if seen else Denied(ONLY_OUR_OWN, code="only-our-own")

    def _conclude(self, metrics: Collection[str], days: Sequence[date], error: Permanent) -> None:
        """What follows from rows that are not there: nothing, where nothing of anybody is seen."""
        self.fail(metrics, days, self._blind or error)

    # -- events ---------------------------------------------------------------------------------------------------------

    async def _spans(
        self,
        question: Question,
        metrics: Collection[str],
        take: Callable[[Row, Tally], None],
        *,
        since: date | None = None,
        check: Callable[[Tally], Awaitable[None]] | None = None,
    ) -> None:
        """Events of the whole window, or ``since`` a later day; what takes too long is asked in halves, down to a day.

        ``check``: raises what the rows that came, or did not, mean for the metrics.
        """
        wanted = sorted(self._metrics & set(metrics))

        async def ask(first: date, last: date) -> None:
            days = days_of(Window(first, last))
            try:
                tally = await self._tallied(question, question.where.format_map(span(first, last)), take)
                if check is not None:
                    await check(tally)
            except TooSlow:
                raise
            except (Retryable, Permanent) as error:
                self.fail(wanted, days, error, grant(question.kind))
                return
            self._commit(question.kind, wanted, days, tally)

        def give_up(day: date, error: TooSlow) -> None:
            self.fail(wanted, [day], error)

        await self.by_halves(since or self._window.since, self._window.through, ask, give_up)

    def _created(self, thing: str) -> Callable[[Row, Tally], None]:
        metric = f"records_created.{thing}"

        def take(row: Row, tally: Tally) -> None:
            _count(row, tally, THINGS[thing][0], metric, "CreateDate", key_of(row.get("CreateUser")))

        return take

    def _modified(self, thing: str) -> Callable[[Row, Tally], None]:
        metric, kind = f"records_updated.{thing}", THINGS[thing][0]

        def take(row: Row, tally: Tally) -> None:
            try:
                created, modified = moment_of(row.get("CreateDate")), moment_of(row.get("ModifyDate"))
            except ValueError as error:
                tally.fault(kind, error, [metric])
                return
            if modified is not None and (created is None or modified - created > CREATING):
                tally.add(metric, key_of(row.get("ModifyUser")), modified.date())

        return take

    def _done(self, row: Row, tally: Tally) -> None:
        kind = DONE_AS.get(text_of(row.get("Type")).casefold())
        if kind is not None:
            who = key_of(row.get("CompletedUser")) or key_of(row.get("UserId"))
            _count(row, tally, DONE.kind, f"activities_completed.{kind}", "CompletedDate", who)

    async def _closings(self) -> None:
        """Opportunities that were won and lost. A status of which there is none at all is a wrong word, and no 0."""
        wanted, closings = sorted(self._metrics & set(OUTCOMES)), Closings(self._crm)

        async def ask(first: date, last: date) -> None:
            days = days_of(Window(first, last))
            told: list[str] = []
            unsaid: list[tuple[list[str], NotOffered]] = []
            try:
                tally = await closings.read(first, last)
                for kind, metrics in (("won", WON), ("lost", LOST)):
                    some = sorted(set(metrics) & set(wanted))
                    wrong = await self._wrong_status(kind) if some and kind not in tally.kinds else None
                    if wrong is None:
                        told += some
                    else:
                        unsaid.append((some, wrong))
            except TooSlow:
                raise
            except (Retryable, Permanent) as error:
                self.fail(wanted, days, error, grant(CLOSED.kind))
                return
            self._commit(CLOSED.kind, told, days, tally)
            self._strange(told, days, tally)
            for some, reason in unsaid:
                self._conclude(some, days, reason)

        def give_up(day: date, error: TooSlow) -> None:
            self.fail(wanted, [day], error)

        await self.by_halves(self._window.since, self._window.through, ask, give_up)

    async def _wrong_status(self, kind: str) -> NotOffered | None:
        """That there is no opportunity of a status (``kind``: open, won or lost), and which setting says so."""
        said = statuses_of(str(getattr(self._crm.settings, f"{kind}_status")))
        if await self._crm.lists.has(OWNED, any_of("Status", said), lambda _row: True):
            return None
        variable = self._crm.settings.variable(f"{kind}_status")
        return NotOffered(NO_SUCH_STATUS.format(" or ".join(said), variable), code="no-such-status")

    def _strange(self, metrics: Sequence[str], days: Sequence[date], tally: Tally) -> None:
        """Closings of which nobody said whether they are won or lost: numbers without them are not whole."""
        named = [self._crm.settings.variable(f"{kind}_status") for kind in ("won", "lost", "other")]
        for day in sorted(tally.strange.keys() & set(days)) if self._blind is None else ():
            words = ", ".join(repr(word[:40]) for word in sorted(tally.strange[day])[:5])
            for metric in metrics:
                self.figures.mark(metric, [day], CoverageStatus.PARTIAL, STRANGE_STATUS.format(words, *named))

    async def _logins(self) -> None:
        settings = self._crm.settings
        during = f"{settings.login_date} ge {{a}} and {settings.login_date} lt {{b}}"
        question = Question(
            settings.login_resource,
            f"({settings.login_where}) and {during}" if settings.login_where else during,
            (settings.login_user, settings.login_date),
        )

        def user_of(row: Row) -> str:
            return key_of(at(row, settings.login_user))

        def take(row: Row, tally: Tally) -> None:
            who = user_of(row)
            try:
                day = day_of(at(row, settings.login_date))
            except ValueError as error:
                tally.fault(question.kind, error, ["active_day"])
                return
            if day is not None:
                tally.numbers["active_day", who, day] = 1

        async def check(tally: Tally) -> None:
            if not any(self._is_somebody(who) for _, who, _ in tally.numbers):
                last = self._window.through
                where = question.where.format_map(span(last - timedelta(days=SEEN_DAYS - 1), last))
                if not await self._crm.lists.has(
                    question, where, lambda row: self._is_somebody(user_of(row))
                ):
                    named = map(settings.variable, ("login_where", "login_user", "login_resource"))
                    raise NotOffered(NOBODY_LOGGED_IN.format(*named), code="no-logins")

        await self._spans(question, {"active_day"}, take, check=check)

    def _is_somebody(self, who: str) -> bool:
        return is_id(who) and who != self._roster.me and who not in self._roster.left_out

    # -- audited changes ------------------------------------------------------------------------------------------------

    async def _changes(self) -> None:
        """Audited changes, day by day: a record that somebody changed ten times on a day counts once."""
        wanted = sorted(self._metrics & UPDATED)
        read: list[tuple[date, Tally]] = []
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
                await self._last_changes(metric, given)
                continue
            if not audited:
                self._conclude([metric], given, NotOffered(NOT_AUDITED.format(_audited(metric))))
                continue
            if self._blind is not None:
                self.fail([metric], given, self._blind)
                continue
            self.keep([metric], given, 0)
        for day, tally in read if self._blind is None else ():
            self._commit(CHANGED.kind, [], [day], tally)

    async def _last_changes(self, metric: str, given: Sequence[date]) -> None:
        """Records by their last change, on days that are fresh. Later, whoever changes a record takes it from the day."""
        now, thing = self._crm.api.server_now(), metric.partition(".")[2]
        fresh = [
            day for day in given if datetime.combine(day + timedelta(days=1), time(), UTC) + FRESH_FOR > now
        ]
        gone = [day for day in given if day not in fresh]
        if fresh:
            await self._spans(MODIFIED[thing], {metric}, self._modified(thing), since=min(fresh))
        self._conclude([metric], gone, NotOffered(LAST_CHANGE_ONLY.format(_audited(metric))))

    def _change(
        self, row: Row, tally: Tally, *, seen: set[tuple[str, str, str]], about: set[str], day: date
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
                column = f"{error}: set {self._crm.settings.variable('audit_dates')}"
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

        def take(row: Row, tally: Tally) -> None:
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
        where = self._crm.open_where()
        for metric, (name, condition) in COUNTED.items():
            if metric in wanted and await self._by_metric(metric, name, condition.format(open=where)):
                left.discard(metric)
        if left:
            await self._by_list(left, where)

    async def _by_metric(self, metric: str, name: str, where: str) -> bool:
        """Whether the server counts this, and did, and can be believed. It need not: its metrics differ by installation."""
        try:
            found = await self._crm.lists.counted(name, where)
            if not await self._is_believed(metric, name, where, found):
                log.info("infor.metric_not_believed", extra={"source": self._crm.settings.name})
                return False
        except (SessionRefused, Throttled) as error:
            self.fail([metric], [self._window.through], error)
            return True
        except (Retryable, Permanent) as error:
            log.info(
                "infor.metric_not_counted", extra={"source": self._crm.settings.name, "code": error.code}
            )
            return False
        tally = Tally(rows=len(found))
        for who, number in found.items():
            tally.add(metric, who, self._window.through, number)
        self._commit(OPEN.kind, [metric], [self._window.through], tally)
        return True

    async def _is_believed(self, metric: str, name: str, where: str, found: Mapping[str, float]) -> bool:
        """Whether a metric of the server counts what the condition says.

        The count of open opportunities is as many as the list of them has. A sum says by itself nothing of what it is of: it is
        of the same people, and of nothing where the condition is one that nothing meets.
        """
        counts = self._counts
        if counts is None:
            counted = metric == "opps_open"
            counts = found if counted else await self._crm.lists.counted(COUNTED["opps_open"][0], where)
            total = await self._crm.lists.total(OWNED, where)
            if not total or sum(counts.values()) != total or counts.keys() <= {self._roster.me}:
                return False
            self._counts = counts
        if metric == "opps_open":
            return True
        closed = (f"Status ne {literal(each)}" for each in statuses_of(self._crm.settings.open_status))
        nothing = " and ".join([where, *closed])
        return {who for who, number in found.items() if number} <= counts.keys() and not any(
            (await self._crm.lists.counted(name, nothing)).values()
        )

    async def _by_list(self, wanted: set[str], where: str) -> None:
        """Every open opportunity, for what is wanted of them."""
        today, question = self._window.through, self._crm.open_deals()
        worked = await self._look_back(
            wanted, "opps_no_activity_30d", QUIET_DAYS, WORKED_ON, worked_on, WORKED_ON_LATE
        )
        moved = await self._look_back(wanted, "opps_stuck_step", STUCK_DAYS, MOVED_ON, moved_on)
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

        def take(row: Row, tally: Tally) -> None:
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
        if self._blind is not None:
            self.fail(wanted, [today], self._blind)
            return
        me = self._roster.me
        if me and owned.keys() == {me} and any(user.crm_id != me for user in self._roster.users):
            self.fail(wanted, [today], Denied(grant(question.kind), code="only-our-own"))
            return
        if not tally.rows:
            setting = self._crm.settings.variable("open_status")
            words = " or ".join(statuses_of(self._crm.settings.open_status))
            self.fail(
                wanted, [today], NotOffered(NO_SUCH_STATUS.format(words, setting), code="no-such-status")
            )
            return
        steps = not self._crm.lists.is_absent(question, question.spare[0]) and said
        if not steps and "opps_no_next_step" in wanted:
            self.fail(["opps_no_next_step"], [today], self._crm.no_next_step())
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
        late: Question | None = None,
    ) -> Mapping[str, date]:
        """Opportunities that something happened to in so many days. Where that cannot be read, the metric is not wanted."""
        if metric not in wanted:
            return {}
        today = self._window.through
        try:
            first = today - timedelta(days=days - 1)
            found = await self._crm.lists.touched(question, first, today, take, late)
            if question is MOVED_ON and not found:
                await self._crm.expect_audited_steps()
        except (Retryable, Permanent) as error:
            absent = isinstance(error, NotOffered) and error.code == NOT_AUDITED_CODE
            self.fail([metric], [today], (self._blind if absent else None) or error, grant("history"))
            wanted.discard(metric)
            return {}
        return found

    # -- keeping --------------------------------------------------------------------------------------------------------

    async def _tallied(
        self,
        question: Question,
        where: str,
        take: Callable[[Row, Tally], None],
        begin: Callable[[], None] | None = None,
    ) -> Tally:
        """A list, counted to its end. ``begin``: what else has to be empty when it begins anew."""

        async def read() -> Tally:
            if begin is not None:
                begin()
            tally = Tally()
            async for row in self._crm.lists.rows(question, where):
                tally.rows += 1
                take(row, tally)
            return tally

        return await twice(read)

    def _commit(self, kind: str, metrics: Sequence[str], days: Sequence[date], tally: Tally) -> None:
        """Numbers of people, on these days; and what could not be read of them."""
        if self._blind is not None and "active_day" not in metrics:
            self.fail(metrics, days, self._blind)
            return
        figures, inside = self.figures, frozenset(days)
        self.keep(metrics, days, tally.rows)
        for (metric, who, day), number in tally.numbers.items():
            if not is_id(who):
                tally.unowned += 1
            elif day in inside:
                figures.add(metric, who, day, number)
        for fault, touched, on in tally.faults:
            figures.fault(fault, sorted(self._metrics & set(touched)), days if on is None else [on])
        for (touched, on), why in tally.spoiled.items():
            for metric in sorted(self._metrics & set(touched)):
                said = f"rows could not be read: {why}"
                figures.mark(metric, days if on is None else [on], CoverageStatus.PARTIAL, said)
        if tally.unowned:
            figures.note(f"{kind} of nobody", tally.unowned)
        if tally.unread:
            figures.note(f"{kind} that cannot be read", tally.unread)


def _count(row: Row, tally: Tally, kind: str, metric: str, column: str, who: str) -> None:
    try:
        day = day_of(row.get(column))
        if day is None:
            raise ValueError(f"{row.get(column)!r} is no date")  # noqa: TRY301 - handled like any other bad row
    except ValueError as error:
        tally.fault(kind, error, [metric])
        return
    tally.add(metric, who, day)


def _audited(metric: str) -> str:
    named = {"step_moves": "Stage", "close_date_pushes": "EstimatedClose"}
    return named.get(metric) or THINGS[metric.partition(".")[2]][0]
