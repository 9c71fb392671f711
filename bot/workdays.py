"""Public holidays by country, from the `holidays` library (https://holidays.readthedocs.io)."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

import holidays


class PublicHolidays:
    """Port ``Holidays`` over the library. ``country``: ISO 3166-1 code, with a subdivision after a dash: ``DE-BY``."""

    def between(self, country: str, first: date, last: date) -> frozenset[date]:
        """Public holidays from ``first`` to ``last``, both included.

        Those of the whole country where the library lacks the subdivision; none for a country that it lacks.
        """
        found: set[date] = set()
        for year in range(first.year, last.year + 1):
            found |= {day for day in _of_year(country, year) if first <= day <= last}
        return frozenset(found)


@lru_cache(maxsize=1024)
def _of_year(country: str, year: int) -> frozenset[date]:
    code, _, subdivision = country.partition("-")
    try:
        return frozenset(holidays.country_holidays(code, subdiv=subdivision or None, years=year))
    except NotImplementedError:
        return _of_year(code, year) if subdivision else frozenset()
