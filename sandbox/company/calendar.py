"""Public holidays of the countries in which the firm works: only days on which the whole country is off."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

_FIXED = {
    "US": ((1, 1), (6, 19), (7, 4), (12, 25)),
    "GB": ((1, 1), (12, 25), (12, 26)),
    "DE": ((1, 1), (5, 1), (10, 3), (12, 25), (12, 26)),
    "FR": ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)),
    "ES": ((1, 1), (1, 6), (5, 1), (8, 15), (10, 12), (12, 8), (12, 25)),
    "AU": ((1, 1), (1, 26), (4, 25), (12, 25), (12, 26)),
    "IN": ((1, 26), (8, 15), (10, 2), (12, 25)),
}
"""(month, day)."""
_WEEKDAYS = {
    "US": ((1, 0, 3), (5, 0, -1), (9, 0, 1), (11, 3, 4)),
    "GB": ((5, 0, 1), (5, 0, -1)),
}
"""(month, weekday from Monday = 0, which one of the month; -1 is the last)."""
_EASTER = {"GB": (-2,), "DE": (-2, 1, 39, 50), "FR": (1, 39, 50), "ES": (-2,), "AU": (-2, 1), "IN": (-2,)}
"""Days from Easter Sunday."""


@lru_cache(maxsize=256)
def holidays(country: str, year: int) -> frozenset[date]:
    """The public holidays of a year."""
    found = {date(year, month, day) for month, day in _FIXED.get(country, ())}
    found |= {_weekday(year, *rule) for rule in _WEEKDAYS.get(country, ())}
    found |= {easter(year) + timedelta(days=offset) for offset in _EASTER.get(country, ())}
    return frozenset(found)


def _weekday(year: int, month: int, weekday: int, which: int) -> date:
    if which > 0:
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (which - 1))
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - weekday) % 7)


def easter(year: int) -> date:
    """Easter Sunday (the anonymous Gregorian algorithm, Meeus, Astronomical Algorithms, 1991)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)
