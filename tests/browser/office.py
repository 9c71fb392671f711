"""A firm at work behind the page: the real program and a workspace, each on its own port, on a loop of their own.

The browser's tests stand in the main thread and see of it what a visitor sees, over HTTP.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from tests.installation import REPOSITORY
from tests.story import Firm, Story

T = TypeVar("T")
PATIENCE = 60.0


class Office:
    """The running story. ``url``: where its page is."""

    def __init__(self, story: Story, loop: asyncio.AbstractEventLoop) -> None:
        self.story = story
        self.url = story.slack.url
        self._loop = loop

    def does(self, act: Callable[[Story], Awaitable[T]]) -> T:
        """Do something on the story's own loop; returns what it returned."""

        async def work() -> T:
            return await act(self.story)

        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(PATIENCE)


@contextlib.contextmanager
def at_work(firm: Firm, database_url: str, start: str) -> Iterator[Office]:
    """Put the firm to work at ``start`` until the block ends."""
    ready: concurrent.futures.Future[Office] = concurrent.futures.Future()
    leave: concurrent.futures.Future[asyncio.Event] = concurrent.futures.Future()

    async def work() -> None:
        ending = asyncio.Event()
        leave.set_result(ending)
        async with firm.at_work(database_url, start) as story:
            manifest = REPOSITORY / "slack-manifest.json"
            story.slack.manifest = json.loads(manifest.read_text(encoding="utf-8"))
            ready.set_result(Office(story, asyncio.get_running_loop()))
            await ending.wait()

    def run() -> None:
        try:
            asyncio.run(work())
        except BaseException as exc:
            if ready.done():
                raise
            ready.set_exception(exc)

    thread = threading.Thread(target=run, name="the office", daemon=True)
    thread.start()
    office = ready.result(PATIENCE)
    try:
        yield office
    finally:
        office._loop.call_soon_threadsafe(leave.result().set)
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the office does not close"
