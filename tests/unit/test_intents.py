"""What people write, and what is understood of it: a bank of lines in four languages, and the rules behind it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import intents
from bot.domain.intents import DELETE, FEEDBACK, INTENTS, PAUSE, STOP, recognise

TUESDAY = date(2026, 11, 3)


def bank() -> list[tuple[str, str, str]]:
    """Intent, day ("" where none belongs), text."""
    lines = (Path(__file__).parents[1] / "data" / "intents.tsv").read_text(encoding="utf-8").split("\n")
    rows = []
    for line in lines:
        if line.startswith("#") or "\t" not in line:
            continue
        label, _, text = line.partition("\t")
        kind, _, day = label.partition(" ")
        rows.append((kind, day, text.replace("\\n", "\n")))
    return rows


def test_the_bank_is_large_and_knows_every_intent() -> None:
    assert len(bank()) >= 150
    assert {kind for kind, _, _ in bank()} == set(INTENTS)


@pytest.mark.parametrize(("kind", "day", "text"), bank())
def test_a_line_of_the_bank_is_understood(kind: str, day: str, text: str) -> None:
    found = recognise(text, TUESDAY)
    assert found.kind == kind
    assert (found.until.isoformat() if found.until else "-") == (day or "-")


@pytest.mark.parametrize("stop", [text for kind, _, text in bank() if kind == STOP])
@pytest.mark.parametrize("shape", ["{}\n", "  {} ", "{} 😡", "*{}*", "Hi. {}"])
def test_a_stop_is_a_stop_however_it_is_dressed(stop: str, shape: str) -> None:
    assert recognise(shape.format(stop), TUESDAY).kind == STOP


def test_a_stop_wins_over_everything_else_in_the_message() -> None:
    assert recognise("Thanks for the tip. How do I change it? Stop.", TUESDAY).kind == STOP


def test_a_pause_never_ends_in_the_past_nor_more_than_a_year_away() -> None:
    assert recognise("pause until 2020-01-01", TUESDAY) == intents.Intent(intents.PAUSE_UNTIL_WHEN)
    ends = recognise("pause until 2099-01-01", TUESDAY).until
    assert ends == TUESDAY + intents.LONGEST_PAUSE


def test_a_month_on_from_the_last_of_january_is_the_last_of_february() -> None:
    assert recognise("pause for a month", date(2027, 1, 31)).until == date(2027, 2, 28)


def test_a_long_text_is_read_quickly_and_is_feedback() -> None:
    assert recognise("the approval " * 3_333, TUESDAY).kind == FEEDBACK


@given(st.text(max_size=300))
def test_no_text_breaks_the_rules(text: str) -> None:
    assert recognise(text, TUESDAY).kind in INTENTS


@given(
    st.lists(
        st.sampled_from(
            [
                "account",
                "amount",
                "approval",
                "customer",
                "deal",
                "field",
                "forecast",
                "record",
                "report",
                "screen",
                "search",
            ]
        ),
        min_size=1,
        max_size=8,
    )
)
def test_words_about_the_crm_are_never_taken_for_a_command(words: list[str]) -> None:
    for command in ("stop the", "delete the", "pause the"):
        assert recognise(f"{command} {' '.join(words)}", TUESDAY).kind not in {STOP, DELETE, PAUSE}
