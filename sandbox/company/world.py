"""The company put together: the firm, its CRM, its Slack accounts, its people and the truth about them."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as wall_time
from pathlib import Path
from typing import Any

from sandbox.acts import Acts
from sandbox.company.behaviour import FAMILIES, WEARS_OFF
from sandbox.company.calendar import holidays
from sandbox.company.firm import (
    ADMIN,
    ADOPTION_LEAD,
    PAST_WEEKS,
    PRIVACY,
    SPONSOR,
    Firm,
    Person,
    found,
)
from sandbox.company.life import Errand, Life
from sandbox.company.staff import Staff, channels_of, person_as_user
from sandbox.company.truth import Truth, instant
from sandbox.crm.objects import EXTRAS
from sandbox.crm.records import Crm, Outage
from sandbox.promises.surroundings import Surroundings
from sandbox.slack import Slack

Json = dict[str, Any]
OWNERS = {
    "policy": SPONSOR,
    "process": ADOPTION_LEAD,
    "reward": SPONSOR,
    "communication": ADOPTION_LEAD,
    "job_design": SPONSOR,
    "leadership": SPONSOR,
    "system": ADMIN,
    "data": ADMIN,
    "skill": ADOPTION_LEAD,
    "time": SPONSOR,
}
"""Who takes care of which kind of barrier."""
_OUTAGES = (
    (1, 4, 0, 192, "Contact", "crm_denied"),
    (2, 3, 0, 24, "LoginHistory", "crm_own_logins"),
    (3, 2, 8, 10, None, "crm_503_html"),
    (6, 1, 0, 48, "Opportunity", "crm_denied"),
    (10, 4, 0, 24, "Task", "crm_timeout"),
    (14, 2, 5, 9, None, "crm_request_limit"),
    (18, 0, 0, 40, "Account", "crm_denied"),
    (21, 3, 12, 13, None, "crm_429"),
    (23, 1, 0, 24, "LoginHistory", "crm_denied"),
)
"""Week and weekday of the run, from and until which hour of it (UTC), which object, what.

The one of eight days is longer than news may be old, in weeks in which many are invited to what they have not tried yet.
"""


class Company:
    """A firm in the sandbox. Raises ValueError for a size that no firm has.

    `start`: the instant at which the run begins; `weeks`: how far the firm's life is planned.
    """

    def __init__(
        self, slack: Slack, people: int, seed: int, start: datetime, weeks: int, truth: Path | None = None
    ) -> None:
        self.slack = slack
        self.crm = Crm(clock=slack.clock)
        self.crm.rights.denied |= EXTRAS
        self.firm = self._hired(found(people, seed, start.date(), weeks))
        self.truth = Truth(truth)
        self.life = Life(self.firm, self.crm, self._mended)
        self.crm.catch_up = self.live_until
        self.crm.by_hand = self.life.notice
        self.crm.outages.extend(self._outages(start))
        self.staff: Staff | None = None
        self._move_into_slack()
        self._plant()

    def live_until(self, now: datetime) -> None:
        """Everything that people did in the CRM up to `now` is done."""
        self.life.live_until(now)

    def employ(self, acts: Acts) -> Staff:
        """Let the people read and answer."""
        self.staff = Staff(self.firm, self.life, self.slack, acts, self.truth)
        return self.staff

    def person(self, slack_id: str) -> Person | None:
        """Who is behind a Slack account."""
        return next((each for each in self.firm.people if each.slack_id == slack_id), None)

    def roles(self) -> Json:
        """Who has which part in the programme, by e-mail address, as examples/programme.toml asks."""
        sponsor = self.firm.holder(SPONSOR)
        return {
            "sponsor": sponsor.email,
            "sponsor_name": sponsor.name,
            "adoption_lead": self.firm.holder(ADOPTION_LEAD).email,
            "privacy_officer": self.firm.holder(PRIVACY).email,
            "owners": {kind: self.firm.holder(role).email for kind, role in OWNERS.items()},
        }

    def surroundings(self) -> Surroundings:
        """What the checks of the bot's promises have to know of the people."""
        here = [person for person in self.firm.people if person.slack_id]
        known = {SPONSOR, ADOPTION_LEAD, PRIVACY, ADMIN}
        teams = Counter(person.boss for person in here if person.boss is not None)
        return Surroundings(
            crm=self.crm,
            countries={person.slack_id: person.region.country for person in here},
            holidays=holidays,
            roles=frozenset(person.slack_id for person in here if person.role in known),
            teams={person.slack_id: teams[person.boss] for person in here if person.boss is not None},
        )

    def go_live(self) -> date:
        """The day on which the first people got the CRM."""
        return min(person.access for person in self.firm.people if person.access)

    def channels(self) -> list[str]:
        """The names of the channels that people are in."""
        return [channel.name for channel in self.slack.workspace.channels.values() if channel.name]

    def close(self) -> None:
        """End the truth."""
        self.truth.close()

    # Beginnings

    def _hired(self, firm: Firm) -> Firm:
        """Everybody gets an account in Slack and one in the CRM, but for the odd ones."""
        people = []
        for person in firm.people:
            crm_id = self.crm.new_id("User") if person.access else ""
            second = self.crm.new_id("User") if person.quirk == "two_crm_users" else ""
            slack_id = "" if person.quirk == "no_slack" else self.slack.workspace.new_user_id()
            people.append(replace(person, crm_id=crm_id, second_crm_id=second, slack_id=slack_id))
        return replace(firm, people=tuple(people))

    def _move_into_slack(self) -> None:
        workspace = self.slack.workspace
        members: dict[str, list[str]] = {}
        for person in self.firm.people:
            if not person.slack_id or person.joins:
                continue
            workspace.add_user(person_as_user(person, self.firm))
            for channel in channels_of(person):
                members.setdefault(channel, []).append(person.slack_id)
        for name, inside in members.items():
            workspace.add_channel(name, members=inside)

    def _outages(self, start: datetime) -> list[Outage]:
        monday = start.date() - timedelta(days=start.weekday())
        found = []
        for week, weekday, first, last, thing, kind in _OUTAGES:
            if week >= self.firm.weeks:
                continue
            day = datetime.combine(monday + timedelta(weeks=week, days=weekday), wall_time(), UTC)
            found.append(Outage(day + timedelta(hours=first), day + timedelta(hours=last), thing, kind))
        return found

    # The truth

    def _mended(self, errand: Errand, person: Person, at: int, changed: bool) -> None:
        self.truth.tell(
            "mended",
            message=errand.message,
            person=person.email,
            at=instant(datetime.fromtimestamp(at, UTC)),
            record=errand.record or errand.habit,
            changed=changed,
        )

    def _plant(self) -> None:
        workers = self.life.workers
        self.truth.tell(
            "planted",
            seed=self.firm.seed,
            start=self.firm.start.isoformat(),
            weeks=self.firm.weeks,
            past_weeks=PAST_WEEKS,
            wears_off=WEARS_OFF,
            families={name: asdict(family) for name, family in FAMILIES.items()},
            outages=[
                {
                    "from": instant(outage.begins),
                    "until": instant(outage.ends),
                    "object": outage.object,
                    "kind": outage.kind,
                }
                for outage in self.crm.outages
            ],
            roles=self.roles(),
            people=[
                _planted(person, workers[person.number].nature if person.number in workers else None)
                for person in self.firm.people
            ],
        )


def _planted(person: Person, hidden: Any) -> Json:
    found: Json = {
        "email": person.email,
        "name": person.name,
        "slack": person.slack_id,
        "crm": person.crm_id,
        "role": person.role,
        "boss": person.boss,
        "country": person.region.country,
        "zone": person.region.zone,
        "language": person.region.language,
        "days": sorted(person.hours.days),
        "access": person.access.isoformat() if person.access else None,
        "joins": person.joins.isoformat() if person.joins else None,
        "leaves": person.leaves.isoformat() if person.leaves else None,
        "quirk": person.quirk or None,
        "away": [[each.first.isoformat(), each.last.isoformat()] for each in person.absences],
    }
    if hidden is not None:
        found |= {
            "archetype": hidden.archetype,
            "level": round(hidden.level, 3),
            "honeymoon": round(hidden.honeymoon, 3),
            "dip": round(hidden.dip, 3),
            "goal": hidden.goal,
            "habits": {habit: round(chance, 3) for habit, chance in hidden.habits.items()},
            "barriers": [
                {
                    "habit": each.habit,
                    "cause": each.cause,
                    "since": each.since.isoformat(),
                    "until": each.until.isoformat() if each.until else None,
                }
                for each in hidden.barriers
            ],
        }
    return {key: value for key, value in found.items() if value is not None}
