"""The program as it is installed: it is started, a file is dropped, no command is typed, and the loop goes round."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from store import inbox, outbox
from store.database import open_database
from store.outbox import OutboxRow
from store.tables import outbox as outbox_table
from tests.installation import (
    Installation,
    eleven_o_clock_zone,
    eventually,
    free_port,
    get,
    slack_on_this_machine,
    working_country,
)
from tests.story import Firm

ADA = "Ada Marsh"
EVERY_DAY = "Mon Tue Wed Thu Fri Sat Sun"


@dataclass
class Office:
    """A firm where it is eleven o'clock, its files still elsewhere, and the installation that waits for them."""

    firm: Firm
    installation: Installation
    drop: Path

    def drops_files(self) -> None:
        """Move the export into the folder, as a nightly job does."""
        for file in self.firm.folder.glob("*.csv"):
            shutil.copy2(file, self.drop / f"{file.name}.part")
            (self.drop / f"{file.name}.part").rename(self.drop / file.name)

    @property
    def ada(self) -> str:
        return str(self.firm.accounts[ADA]["id"])

    def rows(self, kind: str) -> list[OutboxRow]:
        """What was written to Ada, of one kind, as the database has it."""
        database = open_database(self.installation.database_url)
        try:
            ids = database.read_now(
                lambda uow: [row.id for row in uow.rows(outbox_table.select()) if row.kind == kind]
            )
            found = [database.read_now(outbox.by_id, each) for each in ids]
        finally:
            database.close()
        return [row for row in found if row is not None and row.address == self.ada]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    zone = eleven_o_clock_zone()
    firm = Firm(tmp_path / "export", zone=zone, country=working_country(zone))
    firm.hires(ADA, works=EVERY_DAY)
    long_ago = (datetime.now(UTC) - timedelta(days=200)).date().isoformat()
    past = (datetime.now(UTC) - timedelta(days=30)).date().isoformat()
    firm.deal(ADA, 4, created=long_ago, expected=past)
    mapping, programme = firm.writes()
    drop = tmp_path / "drop"
    drop.mkdir()
    shutil.copy(mapping, drop)
    shutil.copy(programme, tmp_path)
    lain = time.time() - 60  # it was written a minute ago, and has lain still since
    for file in firm.folder.glob("*.csv"):
        os.utime(file, (lain, lain))
    port = free_port()
    with slack_on_this_machine(tmp_path / "slack", list(firm.accounts.values()), port) as slack:
        yield Office(
            firm,
            Installation(
                tmp_path,
                f"sqlite:///{tmp_path}/fullsteam.db",
                slack,
                port,
                {"FULLSTEAM_IMPORT_DIR": str(drop)},
            ),
            drop,
        )


def goes_round(office: Office) -> str:
    """A file is dropped; welcome, goal, tip, click. Returns the id of the tip's decision."""
    slack, ada = office.installation.slack, office.ada
    office.drops_files()
    welcome = slack.wait_for(ada, "What would make Compass worth it")
    slack.press(ada, welcome, "goal:productivity")
    tip = slack.wait_for(ada, '"tip:do"')
    assert "Deal 1" in tip["text"]
    slack.press(ada, tip, "tip:do")
    slack.wait_for(ada, "Opened on")
    (row,) = eventually(
        lambda: [row for row in office.rows("tip") if row.reaction], "the click in the database"
    )
    assert (row.reaction, row.state) == ("tip:do", "sent")
    assert row.decision is not None
    return row.decision


async def outcome_is_filled_in(office: Office, decision: str) -> None:
    """Four days later, on the same database: Ada has mended three of her four deals."""
    firm = office.firm
    for deal in firm.deals[:3]:
        deal["Expected"] = (datetime.now(UTC) + timedelta(days=300)).date().isoformat()
    soon = datetime.now(UTC) + timedelta(hours=1)
    async with firm.at_work(office.installation.database_url, soon.isoformat()) as story:
        await story.passes(days=4)
        (row,) = [each for each in story.decided(ADA) if each.id == decision]
        assert (row.outcome_72h, row.coverage_72h) == (3, 1)
        assert row.outcome_7d is None


def test_run_does_the_whole_loop_by_itself(office: Office) -> None:
    installation = office.installation
    with installation.running("run") as (run,):
        decision = goes_round(office)

        # Beside it: another one is refused, everything that only reads or imports is not.
        second = installation.command("run")
        assert (second.code, second.out) == (2, "")
        assert "Another `fullsteam run` uses this database" in second.err
        assert "Traceback" not in second.err
        imported = installation.types("import", str(office.firm.folder / "mapping.toml"), "--json", "-")
        assert (imported.code, json.loads(imported.out)["people"]) == (0, 2)
        planned = installation.types("plan", "--days", "3", "--json", "-")
        assert planned.code == 0
        assert {row["name"] for row in json.loads(planned.out)["decisions"]} == {ADA, "Maria Lang"}
        exported = installation.types("export", "feedback", "--as", "lee.brandt@example.com")
        assert (exported.code, exported.out.split(",")[0]) == (0, "kind")

        status, body = get(f"http://127.0.0.1:{installation.port}/healthz")
        assert (status, json.loads(body)["database"]) == (200, "ok")
        status, body = get(f"http://127.0.0.1:{installation.port}/metrics")
        assert status == 200
        assert 'fullsteam_outbox_rows{state="sent"}' in body
        assert get(f"http://127.0.0.1:{installation.port}/clock")[0] == 404, "real time is nobody's to steer"

        assert [line for line in run.lines() if line["level"] == "error"] == []
        assert ADA not in run.log.read_text(encoding="utf-8")
        assert run.stops() < 5
    asyncio.run(outcome_is_filled_in(office, decision))


def test_stop_holds_everything_in_a_tick_and_start_lets_it_go(office: Office) -> None:
    installation, slack, ada = office.installation, office.installation.slack, office.ada
    with installation.running("run"):
        office.drops_files()
        welcome = slack.wait_for(ada, "What would make Compass worth it")
        stopped = installation.types("stop", "--reason", "a test of the brake")
        assert (stopped.code, stopped.out.split(":")[0]) == (0, "Stopped")
        slack.press(ada, welcome, "goal:productivity")
        eventually(lambda: office.rows("tip"), "the tip to be decided")
        time.sleep(1.0)  # five ticks
        assert len(slack.messages(ada)) == 1
        assert [row.state for row in office.rows("tip")] == ["ready"]

        asked = time.monotonic()
        assert installation.types("start").code == 0
        slack.wait_for(ada, '"tip:do"')
        assert time.monotonic() - asked < 5


def test_web_worker_and_clock_do_the_same_loop_on_postgresql(office: Office, postgres_url: str) -> None:
    office.installation.database_url = postgres_url
    with office.installation.running("web", "worker", "clock", "worker") as processes:
        decision = goes_round(office)
        database = open_database(postgres_url)
        assert database.read_now(inbox.counts).get("new", 0) == 0
        database.close()
        assert get(f"http://127.0.0.1:{office.installation.port}/healthz")[0] == 200
        tips = [m for m in office.installation.slack.messages(office.ada) if "Deal 1" in m["text"]]
        assert len(tips) == 1, "two workers, one message"
        for each in processes:
            assert [line for line in each.lines() if line["level"] == "error"] == []
            assert each.stops() < 5
    asyncio.run(outcome_is_filled_in(office, decision))


def test_sqlite_is_written_by_one_process_only(office: Office) -> None:
    refused = office.installation.types("worker")
    assert refused.code == 2
    assert "FULLSTEAM_DATABASE_URL names SQLite" in refused.err


HOOK = """
import os, sys
def record(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
        seen = "unix" if isinstance(address, (str, bytes)) else f"{address[0]}:{address[1]}"
    elif event == "socket.getaddrinfo":
        seen = f"{arguments[0]}:{arguments[1]}"
    else:
        return
    with open(os.environ["SEEN_ADDRESSES"], "a") as file:
        file.write(seen + "\\n")
sys.addaudithook(record)
"""


def test_run_calls_slack_and_nobody_else(office: Office) -> None:
    hooks = office.installation.folder / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK)
    seen = office.installation.folder / "addresses.txt"
    office.installation.more |= {
        "PYTHONPATH": os.pathsep.join((str(hooks), office.installation.environment["PYTHONPATH"])),
        "SEEN_ADDRESSES": str(seen),
    }
    office.drops_files()
    with office.installation.running("run"):
        office.installation.slack.wait_for(office.ada, "Hello Ada")
    slack = office.installation.slack.url.removeprefix("http://")
    assert set(seen.read_text().split()) == {slack}
