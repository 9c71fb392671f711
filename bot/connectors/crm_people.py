"""What a CRM's words say of its users: which role somebody has, who is a machine, which language and zone they read in. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from bot.domain import people
from bot.domain.usage import RowFault

_ROLE_WORDS = (
    ("sales_development", re.compile(r"\b(sdr|bdr|sales development|business development)\b", re.IGNORECASE)),
    ("customer_success", re.compile(r"\b(customer success|csm|renewals?|account care)\b", re.IGNORECASE)),
    ("service", re.compile(r"\b(support|service desk|customer service|field service)\b", re.IGNORECASE)),
)
_MACHINES = re.compile(r"\b(integration|api only|automated process|platform integration)\b", re.IGNORECASE)
_LOCALE = re.compile(r"([a-z]{2,3})(?:[_-](?:[A-Z][a-z]{3}[_-])?([A-Z]{2}))?(?:[_@.]|$)")


def role_of(*words: str) -> str:
    """Somebody's role by what the CRM calls them: their role, title, profile, team. A seller if nothing says otherwise."""
    said = " ".join(words)
    return next((role for role, pattern in _ROLE_WORDS if pattern.search(said)), "seller")


def is_machine(*words: str) -> bool:
    """Whether a profile, licence or name is one of an integration."""
    return any(_MACHINES.search(each) for each in words)


def language_of(locale: str) -> str | None:
    """``de_DE_EURO`` as ``de-DE``; None for what names no language."""
    found = _LOCALE.match(locale)
    return None if found is None else "-".join(part for part in found.groups() if part)


def is_zone(name: str) -> bool:
    """Whether it is an IANA time zone that is known here."""
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True


def without_circles(bosses: Mapping[str, str], faults: list[RowFault], table: str) -> dict[str, str]:
    """Managers, without those who would be their own (bot/domain/people.py), each circle named. ``table``: for the fault."""
    tied, cut = people.without_circles(bosses)
    faults += [
        RowFault(table, 0, "manager", f"{each} is their own manager by a circle", dropped=False)
        for each in cut
    ]
    return tied
