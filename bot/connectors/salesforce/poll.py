"""One poll of Salesforce: every question asked, and what came of each kept in figures.

What Salesforce refuses becomes the coverage of the metrics that need it, with what the admin has to change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from bot.connectors.asking import Asking, all_of
from bot.connectors.figures import Figures, days_of, halves
from bot.connectors.kept import KeptSpans
from bot.connectors.refusals import Denied, FieldHidden, NotOffered, TooSlow
from bot.connectors.salesforce.answers import NOT_HERE, grant
from bot.connectors.salesforce.courier import EVERYBODY, TIMED_OUT, Courier, Range, TooMany, middle
from bot.connectors.salesforce.offer import Offer
from bot.connectors.salesforce.queries import (
    ACTIVITIES,
    CHANGES,
    EVENTS,
    EVERY_PAGE,
    FEATURES,
    FLAWS,
    GROUPS,
    HISTORIES,
    LOGINS,
    LOGINS_OF_PEOPLE,
    MOBILE,
    MOST_PUSHES,
    NEEDING,
    OF_PERIOD,
    OPENED,
    PAGES,
    PAST,
    PERIODS,
    PUSHES,
    PUSHES_A_DAY,
    QUOTAS,
    READ,
    REQUIRED,
    SINGLY,
    STATES,
    TRACKED,
    WON,
    Question,
    Row,
    amount_of,
    by_a_person,
    by_days,
    lacking,
    pipeline,
    pushed,
    quota_of,
    running_period,
    span,
    thresholds,
)
from bot.connectors.salesforce.rows import Roster, is_id
from bot.domain.errors import FullsteamError, Permanent, Retryable
from bot.domain.usage import METRICS, CoverageStatus, MetricKind, RowFault, Window

HALVINGS, HALVINGS_OF_OURS = 4, 3
"""How often in a row a span is halved for a question that takes too long, and where we were the ones who gave up: that takes
a time-out each, and a fifth failure in a row would close the door for every other question.
"""
_Name = tuple[str, ...]
"""What a question is known by: its object and metrics."""
_MOVED_DATES: _Name = ("OpportunityFieldHistory", "close_date_pushes")
LOOK_BACK = timedelta(days=30)
"""How far back it is looked whether anything is ever seen of what seems empty."""
STEPS_OF_HALVING = 3
"""How often everybody is halved for a query that takes too long: eighths."""
OTHERS = frozenset({"tasks_overdue", *(ACTIVITIES - {"opps_no_activity_30d"})})
"""Metrics of tasks and events, which are seen by whom they are shared with."""
GOVERNED = READ - {"active_day", *FEATURES}
"""Metrics of records, of which we see everybody's by our rights only: without them others' are missing, and nobody says so."""
SNAPSHOTS = frozenset(key for key, metric in METRICS.items() if metric.kind is MetricKind.SNAPSHOT)
NOT_TRACKED = "no such change was kept for 30 days"
NEXT_DAY = "Salesforce tells it a day later"
_MISUNDERSTOOD = frozenset({"malformed", "invalid-field", "http-400"})
"""How it refuses a condition that a field does not take: MALFORMED_QUERY, INVALID_FIELD, INVALID_QUERY_FILTER_OPERATOR."""


class Poll(Asking):
    """One poll: every question asked, what came of it kept in figures."""

    def __init__(
        self,
        courier: Courier,
        empty: Callable[[Window], Figures],
        window: Window,
        metrics: frozenset[str],
        roster: Roster,
        offer: Offer,
        *,
        spans: KeptSpans,
        forecast_type: str,
        server_now: Callable[[], datetime],
    ) -> None:
        super().__init__(empty(window))
        self._empty = empty
        self._courier = courier
        self._window = window
        self._metrics = self._wanted = metrics
        self._me = roster.me
        self._known = _without_the_last(roster.known, roster.left_out)
        self._people = len(roster.users)
        self._hidden = set(offer.hidden)
        self._uncountable: set[str] = set()
        self._unfiltered: set[str] = set()
        """Objects whose fields may not be filtered with LIKE."""
        self._answers: dict[str, asyncio.Task[Sequence[Row]]] = {}
        self._spans = spans
        self._given_up: dict[_Name, TooSlow] = {}
        self._offer = offer
        self._forecast_type = forecast_type
        self._server_now = server_now
        self._days = days_of(window)
        self._hopeless: set[tuple[str, ...]] = set()

    async def read(self, part: Window, snapshots: bool) -> None:
        """Ask everything that is wanted of some days, into new figures; the policy holds back what is more than it allows at once."""
        self.figures, self._days = self._empty(part), days_of(part)
        self.answered = False  # days of which nothing at all is answered are left for the next poll
        self.failures = []
        first, last = part.since, part.through
        wanted = self._wanted
        if self._offer.unread is not None:
            self._leave_out(self._offer.unread, [last] if snapshots else [])
        tasks: list[Coroutine[Any, Any, None]] = [
            self._events(each, first, last)
            for question in EVENTS
            for each in self._for_so_many(question)
            if self._wants(each.metrics)
        ]
        tasks += self._of_features()
        if "active_day" in self._metrics:
            tasks.append(self._logins())
        if "close_date_pushes" in self._metrics:
            tasks.append(self._of_span(_MOVED_DATES, first, last, self._pushes, self._too_many_pushes))
        if snapshots:
            tasks += [self._state(question) for question in STATES if self._wants(question.metrics)]
            tasks.append(self._by_fields())
            if "quota_attainment" in self._metrics:
                tasks.append(self._quotas())
        else:
            late = {*FLAWS, "pipeline_amount", "field_completeness", "quota_attainment"}
            for metric in sorted(wanted & late):
                self.figures.mark(metric, [last], CoverageStatus.UNSUPPORTED, PAST)
        await self.run(tasks)
        if self._offer.blind:
            self._silence_activities()

    def _leave_out(self, error: Retryable, today: Sequence[date]) -> None:
        """What is not asked for because our rights could not be: it may be a part only. ``today``: the day of snapshots."""
        left_out = _of_records(self._wanted)
        for metrics, days in ((left_out - SNAPSHOTS, self._days), (left_out & SNAPSHOTS, today)):
            if metrics:
                self.fail(sorted(metrics), days, error)
        self._metrics = self._wanted - left_out

    def _silence_activities(self) -> None:
        """Others' tasks and events are missing, and nobody says which: what was counted of them is too low."""
        for metric in sorted(self._metrics & OTHERS):
            days = [self._window.through] if metric in FLAWS else self._days
            self.figures.mark(metric, days, CoverageStatus.DENIED, grant("Task"))

    @property
    def _is_part(self) -> bool:
        """Whether some days of the poll are read, and the others before or after them."""
        return len(self._days) < len(days_of(self._window))

    def _wants(self, metrics: Iterable[str]) -> bool:
        return not self._metrics.isdisjoint(metrics)

    # -- how many there are ---------------------------------------------------------------------------------------------

    def _is_crowd(self, groups: int) -> bool:
        """Whether there is no room in one query when everybody has so many groups."""
        return self._people * groups > GROUPS

    def _for_so_many(self, question: Question) -> Sequence[Question]:
        """A question, or, for one day of a crowd, its parts: each is one query for as many people as it has groups."""
        if len(self._days) == 1 and question.parts and self._is_crowd(len(question.parts) - 1):
            return question.parts
        return (question,)

    def _of_features(self) -> Sequence[Coroutine[Any, Any, None]]:
        pages = [FEATURES[metric] for metric in PAGES if metric in self._metrics]
        tasks = []
        if len(pages) > 1 and not self._is_part and not self._is_crowd(len(self._days) * len(pages)):
            tasks.append(self._pages(pages))
        elif pages:
            tasks.append(self._apart(pages))
        if self._wants(MOBILE.metrics):
            crowd = self._is_part or self._is_crowd(2 * len(self._days))
            tasks.append(self._mobile(crowd))
        return tasks

    # -- kinds of questions ---------------------------------------------------------------------------------------------

    async def _asked(self, question: Question, where: Mapping[str, str], days: int = 1) -> Sequence[Row]:
        """The groups of a question. What takes too long for a day is asked for half of the people at a time.

        Raises TooSlow when an eighth of them is too much as well: then it is not tried again for another day.
        """
        if not self._offer.has(question.entity):
            raise Denied("", code="denied")
        known = self._known
        try:
            return await self._groups(question, where, EVERYBODY, known)
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

    async def _groups(
        self,
        question: Question,
        where: Mapping[str, str],
        people: Range = EVERYBODY,
        known: Sequence[str] = (),
    ) -> Sequence[Row]:
        """All groups of a question (see Courier). Raises FieldHidden for what is known not to be there."""
        if question.entity == "Opportunity":
            for name in sorted(question.fields & self._hidden):
                raise FieldHidden(name, question.entity)
        try:
            return await self._courier.groups(question, where, people, known)
        except FieldHidden as error:
            if question.entity == "Opportunity":
                self._hidden.add(error.field)
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
                rows += await self._groups(question, where, part, self._known)
            except TooSlow:
                rows += await self._halved(question, where, part, steps - 1)
        return rows

    async def _of_span(
        self,
        name: _Name,
        first: date,
        last: date,
        ask: Callable[[date, date], Coroutine[Any, Any, None]],
        give_up: Callable[[Sequence[date], TooSlow], None],
    ) -> None:
        """Ask for a span, for as many days at once as were not too much for the server lately."""
        days = days_of(Window(first, last))
        most = self._spans.most(name) or len(days)
        for at in range(0, len(days), most):
            part = days[at : at + most]
            await self._by_halves(name, part, ask, give_up)

    async def _by_halves(
        self,
        name: _Name,
        days: Sequence[date],
        ask: Callable[[date, date], Coroutine[Any, Any, None]],
        give_up: Callable[[Sequence[date], TooSlow], None],
        halved: int = 0,
    ) -> None:
        """Ask for days; what is too much is asked in halves, down to a day. What takes too long again and again is left."""
        if (known := self._given_up.get(name)) is not None:
            give_up(days, known)
            return
        first, last = days[0], days[-1]
        try:
            await ask(first, last)
        except TooMany as error:
            if first == last:
                give_up(days, error)
                return
            # Known at once: both halves may share requests.
            await all_of(
                [
                    self._by_halves(name, days_of(Window(*half)), ask, give_up, halved)
                    for half in halves(first, last)
                ]
            )
        except TooSlow as error:
            self._spans.too_much(name, len(days))
            if _is_hopeless(halved, error):
                self._given_up[name] = error
            if first == last or name in self._given_up:
                give_up(days, error)
                return
            for half in halves(first, last):
                await self._by_halves(name, days_of(Window(*half)), ask, give_up, halved + 1)

    async def _events(self, question: Question, first: date, last: date) -> None:
        """Events of a span."""

        async def ask(since: date, through: date) -> None:
            await self._events_of(question, since, through)

        def give_up(days: Sequence[date], error: TooSlow) -> None:
            self._fail(question.entity, question.metrics, days, _given_up(error))

        await self._of_span((question.entity, *question.metrics), first, last, ask, give_up)

    async def _events_of(self, question: Question, first: date, last: date) -> None:
        """Events of days that are asked for at once. Raises TooSlow."""
        until = self._server_now() if question.entity == "Event" else None
        where, days = span(first, last, until), days_of(Window(first, last))
        try:
            answers = [
                (each, await self._asked(each, where, len(days))) for each in (question, *question.also)
            ]
            if question.entity in _RECORDS and not answers[0][1]:
                await self._check_tracked(question)
        except TooMany:
            if first != last or not question.simpler:
                raise
            await all_of([self._events(each, first, last) for each in question.simpler])
        except TooSlow:
            raise
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
        """Raises NotOffered where nothing was kept of anybody for long: a history that is off has no rows."""
        if question.entity == HISTORIES["opportunity"][0]:
            await self._check_changes("StageName" if question.metrics == ("step_moves",) else "")
            return
        soql = TRACKED.format(history=question.entity, **_only(self._long(), "a", "b"))
        _check_kept(question.entity, await self._once(soql))

    async def _check_changes(self, field: str) -> None:
        """The same of a field of opportunities, "" for any: asked once for all of them."""
        rows = await self._once(CHANGES.format_map(self._long()))
        changed = frozenset(str(row.get("Field")).casefold() for row in rows) - {"created"}
        _check_kept(HISTORIES["opportunity"][0], changed & {field.casefold()} if field else changed)

    def _long(self) -> dict[str, str]:
        """A month, or all days of the poll: what is not seen in so long is not kept at all."""
        until = self._window.through
        return span(min(until - LOOK_BACK, self._window.since), until)

    async def _once(self, soql: str) -> Sequence[Row]:
        """The rows of a query that several questions or parts of a poll need."""
        if soql not in self._answers:
            self._answers[soql] = asyncio.create_task(self._courier.rows(soql))
        try:
            return await self._answers[soql]
        except FullsteamError:
            self._answers.pop(soql, None)
            raise

    async def _pushes(self, first: date, last: date) -> None:
        """Close dates that were moved into the future, row by row. Raises TooSlow for more rows than are read of a span."""
        days, metrics = days_of(Window(first, last)), ("close_date_pushes",)
        history, _ = HISTORIES["opportunity"]
        try:
            if not self._offer.has(history):
                raise Denied("", code="denied")
            soql = PUSHES.format_map(span(first, last))
            daily = max(MOST_PUSHES // len(self._days), PUSHES_A_DAY)
            rows = await self._courier.rows(soql, most=daily * len(days))
            if not rows:
                await self._check_changes("CloseDate")
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

    def _too_many_pushes(self, days: Sequence[date], error: TooSlow) -> None:
        self._fail("OpportunityFieldHistory", ["close_date_pushes"], days, _given_up(error))

    async def _filtered(self, question: Question, where: Mapping[str, str]) -> Sequence[Row] | None:
        """The groups of a question; None where Salesforce does not let its LIKE filter: then it has to be asked plainly."""
        is_like = " LIKE " in question.where
        if is_like and question.entity in self._unfiltered:
            return None
        try:
            return await self._asked(question, where)
        except Permanent as error:
            if not is_like or not _is_misunderstood(error):
                raise
            self._unfiltered.add(question.entity)
            return None

    async def _pages(self, questions: Sequence[Question]) -> None:
        """Several kinds of pages in one query; one after the other where it has no room for them."""
        days = self._days
        try:
            rows = await self._filtered(OPENED, span(days[0], days[-1]))
        except TooMany:
            await self._apart(questions)
            return
        except (Retryable, Permanent) as error:
            self._fail_all(questions, error)
            return
        if rows is None:
            await self._plainly(questions)
            return
        for question, own in _by_kind(questions, rows):
            self._opened(question, own, _newest(own))

    async def _apart(self, questions: Sequence[Question]) -> None:
        """Each kind of pages by a query of its own."""
        refused = await all_of([self._features(question) for question in questions])
        if left := [question for question in refused if question is not None]:
            await self._plainly(left)

    async def _plainly(self, questions: Sequence[Question]) -> None:
        """Kinds of pages out of all pages: once for all of them, and however many groups that takes."""
        days = self._days
        try:
            rows = await self._asked(EVERY_PAGE, span(days[0], days[-1]))
            newest = await self._newest_of_all(EVERY_PAGE) if self._is_part else ""
        except (Retryable, Permanent) as error:
            self._fail_all(questions, error)
            return
        for question, own in _by_kind(questions, rows):
            self._opened(question, own, newest if own and self._is_part else _newest(own))

    async def _features(self, question: Question) -> Question | None:
        """What was opened, by one question; gives it back where it has to be asked plainly."""
        try:
            rows = await self._filtered(question, span(self._days[0], self._days[-1]))
            if rows is None:
                return question
            newest = await self._newest_of_all(question) if self._is_part else _newest(rows)
        except (Retryable, Permanent) as error:
            self._fail_all([question], error)
            return None
        self._opened(question, rows, newest)
        return None

    async def _mobile(self, crowd: bool) -> None:
        plain = FEATURES["feature_use.mobile"]
        if await self._features(MOBILE if crowd else plain) is not None:
            await self._features(plain)

    def _fail_all(self, questions: Sequence[Question], error: Retryable | Permanent) -> None:
        for question in questions:
            self._fail(question.entity, question.metrics, self._days, error)

    async def _newest_of_all(self, question: Question) -> str:
        """The newest day that is told of, in all days of the poll."""
        everything = span(self._window.since, self._window.through)
        return _newest(await self._once(by_days(question).format_map(everything)))

    def _opened(self, question: Question, rows: Sequence[Row], newest: str) -> None:
        """What was opened, as far as Salesforce has told it: the days after its newest one are not said yet."""
        days, (metric,) = self._days, question.metrics
        told = [day for day in days if day.isoformat() <= newest]
        self._keep(question, rows, told)
        self.answered = True
        why = NEXT_DAY if newest else "nothing of the kind was opened by anybody on these days"
        self.figures.mark(metric, days[len(told) :], CoverageStatus.UNSUPPORTED, why)

    async def _state(self, question: Question) -> None:
        """A snapshot: everybody's number now."""
        try:
            rows = await self._asked(question, thresholds(self._window.through))
        except (Retryable, Permanent) as error:
            self._fail(question.entity, question.metrics, [self._window.through], error)
            return
        self._keep(question, rows, [self._window.through])

    async def _by_fields(self) -> None:
        """One after the other: what cannot be counted in the first is not tried in the second."""
        for ask in (pipeline, lacking):
            if self._wants(ask(REQUIRED).metrics):
                await self._by_field(ask)

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
                self._uncountable |= set(dropped)
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

    def _counts(self, name: str) -> bool:
        return name not in self._uncountable and self._offer.counts(name)

    async def _counted(self, question: Question, uncounted: Sequence[str]) -> Sequence[Row]:
        """The groups of a question by field. ``uncounted``: fields of it that describe says cannot be counted."""
        if uncounted:
            raise Permanent(f"{uncounted[0]} cannot be counted", code="invalid-field")
        return await self._asked(question, thresholds(self._window.through))

    async def _quotas(self) -> None:
        """Won since the running period began, of what that period's quota says."""
        through, metrics, asked = self._window.through, QUOTAS.metrics, QUOTAS
        try:
            rows = await self._quota_rows(through)
            quotas: dict[tuple[str, date], dict[str, float]] = {}
            for row in rows:
                kind, start, quota = quota_of(row)
                quotas.setdefault((kind, start), {})[str(row.get(QUOTAS.key))] = quota
            chosen = self._chosen(quotas, through)
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

    def _chosen(self, quotas: Iterable[tuple[str, date]], today: date) -> tuple[str, date]:
        """The forecast type and period that count. Raises NotOffered."""
        return _running({key for key in quotas if self._forecast_type in ("", key[0])}, today)

    async def _quota_rows(self, today: date) -> Sequence[Row]:
        """Quotas of the last periods, or, in a crowd, of the one that counts: everybody has one of it."""
        values = thresholds(today)
        if self._is_crowd(2) and self._offer.has(QUOTAS.entity):
            periods = [quota_of(row)[:2] for row in await self._courier.rows(PERIODS.format_map(values))]
            kind, start = self._chosen(periods, today)
            if not kind or is_id(kind):
                named = {"type": f"'{kind}'" if kind else "null", "period": start.isoformat()}
                shown = {"ForecastingTypeId": kind, "StartDate": start.isoformat()}
                return [{**row, **shown} for row in await self._asked(OF_PERIOD, named)]
        return await self._asked(QUOTAS, values)

    async def _logins(self) -> None:
        """Who logged in on each day. Without the right to see it Salesforce shows our own logins only, and says nothing."""
        me = self._me
        found = await all_of([self._logins_of(day) for day in self._days])
        seen = {str(row.get("UserId")) for rows in found if rows is not None for row in rows}
        read = [day for day, rows in zip(self._days, found, strict=True) if rows is not None]
        if read and not seen - {me} and len(seen) <= 1:
            try:
                await self._check_others_log_in(me)
            except (Retryable, Permanent) as error:
                self._fail("LoginHistory", ["active_day"], read, error)
                return
        for day, rows in zip(self._days, found, strict=True):
            if rows is None:
                continue
            self.keep(["active_day"], [day], len(rows))
            people = {str(row.get("UserId")) for row in rows if by_a_person(row)}
            for who in people:
                self.figures.add("active_day", who, day, 1.0)

    async def _logins_of(self, day: date) -> Sequence[Row] | None:
        where = span(day, day)
        try:
            rows = await self._filtered(LOGINS_OF_PEOPLE if self._is_crowd(2) else LOGINS, where)
            return await self._asked(LOGINS, where) if rows is None else rows
        except (Retryable, Permanent) as error:
            self._fail("LoginHistory", ["active_day"], [day], error)
            return None

    async def _check_others_log_in(self, me: str) -> None:
        """Raises Denied where nobody else is seen to log in over a longer time: a quiet day is no missing right.

        Raises also what the look itself fails with: then it is not known, and no right is said to be missing.
        """
        rows = await self._once(LOGINS.soql(self._long()))
        if _are_ours({str(row.get("UserId")) for row in rows}, me):
            raise Denied("", code="denied")

    # -- keeping --------------------------------------------------------------------------------------------------------

    def keep(self, metrics: Iterable[str], days: Sequence[date], rows: int) -> None:
        """As for every CRM; but what may be a part only, for all that Salesforce says of our rights, is said to be one."""
        metrics = list(metrics)
        super().keep(metrics, days, rows)
        if self._offer.unsaid:
            for metric in sorted(_of_records(metrics)):
                self.figures.mark(metric, days, CoverageStatus.PARTIAL, self._offer.unsaid)

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


def _is_kept(found: Collection[object]) -> bool:
    """Whether a history that is empty for a span is kept at all, by what it has of a longer time."""
    return bool(found)


def _is_hopeless(halved: int, error: TooSlow) -> bool:
    """Whether a question that was halved so often, and took too long each time, is left for this poll."""
    return halved >= (HALVINGS_OF_OURS if error.code == TIMED_OUT else HALVINGS)


def _of_records(metrics: Iterable[str]) -> frozenset[str]:
    """Those of the metrics of which our rights decide how much we see."""
    return GOVERNED.intersection(metrics)


def _is_misunderstood(error: Permanent) -> bool:
    """Whether Salesforce refuses how it is asked, and no right is missing."""
    return not isinstance(error, Denied | NotOffered) and error.code in _MISUNDERSTOOD


def _are_ours(users: Collection[str], me: str) -> bool:
    """Whether all who logged in are we. ``me``: "" where that is not known."""
    return not set(users) - {me} if me else len(users) <= 1


def _by_kind(questions: Sequence[Question], rows: Sequence[Row]) -> Sequence[tuple[Question, Sequence[Row]]]:
    """Each question about a kind of pages with those of some rows that are of this kind, as LIKE would have found them."""
    return [
        (question, [row for row in rows if PAGES[question.metrics[0]] in str(row.get("PageName")).casefold()])
        for question in questions
    ]


def _newest(rows: Iterable[Row]) -> str:
    """The last day of some rows, "" where there are none."""
    return max((str(row.get("MetricsDate")) for row in rows), default="")


def _check_kept(history: str, found: Collection[object]) -> None:
    if not _is_kept(found):
        raise NotOffered(f"{NOT_TRACKED}: {grant(history)}", code="not-tracked")


def _without_the_last(known: Sequence[str], left_out: Collection[str]) -> Sequence[str]:
    """Ids up to the last one that is anybody's: after it, nothing has to be read."""
    end = len(known)
    while end and known[end - 1] in left_out:
        end -= 1
    return known[:end]


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
