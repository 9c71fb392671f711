"""Builds the Bolt app: door first, no log of bodies, no call to Slack between a click and its answer."""

from __future__ import annotations

import logging

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.ports import Inbox
from bot.handlers import register
from bot.handlers.commands import Answer
from bot.handlers.door import Door
from bot.handlers.errors import AnsweringApp

ANSWER_SECONDS = 2
"""What a listener may wait for Slack, of the three seconds that it has."""
BOLT_LOGGER = "bot.handlers.bolt"


def build_app(
    *,
    inbox: Inbox,
    answer_command: Answer,
    signing_secret: str,
    client: AsyncWebClient,
) -> AsyncApp:
    """An app for one workspace, with every listener registered. Makes no request.

    ``signing_secret``: "" in Socket Mode, where the connection itself is authenticated. ``client``: gives
    token, address and session. Bolt would call auth.test before the first answer, and fail the click when Slack is slow; one
    workspace needs nobody to be asked.
    """
    # Bolt logs whole bodies at DEBUG, and at INFO when a signature is wrong: never below WARNING.
    logger = logging.getLogger(BOLT_LOGGER)
    logger.setLevel(logging.WARNING)

    async def authorize(
        enterprise_id: str | None, team_id: str | None, user_id: str | None
    ) -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=enterprise_id, team_id=team_id, user_id=user_id, bot_token=client.token
        )

    app = AnsweringApp(
        name="fullsteam",
        logger=logger,
        signing_secret=signing_secret,
        client=AsyncWebClient(  # without the token: Bolt would warn that it takes the one of authorize
            base_url=client.base_url, timeout=ANSWER_SECONDS, session=client.session, retry_handlers=[]
        ),
        authorize=authorize,
        before_authorize=Door(inbox),
        process_before_response=True,
        ignoring_self_events_enabled=False,  # the door does it, without asking Slack who we are
        attaching_function_token_enabled=False,
    )
    register(app, answer_command)
    return app
