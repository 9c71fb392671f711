"""Import rows a second: a CSV of 200,000 usage rows, and the sales history of Maven where it lies beside the repository.

Reference: the csv module reading the same rows.
"""

from __future__ import annotations

import asyncio
import csv
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from bench.databases import fresh
from bench.report import Figure, apart, peak_memory
from bot.connectors.spreadsheet.connector import open_spreadsheet
from bot.content.load import load
from bot.content.programme import load_programme
from bot.replay import EXAMPLES
from bot.services.poll_crm import import_files
from store.database import open_database

ROWS, PEOPLE = 200_000, 1_000
METRICS = (
    "records_updated.opportunity",
    "activities_completed.call",
    "tasks_overdue",
    "records_created.contact",
)
LAST = date(2026, 11, 13)
MAPPING = """
[source]
name = "bench"
lag_days = 0
zone = "UTC"
coverage = "complete"
[people]
file = "people.csv"
access_since = "first-dated-row"
[people.columns]
name = "name"
email = "email"
[usage]
file = "usage.csv"
metrics = [{metrics}]
[usage.columns]
person = "user_email"
date = "date"
metric = "metric"
value = "value"
"""


def maven() -> Path | None:
    """The folder of the Maven files: FULLSTEAM_SHARED, else ``shared`` beside the repository. None where it is absent."""
    shared = Path(os.environ.get("FULLSTEAM_SHARED") or EXAMPLES.parent.parent / "shared")
    folder = shared / "data" / "maven"
    return folder if folder.is_dir() else None


def measure(kind: str) -> Iterator[Figure]:
    """The generated file, then Maven."""
    with tempfile.TemporaryDirectory(prefix="fullsteam-bench-") as name:
        folder = Path(name)
        generate(folder)
        yield _figure(f"importing {ROWS:,} usage rows, {kind}", kind, folder / "mapping.toml", folder)
    found = maven()
    if found is not None:
        yield _figure(f"importing the Maven files, {kind}", kind, EXAMPLES / "maven" / "mapping.toml", found)


def _figure(name: str, kind: str, mapping: Path, folder: Path) -> Figure:
    alone = apart(read_alone, folder)
    with fresh(kind) as url:
        done = apart(import_all, url, mapping, folder)
    rows, seconds = alone["rows"], done["seconds"]
    return Figure(
        name,
        f"{rows / seconds:,.0f} rows/s ({rows:,} rows in {seconds:.1f} s, peak memory {done['memory']:.0f} MiB)",
        (
            f"{done['facts']:,} person-days kept of {done['people']:,} people",
            f"csv module, the same rows: {rows / alone['seconds']:,.0f} rows/s",
        ),
    )


def generate(folder: Path) -> None:
    """People and their usage, seeded."""
    draw = Random(1)
    with (folder / "people.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("name", "email"))
        writer.writerows((f"Person {number}", f"p{number}@example.com") for number in range(PEOPLE))
    with (folder / "usage.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("user_email", "date", "metric", "value"))
        for row in range(ROWS):
            number, rest = row % PEOPLE, row // PEOPLE
            metric, back = METRICS[rest % len(METRICS)], rest // len(METRICS)
            day = LAST - timedelta(days=back)
            writer.writerow((f"p{number}@example.com", day.isoformat(), metric, draw.randrange(1, 9)))
    quoted = ", ".join(f'"{metric}"' for metric in METRICS)
    (folder / "mapping.toml").write_text(MAPPING.format(metrics=quoted), encoding="utf-8")


def import_all(url: str, mapping: Path, folder: Path) -> dict[str, Any]:
    """What ``fullsteam import`` does."""
    programme = load_programme(EXAMPLES / "programme.toml", load().behaviours)
    connector = open_spreadsheet(mapping, folder, settle=timedelta(0))
    database = open_database(url)
    try:
        began = time.perf_counter()
        now = datetime.combine(LAST, datetime.min.time(), UTC) + timedelta(days=1)
        report = asyncio.run(
            import_files(database, connector, programme, now, kind="spreadsheet", settings={})
        )
        if report.failure is not None:
            raise SystemExit(f"the import failed: {report.failure}")
        return {
            "seconds": time.perf_counter() - began,
            "facts": report.facts,
            "people": len(report.people.added),
            "memory": peak_memory(),
        }
    finally:
        database.close()


def read_alone(folder: Path) -> dict[str, Any]:
    """Every CSV file of the folder, row by row, into dicts."""
    began, rows = time.perf_counter(), 0
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows += sum(1 for _ in csv.DictReader(file))
    return {"rows": rows, "seconds": time.perf_counter() - began}
