"""Which countries have public holidays that Fullsteam knows (the `holidays` library, https://holidays.readthedocs.io)."""

from __future__ import annotations

import holidays

from bot.connectors.cells import BadCell


def country_code(said: str) -> str:
    """The ISO 3166 code that is meant, with a region after a dash where there is one: ``de-by`` -> ``DE-BY``.

    Raises BadCell for a country or a region without known holidays: silently it would be one without any.
    """
    country, dash, region = said.strip().upper().partition("-")
    regions = holidays.list_supported_countries(include_aliases=False).get(country)
    if regions is None or (dash and region not in regions):
        known = f"; regions of {country}: {', '.join(regions)}" if regions else ""
        raise BadCell(
            f'no public holidays are known for {said!r}: write the ISO code, e.g. "US" or "DE-BY"{known}'
        )
    return f"{country}{dash}{region}"
