"""One installation as it was set up: its lists, what its fields and statuses are called, and what day it is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bot.connectors.http import Answer, Api
from bot.connectors.infor.lists import Lists
from bot.connectors.infor.queries import NOT_AUDITED, NOT_AUDITED_CODE, OPEN, Question, any_of, statuses_of
from bot.connectors.of_now import OfNow
from bot.connectors.refusals import FieldHidden, NotOffered
from bot.domain.errors import FullsteamError

if TYPE_CHECKING:
    from bot.connectors.infor.connector import InforSettings


class Installation:
    """What a poll, the people and a message's evidence all need. ``decide``: an answer -> what is wrong with it."""

    def __init__(
        self, settings: InforSettings, api: Api, decide: Callable[[Answer], FullsteamError | None]
    ) -> None:
        self.settings = settings
        self.api = api
        self.zone = ZoneInfo(settings.zone)
        self.of_now = OfNow(api.server_now, self.zone)
        self.lists = Lists(api, decide, self._where_is, settings.page)

    def _where_is(self, question: Question) -> str:
        settings = self.settings
        return settings.path_of(settings.system if question.system else settings.dynamic, question.kind)

    # -- opportunities --------------------------------------------------------------------------------------------------

    def open_where(self) -> str:
        """The condition for opportunities that are open."""
        return any_of("Status", statuses_of(self.settings.open_status))

    def open_deals(self, question: Question = OPEN) -> Question:
        """Open opportunities, with the field that this installation has the next step in."""
        return replace(question, spare=(self.settings.next_step,))

    def no_next_step(self) -> FieldHidden:
        """That opportunities have no such field, and what to do."""
        named = self.settings.next_step
        return FieldHidden(
            named,
            "opportunities",
            f"opportunities have no field {named}: set {self.settings.variable('next_step')} to the one that"
            " has the next step",
        )

    async def steps_are_audited(self) -> bool:
        """Whether changes of the step are in the history at all."""
        return await self.lists.says("Description like '%Stage%'")

    async def expect_audited_steps(self) -> None:
        """Raises NotOffered where changes of the step are not in the history."""
        if not await self.steps_are_audited():
            raise NotOffered(NOT_AUDITED.format("Stage"), code=NOT_AUDITED_CODE)
