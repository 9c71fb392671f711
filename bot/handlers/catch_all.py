"""What no listener knows is answered 200 all the same: a button of an older version, a form nobody owns any more.

Unanswered it would show the person an error, or make Slack send it again. The row in the inbox says that it came.
"""

from __future__ import annotations

import re

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck

ANYTHING = re.compile(r".*", re.DOTALL)


def register(app: AsyncApp) -> None:
    """Must be registered last: Bolt takes the first listener that matches."""

    async def answer(ack: AsyncAck) -> None:
        await ack()

    app.action(ANYTHING)(answer)
    app.view_submission(ANYTHING)(answer)
    app.view_closed(ANYTHING)(answer)
    app.shortcut(ANYTHING)(answer)
    app.command(ANYTHING)(answer)
    app.event(ANYTHING)(answer)

    @app.options(ANYTHING)
    async def nothing_to_choose(ack: AsyncAck) -> None:
        await ack(options=[])
