"""What the sandbox knows about its people besides what Slack knows: their CRM, their holidays, the roles of the programme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.crm.records import Crm

EARLIEST, LATEST = time(8, 0), time(18, 30)
"""Nothing unasked outside these local times, whatever anybody sets."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything has a default that makes its checks examine nothing.

    `countries`: Slack id -> country; `holidays`: the public holidays of a country in a year.
    `roles`: Slack ids of those whom everybody may hear of by name (sponsor, adoption lead, owners). None: not known; then
    only the names of people who were themselves welcomed are looked for.
    `teams`: Slack id -> how many people report to the same manager.
    `window`, `cap`, `spacing_hours`: what the programme says where a person says nothing.
    """

    crm: Crm | None = None
    countries: Mapping[str, str] = field(default_factory=dict)
    holidays: Callable[[str, int], frozenset[date]] | None = None
    roles: frozenset[str] | None = None
    teams: Mapping[str, int] = field(default_factory=dict)
    window: tuple[time, time] = (time(9, 30), time(16, 30))
    cap: int = 2
    spacing_hours: float = 48.0

    def is_holiday(self, user: str, day: date) -> bool:
        """Whether nobody works that day where this person lives."""
        country = self.countries.get(user)
        return country is not None and self.holidays is not None and day in self.holidays(country, day.year)
