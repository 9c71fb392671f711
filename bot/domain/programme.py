"""The programme: who owns adoption here, what is asked of whom, and who may see what. Read from ``programme.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from bot.domain.behaviours import Behaviour
from bot.domain.matching import Override
from bot.domain.people import fold_email

BARRIER_TYPES = (
    "policy",
    "process",
    "reward",
    "communication",
    "job_design",
    "leadership",
    "system",
    "data",
    "skill",
    "time",
)
MAX_BEHAVIOURS_PER_ROLE = 12
MIN_K = 4

# Rights. A role of the programme (not a job role) has some of them; nobody else has any.
SEE_NAMED_FEEDBACK = "see_named_feedback"
SEE_CONFIDENTIAL_TEXT = "see_confidential_text"
SEE_NAME_WITH_STAGE = "see_name_with_stage"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a programme may set, with its defaults; each within its hard limit (bot/content/programme.py)."""

    weekly_cap: int = 2
    window_start: str = "09:30"
    window_end: str = "16:30"
    hold_out: float = 0.20
    spacing_hours: int = 48
    same_text_in_28_days: int = 2
    ignored_doubles: int = 3
    ignored_pauses: int = 6
    coin_window_days: int = 7
    load_24h: int = 5
    """Messages of any kind in 24 hours from which on unasked ones wait."""
    poll_fresh_hours: int = 30
    policy: str = "2026-11.1"
    """Name of the rules in force; part of every draw's key."""


@dataclass(frozen=True, slots=True)
class Programme:
    """Everything ``programme.toml`` says, checked in one go.

    People are named by e-mail address. ``owners``: barrier type -> e-mail, complete (the adoption lead fills gaps).
    ``pilot_teams``: e-mail addresses of managers whose teams may be written to; ``("*",)`` means all.
    """

    name: str
    crm_name: str
    go_live: date
    sponsor: str
    sponsor_name: str
    adoption_lead: str
    privacy_officer: str
    owners: Mapping[str, str]
    delegates: tuple[str, ...] = ()
    approver: str | None = None
    channels: Mapping[str, str] = field(default_factory=dict)
    behaviours: Mapping[str, Behaviour] = field(default_factory=dict)
    """Every behaviour in force, by id; each names the roles that it is asked of."""
    k: int = 5
    country: str | None = None
    zone: str | None = None
    language: str = "en"
    pilot_teams: tuple[str, ...] = ()
    rules: Rules = field(default_factory=Rules)
    record_link: str | None = None
    """Deep link with ``{id}``, for connectors that know none, e.g. ``https://crm.example/opportunity/{id}``."""
    identities: tuple[Override, ...] = ()
    """What the identity file says (FULLSTEAM_IDENTITIES): whose Slack account somebody of the CRM has."""

    def rights(self, email: str | None) -> frozenset[str]:
        """What somebody may do, by e-mail address. Deny by default."""
        if not email:
            return frozenset()
        who = email.casefold()
        granted: set[str] = set()
        if who == self.adoption_lead.casefold():
            granted |= {SEE_NAMED_FEEDBACK, SEE_CONFIDENTIAL_TEXT}
        if who == self.privacy_officer.casefold():
            granted |= {SEE_NAME_WITH_STAGE, SEE_NAMED_FEEDBACK}
        return frozenset(granted)

    def roles(self) -> frozenset[str]:
        """The addresses of everybody who has a part in it, folded."""
        named = (self.sponsor, self.adoption_lead, self.privacy_officer, self.approver, *self.delegates)
        return frozenset(
            folded for each in (*named, *self.owners.values()) if (folded := fold_email(each)) is not None
        )

    def accounts(self) -> frozenset[str]:
        """What it names Slack accounts by: folded addresses of :meth:`roles`, and what the identity file names."""
        return self.roles() | {each.slack for each in self.identities if each.slack is not None}

    def in_pilot(self, manager_email: str | None, own_email: str | None = None) -> bool:
        """Whether a person, by their manager's (or, for a manager, their own) address, is in a pilot team."""
        if "*" in self.pilot_teams:
            return True
        pilots = {team.casefold() for team in self.pilot_teams}
        return any(email and email.casefold() in pilots for email in (manager_email, own_email))
