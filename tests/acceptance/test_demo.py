"""``fullsteam demo``: a company of the sandbox's through the real bot, and what is reported of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.installation import Typed, typed

CLOCKED = {"seconds", "cpu_seconds", "memory_mib"}
"""What depends on the machine."""
SEEN_IN_FOUR_WEEKS = {
    "before_welcome",
    "name_without_yes",
    "never_arrived",
    "no_data_no_use",
    "no_reason",
    "not_true",
    "outside_window",
    "over_cap",
    "reply_lost",
    "sent_twice",
    "too_close",
}
"""Promises of which sixty people give cases in four weeks. The others need more people, or longer."""


def demo(folder: Path, *words: str) -> Typed:
    settings = {key: value for key, value in os.environ.items() if not key.startswith("FULLSTEAM_")}
    return typed(["demo", "--once", "--json", str(folder / "demo.json"), *words], settings, folder)


def report_in(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    return found


def without_the_machine(report: Any) -> Any:
    if isinstance(report, dict):
        return {key: without_the_machine(each) for key, each in report.items() if key not in CLOCKED}
    return report


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Typed, dict[str, Any]]:
    """Sixty people for four weeks."""
    folder = tmp_path_factory.mktemp("demo")
    ended = demo(folder, "--people", "60", "--weeks", "4")
    return ended, report_in(folder)


def test_the_demo_ends_well_and_says_in_ten_lines_what_happened(
    played: tuple[Typed, dict[str, Any]],
) -> None:
    ended, _ = played
    assert ended.code == 0, ended.err
    told = [line.split("  ")[0].strip() for line in ended.out.splitlines() if not line.startswith(" ")]
    assert told == [
        *("Company", "Decisions", "Sent", "Not sent", "Replies", "Feedback"),
        *("Stages", "Promises", "Time", "Memory"),
    ]
    assert "http://" not in ended.out, "--once serves nothing"


def test_the_totals_add_up(played: tuple[Typed, dict[str, Any]]) -> None:
    _, report = played
    workspace = report["sandbox"]
    assert report["decisions"] >= 60 * 15
    assert 150 <= report["sent"] <= workspace["posts"]
    assert report["replies"] >= 50
    assert report["feedback"] >= 10
    assert report["adoption_stage_moves"] > 0
    assert sum(report["held"].values()) > 0
    acts = [workspace[kind] for kind in ("clicks", "replies", "submissions", "commands")]
    assert report["replies"] == sum(acts) <= workspace["acks"]
    assert (workspace["duplicates"], workspace["lost"]) == (0, 0)
    assert sum(report["memory_mib"].values()) < 500


def test_no_promise_is_broken_and_each_was_looked_at(played: tuple[Typed, dict[str, Any]]) -> None:
    _, report = played
    promises = report["broken_promises"]
    assert {name: each for name, each in promises.items() if each["broken"]} == {}
    examined = {name for name, each in promises.items() if each["examined"] > 0}
    assert examined >= SEEN_IN_FOUR_WEEKS


def test_the_same_seed_gives_the_same_numbers_and_another_one_others(tmp_path: Path) -> None:
    found = []
    for seed in ("5", "5", "6"):
        assert demo(tmp_path, "--people", "12", "--weeks", "2", "--seed", seed).code == 0
        found.append(without_the_machine(report_in(tmp_path)))
    first, again, other = found
    assert first == again
    assert first["sandbox"]["posts"] > 0
    assert {**other, "seed": "5"} != {**first, "seed": "5"}


def test_a_company_that_is_too_small_is_refused_in_words(tmp_path: Path) -> None:
    ended = demo(tmp_path, "--people", "3")
    assert ended.code == 2
    assert "12" in ended.err
