"""What the sandbox knows about its people besides what Slack knows: their CRM, their holidays, the roles of the programme."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import TYPE_CHECKING

from sandbox.company.calendar import holidays

if TYPE_CHECKING:
    from sandbox.company.world import Company
    from sandbox.crm.records import Crm

EARLIEST, LATEST = time(8, 0), time(18, 30)
"""Nothing unasked outside these local times, whatever anybody sets (product/evidence.md, last table)."""


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


def surroundings_of(company: Company) -> Surroundings:
    """What a company of the sandbox's knows. Part-timers' days are not in it: nobody told the bot but they themselves."""
    people = [person for person in company.firm.people if person.slack_id]
    parts = company.roles()
    named = {parts["sponsor"], parts["adoption_lead"], parts["privacy_officer"], *parts["owners"].values()}
    sizes = Counter(person.boss for person in company.firm.people)
    return Surroundings(
        crm=company.crm,
        countries={person.slack_id: person.region.country for person in people},
        holidays=holidays,
        roles=frozenset(person.slack_id for person in people if person.email in named),
        teams={person.slack_id: sizes[person.boss] for person in people},
    )
