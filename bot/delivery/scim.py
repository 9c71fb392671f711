"""By what names single sign-on knows the accounts of Slack: the SCIM API (docs.slack.dev/reference/scim-api).

It takes a token of an admin with the scope ``admin``, and is there on the plans Business+ and Enterprise. Read only: GET /Users.
Not confirmed offline: which identity providers fill ``externalId``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import aiohttp
from slack_sdk.scim.async_client import AsyncSCIMClient

from bot.delivery.faults import AWAY, FOREIGN, translate
from bot.domain.errors import FullsteamError, Permanent, Retryable

ACCOUNTS_PAGE = 1000
"""Slack's own example asks for so many (docs.slack.dev/tools/java-slack-sdk/guides/scim-api); fewer may come."""
_REFUSED = "Slack does not accept FULLSTEAM_SLACK_SCIM_TOKEN: it has to be an admin's, with the scope admin."


class SlackScim:
    """Reads ids of single sign-on. ``session``: shared with the other clients."""

    def __init__(self, token: str, url: str, session: aiohttp.ClientSession) -> None:
        # The client writes whole bodies, names and addresses included, to its logger at debug level.
        quiet = logging.getLogger("slack_sdk.scim")
        quiet.setLevel(logging.ERROR)
        self._client = AsyncSCIMClient(token=token, base_url=url, session=session, logger=quiet)

    async def sso_ids(self) -> Mapping[str, tuple[str, ...]]:
        """Account id -> what single sign-on calls it. Who has no such name is absent. Raises Retryable or Permanent."""
        found: dict[str, tuple[str, ...]] = {}
        start = 1
        while True:
            try:
                answer = await self._client.search_users(count=ACCOUNTS_PAGE, start_index=start)
            except FOREIGN as error:
                raise translate(error, repeatable=True) from error
            body = answer.body
            rows = body.get("Resources") if isinstance(body, Mapping) else None
            if answer.status_code != 200 or not isinstance(body, Mapping) or not isinstance(rows, list):
                raise _refusal(answer.status_code)
            for row in rows:
                if (account := row.get("id")) and (names := names_of(row)):
                    found[str(account)] = names
            start += len(rows)
            total = body.get("totalResults")
            if not rows or not isinstance(total, int) or start > total:
                return found


def names_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What tells a person in a user of SCIM: ``externalId``, and ``userName`` where it is a principal name.

    A ``userName`` without ``@`` is a handle that its owner may choose, and so proves nothing.
    """
    outside, name = str(row.get("externalId") or ""), str(row.get("userName") or "")
    return tuple(dict.fromkeys(each for each in (outside, name if "@" in name else "") if each.strip()))


def _refusal(status: int) -> FullsteamError:
    if status in (401, 403):
        return Permanent(_REFUSED, code=f"scim-{status}")
    if status in (200, 429) or status >= 500:
        return Retryable("Slack's SCIM API does not answer as it should.", code=f"scim-{status}", after=AWAY)
    return Permanent(
        f"Slack's SCIM API refuses to list users (HTTP {status}): on an Enterprise plan an owner of the organisation has to "
        "install the app that the token is of, for the whole organisation.",
        code=f"scim-{status}",
    )
