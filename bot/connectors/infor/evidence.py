"""What a message names: the records behind a count, worst first, as they are now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial

from bot.connectors.infor.installation import Installation
from bot.connectors.infor.lists import twice
from bot.connectors.infor.queries import (
    FLAWS,
    MOVED_ON,
    OPEN,
    OPEN_NAMED,
    OVERDUE,
    OVERDUE_NAMED,
    WORKED_ON,
    Question,
    any_of,
    grant,
    span,
)
from bot.connectors.infor.rows import Row, deal_of, has, is_id, is_true, moved_on, task_of, worked_on
from bot.connectors.kept import KeptOfOwners
from bot.connectors.open_records import OpenDeal, OpenTask, worst_of_each
from bot.connectors.refusals import Denied
from bot.domain.usage import QUIET_DAYS, STUCK_DAYS, RecordRef

OWNERS = 20
"""Ids in one condition: each is a comparison of its own."""
NAMED = frozenset({*FLAWS, "tasks_overdue"})
"""Metrics whose records can be named."""


class Evidence:
    """Reads the records of some people. ``record_link``: where a record is shown, with ``{id}``; None: the web client."""

    def __init__(self, installation: Installation, record_link: str | None) -> None:
        self._crm = installation
        self._link = record_link or ""
        self._deals: KeptOfOwners[OpenDeal] = KeptOfOwners(installation.api.server_now)

    def forget(self) -> None:
        """What was read a moment ago is read anew."""
        self._deals.forget()

    async def of(
        self, metric: str, owners: Sequence[str], limit: int, today: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        """How many records of each owner a count is made of, and the worst of them. Owners without one are not in it."""
        link = self._link
        records: Mapping[str, Sequence[OpenDeal | OpenTask]]
        kind = OVERDUE.kind if metric == "tasks_overdue" else OPEN.kind
        try:
            if metric == "tasks_overdue":
                records = await self._tasks_of(owners, today)
            else:
                records = await self._deals_of(owners, metric, today)
                if not link and self._crm.settings.web_url:
                    link = f"{self._crm.settings.web_url}/Opportunity.aspx?entityid={{id}}"
        except Denied as error:
            raise Denied(str(error) or grant(kind), code=error.code) from error
        return worst_of_each(metric, records, limit, today, link)

    async def _deals_of(
        self, owners: Sequence[str], metric: str, today: date
    ) -> Mapping[str, Sequence[OpenDeal]]:
        """Open opportunities by owner: read once for all flaws."""
        question = self._crm.open_deals(OPEN_NAMED)
        deals = await self._deals.of(owners, partial(self._open_deals, question))
        if metric == "opps_no_next_step" and self._crm.lists.is_absent(
            question, self._crm.settings.next_step
        ):
            raise self._crm.no_next_step()
        if metric == "opps_no_activity_30d":
            return await self._dated(deals, today, WORKED_ON, worked_on, QUIET_DAYS, _last_worked)
        if metric == "opps_stuck_step":
            dated = await self._dated(deals, today, MOVED_ON, moved_on, STUCK_DAYS, _last_moved)
            moved = any(deal.step_since is not None for each in dated.values() for deal in each)
            if not moved and any(dated.values()):
                await self._crm.expect_audited_steps()
            return dated
        return deals

    async def _open_deals(
        self, question: Question, owners: Sequence[str]
    ) -> Mapping[str, Sequence[OpenDeal]]:
        found: dict[str, list[OpenDeal]] = {}
        for begin in range(0, len(owners), OWNERS):
            found |= await twice(partial(self._open_of, question, owners[begin : begin + OWNERS]))
        return found

    async def _open_of(self, question: Question, owners: Sequence[str]) -> dict[str, list[OpenDeal]]:
        found: dict[str, list[OpenDeal]] = {owner: [] for owner in owners}
        where = question.where.format(open=self._crm.open_where(), owners=any_of("AccountManager.Id", owners))
        said = False
        rows = 0
        async for row in self._crm.lists.rows(question, where):
            rows += 1
            said = said or has(row, self._crm.settings.next_step)
            try:
                deal = deal_of(row, self._crm.zone, self._crm.settings.next_step)
            except ValueError:
                continue  # named by the poll
            if deal.owner in found:
                found[deal.owner].append(deal)
        if rows and not said:
            self._crm.lists.leave_out(question, self._crm.settings.next_step)
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
                async for row in self._crm.lists.rows(question, f"{condition} and {among}"):
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
                    async for row in self._crm.lists.rows(OVERDUE_NAMED, where)
                    if (task := self._overdue(row, today)) is not None
                ]

            for task in await twice(read):
                found[task.owner].append(task)
        return {owner: found.get(owner, []) for owner in owners}

    def _overdue(self, row: Row, today: date) -> OpenTask | None:
        """An open activity that was due before today; None for what is not, and for what comes again and again."""
        if is_true(row.get("Recurring")):
            return None
        try:
            task = task_of(row, self._crm.zone)
        except ValueError:
            return None
        return task if task.due is not None and task.due < today else None


def _last_worked(deal: OpenDeal, day: date | None) -> OpenDeal:
    return replace(deal, last_activity=day)


def _last_moved(deal: OpenDeal, day: date | None) -> OpenDeal:
    return replace(deal, step_since=day)
