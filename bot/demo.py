"""The demo: a company of the sandbox's own, its CRM and its Slack, run through the real bot at the speed of the machine.

Only the clock is steered (docs/decisions/0012): people, records and answers live in the sandbox, which the bot reaches over
HTTP alone. Afterwards the sandbox's page stays up, to look around and to click through.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Any

from bot import loop
from bot.clock import SteeredClock
from bot.content.load import load
from bot.content.programme import load_programme
from bot.domain.errors import Permanent
from bot.sandboxed import Keys, new_keys, sandbox, slack_at
from bot.wiring import (
    House,
    Steered,
    all_triggers,
    asgi_of,
    connector_kinds,
    let_go,
    listening,
    prepare_replay,
    replay_counts,
    served,
)
from bot.workdays import PublicHolidays
from store.database import migrate, open_database

FIRST_DAY = date(2026, 1, 12)
"""A Monday. Half a year from here has both changes of the clocks, north and south of the equator, and Easter."""
CRM = "salesforce"
MANIFEST = Path(__file__).resolve().parent.parent / "slack-manifest.json"
"""What the app may do and offers in Slack; a wheel comes without it, and then it may do everything."""


@dataclass(frozen=True, slots=True)
class Demo:
    """How large and how long. ``page_port``: where the page is served, 0 is any free one."""

    people: int = 500
    weeks: int = 26
    seed: int = 1
    page_port: int = 0
    stay: bool = False
    first: date = FIRST_DAY

    @property
    def begin(self) -> datetime:
        """The instant at which it starts."""
        return datetime.combine(self.first, clock_time(), UTC)

    @property
    def until(self) -> datetime:
        """The instant at which it ends: some days into the next week, when there is something new to look at everywhere."""
        return self.begin + timedelta(weeks=self.weeks) + AFTERWARDS

    @property
    def days(self) -> int:
        """How many days it touches."""
        return (self.until.date() - self.first).days + 1

    @property
    def secret(self) -> bytes:
        """Of every draw: derived from the seed, so that the same seed draws the same coins."""
        return hashlib.sha256(f"demo {self.seed}".encode()).hexdigest().encode()


AFTERWARDS = timedelta(days=3, hours=15)
"""Until Thursday, 15:00 UTC: afternoon in Europe, morning in America, and tips of the same day in both."""
ACK_SECONDS = 60
"""How long the bot may take to acknowledge while time is steered; Slack's own limit is 3 and is for the bot at work."""
Tell = Callable[[int, int], None]
"""(days done, days in all)."""
Finished = Callable[[dict[str, Any], str], None]
"""(report, address of the page): called once the end is reached, before the page is left to the visitor."""


def run_demo(demo: Demo, *, tell: Tell, finished: Finished) -> dict[str, Any]:
    """Run it; returns the report: totals, broken promises, seconds and memory.

    ``demo.stay``: afterwards the page is served until somebody stops it. Raises Permanent when the sandbox fails, and
    ConfigurationError.
    """
    with tempfile.TemporaryDirectory(prefix="fullsteam-demo-") as folder:
        return loop.run(_run(demo, Path(folder), tell, finished))


async def _run(demo: Demo, folder: Path, tell: Tell, finished: Finished) -> dict[str, Any]:
    started = time.monotonic()
    bound = listening("127.0.0.1", 0)
    options = [
        *("--bot", f"http://127.0.0.1:{bound.getsockname()[1]}", "--port", str(demo.page_port)),
        *("--company", str(demo.people), "--seed", str(demo.seed)),
        *("--from", demo.begin.isoformat(), "--until", demo.until.isoformat()),
        *("--report", str(folder / "report.json"), "--promises"),
        # In real seconds: on a busy machine a late acknowledgement would be another run.
        *("--ack-seconds", str(ACK_SECONDS)),
        *(["--stay"] if demo.stay else []),
        *(["--manifest", str(MANIFEST)] if MANIFEST.is_file() else []),
    ]
    keys = new_keys()
    async with sandbox(keys, options) as lines:
        ready = await anext(lines, None)
        if ready is None or not ready.get("ready"):
            return {}  # it died at once: leaving the block says why
        async with _bot(demo, folder, ready, bound, keys) as count:
            report: dict[str, Any] = {}
            async for line in lines:
                if "day" in line:
                    done = date.fromisoformat(str(line["day"])) - demo.first
                    tell(done.days + 1, demo.days)
                elif line.get("done"):
                    report = {
                        **await count(),
                        "people": demo.people,
                        "weeks_run": demo.weeks,
                        "seed": demo.seed,
                        "seconds": round(time.monotonic() - started, 1),
                        **_of_sandbox(line),
                        "memory_mib": {
                            "bot": _peak_memory(),
                            "sandbox": line.get("memory_mib"),
                        },
                    }
                    finished(report, str(ready["url"]))
            if not report:
                raise Permanent("The sandbox ended before the last day", code="sandbox")
            return report


@contextlib.asynccontextmanager
async def _bot(
    demo: Demo, folder: Path, ready: dict[str, Any], bound: Any, keys: Keys
) -> AsyncIterator[Callable[[], Any]]:
    """The production house on a database of its own, served to the sandbox; yields what counts its rows."""
    content = load()
    programme_file = folder / "programme.toml"
    programme_file.write_text(programme_text(ready), encoding="utf-8")
    programme = load_programme(programme_file, content.behaviours)
    clock = SteeredClock(demo.begin)
    connector = connector_kinds()[CRM].open(
        {**ready["crm"], "clock": clock, "zone": programme.zone or "UTC"}, programme.record_link
    )
    url = f"sqlite:///{folder}/demo.db"
    migrate(url)
    database = open_database(url, durable=False)
    try:
        mark = {"demo": demo.people, "weeks": demo.weeks, "seed": demo.seed}
        async with slack_at(str(ready["url"]), keys.bot_token) as (connection, messenger, directory):
            house = House(
                clock=clock,
                database=database,
                programme=programme,
                content=content,
                triggers=all_triggers(),
                connectors={connector.name: connector},
                holidays=PublicHolidays(),
                secret=demo.secret,
                messenger=messenger,
                directory=directory,
                poll_every=timedelta(days=1),
            )
            await prepare_replay(database, programme, connector, mark, demo.begin)
            steered = Steered(house, clock)
            last = demo.until.date()

            async def count() -> dict[str, Any]:
                return await database.read(replay_counts, demo.first, last)

            async with served(asgi_of(house, connection, keys.signing_secret, steer=steered.advance), bound):
                yield count
    finally:
        await let_go({connector.name: connector})
        await asyncio.to_thread(database.close)


def programme_text(ready: dict[str, Any]) -> str:
    """The programme of the sandbox's company, as its owner would write it."""
    roles = ready["roles"]
    owners = "\n".join(f"{kind} = {json.dumps(email)}" for kind, email in sorted(roles["owners"].items()))
    return f"""[programme]
name = "CRM that pays back"
crm = "Salesforce"
go_live = {ready["go_live"]}
zone = "Europe/Berlin"
country = "DE"
pilot_teams = ["*"]

[people]
sponsor = {{ name = {json.dumps(roles["sponsor_name"])}, email = {json.dumps(roles["sponsor"])} }}
adoption_lead = {json.dumps(roles["adoption_lead"])}
privacy_officer = {json.dumps(roles["privacy_officer"])}

[owners]
{owners}
"""


def _of_sandbox(line: dict[str, Any]) -> dict[str, Any]:
    """The sandbox's own account. ``replies``: what people did to answer; our rows of it are forgotten after a while."""
    return {
        "replies": sum(line[kind] for kind in ("clicks", "replies", "submissions", "commands")),
        "broken_promises": line.get("broken_promises", {}),
        "sandbox": {key: value for key, value in line.items() if key not in ("done", "broken_promises")},
    }


def _peak_memory() -> int:
    """MiB of this process at its peak (Linux and macOS)."""
    try:
        told = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 * 1024)  # macOS counts in bytes
    # Not ru_maxrss: on Linux a process begins with the peak of the one that started it.
    return next(int(line.split()[1]) for line in told.splitlines() if line.startswith("VmHWM")) // 1024
