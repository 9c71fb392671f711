"""Replay: the production planner over the Maven history. What it reports, that it repeats, and that it does not foresee."""

from __future__ import annotations

import csv
import json
import os
import random
from collections import Counter
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.replay import Replay, run_replay
from store import decisions
from store.database import open_database
from tests.acceptance.test_no_foresight import change_the_future, write
from tests.installation import Typed, typed
from tests.story import Firm

FROM, TO = date(2017, 6, 5), date(2017, 6, 16)
SEED = 11
TOTALS = ("facts", "decisions", "sent", "answers", "held", "replies", "feedback", "adoption_stage_moves")


@pytest.fixture(scope="module")
def maven(shared_folder: Path) -> Path:
    return shared_folder / "data/maven"


def replays(
    folder: Path, repository: Path, data: Path, *more: str, last: date = TO, seed: int = SEED
) -> Typed:
    """``fullsteam replay examples/maven/mapping.toml …``, its JSON in ``report.json``."""
    settings = {key: value for key, value in os.environ.items() if not key.startswith("FULLSTEAM_")}
    words = ["replay", str(repository / "examples/maven/mapping.toml"), "--data", str(data)]
    words += ["--from", FROM.isoformat(), "--to", last.isoformat(), "--seed", str(seed)]
    return typed([*words, "--json", str(folder / "report.json"), *more], settings, folder)


def report_in(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return found


def test_two_weeks_of_maven_are_reported_with_totals_that_add_up(
    tmp_path: Path, repository: Path, maven: Path
) -> None:
    assert replays(tmp_path, repository, maven).code == 0
    report = report_in(tmp_path)
    assert report.keys() >= {*TOTALS, "weeks", "script", "seed"}
    assert [week["week"] for week in report["weeks"]] == ["2017-06-05", "2017-06-12"]
    for total in TOTALS:
        of_weeks = [week[total] for week in report["weeks"]]
        if total == "held":
            counted: Counter[str] = Counter()
            for held in of_weeks:
                counted.update(held)
            assert report["held"] == dict(counted)
        else:
            assert report[total] == sum(of_weeks), total
    assert all(report[total] for total in TOTALS), report

    # More than one trigger reaches people, and none that reads what the data cannot say.
    assert sum(1 for count in report["sent_by_trigger"].values() if count) >= 2
    assert report["sent"] == sum(report["sent_by_trigger"].values())
    assert "past_close_date" not in report["sent_by_trigger"]
    assert all(reason and count > 0 for reason, count in report["held"].items())

    # What the workspace saw, and where the answers come from.
    workspace = report["sandbox"]
    assert (workspace["duplicates"], workspace["rejected"]) == (0, {})
    assert workspace["clicks"] + workspace["replies"] + workspace["commands"] <= workspace["acks"]
    assert (repository / report["script"]).samefile(repository / "examples/replies.toml")
    assert report["seed"] == SEED


def test_the_same_seed_gives_the_same_numbers(tmp_path: Path, repository: Path, maven: Path) -> None:
    found = []
    for _ in range(2):
        assert replays(tmp_path, repository, maven, last=FROM + timedelta(days=2)).code == 0
        report = report_in(tmp_path)
        for each in (report, report["sandbox"]):
            for clocked in ("seconds", "cpu_seconds", "memory_mib"):
                each.pop(clocked, None)
        found.append(report)
    first, again = found
    assert first == again
    assert first["replies"] > 0


def test_it_goes_on_in_its_own_database_and_refuses_any_other(
    tmp_path: Path, repository: Path, maven: Path, sqlite_url: str
) -> None:
    own = f"sqlite:///{tmp_path}/replay.db"
    console = ("--messenger", "console", "--database", own)
    day = FROM + timedelta(days=1)
    assert replays(tmp_path, repository, maven, *console, last=day).code == 0
    before = report_in(tmp_path)
    assert replays(tmp_path, repository, maven, *console, last=day).code == 0, "the same one again"
    assert {key: report_in(tmp_path)[key] for key in TOTALS} == {key: before[key] for key in TOTALS}
    other = replays(tmp_path, repository, maven, *console, last=day, seed=SEED + 1)
    assert (other.code, "it holds another replay" in other.err) == (2, True)

    firm = Firm(tmp_path / "live")
    firm.deal(firm.hires("Ada Marsh"))
    mapping, programme = firm.writes()
    settings = {
        **os.environ,
        "FULLSTEAM_DATABASE_URL": sqlite_url,
        "FULLSTEAM_PROGRAMME": str(programme),
        "FULLSTEAM_SECRET": "s" * 32,
    }
    assert typed(["import", str(mapping)], settings, tmp_path).code == 0
    live = replays(tmp_path, repository, maven, "--messenger", "console", "--database", sqlite_url, last=day)
    assert (live.code, live.out) == (2, "")
    assert "it holds rows that are not of a replay" in live.err


def decided(repository: Path, data: Path, folder: Path, until: datetime) -> list[dict[str, Any]]:
    """Every decision up to an instant, as a replay with that data takes it; nobody answers."""
    url = f"sqlite:///{folder}/decisions.db"
    run_replay(
        Replay(
            mapping=repository / "examples/maven/mapping.toml",
            data=data,
            first=FROM,
            last=FROM + timedelta(days=8),
            messenger="console",
            database=url,
        )
    )
    database = open_database(url)
    try:
        rows = database.read_now(decisions.between, datetime(2017, 1, 1, tzinfo=UTC), until)
    finally:
        database.close()
    # What became of it is measured later, and may well differ.
    return [
        {key: value for key, value in asdict(row).items() if not key.startswith(("outcome_", "coverage_"))}
        for row in rows
    ]


def test_whatever_happens_after_a_day_no_decision_up_to_it_changes(
    tmp_path: Path, repository: Path, maven: Path
) -> None:
    day = FROM + timedelta(days=4)
    end_of_day = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
    with (maven / "sales_pipeline.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        rows, header = list(reader), list(reader.fieldnames or ())
    (tmp_path / "as-it-was").mkdir()
    as_it_was = decided(repository, maven, tmp_path / "as-it-was", end_of_day)
    assert any(row["trigger"] for row in as_it_was), "somebody gets a tip in these days"

    chance = random.Random(5)
    other = [changed for row in rows if (changed := change_the_future(dict(row), day, chance)) is not None]
    by_id = {row["opportunity_id"]: row for row in other}
    assert sum(1 for row in rows if by_id.get(row["opportunity_id"]) != row) > 1_000
    chance.shuffle(other)
    data = write(tmp_path / "data", header, other, maven)
    (tmp_path / "otherwise").mkdir()
    assert decided(repository, data, tmp_path / "otherwise", end_of_day) == as_it_was
