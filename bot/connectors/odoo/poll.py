"""One poll of Odoo: every question of queries.py that is wanted, and what came of it (docs/connectors/odoo.md).

One grouped query for each number, whatever the count of people. Events are counted by UTC day; snapshots are as of now, and
never given an older date. Odoo keeps nobody's logins but the latest one, and of a record's changes the last: they are seen at each
poll while a day is fresh, and those of a day gone by are as they were seen on it. What Odoo refuses becomes the coverage of the metrics that need it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Coroutine, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from bot.connectors.asking import Asking, all_of
from bot.connectors.figures import Figures, days_of
from bot.connectors.odoo.answers import Server, id_of
from bot.connectors.odoo.database import Database
from bot.connectors.odoo.queries import (
    CHANGES,
    EVENTS,
    FLAWS,
    MAILS,
    ON_LEADS,
    PIPELINE,
    REQUIRED,
    STATES,
    STEP_SUBTYPES,
    TRACKED,
    UNSUPPORTED,
    UPDATED,
    VALUED,
    Domain,
    Question,
    Row,
    day_of,
    done,
    filled,
    is_fresh,
    number_of,
    pushes,
    span,
    step_moves,
    thresholds,
)
from bot.connectors.odoo.rights import check_leads, grant_for
from bot.connectors.odoo.rows import Roster, is_number, kind_of, with_ids
from bot.connectors.refusals import Denied, NotOffered, TooSlow
from bot.connectors.values import day_or_none
from bot.domain.errors import Permanent, Retryable
from bot.domain.usage import Collected, CoverageStatus, RowFault, Window

PAST = "Odoo tells this as of now only, not for a day gone by"
LAST_LOGIN_ONLY = (
    "Odoo keeps only the latest login of each person: a day is known if it was polled while it ran"
)
LAST_CHANGE_ONLY = "Odoo keeps only the last change of each record: a day's are known if it was polled while it ran, or within twelve hours"
NO_LOGINS = (
    'nobody\'s last login is shown: make the integration user an internal user ("User types / Internal User")'
)
_NOW_ONLY = frozenset({*FLAWS, "pipeline_amount", "field_completeness"})


class Poll(Asking):
    """Every question asked, what came of it kept in figures. ``zone``: whose day it is that somebody logged in on."""

    def __init__(
        self,
        database: Database,
        window: Window,
        metrics: frozenset[str],
        roster: Roster,
        server: Server,
        zone: ZoneInfo,
        *,
        sees_all: bool,
    ) -> None:
        """``sees_all``: the settings say that everybody's opportunities are seen."""
        super().__init__(Figures(window, metrics, UNSUPPORTED, past=PAST))
        self.figures.leave_empty("field_completeness")
        self._database = database
        self._window = window
        self._metrics = metrics
        self._roster = roster
        self._server = server
        self._zone = zone
        self._sees_all = sees_all
        self._days = days_of(window)

    async def read(self, *, now_is: bool) -> None:
        """Ask everything that is wanted; the policy holds back what is more than it allows at once.

        ``now_is``: whether the window's last day is running, so that what is as of now is of that day.
        """
        first, last = self._window.since, self._window.through
        if not now_is:
            for metric in sorted(self._metrics & _NOW_ONLY):
                self.figures.mark(metric, [last], CoverageStatus.UNSUPPORTED, PAST)
            self._metrics -= _NOW_ONLY
        if "active_day" in self._metrics:
            self._logins(now_is=now_is)
        changes = self._metrics & CHANGES
        await self._check_leads()
        fresh = self._fresh()
        tasks: list[Coroutine[Any, Any, None]] = [
            self._events(question, fresh[0] if question in UPDATED else first, last)
            for question in EVENTS
            if self._wants(question.metrics) and (fresh or question not in UPDATED)
        ]
        if self._wants(done({}).metrics):
            tasks.append(self._done(first, last))
        if "step_moves" in self._metrics:
            tasks.append(self._moves(first, last))
        if "close_date_pushes" in self._metrics:
            tasks.append(self._pushed(first, last))
        tasks += [self._state(question) for question in STATES if self._wants(question.metrics)]
        if self._wants(PIPELINE.metrics):
            tasks.append(self._pipeline())
        await self.run(tasks)
        for metric in changes:
            gone = self._days[: len(self._days) - len(fresh)]
            self.figures.mark(metric, gone, CoverageStatus.UNSUPPORTED, LAST_CHANGE_ONLY)

    def parts(self) -> Iterable[Collected]:
        """What was found, day by day, with zeros for everybody listed."""
        listed = {user.crm_id: user.access_since for user in self._roster.users}
        return self.figures.parts(listed, left_out=self._roster.left_out)

    async def _check_leads(self) -> None:
        """What is on leads and opportunities is asked only where everybody's are seen: else there are no groups, and no word."""
        wanted = self._metrics & ON_LEADS
        if not wanted:
            return
        try:
            await check_leads(self._database, self._roster.me, sees_all=self._sees_all)
        except NotOffered:
            return  # without the app each question says so for itself; mails and activities are on contacts as well
        except (Retryable, Permanent) as error:
            self._fail("crm.lead", wanted, self._days, error)
            self._metrics -= wanted

    def _fresh(self) -> list[date]:
        now = self._database.api.server_now()
        return [day for day in self._days if is_fresh(day, now)]

    def _wants(self, metrics: Collection[str]) -> bool:
        return not self._metrics.isdisjoint(metrics)

    # -- kinds of questions ---------------------------------------------------------------------------------------------

    async def _events(self, question: Question, first: date, last: date) -> None:
        """Events of a span; what is too much for the server is asked in halves, down to a day."""

        async def ask(since: date, until: date) -> None:
            days = days_of(Window(since, until))
            domain = question.domain(span(since, until, self._database.api.server_now()))
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
            return await self._database.groups(question, domain, self._server)
        except Denied:
            if not question.fields:
                raise
        counted: Counter[tuple[Any, ...]] = Counter()
        pages = self._database.pages(question.model, domain, question.fields, archived=question.archived)
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
            rows = await self._database.groups(question, domain, self._server)
        except (Retryable, Permanent) as error:
            self._fail(question.model, question.metrics, through, error)
            return
        self._keep(question, rows, through)

    async def _pipeline(self) -> None:
        """Open opportunities, their amount, and how much of what should be filled in is."""
        through = self._window.through
        try:
            found, valued = await all_of(
                [self._database.groups(each, each.domain({}), self._server) for each in (PIPELINE, VALUED)]
            )
        except (Retryable, Permanent) as error:
            self._fail(PIPELINE.model, PIPELINE.metrics, [through], error)
            return
        self._keep(PIPELINE, found, [through])
        amounts = {row.get("user_id"): row for row in valued}
        for who in amounts:
            if not is_number(who):  # somebody's amounts are not known
                fault = RowFault(VALUED.model, 1, "user_id", f"{who!r} is no id")
                self.figures.fault(fault, VALUED.metrics, [through])
        for line, row in enumerate(found, 1):
            who = row.get("user_id")
            try:
                count = number_of(row, "n")
                filled_in = number_of(row, "accounts") + number_of(row, "dates")
                if who in amounts:
                    filled_in += number_of(amounts[who], "n")
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
            rows = await self._database.read("mail.activity.type", [], ("category", "icon"), archived=True)
        except (Retryable, Permanent) as error:
            self._fail("mail.message", done({}).metrics, self._days, error)
            return
        types, faults = with_ids("mail.activity.type", rows)
        question = done({row["id"]: kind_of(row) for row in types})
        for fault in faults:  # what it is a type of is not known
            self.figures.fault(fault, question.metrics, self._days)

        async def ask(since: date, until: date) -> None:
            days, named = days_of(Window(since, until)), span(since, until, self._database.api.server_now())
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
            rows = await self._database.read(
                "mail.message.subtype", [["res_model", "=", "crm.lead"]], ("internal",)
            )
            subtypes, faults = with_ids("mail.message.subtype", rows)
            for fault in faults:  # it may be the one that tells of moves
                self.figures.fault(fault, ["step_moves"], self._days)
            ids = [row["id"] for row in subtypes]
            names = (
                await self._database.call("mail.message.subtype", "get_external_id", {}, ids=ids)
                if ids
                else {}
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
            await _check_tracked(self._database)
            domain = filled(pushes(self._server.major), span(first, last, self._database.api.server_now()))
            count, faults = 0, []
            async with aclosing(self._database.pages("mail.tracking.value", domain, TRACKED)) as pages:
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
            if at.astimezone(self._zone).date() == today:
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
        self.fail(metrics, days, error, grant_for(model))


async def _check_tracked(database: Database) -> None:
    """Raises NotOffered where changes of the expected closing date are not written down: that is Odoo's default."""
    where: Domain = [["model", "=", "crm.lead"], ["name", "=", "date_deadline"]]
    rows = await database.read("ir.model.fields", where, ("tracking",))
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
