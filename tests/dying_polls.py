"""A poll that dies at any instant, as a program: ``python -m tests.dying_polls URL``.

The same org is polled into the same database again and again, each time by a process of its own that is killed a little later
than the one before: at a request, before a write, with a write not yet committed, right after its commit. The last poll lives.
It says how many died, and where.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from itertools import count
from typing import Any

import httpx

import bot.connectors.figures
from bot.domain.programme import Programme
from bot.services.poll_crm import poll
from store.database import Database, UnitOfWork, open_database
from tests.contract.test_salesforce import lived, people_of
from tests.orgs import FRIDAY, Org

PROGRAMME = Programme(
    name="CRM",
    crm_name="Salesforce",
    go_live=date(2026, 9, 1),
    sponsor="s@example.com",
    sponsor_name="S",
    adoption_lead="l@example.com",
    privacy_officer="p@example.com",
    owners={},
    zone="UTC",
)
SINCE = FRIDAY.date() - timedelta(days=20)
"""All of it each time, also when one has lived."""
MOMENTS = ("at a request", "before a write", "before a commit", "after a commit")


def die() -> None:
    """At once, with nothing tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    """The parts of a database that a poll uses; the process ends at one of its writes."""

    def __init__(self, database: Database, moment: str, place: int) -> None:
        self.read = database.read
        self._database = database
        self._moment = moment
        self._left = place

    async def write(self, work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Write, or die."""
        self._left -= 1
        if self._left or self._moment == "at a request":
            return await self._database.write(work, *args, **options)
        if self._moment == "before a write":
            die()

        def last(uow: UnitOfWork) -> Any:
            done = work(uow, *args, **options)
            if self._moment == "before a commit":
                die()
            return done

        await self._database.write(last)
        die()
        return None


class Doomed(httpx.AsyncBaseTransport):
    """A line on which somebody dies at a request."""

    def __init__(self, line: httpx.AsyncBaseTransport, place: int) -> None:
        self._line = line
        self._left = place

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._left -= 1
        if not self._left:
            die()
        return await self._line.handle_async_request(request)


def poll_once(url: str, moment: str, place: int) -> bool:
    """Poll in a process of its own. True when it lived."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status) == 0
    org = Org()
    lived(org, people_of(org, 3))
    org.clock.move_to(FRIDAY + timedelta(hours=1))
    database = open_database(url)
    line = Doomed(org.line, place if moment == "at a request" else 0)
    report = asyncio.run(
        poll(
            Mortal(database, moment, place),  # type: ignore[arg-type]  # what a poll uses of it
            org.connector(transport=line),
            PROGRAMME,
            org.clock.now(),
            since=SINCE,
        )
    )
    os._exit(0 if report.failure is None else 1)


def main(url: str) -> None:
    """Die everywhere, then live."""
    bot.connectors.figures.PART_FACTS = 16  # many parts, so that there is something between them
    died: Counter[str] = Counter()
    for moment in MOMENTS:
        step = 8 if moment == "at a request" else 2
        for place in count(1, step):
            if poll_once(url, moment, place):
                break
            died[moment] += 1
    print(", ".join(f"{died[moment]} {moment}" for moment in MOMENTS))


if __name__ == "__main__":
    main(sys.argv[1])
