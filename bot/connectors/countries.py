"""Which countries have public holidays that Fullsteam knows (the `holidays` library, https://holidays.readthedocs.io)."""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from functools import cache

import holidays


class UnknownCountry(ValueError):
    """No country, or none with known public holidays. The message says what to write."""


def country_code(said: str) -> str:
    """The ISO 3166 code that is meant, with a region after a dash where there is one: ``de-by`` -> ``DE-BY``.

    Raises UnknownCountry for a country or a region without known holidays: silently it would be one without any.
    """
    country, dash, region = said.strip().upper().partition("-")
    regions = holidays.list_supported_countries(include_aliases=False).get(country)
    if regions is None or (dash and region not in regions):
        known = f"; regions of {country}: {', '.join(regions)}" if regions else ""
        raise UnknownCountry(
            f'no public holidays are known for {said!r}: write the ISO code, e.g. "US" or "DE-BY"{known}'
        )
    return f"{country}{dash}{region}"


@cache
def _countries_by_zone() -> Mapping[str, str]:
    """Zone -> country, from the time zone database itself (zone.tab: one country for each zone that it names)."""
    table = importlib.resources.files("tzdata.zoneinfo").joinpath("zone.tab").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if line and not line.startswith("#"))
    return {row[2]: row[0] for row in rows}


def country_of_zone(zone: str | None) -> str | None:
    """The country that a zone is in, if its public holidays are known: ``Europe/Berlin`` -> ``DE``; ``Etc/UTC`` -> None."""
    country = _countries_by_zone().get(zone or "")
    if country is None:
        return None
    try:
        return country_code(country)
    except UnknownCountry:
        return None
