"""People: who the CRM knows, who Slack knows, and what each person chose for themselves."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time

ROLES = ("seller", "sales_development", "customer_success", "service", "manager")
GOALS = ("performance", "productivity", "personal")
WEEKDAYS = (0, 1, 2, 3, 4)
"""Monday to Friday, as in :meth:`datetime.date.weekday`."""

MATCHED = "matched"
UNMATCHED = "unmatched"
"""No step of bot/domain/matching.py finds a Slack account."""
AMBIGUOUS = "ambiguous"
"""More than one account, or more than one person: nobody is guessed."""
GUEST = "guest"
BOT = "bot"
DEACTIVATED = "deactivated"
SECOND = "second"
"""Another CRM's user of somebody who is matched already: written to once, by way of the other."""
EXCLUDED = "excluded"
"""The identity file says that they are nobody's account."""
MATCH_STATES = (MATCHED, UNMATCHED, AMBIGUOUS, GUEST, BOT, DEACTIVATED, SECOND, EXCLUDED)


AWAY_EMOJI = frozenset(
    {
        ":palm_tree:",
        ":desert_island:",
        ":beach_with_umbrella:",
        ":airplane:",
        ":face_with_thermometer:",
        ":thermometer:",
        ":baby:",
        ":no_entry:",
    }
)
"""Status emoji that mean "not at work". Slack's own choices are :palm_tree: (Vacationing) and :face_with_thermometer:."""
_AWAY_WORDS = re.compile(
    r"\b(ooo|out of (the )?office|vacation(ing)?|on leave|on holiday|annual leave|parental leave|sick|day off|pto|away until"
    r"|urlaub|abwesend|krank|elternzeit|en vacances|en congé|de vacaciones|in ferie)\b",
    re.IGNORECASE,
)


def is_away(status_text: str, status_emoji: str) -> bool:
    """Whether a Slack status says that somebody is not at work."""
    return status_emoji in AWAY_EMOJI or _AWAY_WORDS.search(status_text) is not None


def fold_email(email: str | None) -> str | None:
    """The form in which addresses are compared: without surrounding space, in lower case. None when there is none."""
    return (email or "").strip().casefold() or None


def fold_ids(ids: tuple[str, ...]) -> tuple[str, ...]:
    """The form in which ids of single sign-on are compared: without surrounding space, in lower case, each once, sorted."""
    return tuple(sorted({folded for each in ids if (folded := each.strip().casefold())}))


def without_circles(bosses: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Who reports to whom, so that nobody is their own manager by any way; and at whom a circle was cut, sorted.

    ``bosses``: everybody who is listed -> whom the CRM names as their manager, "" for nobody. Who names themselves or somebody
    who is not listed has no manager. A circle loses one tie, that of its smallest id; every other tie stays as it is.
    """
    tied = {who: boss for who, boss in bosses.items() if boss in bosses and boss != who}
    cut: list[str] = []
    seen: set[str] = set()
    for start in sorted(tied):
        path: list[str] = []
        at: str | None = start
        while at is not None and at not in seen:
            seen.add(at)
            path.append(at)
            at = tied.get(at)
        if at is not None and at in path:
            cut.append(min(path[path.index(at) :]))
    for each in cut:
        del tied[each]
    return tied, tuple(sorted(cut))


def person_id(source: str, crm_id: str) -> str:
    """Stable, opaque id of a person: the same CRM row gives the same id in every run and database."""
    return "p" + hashlib.sha256(f"{source}\x1f{crm_id}".encode()).hexdigest()[:15]


@dataclass(frozen=True, slots=True)
class CrmUser:
    """One user row of a CRM, as a connector reads it. ``manager``: the manager's ``crm_id``."""

    crm_id: str
    name: str
    email: str | None
    role: str
    manager: str | None = None
    active: bool = True
    zone: str | None = None
    country: str | None = None
    language: str | None = None
    access_since: date | None = None
    working_days: tuple[int, ...] | None = None
    office: str | None = None
    sso_ids: tuple[str, ...] = ()
    """By what names their single sign-on knows them: a federation id, an object id of the directory, a principal name."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody we may contact: a CRM identity and, where one was found (bot/domain/matching.py), a Slack identity.

    ``team`` is the person id of their manager: the people reporting to one manager are one team, also while that manager is
    not active in the CRM (nobody is moved into the team above by us).
    ``pilot``: in a team that may be written to. ``match``: one of MATCH_STATES; only ``matched`` is ever written to.
    ``zone``: IANA name that is in force (own choice, else Slack's, else the CRM's), None if unknown.
    """

    id: str
    source: str
    crm_id: str
    name: str
    email: str | None
    role: str
    team: str | None
    active: bool
    zone: str | None
    country: str | None
    language: str
    access_since: date | None
    working_days: tuple[int, ...]
    pilot: bool
    match: str
    slack_id: str | None
    welcomed_at: datetime | None = None
    notice_read_at: datetime | None = None
    """When they chose, after reading who sees it, how their words are passed on."""
    matched_by: str | None = None
    """The step that led to what ``match`` says: one of bot.domain.matching.STEPS; None when none led anywhere."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a person chose. Only the person and the delivery read it."""

    person: str
    goal: str | None = None
    goal_chosen_at: datetime | None = None
    paused_until: datetime | None = None
    stopped_at: datetime | None = None
    kinds_off: frozenset[str] = field(default_factory=frozenset)
    tips_never: frozenset[str] = field(default_factory=frozenset)
    """Tip ids answered with "Not for me": for ever."""
    working_days: tuple[int, ...] | None = None
    window_start: time | None = None
    window_end: time | None = None
    weekly_cap: int | None = None
    feedback_mode: str | None = None
    """How their words are passed on unless they say otherwise: named or confidential. None: not yet asked."""


@dataclass(frozen=True, slots=True)
class SlackUser:
    """What Slack says of a user (users.list, users.info, user_change, dnd.teamInfo)."""

    id: str
    email: str | None
    name: str
    zone: str | None
    language: str | None = None
    is_bot: bool = False
    is_guest: bool = False
    deleted: bool = False
    sso_ids: tuple[str, ...] | None = None
    """By what names single sign-on knows them (SCIM). None: this reading does not say; what is known stays."""
    away: bool = False
    """Their status says that they are not at work (:func:`is_away`); the status itself is not kept."""
    away_until: datetime | None = None
    dnd_start: datetime | None = None
    dnd_end: datetime | None = None
