"""What the bot says of its decisions, asked for at the end of a run: `GET /inspect/{user}`, which it has under steered time.

Asked for all of them, with reasons only: half a year of five hundred people is 65,000 decisions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.events import Outbound
    from sandbox.promises.watch import Promises


MOST = 5_000
"""Decisions of a person: eighteen years of working days."""


async def ask_the_bot(promises: Promises, outbound: Outbound) -> int:
    """Ask about every member who is no bot; returns of how many the bot knows something. A bot without it answers 404."""
    known = 0
    for user in list(promises.slack.workspace.users.values()):
        if user.is_bot or user.id == "USLACKBOT":
            continue
        _, shown = await outbound.inspected(user.id, limit=MOST, only="reasons")
        if shown is not None:
            known += 1
            promises.inspected(user.id, shown)
    return known
