"""The sandbox as a child process: what replays and the demo share. It is reached over HTTP only, as Slack is.

this process                       the bot, its clock steered, behind HTTP on loopback
`- python -m sandbox drive …     a Slack workspace; master of time
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.delivery.directory import SlackDirectory
from bot.delivery.slack import SlackConnection, SlackMessenger, connect
from bot.domain.errors import Permanent
from bot.domain.ports import Directory, Messenger

_ROOT = Path(__file__).resolve().parent.parent
_LAST_WORDS = 4
"""Lines of a failed sandbox that are repeated to whoever started it."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens one sandbox and its bot to each other; repr keeps them to itself."""

    bot_token: str = field(repr=False)
    signing_secret: str = field(repr=False)


def new_keys() -> Keys:
    """Keys for one run, which nobody can know beforehand. Nothing that a run decides or says depends on them."""
    return Keys(f"xoxb-{secrets.token_hex(16)}", secrets.token_hex(16))


@contextlib.asynccontextmanager
async def sandbox(keys: Keys, options: Sequence[str]) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """Run ``python -m sandbox drive`` with these options; yields the JSON lines that it prints.

    Raises Permanent with its last words when it fails.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox", "drive"),
        *("--bot-token", keys.bot_token, "--signing-secret", keys.signing_secret, "--led"),
        *options,
        stdin=asyncio.subprocess.PIPE,  # it ends with us, however we end
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    words = asyncio.create_task(process.stderr.read())

    async def lines() -> AsyncIterator[dict[str, Any]]:
        assert process.stdout is not None
        async for raw in process.stdout:
            with contextlib.suppress(ValueError):
                yield json.loads(raw)

    try:
        yield lines()
        if await process.wait() != 0:
            said = (await words).decode(errors="replace").strip().splitlines()
            last = " ".join(" ".join(said[-_LAST_WORDS:]).strip("╭╮╰╯─│ ").split()) or "it said nothing"
            raise Permanent(f"The sandbox stopped: {last}", code="sandbox")
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        words.cancel()


@contextlib.asynccontextmanager
async def slack_at(url: str, bot_token: str) -> AsyncIterator[tuple[SlackConnection, Messenger, Directory]]:
    """The production client, messenger and directory, on a sandbox."""
    async with connect(bot_token, api_url=f"{url}/api/") as connection:
        yield (
            connection,
            SlackMessenger(connection),
            SlackDirectory(connection.reading, connection.voice),
        )
