"""Replay: the production planner, outbox, delivery and handlers, day by day over a history, on a database of its own.

    fullsteam replay      parent: this process, the bot, with a steered clock behind HTTP on loopback
      `- python -m sandbox drive …   child: a Slack workspace whose people answer by a seeded script; master of time

The bot reaches the sandbox only over HTTP, as it reaches Slack. With ``messenger="console"`` there is no sandbox: the
messages are printed and nobody answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console

from bot import loop
from bot.clock import SteeredClock
from bot.config import read_settings
from bot.connectors.spreadsheet.connector import SpreadsheetConnector, open_spreadsheet
from bot.content.load import Content, load
from bot.content.programme import load_programme
from bot.delivery.console import ConsoleDirectory, ConsoleMessenger
from bot.domain.errors import ConfigurationError
from bot.domain.people import SlackUser
from bot.domain.ports import Connector, Directory, Messenger
from bot.domain.programme import Programme
from bot.progress import day_bar
from bot.sandboxed import new_keys, sandbox, slack_at
from bot.transcript import tell_story
from bot.wiring import (
    House,
    Steered,
    all_triggers,
    asgi_of,
    listening,
    prepare_replay,
    replay_counts,
    served,
)
from bot.workdays import PublicHolidays
from store.database import Database, migrate, open_database

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
POLL_HOUR = clock_time(5, 0)
"""Local hour of the daily poll: before anybody's first decision point."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What to replay. ``seed`` seeds the people's answers and, through the secret, every draw."""

    mapping: Path
    first: date
    last: date
    data: Path | None = None
    messenger: str = "sandbox"
    script: Path | None = None
    seed: int = 1
    database: str | None = None
    programme: Path | None = None
    transcript: bool = False
    durable: bool = False
    sandbox_options: tuple[str, ...] = field(default=())

    @property
    def secret(self) -> str:
        """Derived from the seed, so that the same seed draws the same coins."""
        return hashlib.sha256(f"replay {self.seed}".encode()).hexdigest()

    @property
    def programme_file(self) -> Path:
        """The programme in force: the one named, the one beside the mapping, or that of every other command."""
        beside = self.mapping.with_name("programme.toml")
        return self.programme or (beside if beside.is_file() else read_settings().programme)

    @property
    def script_file(self) -> Path:
        """The script of answers in force."""
        return self.script or EXAMPLES / "replies.toml"

    def mark(self) -> dict[str, Any]:
        """Identifies the replay in its database, so that only the same one goes on in it."""
        return {
            "mapping": str(self.mapping),
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "seed": self.seed,
        }


def run_replay(replay: Replay, *, progress: bool = False) -> dict[str, Any]:
    """Run it; returns the report: totals, weeks, where the answers came from.

    Raises ConfigurationError for a database that holds anything else, and for a range or file that cannot be.
    """
    _check(replay)
    days = (replay.last - replay.first).days + 1
    with _database_url(replay) as url, day_bar(progress) as bar:

        def tell(day: str) -> None:
            bar.tell((date.fromisoformat(day) - replay.first).days + 1, days, day)

        return loop.run(_run(replay, url, tell))


def _check(replay: Replay) -> None:
    faults = []
    if replay.last < replay.first:
        faults.append(f"--to {replay.last} is before --from {replay.first}")
    if replay.messenger not in ("sandbox", "console"):
        faults.append(f"--messenger {replay.messenger}: write sandbox or console")
    if not replay.mapping.is_file():
        faults.append(
            f"there is no mapping file {replay.mapping}; examples/maven/mapping.toml is one to copy"
        )
    if replay.messenger == "sandbox" and not replay.script_file.is_file():
        faults.append(f"there is no script of answers {replay.script_file}; examples/replies.toml is one")
    if faults:
        raise ConfigurationError(faults, title="This cannot be replayed")


@contextlib.contextmanager
def _database_url(replay: Replay) -> Iterator[str]:
    if replay.database is not None:
        yield replay.database
        return
    with tempfile.TemporaryDirectory(prefix="fullsteam-replay-") as folder:
        yield f"sqlite:///{folder}/replay.db"


async def _run(replay: Replay, url: str, tell: Callable[[str], None]) -> dict[str, Any]:
    started = time.monotonic()
    migrate(url)
    programme_file = replay.programme_file
    content = load()
    programme = load_programme(programme_file, content.behaviours)
    connector = open_spreadsheet(
        replay.mapping, replay.data, settle=timedelta(0), record_link=programme.record_link
    )
    zone = ZoneInfo(programme.zone or "UTC")
    begin = datetime.combine(replay.first, POLL_HOUR, zone).astimezone(UTC)
    until = datetime.combine(replay.last + timedelta(days=1), clock_time(), zone).astimezone(UTC)
    database = open_database(url, durable=replay.durable)
    try:
        at = await prepare_replay(database, programme, connector, replay.mark(), begin)
        plan = Plan(replay, programme, content, connector, database, SteeredClock(at), at, until)
        seen = await (_by_console if replay.messenger == "console" else _by_sandbox)(plan, tell)
        body = await database.read(replay_counts, replay.first, replay.last)
    finally:
        await asyncio.to_thread(database.close)
    return {
        **body,
        "mapping": replay.mapping.as_posix(),
        "programme": programme_file.as_posix(),
        "from": replay.first.isoformat(),
        "to": replay.last.isoformat(),
        "seed": replay.seed,
        "script": replay.script_file.as_posix() if replay.messenger == "sandbox" else None,
        "messenger": replay.messenger,
        "sandbox": seen,
        "seconds": round(time.monotonic() - started, 2),
    }


@dataclass(frozen=True, slots=True)
class Plan:
    """A replay with everything opened. From ``begin`` to ``until``."""

    replay: Replay
    programme: Programme
    content: Content
    connector: SpreadsheetConnector
    database: Database
    clock: SteeredClock
    begin: datetime
    until: datetime

    @property
    def clock_zone(self) -> ZoneInfo:
        """Where the programme lives."""
        return ZoneInfo(self.programme.zone or "UTC")

    def house(self, messenger: Messenger, directory: Directory) -> House:
        """The production house with this clock."""
        return House(
            clock=self.clock,
            database=self.database,
            programme=self.programme,
            content=self.content,
            triggers=all_triggers(),
            connectors={self.connector.name: self.connector},
            holidays=PublicHolidays(),
            secret=self.replay.secret.encode(),
            messenger=messenger,
            directory=directory,
            poll_every=timedelta(days=1),
        )


async def _by_console(plan: Plan, tell: Callable[[str], None]) -> dict[str, Any]:
    """Steer by ourselves, from one due time to the next: messages are printed, nobody answers."""
    users = [
        SlackUser(id=row["id"], email=row["email"], name=row["name"], zone=row["tz"])
        for row in await slack_accounts(plan.programme, plan.connector, plan.replay.last)
    ]
    names = {user.id: user.name for user in users}
    messenger = ConsoleMessenger(sys.stderr.write, plan.clock, names=names)
    steered = Steered(plan.house(messenger, ConsoleDirectory(users)), plan.clock)
    now = plan.begin
    while now < plan.until:
        due = await steered.advance(now)
        tell(now.date().isoformat())
        if due is None:
            break
        now = max(due, now + timedelta(seconds=1))
    return {}


async def _by_sandbox(plan: Plan, tell: Callable[[str], None]) -> dict[str, Any]:
    """Start the sandbox, serve the bot to it, and wait until it has reached the end."""
    with tempfile.TemporaryDirectory(prefix="fullsteam-sandbox-") as folder:
        files = Path(folder)
        accounts = await slack_accounts(plan.programme, plan.connector, plan.replay.last)
        (files / "people.json").write_text(json.dumps({"users": accounts}), encoding="utf-8")
        bound = listening("127.0.0.1", 0)
        options = [
            *("--bot", f"http://127.0.0.1:{bound.getsockname()[1]}", "--port", "0"),
            *("--from", plan.begin.isoformat(), "--until", plan.until.isoformat()),
            *("--people", str(files / "people.json"), "--script", str(plan.replay.script_file.resolve())),
            *("--seed", str(plan.replay.seed), "--report", str(files / "report.json")),
            *("--record", str(files / "record.jsonl")),
            *plan.replay.sandbox_options,
        ]
        keys = new_keys()
        async with sandbox(keys, options) as lines:
            ready = await anext(lines, None)
            if ready is None or not ready.get("ready"):
                return {}  # it died at once: leaving the block says why
            async with slack_at(str(ready["url"]), keys.bot_token) as (connection, messenger, directory):
                house = plan.house(messenger, directory)
                steered = Steered(house, plan.clock)
                app = asgi_of(house, connection, keys.signing_secret, steer=steered.advance)
                async with served(app, bound):
                    async for line in lines:
                        if "day" in line:
                            tell(str(line["day"]))
        if plan.replay.transcript:
            names = {row["id"]: row["name"] for row in accounts}
            tell_story(files / "record.jsonl", names, plan.clock_zone, Console())
        body: dict[str, Any] = json.loads((files / "report.json").read_text(encoding="utf-8"))
        return body


async def slack_accounts(programme: Programme, connector: Connector, last: date) -> list[dict[str, Any]]:
    """A Slack account for everybody in the CRM with an e-mail address, and for the roles of the programme."""
    people, _ = await connector.users(last)
    rows: list[dict[str, Any]] = [
        {"name": person.name, "email": person.email, "tz": person.zone or programme.zone}
        for person in people
        if person.email
    ]
    known = {str(row["email"]).casefold() for row in rows}
    roles = [
        programme.sponsor,
        programme.adoption_lead,
        programme.privacy_officer,
        *programme.owners.values(),
    ]
    for email in dict.fromkeys(address.casefold() for address in roles):
        if email not in known:
            name = email.split("@")[0].replace(".", " ").title()
            rows.append({"name": name, "email": email, "tz": programme.zone})
    return [{"id": f"U{number:08}", **row} for number, row in enumerate(rows, 1)]
