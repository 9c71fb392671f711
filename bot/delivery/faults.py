"""Slack's errors as ours: what the caller has to do, with advice for whoever runs the workspace.

Source: the ``errors`` of each method (docs.slack.dev/reference/methods).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.domain.errors import FullsteamError, Permanent, Retryable, Uncertain

log = logging.getLogger(__name__)

WORKSPACE = "workspace"
AWAY = timedelta(seconds=30)
"""Slack does not answer: look again after this."""
UNTIL_MENDED = timedelta(minutes=5)
"""Somebody has to change a setting first: look again after this."""

_TOKEN = "Slack does not accept the bot's token: reinstall the app and set FULLSTEAM_SLACK_BOT_TOKEN."  # noqa: S105 - advice
_SCOPES = "The app lacks a scope: update it from slack-manifest.json and reinstall it."
_POLICY = "A setting of the workspace keeps the app from writing: ask a workspace admin to allow it."

MENDED_BY_PEOPLE: Mapping[str, str] = {
    "invalid_auth": _TOKEN,
    "not_authed": _TOKEN,
    "token_revoked": _TOKEN,
    "token_expired": _TOKEN,
    "account_inactive": _TOKEN,  # of the token's own account, by the documentation of every method
    "not_allowed_token_type": _TOKEN,
    "missing_scope": _SCOPES,
    "no_permission": _SCOPES,
    "access_denied": _POLICY,
    "app_access_restricted": _POLICY,
    "ekm_access_denied": _POLICY,
    "enterprise_is_restricted": _POLICY,
    "message_limit_exceeded": "The workspace has used up its messages: see its plan.",
    "messages_tab_disabled": "The app's Messages tab is off: turn it on in the app's settings (App Home).",
    "org_login_required": "The workspace is being moved to another organisation: wait until that is done.",
    "restricted_action": _POLICY,
    "team_access_not_granted": _POLICY,
    "two_factor_setup_required": _TOKEN,
}
"""Nothing goes out until somebody has changed something; everything waits, and it is said once."""
MAY_NOT_LOOK = frozenset(
    {"access_denied", "app_access_restricted", "ekm_access_denied", "missing_scope", "no_permission"}
)
"""Of these, what one conversation's history may be closed by while everything else goes on."""
PASSING = frozenset({"ratelimited", "rate_limited", "team_added_to_org", "accesslimited"})
MAY_HAVE_HAPPENED = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
"""By Slack's own words some part of the operation may have succeeded."""
ADVICE: Mapping[str, str] = {
    "channel_not_found": "There is no such user or channel here, or the app is not in it: import people again.",
    "user_not_found": "There is no such user here: import people again.",
    "user_disabled": "The account is deactivated: it drops out with the next look at the directory.",
    "not_in_channel": "Invite the app to the channel.",
    "is_archived": "The channel is archived: name another one in the programme file.",
    "cannot_dm_bot": "The address is a bot's.",
    "invalid_blocks": "Slack refused the layout of the message: report it with the message's id.",
    "msg_blocks_too_long": "Slack refused the length of the message: report it with the message's id.",
}


def translate(error: Exception, *, repeatable: bool) -> FullsteamError:
    """One of ours for what the Slack client raised.

    ``repeatable``: doing it twice is the same as once (reads, updates); then doubt is Retryable, never Uncertain.
    """
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Retryable(
            "Slack cannot be reached; nothing was sent.", code="unreachable", after=AWAY, scope=WORKSPACE
        )
    if isinstance(error, SlackApiError):
        return _answered(error, repeatable=repeatable)
    code = "timeout" if isinstance(error, asyncio.TimeoutError) else "connection-lost"
    return _doubt(code, repeatable=repeatable)


FOREIGN = (SlackClientError, aiohttp.ClientError, asyncio.TimeoutError, OSError, AttributeError, ValueError)
"""What a call of the Slack client can raise. The last two: an answer of some proxy that is not JSON (3.47's client looks
for ``.get`` in a text)."""


class SaidOnce:
    """That Slack does not answer is said when it begins and when it ends, however many calls there are in between."""

    def __init__(self) -> None:
        self._code: str | None = None

    def failed(self, error: FullsteamError) -> None:
        """A call failed; what only people can mend is an error in the log, the rest a warning."""
        if not isinstance(error, Retryable) or error.scope != WORKSPACE or error.code == "ratelimited":
            return
        if self._code != error.code:
            self._code = error.code
            level = logging.ERROR if error.code in MENDED_BY_PEOPLE else logging.WARNING
            log.log(level, "slack.waits", extra={"code": error.code, "advice": str(error)})

    def answered(self) -> None:
        """A call went well."""
        if self._code is not None:
            self._code = None
            log.info("slack.answers_again")


def _doubt(code: str, *, repeatable: bool) -> FullsteamError:
    if repeatable:
        return Retryable("Slack's answer was lost.", code=code, after=AWAY, scope=WORKSPACE)
    return Uncertain("Slack's answer was lost; the message may have been posted.", code=code)


def _answered(error: SlackApiError, *, repeatable: bool) -> FullsteamError:
    response = error.response
    status = int(getattr(response, "status_code", None) or getattr(response, "status", None) or 0)
    body = getattr(response, "data", None)
    code = str(body.get("error") or "") if isinstance(body, dict) else ""
    if status == 429 or code in PASSING:
        return Retryable(
            "Slack asks for a pause.",
            code="ratelimited",
            after=_retry_after(getattr(response, "headers", None) or {}),
            scope=WORKSPACE,
        )
    if code in MENDED_BY_PEOPLE:
        return Retryable(MENDED_BY_PEOPLE[code], code=code, after=UNTIL_MENDED, scope=WORKSPACE)
    if status >= 500 or code in MAY_HAVE_HAPPENED or not code:
        return _doubt(code or f"http-{status}", repeatable=repeatable)
    return Permanent(ADVICE.get(code, f"Slack refuses this: {code}."), code=code)


def _retry_after(headers: Mapping[str, Any]) -> timedelta:
    """Seconds of the header, from 1 on; 30 when there is none to read."""
    for name, value in headers.items():
        if name.lower() == "retry-after":
            try:
                return timedelta(seconds=min(3600.0, max(1.0, float(value))))
            except ValueError:
                break
    return AWAY
