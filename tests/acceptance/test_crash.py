"""Whenever the bot dies, nothing that Slack was told we have is lost, nobody gets a message twice, and it all ends the same.

FULLSTEAM_CRASH_SEED chooses other instants. What is compared: tests/ending.py; how the bot is killed: tests/crashing.py.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.crashing import Course, Result, run_course, write_company
from tests.ending import Account, Ending, ending, faults

SEED = int(os.environ.get("FULLSTEAM_CRASH_SEED", "1"))
FIRST, LAST = date(2026, 9, 9), date(2026, 9, 15)
PEOPLE = 40
KILLS = 200
SPACING = 24.0
"""Points between two kills, about."""


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course without kills; the people and their deals are the same for all seeds."""
    folder = tmp_path_factory.mktemp("course")
    company = folder / "company"
    company.mkdir()
    write_company(company, PEOPLE, FIRST, LAST, seed=1)
    return Course(
        url=f"sqlite:///{folder}/replay.db",
        folder=str(folder),
        company=str(company),
        first=FIRST.isoformat(),
        last=LAST.isoformat(),
        seed=SEED,
    )


@pytest.fixture(scope="module")
def undisturbed(course: Course) -> Ending:
    """How the replay ends when nobody is killed: on SQLite, for both databases."""
    result = run_course(course)
    end = ending(course.url)
    assert faults(Account.of(Path(result.record)), end) == []
    least = {"decision": 150, "outbox": 120, "feedback": 60, "barrier": 3, "preference": 30, "stage": 30}
    assert all(len(end.parts[name]) >= count for name, count in least.items()), "too little happens"
    return end


def told(result: Result, title: str) -> str:
    """A line for whoever runs the test."""
    kinds = ", ".join(f"{name} {count}" for name, count in result.kills.items())
    doing = ", ".join(f"{name} {count}" for name, count in result.doing.items())
    return (
        f"\n{title}: seed {result.seed}, {result.killed} kills in {result.seconds:.0f} s ({result.cpu_seconds:.0f} s of CPU; {kinds}), "
        f"while it did: {doing}; replies {result.totals['replies'] + result.totals['clicks']}, "
        f"posts {result.totals['posts']}, kills between {' and '.join(result.spread)}"
    )


@pytest.mark.slow
def test_two_hundred_kills_lose_nothing_double_nothing_and_change_nothing(
    course: Course,
    undisturbed: Ending,
    database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = run_course(replace(course, url=database_url, folder=str(tmp_path), kills=KILLS, spacing=SPACING))
    with capsys.disabled():
        print(told(result, database_url.partition(":")[0]))
    assert result.killed == KILLS, "the replay was over too soon"
    assert result.kills["at a random time"] == KILLS // 2
    seen, end = Account.of(Path(result.record)), ending(database_url)
    assert faults(seen, end) == []
    assert undisturbed.differences(end) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "aim", "fault"),
    [
        ("look before posting again", "deliver: after post", "posted twice"),
        ("commit before the acknowledgement", "door: after answer", "acknowledged and lost"),
    ],
)
def test_each_rule_is_needed(small: Course, tmp_path: Path, rule: str, aim: str, fault: str) -> None:
    for name, without in (("with", None), ("without", rule)):
        folder = tmp_path / name
        folder.mkdir()
        url = f"sqlite:///{folder}/replay.db"
        result = run_course(
            replace(small, url=url, folder=str(folder), kills=5, spacing=3.0, aim=aim, without=without)
        )
        assert result.kills == {aim.partition(": ")[2]: 5}
        found = faults(Account.of(Path(result.record)), ending(url))
        assert (found == []) if without is None else any(each.startswith(fault) for each in found)


@pytest.fixture
def small(tmp_path: Path) -> Course:
    """Eight people, five working days."""
    company = tmp_path / "company"
    company.mkdir()
    write_company(company, 8, FIRST, LAST, seed=2)
    return Course("", "", str(company), FIRST.isoformat(), LAST.isoformat(), seed=2)


def test_the_same_replay_ends_the_same(small: Course, tmp_path: Path) -> None:
    ends, accounts = [], []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        url = f"sqlite:///{folder}/replay.db"
        result = run_course(replace(small, url=url, folder=str(folder)))
        ends.append(ending(url))
        accounts.append(Account.of(Path(result.record)))
    assert ends[0].differences(ends[1]) == []
    assert ends[0].inbox == ends[1].inbox
    assert accounts[0] == accounts[1]
    assert ends[0].parts["feedback"], "nobody answered"
