"""The programme file ``programme.toml``, checked in one go: every fault names its key and says what to write."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays
from babel import Locale, UnknownLocaleError

from bot.domain.attention import EARLIEST, LATEST, MAX_WEEKLY_CAP
from bot.domain.behaviours import Behaviour
from bot.domain.behaviours import check as check_behaviour
from bot.domain.errors import ConfigurationError
from bot.domain.people import ROLES
from bot.domain.programme import BARRIER_TYPES, MAX_BEHAVIOURS_PER_ROLE, MIN_K, Programme, Rules
from bot.rendering import safe_url

_EMAIL = re.compile(r"^[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;.]+$")
_CHANNEL = re.compile(r"^(#[^\s#@<>]{1,80}|[CG][A-Z0-9]{8,})$")
_SECTIONS = ("programme", "people", "owners", "channels", "behaviours", "rules")
_PROGRAMME_KEYS = ("name", "crm", "go_live", "language", "zone", "country", "pilot_teams", "k", "record_link")
_PEOPLE_KEYS = ("sponsor", "delegates", "approver", "adoption_lead", "privacy_officer")
_LIMITS: Mapping[str, tuple[float, float]] = {
    "weekly_cap": (1, MAX_WEEKLY_CAP),
    "hold_out": (0.05, 0.5),
    "spacing_hours": (24, 336),
    "same_text_in_28_days": (1, 2),
    "ignored_doubles": (1, 3),
    "ignored_pauses": (2, 6),
    "coin_window_days": (1, 28),
    "load_24h": (1, 50),
    "poll_fresh_hours": (1, 96),
}
"""Hard limits: lowest and highest that a programme may set."""


def load_programme(path: Path, behaviours: Mapping[str, Behaviour]) -> Programme:
    """Read and check the file. ``behaviours``: those of the content, by id.

    Raises ConfigurationError with every fault at once.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            [f"{path}: cannot be read ({error.strerror}); copy examples/programme.toml there"],
            title="The programme file is not there",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            [f"{path}: is no valid TOML: {error}"], title="The programme file cannot be read"
        ) from error
    programme, faults = read_programme(document, behaviours)
    if faults or programme is None:
        raise ConfigurationError(
            [f"{path.name}: {fault}" for fault in faults], title="The programme is not complete"
        )
    return programme


def read_programme(
    document: Mapping[str, Any], behaviours: Mapping[str, Behaviour]
) -> tuple[Programme | None, list[str]]:
    """The programme of a parsed file, and every fault of it (then there is no programme). Pure."""
    reading = _Reading(document)
    programme = reading.programme(behaviours)
    return (None if reading.faults else programme), reading.faults


@lru_cache(maxsize=1)
def _countries() -> Mapping[str, Sequence[str]]:
    return holidays.list_supported_countries(include_aliases=True)


class _Reading:
    """Takes values out of a parsed file and notes what is wrong with each."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.faults: list[str] = []
        self.sections: dict[str, Mapping[str, Any]] = {}
        for key in document:
            if key not in _SECTIONS:
                self._fault(
                    key, f"nothing reads this; the tables are {', '.join(f'[{s}]' for s in _SECTIONS)}"
                )
        for section in _SECTIONS:
            table = document.get(section, {})
            if not isinstance(table, Mapping):
                self._fault(section, f"is a table; write [{section}]")
                table = {}
            self.sections[section] = table

    def _fault(self, key: str, message: str) -> None:
        self.faults.append(f"{key}: {message}")

    def _known(self, section: str, keys: Sequence[str]) -> Mapping[str, Any]:
        table = self.sections[section]
        for key in table:
            if key not in keys:
                self._fault(f"{section}.{key}", f"nothing reads this; the keys are {', '.join(keys)}")
        return table

    def programme(self, behaviours: Mapping[str, Behaviour]) -> Programme:
        table = self._known("programme", _PROGRAMME_KEYS)
        people = self._known("people", _PEOPLE_KEYS)
        lead = self._email("people.adoption_lead", people.get("adoption_lead"), "who runs the programme")
        sponsor_name, sponsor = self._sponsor(people.get("sponsor"))
        approver = people.get("approver")
        return Programme(
            name=self._words("programme.name", table.get("name"), "how you call the programme"),
            crm_name=self._words("programme.crm", table.get("crm"), 'the CRM\'s name, e.g. "Salesforce"'),
            go_live=self._day("programme.go_live", table.get("go_live")),
            sponsor=sponsor,
            sponsor_name=sponsor_name,
            adoption_lead=lead,
            privacy_officer=self._email(
                "people.privacy_officer", people.get("privacy_officer"), "who watches over people's data"
            ),
            owners=self._owners(lead),
            delegates=self._emails("people.delegates", people.get("delegates", [])),
            approver=None
            if approver is None
            else self._email("people.approver", approver, "who approves posts"),
            channels=self._channels(),
            behaviours=self._behaviours(behaviours),
            k=self._k(table.get("k", 5)),
            country=self._country(table.get("country")),
            zone=self._zone(table.get("zone")),
            language=self._language(table.get("language", "en")),
            pilot_teams=self._pilots(table.get("pilot_teams")),
            rules=self._rules(),
            record_link=self._record_link(table.get("record_link")),
        )

    def _words(self, key: str, value: object, meaning: str) -> str:
        if isinstance(value, str) and value.strip():
            return value.strip()
        self._fault(key, f"is missing or empty; write {meaning}")
        return ""

    def _email(self, key: str, value: object, meaning: str) -> str:
        if isinstance(value, str) and _EMAIL.match(value.strip()):
            return value.strip().casefold()
        said = "is missing" if value is None else f"is no e-mail address ({str(value)[:60]!r})"
        self._fault(key, f"{said}; write the e-mail address of {meaning}")
        return ""

    def _emails(self, key: str, value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            self._fault(key, 'is a list; write ["name@example.com"]')
            return ()
        return tuple(self._email(f"{key}[{i}]", each, "one person") for i, each in enumerate(value))

    def _day(self, key: str, value: object) -> date:
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        self._fault(key, "is missing or no day; write it without quotes, e.g. 2026-09-01")
        return date.min

    def _sponsor(self, value: object) -> tuple[str, str]:
        if not isinstance(value, Mapping):
            self._fault(
                "people.sponsor",
                'is missing; a programme has a sponsor: write { name = "…", email = "…" } of a leader with authority',
            )
            return "", ""
        for extra in set(value) - {"name", "email"}:
            self._fault(f"people.sponsor.{extra}", "nothing reads this; the keys are name, email")
        return (
            self._words("people.sponsor.name", value.get("name"), "the sponsor's name; the welcome says it"),
            self._email("people.sponsor.email", value.get("email"), "the sponsor"),
        )

    def _owners(self, lead: str) -> Mapping[str, str]:
        table = self._known("owners", BARRIER_TYPES)
        return {
            kind: self._email(f"owners.{kind}", table[kind], f"who takes care of {kind}")
            if kind in table
            else lead
            for kind in BARRIER_TYPES
        }

    def _channels(self) -> Mapping[str, str]:
        channels = {}
        for audience, channel in self.sections["channels"].items():
            if isinstance(channel, str) and _CHANNEL.match(channel):
                channels[audience] = channel
            else:
                self._fault(
                    f"channels.{audience}", 'is no channel; write its name "#sales" or its id "C0123456789"'
                )
        return channels

    def _behaviours(self, known: Mapping[str, Behaviour]) -> Mapping[str, Behaviour]:
        """Those in force: the shipped roles of each, except where the file lists a role's own."""
        table = self._known("behaviours", ROLES)
        roles: dict[str, set[str]] = {id_: set(b.roles) - set(table) for id_, b in known.items()}
        targets: dict[str, float] = {}
        for role in (role for role in ROLES if role in table):
            listed = table[role]
            if not isinstance(listed, list):
                self._fault(f"behaviours.{role}", 'is a list; write ["next_step_set", …]')
                continue
            for index, entry in enumerate(listed):
                key = f"behaviours.{role}[{index}]"
                if (id_ := self._behaviour(key, entry, known, targets)) is not None:
                    if role in roles[id_]:
                        self._fault(key, f"names {id_} twice; keep one")
                    roles[id_].add(role)
        for role, count in Counter(role for asked in roles.values() for role in asked).items():
            if count > MAX_BEHAVIOURS_PER_ROLE:
                self._fault(
                    f"behaviours.{role}",
                    f"asks {count} behaviours of one role; {MAX_BEHAVIOURS_PER_ROLE} are the most: take {count - MAX_BEHAVIOURS_PER_ROLE} out",
                )
        return {
            id_: replace(known[id_], roles=frozenset(asked), target=targets.get(id_, known[id_].target))
            for id_, asked in roles.items()
            if asked
        }

    def _behaviour(
        self, key: str, entry: object, known: Mapping[str, Behaviour], targets: dict[str, float]
    ) -> str | None:
        given: Mapping[str, Any] = entry if isinstance(entry, Mapping) else {"id": entry}
        for extra in set(given) - {"id", "target"}:
            self._fault(f"{key}.{extra}", "nothing reads this; the keys are id, target")
        id_ = given.get("id")
        if not isinstance(id_, str) or id_ not in known:
            self._fault(key, f"there is no behaviour {id_!r}; choose from {', '.join(sorted(known))}")
            return None
        if "target" not in given:
            return id_
        target = given["target"]
        if isinstance(target, bool) or not isinstance(target, (int, float)) or target <= 0:
            self._fault(f"{key}.target", "is no number above 0; write e.g. 0.8 for a share, 12 for a count")
        elif faults := check_behaviour(replace(known[id_], target=float(target))):
            self._fault(f"{key}.target", "; ".join(faults))
        elif targets.setdefault(id_, float(target)) != float(target):
            self._fault(
                f"{key}.target",
                f"differs from the target of {id_} for another role; a behaviour has one target",
            )
        return id_

    def _k(self, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value >= MIN_K:
            return value
        self._fault("programme.k", f"is {value!r}; write a whole number, {MIN_K} or more (5 is the default)")
        return MIN_K

    def _country(self, value: object) -> str | None:
        if value is None:
            self._fault(
                "programme.country",
                'is missing; write the ISO code for public holidays, e.g. "DE" or "DE-BY"',
            )
            return None
        code, _, part = str(value).partition("-")
        known = _countries()
        if code not in known or (part and part not in known[code]):
            regions = f"; regions of {code}: {', '.join(known[code])}" if code in known else ""
            self._fault(
                "programme.country",
                f'no public holidays are known for {value!r}; write e.g. "US" or "DE-BY"{regions}',
            )
            return None
        return str(value)

    def _zone(self, value: object) -> str | None:
        if value is None:
            return None
        try:
            ZoneInfo(str(value))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._fault(
                "programme.zone", f'there is no time zone {value!r}; write an IANA name, e.g. "Europe/Berlin"'
            )
            return None
        return str(value)

    def _language(self, value: object) -> str:
        try:
            Locale.parse(str(value).replace("-", "_"))
        except (UnknownLocaleError, ValueError):
            self._fault("programme.language", f'there is no language {value!r}; write e.g. "en" or "de"')
        return str(value)

    def _pilots(self, value: object) -> tuple[str, ...]:
        if value == ["*"]:
            return ("*",)
        if not isinstance(value, list) or not value:
            self._fault(
                "programme.pilot_teams",
                'is missing or empty; write the e-mail addresses of the pilot teams\' managers, or ["*"] for everybody',
            )
            return ()
        return self._emails("programme.pilot_teams", value)

    def _record_link(self, value: object) -> str | None:
        if value is None:
            return None
        if isinstance(value, str) and "{id}" in value and safe_url(value.replace("{id}", "1")):
            return value
        self._fault(
            "programme.record_link",
            'write a web address with {id} in it, e.g. "https://crm.example.com/deal/{id}"',
        )
        return None

    def _rules(self) -> Rules:
        defaults = Rules()
        given: dict[str, Any] = {}
        table = self._known("rules", [f.name for f in fields(Rules)])
        for key, (low, high) in _LIMITS.items():
            if key in table:
                given[key] = self._number(
                    key, table[key], low, high, whole=isinstance(getattr(defaults, key), int)
                )
        start = self._time("window_start", table.get("window_start", defaults.window_start))
        end = self._time("window_end", table.get("window_end", defaults.window_end))
        if start and end and start >= end:
            self._fault("rules.window_end", f"is not after window_start ({start:%H:%M}); write a later time")
        if "policy" in table:
            given["policy"] = self._words("rules.policy", table["policy"], "a name for these rules")
        made = replace(defaults, **{key: value for key, value in given.items() if value is not None})
        if made.ignored_pauses <= made.ignored_doubles:
            self._fault(
                "rules.ignored_pauses", f"is not above ignored_doubles ({made.ignored_doubles}); write more"
            )
        return replace(
            made,
            window_start=f"{start:%H:%M}" if start else made.window_start,
            window_end=f"{end:%H:%M}" if end else made.window_end,
        )

    def _number(self, key: str, value: object, low: float, high: float, *, whole: bool) -> float | int | None:
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if number and isinstance(value, (int, float)) and low <= value <= high:
            return value
        kind = "a whole number" if whole else "a number"
        self._fault(f"rules.{key}", f"is {value!r}; write {kind} from {low:g} to {high:g}")
        return None

    def _time(self, key: str, value: object) -> time | None:
        try:
            at = value if isinstance(value, time) else time.fromisoformat(str(value))
        except ValueError:
            at = None
        if at is None or at.tzinfo is not None:
            self._fault(f"rules.{key}", f'is {str(value)!r}; write a local time, e.g. "09:30"')
            return None
        if not EARLIEST <= at <= LATEST:
            self._fault(
                f"rules.{key}",
                f"is {at:%H:%M}; nothing is sent outside of {EARLIEST:%H:%M} to {LATEST:%H:%M}",
            )
            return None
        return at
