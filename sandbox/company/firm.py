"""The firm: who works there, where, for whom and when, drawn from a seed."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as wall_time
from functools import lru_cache
from zoneinfo import ZoneInfo

from sandbox.company.calendar import holidays
from sandbox.company.names import FIRST, LAST
from sandbox.roster import Hours
from sandbox.state import Quiet

DOMAIN = "kestrelworks.example"
OFFICERS = 4
SELLER, SDR, SUCCESS = "seller", "sales_development", "customer_success"
MANAGER, SPONSOR, ADOPTION_LEAD, ADMIN, PRIVACY = (
    "manager",
    "sponsor",
    "adoption_lead",
    "crm_admin",
    "privacy_officer",
)
REPS = (SELLER, SDR, SUCCESS)
TITLES = {
    SELLER: "Account Executive",
    SDR: "Sales Development Representative",
    SUCCESS: "Customer Success",
    MANAGER: "Sales Manager",
    SPONSOR: "Chief Revenue Officer",
    ADOPTION_LEAD: "CRM Adoption Lead",
    ADMIN: "CRM Administrator",
    PRIVACY: "Privacy Officer",
}
WAVES = ((0.6, -11), (0.25, -5), (0.15, 0))
"""Share of the people, and the week (from the start of the run) in which they got access to the CRM."""
PAST_WEEKS = 12
"""So much of its life lies before the start."""


@dataclass(frozen=True, slots=True)
class Region:
    """Where people work. `weight`: share of the teams."""

    name: str
    country: str
    zone: str
    locale: str
    language: str
    weight: float


REGIONS = (
    Region("us-east", "US", "America/New_York", "en_US", "en", 24),
    Region("us-west", "US", "America/Los_Angeles", "en_US", "en", 14),
    Region("uk", "GB", "Europe/London", "en_GB", "en", 14),
    Region("dach", "DE", "Europe/Berlin", "de_DE", "de", 20),
    Region("france", "FR", "Europe/Paris", "fr_FR", "fr", 8),
    Region("iberia", "ES", "Europe/Madrid", "es_ES", "es", 6),
    Region("anz", "AU", "Australia/Sydney", "en_AU", "en", 7),
    Region("india", "IN", "Asia/Kolkata", "en_IN", "en", 7),
)
"""Eight zones on six clocks, over both daylight-saving regimes and one place without."""
_COVER = tuple(REGIONS[place] for place in (0, 3, 6, 1, 2, 7, 4, 5))
"""The order in which a small firm takes them: far apart first."""


@dataclass(frozen=True, slots=True)
class Absence:
    """Days off, both ends included. `told`: the Slack status says so."""

    first: date
    last: date
    told: bool


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the firm.

    `boss`: number of the manager. `joins`, `leaves`: first and last day of work within the run, None when they were or
    stay there. `access`: the day on which they got the CRM (None: they have none). `quirk`: what is odd about their
    accounts, "" for nearly everybody. `slack_id` and `crm_id` are "" where they have none; `second_crm_id` is a double.
    """

    number: int
    first: str
    last: str
    role: str
    region: Region
    boss: int | None
    team: int | None
    email: str
    hours: Hours
    absences: tuple[Absence, ...] = ()
    dnd: Quiet | None = None
    access: date | None = None
    joins: date | None = None
    leaves: date | None = None
    quirk: str = ""
    slack_id: str = ""
    crm_id: str = ""
    second_crm_id: str = ""

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first} {self.last}"

    def employed(self, day: date) -> bool:
        """Whether they work for the firm on that day."""
        return (self.joins is None or day >= self.joins) and (self.leaves is None or day <= self.leaves)

    def works(self, day: date) -> bool:
        """Whether they are at work on that (local) day."""
        return (
            day.isoweekday() in self.hours.days
            and self.employed(day)
            and day not in holidays(self.region.country, day.year)
            and not any(absence.first <= day <= absence.last for absence in self.absences)
        )

    def at(self, day: date, seconds: float) -> datetime:
        """The instant so many seconds after they start work on that day (whole seconds, UTC)."""
        begins = _opens(self.region.zone, self.hours.start, day)
        return begins + timedelta(seconds=int(seconds))

    @property
    def working_seconds(self) -> float:
        """Length of their working day."""
        start, end = self.hours.start, self.hours.end
        return (end.hour - start.hour) * 3600.0 + (end.minute - start.minute) * 60.0

    def at_work(self, when: datetime) -> bool:
        """Whether they are at work at that instant."""
        local = when.astimezone(ZoneInfo(self.region.zone))
        return self.works(local.date()) and self.hours.start <= local.time() <= self.hours.end


@lru_cache(maxsize=100_000)
def _opens(zone: str, start: wall_time, day: date) -> datetime:
    return datetime.combine(day, start, ZoneInfo(zone)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Firm:
    """Everybody, by number; joiners of later dates included."""

    seed: int
    start: date
    people: tuple[Person, ...]
    weeks: int
    by_slack: dict[str, Person] = field(default_factory=dict)

    def holder(self, role: str) -> Person:
        """The one person with this role."""
        return next(person for person in self.people if person.role == role)

    def team(self, boss: int) -> Iterator[Person]:
        """Those who report to a manager."""
        return (person for person in self.people if person.boss == boss)


def _plain(text: str) -> str:
    text = text.replace("ß", "ss").replace("'", "")
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()


class _Names:
    """Unique names, by country."""

    def __init__(self, rng: random.Random) -> None:
        self._left: dict[str, list[tuple[str, str]]] = {}
        self._rng = rng
        self._used: set[str] = set()

    def take(self, country: str) -> tuple[str, str]:
        """A name that nobody has yet."""
        if country not in self._left:
            pairs = [(first, last) for first in FIRST[country].split() for last in LAST[country].split()]
            self._rng.shuffle(pairs)
            self._left[country] = pairs
        while True:
            if not self._left[country]:
                self._marry(country)
            first, last = self._left[country].pop()
            if (address := f"{_plain(first)}.{_plain(last)}") not in self._used:
                self._used.add(address)
                return first, last

    def _marry(self, country: str) -> None:
        """More names, for a large firm: double ones."""
        lasts = LAST[country].split()
        pairs = [
            (first, f"{self._rng.choice(lasts)}-{last}") for first in FIRST[country].split() for last in lasts
        ]
        self._rng.shuffle(pairs)
        self._left[country] = pairs


def found(people: int, seed: int, start: date, weeks: int = 26) -> Firm:
    """A firm of so many people (with Slack, at the start) from a seed. Raises ValueError for fewer than 12.

    `start`: the first day of the run; `weeks`: how far holidays, leavers and joiners are planned.
    """
    if not 12 <= people <= 3000:
        raise ValueError(f"a company has 12 to 3,000 people, not {people}")
    rng = random.Random(f"firm|{seed}|{people}")
    names = _Names(rng)
    made: list[Person] = []

    def add(role: str, region: Region, boss: int | None, team: int | None) -> Person:
        first, last = names.take(region.country)
        person = Person(
            number=len(made),
            first=first,
            last=last,
            role=role,
            region=region,
            boss=boss,
            team=team,
            email=f"{_plain(first)}.{_plain(last)}@{DOMAIN}",
            hours=_hours(rng, role),
        )
        made.append(person)
        return person

    home = REGIONS[0]
    sponsor = add(SPONSOR, home, None, None)
    for role in (ADOPTION_LEAD, ADMIN, PRIVACY):
        add(role, REGIONS[2] if role == PRIVACY else home, sponsor.number, sponsor.number)
    for team, size, region, above in _teams(rng, people - OFFICERS):
        boss = add(MANAGER, region, sponsor.number if above is None else above + OFFICERS, None)
        made[boss.number] = replace(boss, team=boss.boss)
        # Directors come first and have managers for a team.
        if team is None:
            continue
        for place in range(size):
            # Where there is one team it is spread over the map, so that a small firm has more than one clock.
            add(team, _COVER[place % len(_COVER)] if people < 40 else region, boss.number, boss.number)
    lives = _lives(rng, made, start, weeks)
    made = lives
    for _ in range(max(1, people * weeks // 26 // 25) if weeks > 1 else 0):
        mate = rng.choice([person for person in lives if person.role in REPS])
        person = add(mate.role, mate.region, mate.boss, mate.boss)
        joins = _monday(start) + timedelta(weeks=rng.randrange(1, max(2, weeks - 2)))
        lives[person.number] = replace(
            person, joins=joins, access=joins + timedelta(days=rng.randrange(1, 4))
        )
    return Firm(seed, start, tuple(_odd(rng, lives, start)), weeks)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _teams(rng: random.Random, people: int) -> list[tuple[str | None, int, Region, int | None]]:
    """(role of its members, size, region, place of the director): directors first, as teams of nobody."""
    sizes: list[int] = []
    left = people
    directors = round(people / 60) if people >= 100 else 0
    left -= directors
    while left > 0:
        size = min(rng.choice((6, 7, 7, 8, 9)), left - 1) if left > 10 else left - 1
        sizes.append(size)
        left -= size + 1
    found: list[tuple[str | None, int, Region, int | None]] = [
        (None, 0, _COVER[number % len(_COVER)], None) for number in range(directors)
    ]
    placed = dict.fromkeys(_COVER, 0.0)
    for number, size in enumerate(sizes):
        region = min(placed, key=lambda each: (placed[each] + 0.5) / each.weight)
        placed[region] += 1
        role = {3: SDR, 6: SUCCESS}.get(number % 7, SELLER)
        found.append((role, size, region, number % directors if directors else None))
    return found


def _hours(rng: random.Random, role: str) -> Hours:
    """Working hours: whole quarters of an hour; one in fourteen works part-time."""
    start = rng.choice((480, 510, 510, 540, 540, 540, 570))
    length = rng.choice((480, 510, 510, 540))
    days = frozenset({1, 2, 3, 4, 5})
    if role in REPS and rng.random() < 1 / 14:
        days = frozenset(rng.choice(((1, 2, 3), (1, 2, 3, 4), (2, 3, 4), (1, 3, 4, 5))))
        length = rng.choice((300, 360, 480))
    end = start + length
    return Hours(wall_time(start // 60, start % 60), wall_time(end // 60, end % 60), days)


def _lives(rng: random.Random, people: list[Person], start: date, weeks: int) -> list[Person]:
    """Everybody with access, days off, quiet hours and, some, a last day."""
    found = []
    for person in people:
        if person.role == PRIVACY:
            access = None
        elif person.role in REPS:
            week = rng.choices([wave[1] for wave in WAVES], [wave[0] for wave in WAVES])[0]
            access = _monday(start) + timedelta(weeks=week, days=rng.randrange(0, 4))
        else:
            access = _monday(start) - timedelta(weeks=11)
        leaves = None
        if person.role in REPS and weeks > 1 and rng.random() < 0.05 * weeks / 26:
            leaves = start + timedelta(days=rng.randrange(5, 7 * weeks - 3))
        dnd = None
        if rng.random() < 0.8:
            dnd = Quiet(wall_time(rng.choice((19, 20, 21, 22))), wall_time(rng.choice((6, 7, 8))))
        elif rng.random() < 0.4:
            dnd = Quiet(wall_time(9), wall_time(11))
        found.append(
            replace(
                person, access=access, leaves=leaves, dnd=dnd, absences=tuple(_absences(rng, start, weeks))
            )
        )
    return found


def _absences(rng: random.Random, start: date, weeks: int) -> Iterator[Absence]:
    """Holidays of a week or two, and single days of illness: about 18 days in half a year."""
    total = weeks + PAST_WEEKS
    begin = _monday(start) - timedelta(weeks=PAST_WEEKS)
    for _ in range(total // 13 + (rng.random() < (total % 13) / 13)):
        first = begin + timedelta(weeks=rng.randrange(total))
        length = rng.choice((5, 5, 12, 12, 19))
        yield Absence(first, first + timedelta(days=length - 1), rng.random() < 0.7)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        first = begin + timedelta(days=rng.randrange(7 * total))
        yield Absence(first, first + timedelta(days=rng.choice((0, 0, 1, 2))), rng.random() < 0.4)


QUIRKS = (
    "email_case",
    "email_case",
    "email_case",
    "two_crm_users",
    "no_slack",
    "frozen",
    "left_crm_only",
    "left_slack_only",
)
"""What is odd about some accounts: e-mail in other letters in the CRM, a second CRM user, no Slack account, a frozen CRM
user, a leaver who is switched off in the CRM and stays in Slack, and the other way round."""


def _odd(rng: random.Random, people: list[Person], start: date) -> list[Person]:
    plain = [
        person
        for person in people
        if person.role in REPS and person.leaves is None and person.joins is None and person.access
    ]
    few = len(people) < 40
    chosen = rng.sample(plain, min(len(plain) // 4, len(QUIRKS)))
    for person, quirk in zip(chosen, QUIRKS[2:5] if few else QUIRKS, strict=False):
        leaves = start + timedelta(days=rng.randrange(8, 19)) if quirk.startswith("left_") else None
        people[person.number] = replace(person, quirk=quirk, leaves=leaves)
    return people
