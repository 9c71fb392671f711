"""Durable replies a second: signed HTTP -> uvicorn -> Bolt -> door -> commit -> 200, fifty at once.

References: the same commit behind a bare Starlette handler, which neither checks a signature nor asks Bolt; and one
connection of the database's own driver that commits one row after the other.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import psycopg
from sqlalchemy.engine import make_url
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.databases import fresh
from bench.report import Figure, apart
from bot.clock import SystemClock
from bot.content.load import load
from bot.content.programme import load_programme
from bot.delivery.directory import SlackDirectory
from bot.delivery.slack import SlackMessenger, connect
from bot.handlers import payloads
from bot.loop import SWITCH_INTERVAL
from bot.replay import EXAMPLES
from bot.wiring import House, all_triggers, asgi_of, listening, served
from bot.workdays import PublicHolidays
from store import inbox
from store.database import Database, normal_url, open_database

AT_ONCE = 50
REQUESTS, WARM = 4_000, 400
COMMITS = 500
SECRET = "bench-signing-secret"  # noqa: S105 - signs nothing but this benchmark


def measure(kind: str) -> Iterator[Figure]:
    """Clicks and events, on one kind of database."""
    with fresh(kind) as url:
        alone = apart(driver_commits, url)
    for what in ("click", "event"):
        results = {}
        for path in ("bolt", "bare"):
            with fresh(kind) as url:
                results[path] = apart(serve, url, path, what)
        yield Figure(
            f"{what}s kept and answered, {kind}",
            _said(results["bolt"]),
            (
                f"bare Starlette handler, same commit: {_said(results['bare'])}",
                f"driver alone, one commit after the other: {alone:,.0f}/s",
            ),
        )


def _said(result: dict[str, Any]) -> str:
    wrong = {status: count for status, count in result["statuses"].items() if status != "200"}
    return (
        f"{result['rate']:,.0f}/s at {AT_ONCE} at once, "
        f"median {result['median'] * 1000:.0f} ms, p99 {result['p99'] * 1000:.0f} ms"
        + (f"; NOT 200: {wrong}" if wrong else "")
    )


def serve(url: str, path: str, what: str) -> dict[str, Any]:
    """Serve one path and let the load generator at it."""
    sys.setswitchinterval(SWITCH_INTERVAL)  # as `fullsteam web` does
    return asyncio.run(_serve(url, path, what))


async def _serve(url: str, path: str, what: str) -> dict[str, Any]:
    database = open_database(url)
    try:
        async with connect("xoxb-bench", api_url="http://127.0.0.1:9/api/") as connection:
            if path == "bare":
                app = bare(database)
            else:
                content = load()
                house = House(
                    clock=SystemClock(),
                    database=database,
                    programme=load_programme(EXAMPLES / "programme.toml", content.behaviours),
                    content=content,
                    triggers=all_triggers(),
                    connectors={},
                    holidays=PublicHolidays(),
                    secret=b"bench",
                    messenger=SlackMessenger(connection),
                    directory=SlackDirectory(connection.reading),
                )
                app = asgi_of(house, connection, SECRET)
            bound = listening("127.0.0.1", 0)
            async with served(app, bound):
                port = bound.getsockname()[1]
                await _load(port, what, range(WARM))
                result = await _load(port, what, range(WARM, WARM + REQUESTS))
            kept = sum((await database.read(inbox.counts)).values())
        assert kept == WARM + REQUESTS, f"{WARM + REQUESTS} answered, {kept} kept"
        return result
    finally:
        await asyncio.to_thread(database.close)


async def _load(port: int, what: str, numbers: range) -> dict[str, Any]:
    given = (port, what, numbers.start, len(numbers), AT_ONCE, SECRET)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.load", *map(str, given)), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    result: dict[str, Any] = json.loads(said)
    return result


def bare(database: Database) -> Starlette:
    """The reference: the same envelope and the same commit, and nothing else."""
    clock = SystemClock()

    async def keep(request: Request) -> Response:
        body = (await request.body()).decode()
        form = request.headers["content-type"].startswith("application/x-www-form")
        envelope = payloads.envelope(json.loads(parse_qs(body)["payload"][0] if form else body))
        assert envelope is not None
        await database.write_first(inbox.keep, envelope, clock.now())
        return Response(status_code=200)

    return Starlette(routes=[Route("/slack/events", keep, methods=["POST"])])


def driver_commits(url: str) -> float:
    """Commits a second of one row each, by the driver alone, with the same durability."""
    with _driver(url) as (execute, commit, mark):
        execute("CREATE TABLE bench_row (id INTEGER PRIMARY KEY, body TEXT)", ())
        commit()
        insert = f"INSERT INTO bench_row VALUES ({mark}, {mark})"
        began = time.perf_counter()
        for number in range(COMMITS):
            execute(insert, (number, "x" * 400))
            commit()
        return COMMITS / (time.perf_counter() - began)


@contextmanager
def _driver(url: str) -> Iterator[tuple[Any, Any, str]]:
    if url.startswith("sqlite"):
        connection = sqlite3.connect(str(make_url(normal_url(url)).database))
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        yield connection.execute, connection.commit, "?"
        connection.close()
    else:
        with psycopg.connect(url) as server:
            yield server.execute, server.commit, "%s"
