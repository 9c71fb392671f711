"""What works behind the page, on a loop of its own: a firm with the real program, or a small app with a modal.

The browser's tests stand in the main thread and see of it what a visitor sees, over HTTP.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Generic, TypeVar

from tests.installation import REPOSITORY
from tests.story import Firm, Story

T = TypeVar("T")
W = TypeVar("W")
PATIENCE = 60.0


class Office(Generic[W]):
    """What is running. ``url``: where its page is."""

    def __init__(self, work: W, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.url = url
        self._loop = loop

    def does(self, act: Callable[[W], Awaitable[T]]) -> T:
        """Do something on the loop over there; returns what it returned."""

        async def do() -> T:
            return await act(self.work)

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result(PATIENCE)


@contextlib.contextmanager
def running(work: contextlib.AbstractAsyncContextManager[tuple[W, str]]) -> Iterator[Office[W]]:
    """Enter what yields (something, address of the page) on a loop in a thread, and leave it at the end of the block."""
    ready: concurrent.futures.Future[Office[W]] = concurrent.futures.Future()
    ending: list[asyncio.Event] = []

    async def live() -> None:
        ending.append(asyncio.Event())
        async with work as (found, url):
            ready.set_result(Office(found, url, asyncio.get_running_loop()))
            await ending[0].wait()

    def run() -> None:
        try:
            asyncio.run(live())
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
        office._loop.call_soon_threadsafe(ending[0].set)
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the office does not close"


def at_work(firm: Firm, database_url: str, start: str) -> contextlib.AbstractContextManager[Office[Story]]:
    """Put a firm to work at ``start``: the real program, a workspace, and the page of it."""

    @contextlib.asynccontextmanager
    async def work() -> AsyncIterator[tuple[Story, str]]:
        async with firm.at_work(database_url, start) as story:
            manifest = REPOSITORY / "slack-manifest.json"
            story.slack.manifest = json.loads(manifest.read_text(encoding="utf-8"))
            yield story, story.slack.url

    return running(work())
