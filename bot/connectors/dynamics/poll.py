"""One poll of Dynamics 365: every question that is asked of it, and what its answers and refusals mean for each metric."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bot.connectors.asking import Asking, all_of
from bot.connectors.dynamics.answers import NotUnderstood, TooMany
from bot.connectors.dynamics.audit import Organisation, audit_begins, audited_tables, organisation
from bot.connectors.dynamics.counting import Tally, tallied
from bot.connectors.dynamics.environment import Environment, Way
from bot.connectors.dynamics.queries import (
    ACTIVITY,
    AUDIT,
    AUDIT_STARTED,
    CLOSED,
    CLOSINGS,
    DEAL_STATES,
    EVENTS,
    GOAL,
    GOALS,
    LOST,
    OPEN,
    OPPORTUNITY,
    PLANNED,
    RECORDS,
    SECURABLE,
    TASK,
    WON,
    Condition,
    Question,
    accessed,
    audited,
    by_table,
    day_begins,
    deal_columns,
    grant,
    modified,
    required,
    states,
)
from bot.connectors.dynamics.records import last_activities
from bot.connectors.dynamics.rows import Reader, Roster, attainment, id_of, listed, utc_day
from bot.connectors.figures import Figures, days_of, halves
from bot.connectors.http import SessionRefused
from bot.connectors.open_records import is_flawed, quiet_day
from bot.connectors.refusals import Denied, NotOffered, TooSlow
from bot.domain.errors import Permanent, Retryable
from bot.domain.usage import CoverageStatus, RowFault, Window

AGES = (30, 90, 365)
"""Days ago between which open opportunities are counted apart where they are too many to be counted at once."""
HALVED = 2
"""How often a span of ages that is still too much is halved, before all open opportunities are read row by row instead."""
AUDIT_LATE = timedelta(hours=48)
"""How long after the end of a day rows of the audit may still come."""
BOOKED_LATE = timedelta(days=27)
"""How long ago a deal may have been closed that is booked now, and still counts on the day of its closing."""
FRESH = timedelta(hours=12)
"""How long after the end of a day who changed a record last is taken for who changed it that day."""
MOST_HOURS = 8
"""Longest interval of access rows with which a day at work has one: with more, somebody who comes a little earlier each day
has none every second day."""
PAST = "Dataverse tells this as of now only, not for a day gone by"


class Poll(Asking):
    """Every question asked, what came of it kept in figures. ``access``: audit actions that are a person's access."""

    def __init__(
        self,
        crm: Environment,
        figures: Figures,
        window: Window,
        metrics: frozenset[str],
        roster: Roster,
        access: Sequence[int],
    ) -> None:
        super().__init__(figures)
        self._crm = crm
        self._window = window
        self._metrics = metrics
        self._roster = roster
        self._access = access
        self._by_audit: dict[tuple[str, str, date], float] = {}
        """Changed records by the audit: (metric, user, day) -> how many."""

    async def read(self, snapshots: bool) -> None:
        """Ask everything that is wanted; the policy holds back what is more than it allows at once."""
        first, last = self._window.since, self._window.through
        tasks: list[Coroutine[Any, Any, Any]] = [
            self._events(question, first, last) for question in EVENTS if self._wants(question)
        ]
        if self._wants(WON):
            tasks.append(self._won(first, last))
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

    async def _events(self, question: Question, first: date, last: date) -> list[date]:
        """Events of a span; the days that were answered."""
        fit = self._fitted(question, days_of(Window(first, last)))
        return [] if fit is None else await self._span(fit, first, last)

    async def _span(self, question: Question, first: date, last: date) -> list[date]:
        """What is too much for the server is asked in halves; a day that is still too much is read row by row.

        Changes of too many records are asked for one table after the other before that.

        How long a span was too much is remembered for the next polls.
        """
        days = days_of(Window(first, last))
        until, refused = self._crm.api.server_now(), self._crm.learned.refused
        known = refused.get(question.metrics, len(days) + 1) <= len(days)
        parts = by_table(question)
        if known and parts:
            return await self._each(parts, first, last)
        if known and first != last:
            return [day for half in halves(first, last) for day in await self._span(question, *half)]
        try:
            try:
                tally = await tallied(
                    self._crm,
                    question,
                    first,
                    last,
                    until=until,
                    way=Way.ROWS if known else None,
                    people=len(self._roster.known),
                )
            except TooMany:
                refused[question.metrics] = min(refused.get(question.metrics, len(days)), len(days))
                if parts:
                    return await self._each(parts, first, last)
                if first != last:
                    raise
                tally = await tallied(self._crm, question, first, last, until=until, way=Way.ROWS)
        except TooSlow as error:
            if first == last:
                self._fail(question, days, error)
                return []
            return [day for half in halves(first, last) for day in await self._span(question, *half)]
        except (Retryable, Permanent) as error:
            self._fail(question, days, error)
            return []
        self._keep(tally, days)
        return days

    async def _each(self, questions: Sequence[Question], first: date, last: date) -> list[date]:
        """One question of a span in several; the days that all of them were answered for."""
        answered = await all_of([self._span(question, first, last) for question in questions])
        return [day for day in days_of(Window(first, last)) if all(day in some for some in answered)]

    async def _won(self, first: date, last: date) -> None:
        """Opportunities won, what they are worth, and days from creation to winning, row by row."""
        fit = self._fitted(WON, days_of(Window(first, last)))
        if fit is not None:
            await self._won_in(fit, first, last)

    async def _won_in(self, fit: Question, first: date, last: date) -> None:
        days = days_of(Window(first, last))
        where = (*fit.where, *self._crm.wording.moments(fit, first, last))
        found: defaultdict[tuple[str, date], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        faults: list[RowFault] = []
        line = teams = 0
        columns = tuple(dict.fromkeys((fit.person, fit.moment, *fit.sums.values(), *fit.filled.values())))
        try:
            async for row in self._crm.rows(OPPORTUNITY, columns, where):
                line += 1
                try:
                    group = listed(fit, row)
                except ValueError as error:
                    faults.append(RowFault(OPPORTUNITY.rows, line, "", str(error)))
                    continue
                begun = utc_day(row.get("createdon"))
                if group.day is None or (begun is None and fit.filled):
                    faults.append(RowFault(OPPORTUNITY.rows, line, fit.moment, "a day cannot be read"))
                    continue
                if group.who not in self._roster.known:
                    teams += 1
                    continue
                own = found[group.who, group.day]
                own[0] += 1
                own[1] += group.sums.get("amount", 0.0)
                own[2] += max((group.day - begun).days, 0) if begun is not None else 0
        except TooSlow as error:
            if first == last:
                self._fail(fit, days, error)
                return
            for half in halves(first, last):
                await self._won_in(fit, *half)
            return
        except (Retryable, Permanent) as error:
            self._fail(fit, days, error)
            return
        self.keep(fit.metrics, days, line)
        for fault in faults:
            self.figures.fault(fault, fit.metrics, days)
        if teams:
            self.figures.note(f"{OPPORTUNITY.rows} of teams", teams)
        for (who, day), numbers in found.items():
            for metric, number in zip(WON.metrics, numbers, strict=True):
                if metric in fit.metrics and day in days:
                    self.figures.add(metric, who, day, number)

    async def booked_late(self) -> Window | None:
        """Days before the window on which deals were closed that were booked in it: closings of these days are to be
        counted again, all of them. A deal counts on the day of its closing, whichever poll finds it.
        """
        first, last = self._window.since, self._window.through
        oldest = last - BOOKED_LATE
        if oldest >= first or not CLOSINGS & self._metrics:
            return None
        fit, _ = LOST.fitted(self._crm.schema)
        if fit is None or self._crm.refused(OPPORTUNITY) is not None:
            return None
        if not self._crm.schema.has(OPPORTUNITY.rows, "modifiedon"):
            return None
        before = first - timedelta(days=1)
        booked = (
            CLOSED,
            Condition("modifiedon", "ge", first),
            Condition("modifiedon", "lt", last + timedelta(days=1)),
            *self._crm.wording.moments(fit, oldest, before),
        )
        try:
            # The page with the earliest of them says from when on; no other is read.
            found = self._crm.rows(OPPORTUNITY, (fit.moment,), booked, order=fit.moment)
            async with aclosing(found) as rows:
                row = await anext(rows, None)
        except TooSlow:
            return Window(oldest, before)
        except SessionRefused:
            raise
        except (Retryable, Permanent) as error:
            self.failures.append(error)  # what it would have found, the next polls are asked for as well
            return None
        if row is None:
            return None
        return Window(max(utc_day(row.get(fit.moment)) or oldest, oldest), before)

    # -- the audit ------------------------------------------------------------------------------------------------------

    async def _audits(self, updates: Sequence[str]) -> None:
        """Who opened the CRM and who changed what, as far as the environment records it."""
        try:
            kept, begun = await self._audit_kept()
        except (Retryable, Permanent) as error:
            if "active_day" in self._metrics:
                self.fail(["active_day"], days_of(self._window), error, grant(AUDIT))
            if isinstance(error, Retryable):  # there may be an audit: by next time it is known
                self.fail(
                    [f"records_updated.{RECORDS[name]}" for name in updates], days_of(self._window), error
                )
                return
            await self._modified(updates, str(error) or grant(AUDIT))
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
        kept = await organisation(self._crm)
        return kept, (await audit_begins(self._crm)) if kept.audit else {}

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
        late = "rows of the audit may come up to two days late: read again until then"
        self.figures.mark("active_day", self._younger(read, AUDIT_LATE), CoverageStatus.PARTIAL, late)
        if kept.interval > MOST_HOURS:
            why = f"access is recorded every {kept.interval} hours only, which leaves days out: set the interval to 4"
            self.figures.mark("active_day", read, CoverageStatus.PARTIAL, why)
        await self._events(accessed(self._access), read[0], read[-1])

    def _younger(self, days: Sequence[date], age: timedelta) -> list[date]:
        """Those of the days that run, or ended less than so long ago."""
        now = self._crm.api.server_now()
        return [day for day in days if now < day_begins(day + timedelta(days=1), None) + age]

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
                known = await audited_tables(self._crm)
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
        answered = await self._events(audited(names), asked[0], asked[-1])
        await all_of(
            [self._overtake(name, reaches[f"records_updated.{RECORDS[name]}"], answered) for name in names]
        )
        for metric, days in reaches.items():
            early = [day for day in asked if day not in days]
            why = "the audit does not reach back to this day"
            self.figures.mark(metric, early, CoverageStatus.UNSUPPORTED, why)

    async def _overtake(self, name: str, days: Sequence[date], answered: Sequence[date]) -> None:
        """Changes of the newest days, of which the audit may be late: by who changed a record last, at once.

        The larger of both numbers counts; when the day is read again the audit has what the other does not see.
        """
        late = self._younger(days, AUDIT_LATE)
        if late and set(late) <= set(answered):
            await self._events(modified(name), late[0], late[-1])

    async def _modified(self, names: Sequence[str], why: str) -> None:
        """Changed records by who changed them last, on days so new that this is nearly who changed them then.

        Of older days it is not asked: what was read on the day itself stays.
        """
        days = days_of(self._window)
        fresh = self._younger(days, FRESH)
        said = f"only the last change of each record is known, and that by now is of a later day: {why}"
        for name in names:
            metric = f"records_updated.{RECORDS[name]}"
            self.figures.mark(
                metric, [day for day in days if day not in fresh], CoverageStatus.UNSUPPORTED, said
            )
        if fresh:
            await all_of([self._events(modified(name), fresh[0], fresh[-1]) for name in names])

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
            if fit is None or not fit.metrics:
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
        # All open opportunities first: where they are too many for one count, the others need not find that out again.
        counted.sort(key=lambda question: "opps_open" not in question.metrics)
        for some in (counted[:1], counted[1:]):
            left = await all_of([self._state(question) for question in some])
            scanned += await self._by_age([question for question in left if question is not None])
        if scanned:
            await self._scan(scanned)

    async def _state(self, question: Question) -> Question | None:
        """A snapshot by one count; gives the question back when it has to be counted in parts, or its rows be read."""
        today, refused = self._window.through, self._crm.learned.refused
        if question.table is OPPORTUNITY and (
            question.metrics in refused or len(merged(self._crm.learned.ages, today, self._crm.few)) == 2
        ):
            refused.setdefault(question.metrics, 1)
            return question
        try:
            tally = await tallied(self._crm, question, today, today)
        except TooMany:
            if question.table is OPPORTUNITY:
                refused[question.metrics] = 1
                return question
            try:
                tally = await tallied(self._crm, question, today, today, way=Way.ROWS)
            except (Retryable, Permanent) as again:
                self._fail(question, [today], again)
                return None
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

    async def _by_age(self, questions: Sequence[Question]) -> list[Question]:
        """Opportunities of one age after the other, where all of them are too many to be counted at once.

        How many are of which age is learned from the question that counts all of them, or, where that was no question of too
        many, found by halving: so the others are asked for spans that are neither too much nor too many. Gives back those
        that have to be read row by row: not counted by FetchXML, or with too many opportunities of a single age.
        """
        learned = self._crm.learned
        refused = learned.refused
        left = [question for question in questions if question.metrics not in refused]
        several = [question for question in questions if question.metrics in refused]
        several.sort(key=lambda question: "opps_open" not in question.metrics)
        today = self._window.through
        for question in several:
            if learned.dense:
                left.append(question)
                continue
            whole = Tally(question)
            ages: list[tuple[date, date, int]] = []
            spans = merged(learned.ages, today, self._crm.few) or age_spans(today)
            try:
                for first, last in spans:
                    await self._add_ages(whole, question, first, last, HALVED, ages)
            except TooMany:
                learned.dense = True
                left.append(question)
            except (Retryable, Permanent) as failed:
                self._fail(question, [today], failed)
            else:
                self._keep(whole, [today])
                if "opps_open" in question.metrics and not learned.ages:
                    learned.ages = ages
        return left

    async def _add_ages(
        self,
        whole: Tally,
        question: Question,
        first: date,
        last: date,
        halved: int,
        ages: list[tuple[date, date, int]],
    ) -> None:
        born = (Condition("createdon", "ge", first), Condition("createdon", "lt", last + timedelta(days=1)))
        part = replace(question, where=(*question.where, *born))
        try:
            tally = await tallied(self._crm, part, last, last)
        except TooMany:
            if first == last or not halved:
                raise
            for half in halves(first, last):
                await self._add_ages(whole, question, *half, halved - 1, ages)
            return
        ages.append((first, last, int(sum(tally.counts.values()))))
        whole.rows += tally.rows
        whole.faults += tally.faults
        for key, count in tally.counts.items():
            whole.counts[key] = whole.counts.get(key, 0.0) + count
        for key, sums in tally.sums.items():
            known = whole.sums.setdefault(key, {})
            for alias, number in sums.items():
                known[alias] = known.get(alias, 0.0) + number

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
                recent = await last_activities(self._crm, (Condition("modifiedon", "ge", quiet_day(today)),))
            if "opps_no_next_step" in metrics and not habits.next_step:
                planned = await last_activities(self._crm, PLANNED)
            async for row in self._crm.rows(OPPORTUNITY, deal_columns(self._crm.habits), (OPEN,)):
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
            self.fail(["quota_attainment"], [today], error, grant(GOAL))
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

    def keep(self, metrics: Iterable[str], days: Sequence[date], rows: int) -> None:
        """As for every CRM; but what may be a part only, for all that Dataverse says of our rights, is said to be one."""
        metrics = list(metrics)
        super().keep(metrics, days, rows)
        for metric in metrics:
            securable = metric in SECURABLE or (metric == "opps_no_next_step" and self._crm.habits.next_step)
            why = self._crm.unsure_rights or (self._crm.unsure_columns if securable else "")
            if why:
                self.figures.mark(metric, days, CoverageStatus.PARTIAL, why)

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
                figures.add(
                    metric, who, day or self._window.through, self._more(question, metric, who, day, number)
                )

    def _more(self, question: Question, metric: str, who: str, day: date | None, number: float) -> float:
        """What a number adds to what the audit has said of the same day: changes come from both, and count once."""
        if day is None or not metric.startswith("records_updated."):
            return number
        key = metric, who, day
        if question.table is AUDIT:
            self._by_audit[key] = self._by_audit.get(key, 0.0) + number
            return number
        return max(number - self._by_audit.get(key, 0.0), 0.0)

    def _fail(self, question: Question, days: Sequence[date], error: Retryable | Permanent) -> None:
        self.fail(question.metrics, days, error, grant(question.table))


def age_spans(today: date) -> list[tuple[date, date]]:
    """Days of creation, all until today, in spans that are shorter the newer they are."""
    edges = [date(1990, 1, 1), *(today - timedelta(days=age) for age in reversed(AGES))]
    ends = [*(edge - timedelta(days=1) for edge in edges[1:]), today]
    return list(zip(edges, ends, strict=True))


def merged(ages: Sequence[tuple[date, date, int]], today: date, few: int) -> list[tuple[date, date]]:
    """Spans of ages, each with so many opportunities -> fewer spans, each with no more than ``few``; all until today."""
    found: list[tuple[date, date]] = []
    held = 0
    for first, last, count in sorted(ages):
        if found and held + count <= few:
            found[-1], held = (found[-1][0], last), held + count
        else:
            found.append((first, last))
            held = count
    if found:
        found[-1] = (found[-1][0], max(found[-1][1], today))
    return found
