"""Half a year of a company of 500 in its CRM, without Slack and without a bot.

Reference: the same number of rows put into SQLite and nothing else.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from bench.report import Figure, apart, peak_memory
from sandbox.clock import SteeredClock
from sandbox.company.world import Company
from sandbox.slack import Slack

PEOPLE, WEEKS, SEED = 500, 26, 1
BEGIN = datetime(2026, 1, 12, tzinfo=UTC)
TABLES = (
    "Opportunity",
    "Task",
    "Event",
    "LoginHistory",
    "OpportunityFieldHistory",
    "Account",
    "Lead",
    "Contact",
)


def measure(_kind: str) -> Iterator[Figure]:
    """The life, then its rows alone."""
    lived = apart(live)
    alone = apart(insert_rows, int(lived["rows"]))
    yield Figure(
        f"a company of {PEOPLE} lives {WEEKS} weeks",
        f"{lived['seconds']:.1f} s of CPU, {lived['rows']:,.0f} rows, peak memory {lived['memory']:.0f} MiB",
        (f"as many rows into SQLite, one by one: {alone:.1f} s",),
    )


def live() -> dict[str, float]:
    """Asked six times a day, as by a bot that polls and reads again before it sends."""
    began = time.process_time()
    company = Company(Slack(SteeredClock(BEGIN)), PEOPLE, SEED, BEGIN, WEEKS)
    for hour in range(0, WEEKS * 7 * 24, 4):
        company.live_until(BEGIN + timedelta(hours=hour))
    rows = sum(len(company.crm.select(f'SELECT Id FROM "{table}"')) for table in TABLES)
    return {"seconds": time.process_time() - began, "rows": rows, "memory": peak_memory()}


def insert_rows(rows: int) -> float:
    began = time.process_time()
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute("CREATE TABLE t (a TEXT PRIMARY KEY, b TEXT, c TEXT, d TEXT, e TEXT) WITHOUT ROWID")
    for number in range(rows):
        database.execute("INSERT INTO t VALUES (?, ?, ?, ?, ?)", (f"{number:018}", "b", "c", "d", "e"))
    return time.process_time() - began
