"""Own days, hours and limit, as people type them."""

from __future__ import annotations

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.attention import EARLIEST, LATEST
from bot.domain.own_times import parse_days, parse_hours, parse_weekly


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("Mon Tue Thu", (0, 1, 3)),
        ("mon, tue and thursday", (0, 1, 3)),
        ("Mo Di Do", (0, 1, 3)),
        ("Montag bis Donnerstag", (0, 1, 2, 3)),
        ("Mon-Thu", (0, 1, 2, 3)),
        ("Mo – Mi, Fr", (0, 1, 2, 4)),
        ("Sun-Thu", (0, 1, 2, 3, 6)),
        ("Samstag", (5,)),
        ("", None),
        ("Mon someday", None),
        ("Mon-", None),
        ("Mon-Tue-Wed", None),
        ("every day", None),
    ],
)
def test_days_are_understood_or_refused(text: str, days: tuple[int, ...] | None) -> None:
    assert parse_days(text) == days


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("09:00-15:00", (time(9), time(15))),
        ("9-15", (time(9), time(15))),
        ("9.30 bis 16 Uhr", (time(9, 30), time(16))),
        ("9:30 am to 4 pm", (time(9, 30), time(16))),
        ("08:00 – 18:30", (EARLIEST, LATEST)),
        ("7-15", None),
        ("9-19", None),
        ("15-9", None),
        ("9:00-9:59", None),
        ("9:00", None),
        ("25:00-26:00", None),
        ("9:70-15", None),
        ("0 pm-13 pm", None),
        ("", None),
    ],
)
def test_hours_are_understood_or_refused(text: str, hours: tuple[time, time] | None) -> None:
    assert parse_hours(text) == hours


@pytest.mark.parametrize(
    ("text", "weekly"),
    [("1", 1), (" 5 ", 5), ("0", None), ("6", None), ("-1", None), ("two", None), ("", None)],
)
def test_a_weekly_limit_is_one_to_five(text: str, weekly: int | None) -> None:
    assert parse_weekly(text) == weekly


@given(st.text(max_size=60))
def test_no_text_breaks_them_and_none_leaves_the_hard_limits(text: str) -> None:
    parse_days(text)
    parse_weekly(text)
    hours = parse_hours(text)
    assert hours is None or EARLIEST <= hours[0] < hours[1] <= LATEST
