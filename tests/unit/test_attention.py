"""The attention budget: every no has a name, and ends when it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import attention
from bot.domain.attention import Presence, Sent, next_window, refusal, refusals, slot_on
from bot.domain.messages import ANSWER, KINDS, PULSE, REMINDER, STATUS, TIP, WELCOME
from bot.domain.people import Preferences
from bot.domain.programme import Rules
from tests.builders import TUESDAY, person, standing

RULES = Rules()
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Asia/Kolkata",
)


def why(kind: str, who: attention.Standing, now: datetime = TUESDAY) -> str | None:
    found = refusal(kind, who, RULES, now)
    return found.reason if found else None


def test_nothing_but_the_welcome_goes_to_a_person_who_was_not_welcomed() -> None:
    new = standing(person(welcomed_at=None))
    unasked = [kind for kind, rule in KINDS.items() if rule.windowed and kind != WELCOME]
    assert {why(kind, new) for kind in unasked} == {"not-welcomed"}
    assert why(WELCOME, new) is None


def test_answers_and_reminders_go_at_any_hour_to_anybody_who_is_here() -> None:
    night = TUESDAY.replace(hour=2)
    paused = standing(choices=Preferences("p1", paused_until=TUESDAY + timedelta(days=9), stopped_at=TUESDAY))
    assert why(ANSWER, paused, night) is None
    assert why(REMINDER, paused, night) is None
    assert why(ANSWER, standing(person(active=False))) == "left"


def test_who_paused_or_stopped_gets_nothing_until_they_say_so() -> None:
    paused = standing(choices=Preferences("p1", paused_until=TUESDAY + timedelta(days=1)))
    found = refusal(TIP, paused, RULES, TUESDAY)
    assert found is not None
    assert (found.reason, found.until) == ("paused", TUESDAY + timedelta(days=1))
    assert why(TIP, paused, TUESDAY + timedelta(days=1)) is None
    stopped = refusal(STATUS, standing(choices=Preferences("p1", stopped_at=TUESDAY)), RULES, TUESDAY)
    assert stopped is not None
    assert (stopped.reason, stopped.until) == ("stopped", None)


def test_a_kind_that_was_switched_off_is_not_sent() -> None:
    no_tips = standing(choices=Preferences("p1", kinds_off=frozenset({TIP})))
    assert why(TIP, no_tips) == "kind-off"
    assert why(PULSE, no_tips) is None


def test_an_unknown_zone_means_not_sent() -> None:
    for zone in (None, "Middle/Earth", ""):
        assert why(TIP, standing(person(zone=zone))) == "zone-unknown"


def test_the_cap_says_when_the_next_place_is_free() -> None:
    sends = (Sent(TIP, TUESDAY - timedelta(days=6), "a"), Sent(TIP, TUESDAY - timedelta(days=3), "b"))
    found = refusal(TIP, standing(sends=sends), RULES, TUESDAY)
    assert found is not None
    assert (found.reason, found.until) == ("weekly-cap", TUESDAY + timedelta(days=1))


def test_what_waits_counts_as_sent() -> None:
    waiting = Sent(TIP, TUESDAY + timedelta(hours=1), "a", waiting=True)
    assert why(TIP, standing(sends=(waiting,))) == "spacing"


def test_own_choices_hold_within_the_hard_limits() -> None:
    wide = standing(choices=Preferences("p1", window_start=time(5), window_end=time(23), weekly_cap=50))
    assert attention.window(wide, RULES) == (time(8), time(18, 30))
    assert attention.weekly_cap(wide, RULES) == 5
    assert why(TIP, standing(choices=Preferences("p1", weekly_cap=0))) == "cap-zero"


def test_who_got_much_today_gets_nothing_unasked() -> None:
    busy = tuple(Sent(ANSWER, TUESDAY - timedelta(hours=n), "x") for n in range(1, 6))
    assert why(TIP, standing(sends=busy)) == "recent-load"
    assert why(STATUS, standing(sends=busy)) is None


def test_a_goal_that_answers_the_welcome_asks_for_more() -> None:
    welcome = Sent(WELCOME, TUESDAY - timedelta(hours=1), WELCOME)
    assert why(TIP, standing(sends=(welcome,))) == "spacing"
    chosen = Preferences("p1", goal="personal", goal_chosen_at=TUESDAY)
    assert why(TIP, standing(sends=(welcome,), choices=chosen)) is None
    before = Preferences("p1", goal="personal", goal_chosen_at=TUESDAY - timedelta(days=5))
    assert why(TIP, standing(sends=(welcome,), choices=before)) == "spacing"


def test_friday_afternoon_is_no_time_for_a_tip() -> None:
    friday = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
    assert why(TIP, standing(), friday) == "outside-window"
    assert why(TIP, standing(), friday - timedelta(seconds=1)) is None
    assert why(PULSE, standing(), friday) is None


def test_away_and_do_not_disturb_say_until_when() -> None:
    away = standing(presence=Presence(away=True, away_until=TUESDAY + timedelta(days=3)))
    assert refusal(TIP, away, RULES, TUESDAY) == attention.Refusal("away", TUESDAY + timedelta(days=3))
    dnd = standing(presence=Presence(dnd_until=TUESDAY + timedelta(hours=1)))
    assert refusal(TIP, dnd, RULES, TUESDAY) == attention.Refusal("dnd", TUESDAY + timedelta(hours=1))
    assert why(TIP, dnd, TUESDAY + timedelta(hours=1)) is None


def test_every_no_is_named_not_only_the_first() -> None:
    bad = standing(
        person(pilot=False, zone=None), choices=Preferences("p1", stopped_at=TUESDAY, weekly_cap=0)
    )
    assert [no.reason for no in refusals(TIP, bad, RULES, TUESDAY)] == [
        "not-in-pilot",
        "stopped",
        "cap-zero",
        "zone-unknown",
    ]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("start", [datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 9, 20, tzinfo=UTC)])
def test_zero_sends_outside_the_window_over_ninety_days_with_both_clock_changes(
    zone: str, start: datetime
) -> None:
    who = standing(person(zone=zone))
    allowed = 0
    for step in range(90 * 24 * 4):
        now = start + timedelta(minutes=15 * step)
        if refusal(TIP, who, RULES, now) is None:
            allowed += 1
            local = now.astimezone(ZoneInfo(zone))
            assert time(9, 30) <= local.time() < time(16, 30)
            assert local.weekday() < 5
            assert local.weekday() != 4 or local.time() < time(15)
    assert allowed > 90 * 4 * 3


@pytest.mark.parametrize("zone", ZONES)
def test_a_slot_is_at_ten_local_on_both_sides_of_a_clock_change(zone: str) -> None:
    who = standing(person(zone=zone))
    slots = [
        slot.astimezone(ZoneInfo(zone))
        for n in range(366)
        if (slot := slot_on(who, RULES, date(2026, 1, 1) + timedelta(days=n))) is not None
    ]
    assert {slot.time().replace(second=0) for slot in slots} == {slots[0].time().replace(second=0)}
    assert time(10) <= slots[0].time() <= time(10, 40)
    assert len(slots) > 250


def test_slots_are_spread_over_forty_minutes() -> None:
    times = [
        slot
        for n in range(500)
        if (slot := slot_on(standing(person(id=f"p{n}")), RULES, TUESDAY.date())) is not None
    ]
    assert {slot.minute % 60 for slot in times} == {0, 20}, "in batches, so that one look serves many"
    assert max(times) - min(times) <= timedelta(minutes=40)


@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),
    st.sets(st.integers(0, 6), min_size=1),
)
def test_the_next_window_is_open_and_not_in_the_past(zone: str, at: datetime, days: set[int]) -> None:
    now = at.replace(tzinfo=UTC)
    who = standing(person(zone=zone, working_days=tuple(sorted(days))))
    opens = next_window(who, RULES, now)
    assert opens is not None
    assert opens >= now
    assert next_window(who, RULES, opens) == opens
    assert refusal(TIP, who, RULES, opens) is None
    closes = attention.window_closes(who, RULES, opens)
    assert closes is not None
    assert closes > opens
    assert refusal(TIP, who, RULES, closes) is not None


def test_undecided_messages_do_not_count_as_ignored() -> None:
    old = tuple(Sent(TIP, TUESDAY - timedelta(days=20 - n), "x", ignored=True) for n in range(2))
    fresh = Sent(TIP, TUESDAY - timedelta(days=1), "x", ignored=None)
    assert attention.ignored_in_a_row((*old, fresh)) == 2
    assert attention.ignored_in_a_row((*old, replace(fresh, ignored=False))) == 0
