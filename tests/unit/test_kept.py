"""What connectors share of time: which day it is, which days can be asked about, and how long something read is good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.connectors.kept import Kept, KeptOfOwners
from bot.connectors.of_now import OfNow
from bot.connectors.values import day_or_none, moment_or_none, text_of
from bot.domain.errors import Retryable

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
FRIDAY = NOON.date()


class Watch:
    """The time, as somebody sets it."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


# -- the day ----------------------------------------------------------------------------------------------------------------


def test_the_day_is_that_of_the_zone() -> None:
    assert OfNow(Watch(NOON).now, ZoneInfo("Pacific/Kiritimati")).today() == FRIDAY + timedelta(days=1)


@pytest.mark.parametrize(
    ("minute", "days"),
    [(-16, {FRIDAY}), (-14, {FRIDAY, date(2026, 11, 21)}), (14, {FRIDAY, date(2026, 11, 21)})],
)
def test_around_midnight_it_is_both_days_because_two_clocks_differ(minute: int, days: set[date]) -> None:
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    of_now = OfNow(Watch(midnight + timedelta(minutes=minute)).now, ZoneInfo("UTC"))
    near = [FRIDAY + timedelta(days=step) for step in range(-1, 4)]
    assert {day for day in near if of_now.is_today(day)} == days


@pytest.mark.parametrize(("ago", "told"), [(-2, False), (-1, True), (0, True), (7, True), (8, False)])
def test_records_are_told_of_a_day_that_is_not_long_gone(ago: int, *, told: bool) -> None:
    of_now = OfNow(Watch().now, ZoneInfo("UTC"))
    if told:
        of_now.check_recent(FRIDAY - timedelta(days=ago), "Tally", "as of now only")
        return
    with pytest.raises(Retryable, match=r"Tally is not asked about 2026-.*: as of now only") as refused:
        of_now.check_recent(FRIDAY - timedelta(days=ago), "Tally", "as of now only")
    assert refused.value.code == "as-of-now"


# -- what is kept -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "good"), [(-11, False), (-9, True), (0, True), (10, True), (11, False)])
def test_a_value_is_good_for_its_time_whichever_way_the_clock_is_corrected(
    minutes: int, *, good: bool
) -> None:
    watch = Watch()
    kept: Kept[str] = Kept(watch.now, timedelta(minutes=10))
    assert (kept.get(), kept.last) == (None, None)
    assert kept.keep("all of them") == "all of them"
    watch.at += timedelta(minutes=minutes)
    assert kept.get() == ("all of them" if good else None)
    assert kept.last == "all of them"


def test_a_value_is_good_for_its_key_only_until_it_is_forgotten() -> None:
    kept: Kept[int] = Kept(Watch().now, timedelta(minutes=10))
    kept.keep(3, FRIDAY)
    assert (kept.get(FRIDAY), kept.get(FRIDAY + timedelta(days=1)), kept.get()) == (3, None, None)
    kept.forget()
    assert (kept.get(FRIDAY), kept.last) == (None, None)


def test_that_there_is_nothing_can_be_kept_too() -> None:
    kept: Kept[str | None] = Kept(Watch().now, timedelta(minutes=10))
    assert not kept.is_good()
    kept.keep(None)
    assert kept.is_good()


@pytest.mark.anyio
async def test_records_are_read_once_for_each_owner_within_a_second() -> None:
    watch, asked = Watch(), list[list[str]]()
    kept: KeptOfOwners[str] = KeptOfOwners(watch.now)

    async def read(owners: Sequence[str]) -> Mapping[str, Sequence[str]]:
        asked.append(list(owners))
        return {owner: [f"deal of {owner}"] for owner in owners if owner != "nobody"}

    assert await kept.of(["ada", "nobody"], read) == {"ada": ["deal of ada"], "nobody": ()}
    assert await kept.of(["jo", "nobody"], read) == {"jo": ["deal of jo"], "nobody": ()}
    watch.at += timedelta(seconds=2)
    await kept.of(["ada"], read)
    kept.forget()
    await kept.of(["ada"], read)
    assert asked == [["ada", "nobody"], ["jo"], ["ada"], ["ada"]]


# -- what stands in a field -------------------------------------------------------------------------------------------------


def test_what_is_no_text_no_day_and_no_instant_is_none() -> None:
    for wrong in (None, False, 12, (), "soon", "0000-00-00"):
        assert (moment_or_none(wrong), day_or_none(wrong)) == (None, None)
    assert moment_or_none("9999-12-31T23:59:59-14:00") is None
    assert (text_of(False), text_of(None), text_of(" a b ")) == ("", "", "a b")


def test_days_and_instants_are_those_of_utc() -> None:
    assert day_or_none("2026-11-20") == day_or_none("2026-11-20T23:59:59.000+0000") == FRIDAY
    assert moment_or_none("2026-11-20 12:00:00") == moment_or_none("2026-11-20T14:00:00+02:00") == NOON
    assert moment_or_none("2026-11-20T14:00:00+02:00").tzinfo is UTC  # type: ignore[union-attr]  # it is one
