"""Pacing: never faster than the bucket, never slower than it has to be, and a lesson from every Retry-After."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.delivery.pacing import Bucket

START = datetime(2026, 11, 17, 10, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
STEPS = st.lists(
    st.tuples(
        st.floats(0, 3).map(lambda seconds: timedelta(seconds=round(seconds, 3))),
        st.integers(0, 4).map(lambda number: f"D{number}"),
    ),
    max_size=150,
)


@given(STEPS, st.sampled_from([0.5, 1.0, 4.0]), st.integers(1, 20))
def test_no_stretch_of_time_holds_more_than_burst_and_rate_allow(
    steps: list[tuple[timedelta, str]], rate: float, burst: int
) -> None:
    pace = Bucket(rate=rate, burst=burst, channel_gap=timedelta(0))
    now, sent = START, []
    for passed, channel in steps:
        now += passed
        if pace.wait(now, channel) is None:
            sent.append(now)
    for first, begin in enumerate(sent):
        for last in range(first, len(sent)):
            allowed = burst + rate * (sent[last] - begin).total_seconds()
            assert last - first + 1 <= allowed + 1e-6


@given(STEPS)
def test_two_messages_to_one_channel_are_a_second_apart(steps: list[tuple[timedelta, str]]) -> None:
    pace, now = Bucket(), START
    last: dict[str, datetime] = {}
    for passed, channel in steps:
        now += passed
        if pace.wait(now, channel) is None:
            assert now - last.get(channel, START - SECOND) >= SECOND
            last[channel] = now


@given(STEPS)
def test_asking_again_when_it_was_told_to_succeeds(steps: list[tuple[timedelta, str]]) -> None:
    pace, now = Bucket(rate=0.5, burst=2), START
    for passed, channel in steps:
        now += passed
        until = pace.wait(now, channel)
        tries = 0
        while until is not None:
            assert until > now
            now, tries = until, tries + 1
            until = pace.wait(now, channel)
        assert tries <= 2  # the channel and the workspace may each have their own time


@given(STEPS, st.integers(1, 20))
def test_there_is_room_when_it_said_there_would_be(steps: list[tuple[timedelta, str]], wanted: int) -> None:
    pace, now = Bucket(rate=2, burst=20, channel_gap=timedelta(0)), START
    for passed, channel in steps:
        now += passed
        pace.wait(now, channel)
    at = pace.free_at(now, wanted)
    assert at >= now
    assert pace.room(at) >= wanted


def test_a_rested_workspace_takes_a_burst_and_then_four_a_second() -> None:
    pace = Bucket()
    assert sum(pace.wait(START, f"D{n}") is None for n in range(100)) == 60
    later = START + 10 * SECOND
    assert sum(pace.wait(later, f"E{n}") is None for n in range(100)) == 40


def test_nothing_goes_before_the_retry_after_and_then_it_goes_slower_until_the_lesson_is_forgotten() -> None:
    pace = Bucket()
    pace.slow_down(START, 30 * SECOND)
    assert pace.rate == 2.0
    assert pace.room(START + 29 * SECOND) == 0
    assert pace.wait(START + 29 * SECOND, "D1") == START + 30 * SECOND
    opened = START + 30 * SECOND
    assert sum(pace.wait(opened + SECOND, f"D{n}") is None for n in range(9)) == 2
    pace.room(opened + timedelta(minutes=10))
    assert pace.rate == 4.0


def test_many_answers_of_one_wave_teach_one_lesson() -> None:
    pace = Bucket()
    for _ in range(16):
        pace.slow_down(START, 5 * SECOND)
    assert pace.rate == 2.0


def test_a_retry_after_of_a_channel_holds_only_that_channel() -> None:
    pace = Bucket()
    pace.slow_down(START, 5 * SECOND, "D1")
    assert pace.wait(START, "D1") == START + 5 * SECOND
    assert pace.wait(START, "D2") is None
    assert pace.rate == 4.0


def test_a_closed_door_opens_by_itself_and_teaches_nothing() -> None:
    pace = Bucket()
    pace.close(START + 300 * SECOND)
    assert pace.room(START) == 0
    assert pace.room(START + 300 * SECOND) == 60
    assert pace.rate == 4.0


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    pace = Bucket(rate=1, burst=1)
    assert pace.wait(START, "D1") is None
    assert pace.wait(START - 60 * SECOND, "D2") is not None
    assert pace.wait(START + SECOND, "D2") is None
