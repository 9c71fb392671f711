"""Who is in the Slack workspace, and who does not want to be disturbed (users.list, dnd.teamInfo)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.delivery.faults import FOREIGN, SaidOnce, translate
from bot.delivery.scim import SlackScim
from bot.domain.errors import Permanent, Retryable
from bot.domain.people import SlackUser, is_away
from bot.domain.ports import DndWindow

log = logging.getLogger(__name__)

USERS_PAGE = 200
DND_USERS = 50
"""dnd.teamInfo takes so many users a call."""
SLACKBOT = "USLACKBOT"


class SlackDirectory:
    """Reads users with a client that may repeat requests. Implements the port Directory.

    ``scim``: says by what names single sign-on knows them; None: nobody does.
    """

    def __init__(
        self, client: AsyncWebClient, voice: SaidOnce | None = None, scim: SlackScim | None = None
    ) -> None:
        self._client = client
        self._voice = voice or SaidOnce()
        self._scim = scim
        self._scim_fault: Retryable | Permanent | None = None

    async def users(self) -> AsyncIterator[Sequence[SlackUser]]:
        """All users, page by page, bots and deactivated ones included.

        Without SCIM nobody has an id of single sign-on; while it does not answer what was known of them stays.
        """
        known_by = await self._sso_ids()
        cursor = ""
        while True:
            more = {"cursor": cursor} if cursor else {}
            try:
                answer = await self._client.users_list(limit=USERS_PAGE, include_locale=True, **more)
            except FOREIGN as error:
                raise translate(error, repeatable=True) from error
            yield [_with_sso_ids(member, known_by) for member in answer.get("members") or ()]
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return

    @property
    def scim_fault(self) -> Retryable | Permanent | None:
        """Why the last reading could not tell the ids of single sign-on; None when it could, or was not asked to."""
        return self._scim_fault

    async def _sso_ids(self) -> Mapping[str, tuple[str, ...]] | None:
        """By account; None when this cannot be told now. That it begins and ends is said, not that it lasts."""
        if self._scim is None:
            return {}
        try:
            found = await self._scim.sso_ids()
        except (Retryable, Permanent) as error:
            if self._scim_fault is None or self._scim_fault.code != error.code:
                log.warning("slack.scim_failed", extra={"code": error.code, "advice": str(error)})
            self._scim_fault = error
            return None
        if self._scim_fault is not None:
            log.info("slack.scim_answers_again")
            self._scim_fault = None
        return found

    async def workspace(self) -> str:
        """The team id of the token (docs.slack.dev/reference/methods/auth.test)."""
        try:
            answer = await self._client.auth_test()
        except FOREIGN as error:
            raise translate(error, repeatable=True) from error
        return str(answer["team_id"])

    async def dnd(self, slack_ids: Sequence[str]) -> Mapping[str, DndWindow]:
        """Do-not-disturb, 50 users a call. Somebody Slack says nothing of is absent."""
        found: dict[str, DndWindow] = {}
        for start in range(0, len(slack_ids), DND_USERS):
            try:
                answer = await self._client.dnd_teamInfo(users=list(slack_ids[start : start + DND_USERS]))
            except FOREIGN as error:
                ours = translate(error, repeatable=True)
                self._voice.failed(ours)
                raise ours from error
            self._voice.answered()
            found |= {each: dnd_window(raw) for each, raw in (answer.get("users") or {}).items()}
        return found


def _with_sso_ids(member: Mapping[str, Any], known_by: Mapping[str, tuple[str, ...]] | None) -> SlackUser:
    user = slack_user(member)
    if known_by is None:
        return user
    # In an Enterprise organisation SCIM names accounts by the id that they have there (not confirmed offline: always).
    organisation = str((member.get("enterprise_user") or {}).get("id") or "")
    return replace(user, sso_ids=known_by.get(user.id) or known_by.get(organisation) or ())


def slack_user(member: Mapping[str, Any]) -> SlackUser:
    """A user object (docs.slack.dev/reference/objects/user-object) as ours. People of other organisations are guests."""
    profile = member.get("profile") or {}
    until = profile.get("status_expiration") or 0
    return SlackUser(
        id=str(member["id"]),
        email=profile.get("email") or None,
        name=profile.get("real_name") or member.get("real_name") or member.get("name") or "",
        zone=member.get("tz") or None,
        language=member.get("locale") or None,
        is_bot=bool(member.get("is_bot") or member.get("is_workflow_bot") or member["id"] == SLACKBOT),
        is_guest=any(member.get(key) for key in ("is_restricted", "is_ultra_restricted", "is_stranger")),
        deleted=bool(member.get("deleted")),
        away=is_away(profile.get("status_text") or "", profile.get("status_emoji") or ""),
        away_until=datetime.fromtimestamp(until, UTC) if until else None,
    )


def dnd_window(raw: Mapping[str, Any]) -> DndWindow:
    """One entry of dnd.teamInfo: the window that runs now or comes next; a snooze counts where it is told."""
    snoozed = raw.get("snooze_endtime") if raw.get("snooze_enabled") else None
    if snoozed:
        return DndWindow(datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(snoozed, UTC))
    start, end = raw.get("next_dnd_start_ts"), raw.get("next_dnd_end_ts")
    if not raw.get("dnd_enabled") or not start or not end or end <= start:
        return DndWindow()
    return DndWindow(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC))
