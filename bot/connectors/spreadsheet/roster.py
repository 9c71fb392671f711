"""The people table: rows -> CRM users, their managers, and who is meant when another table names somebody."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.connectors.countries import UnknownCountry, country_code
from bot.connectors.spreadsheet.cells import BadCell, Cell, DateReader, identifier, text
from bot.connectors.spreadsheet.mapping import PeopleSection, columns_of
from bot.domain.people import ROLES, CrmUser
from bot.domain.usage import RowFault

_ADDRESS = re.compile(r"^[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]+$")
_LOCAL_PART = re.compile(r"^[a-z0-9._%+-]+$")
_LETTERS = str.maketrans(
    {
        "ß": "ss",
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "ł": "l",
        "ı": "i",
        "'": "",
        "’": "",
        ".": "",
    }
)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_YES = frozenset({"", "yes", "y", "true", "1", "active", "x"})
_NO = frozenset({"no", "n", "false", "0", "inactive"})
_WEEKDAYS = {name: at for at, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))}


@dataclass(slots=True)
class Roster:
    """Everybody that the people table names, managers included. ``ignored``: names that other tables may use in vain."""

    users: dict[str, CrmUser] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    _ids: dict[str, str] = field(default_factory=dict)
    _names: dict[str, set[str]] = field(default_factory=dict)

    def find(self, who: str) -> str | None:
        """The crm_id of whom an id, an e-mail address or a name means; None for somebody who is ignored. Raises BadCell."""
        folded = who.casefold()
        if folded in self.ignored:
            return None
        if folded in self._ids:
            return self._ids[folded]
        named = self._names.get(folded, set())
        if len(named) == 1:
            return next(iter(named))
        if named:
            raise BadCell(f"{who!r} is the name of {len(named)} people: use ids or e-mail addresses")
        raise BadCell(
            f"{who!r} is not in the people table: add a row, or write the name into [people] ignore"
            if who
            else "nobody is named"
        )

    def index(self) -> None:
        """Make people findable. An id goes before an address, an address before a name."""
        self._ids = {user.email: crm_id for crm_id, user in self.users.items() if user.email}
        self._ids |= {crm_id.casefold(): crm_id for crm_id in self.users}
        names: defaultdict[str, set[str]] = defaultdict(set)
        for crm_id, user in self.users.items():
            names[user.name.casefold()].add(crm_id)
        self._names = dict(names)


def fill_email(template: str, name: str, crm_id: str, fold: str = "plain") -> str:
    """An address from a name: accents folded, lower case. ``Zoë O'Brien`` -> ``zoe.obrien@…``. Raises BadCell.

    ``fold``: "german" writes ``Jürgen Groß`` as ``juergen.gross``, "plain" as ``jurgen.gross``.
    """
    if fold == "german":
        name = unicodedata.normalize("NFC", name).casefold().translate(_UMLAUTS)
    if "," in name:  # "Lovelace, Ada"
        name = " ".join(reversed([part.strip() for part in name.split(",", 1)]))
    words = [_plain(word) for word in name.split()]
    first, last = (words[0], "".join(words[1:])) if words else ("", "")
    if not last and ("{last}" in template or "{l}" in template):
        raise BadCell(f"{name!r} is not a first and a last name: no address can be made of it")
    local, _, domain = template.partition("@")
    parts = {"first": first, "last": last, "f": first[:1], "l": last[:1], "id": _plain(crm_id)}
    filled = re.sub(r"\{(\w+)\}", lambda match: parts[match[1]], local)
    if not _LOCAL_PART.match(filled):
        raise BadCell(f"no e-mail address can be made of {name!r}: add a column with addresses")
    return f"{filled}@{domain}".casefold()


def _plain(word: str) -> str:
    folded = unicodedata.normalize("NFKD", word.casefold().translate(_LETTERS))
    return "".join(letter for letter in folded if not unicodedata.combining(letter))


def working_days(words: str) -> tuple[int, ...]:
    """``Mon-Thu`` or ``Mon, Tue, Fri`` -> weekdays from 0. Raises BadCell."""
    days: set[int] = set()
    for part in re.split(r"[,;/ ]+", words.casefold().strip()):
        ends = [_WEEKDAYS.get(word[:3], -1) for word in part.split("-")]
        if -1 in ends or len(ends) > 2 or ends[0] > ends[-1]:
            raise BadCell(f'{words!r} are no working days: write e.g. "Mon-Thu" or "Mon, Tue, Fri"')
        days |= set(range(ends[0], ends[-1] + 1))
    return tuple(sorted(days))


Rows = Iterable[tuple[str, int, Mapping[str, Cell]]]
"""(file, line, field -> cell)."""


def read_roster(
    rows: Rows, section: PeopleSection, dates: Callable[[str], DateReader], fault: Callable[[RowFault], None]
) -> Roster:
    """Read the people table. ``dates(file)``: the reader for that file's dates. ``fault`` is told of every blemish."""
    headings = columns_of(section)
    ignored = frozenset(" ".join(name.split()).casefold() for name in section.ignore)
    roster = Roster(ignored=ignored)
    reports: dict[str, str] = {}  # crm_id -> the manager as the file writes them
    origin: dict[str, tuple[str, int]] = {}
    fixed_roles: set[str] = set()
    for file, line, cells in rows:

        def cell(key: str, file: str = file, line: int = line, cells: Mapping[str, Cell] = cells) -> str:
            try:
                value = identifier(cells.get(key)) if key == "id" else text(cells.get(key))
            except BadCell as error:
                fault(RowFault(file, line, headings[key], str(error), dropped=key in ("id", "name")))
                return ""
            return section.values.get(key, {}).get(value, value)

        def unknown(key: str, reason: str, file: str = file, line: int = line) -> None:
            fault(RowFault(file, line, headings.get(key, ""), reason, dropped=False))

        name, email = cell("name"), cell("email").casefold()
        crm_id = cell("id") or email or name
        if not name or not crm_id:
            fault(RowFault(file, line, headings["name"], "the row names nobody"))
            continue
        if {name.casefold(), email, crm_id.casefold()} & ignored:
            continue
        if crm_id in roster.users:
            first = origin[crm_id]
            fault(RowFault(file, line, "", f"{crm_id!r} is there already ({first[0]}, line {first[1]})"))
            continue
        office = cell("office")
        try:
            since = dates(file)(cells.get("access_since"))
        except BadCell as error:
            since = None
            unknown("access_since", str(error))
        role_said = cell("role")
        role = section.roles.get(role_said, role_said)
        if role not in ROLES:
            if role:
                unknown("role", f"role {role_said!r} is unknown: add it to [people.roles]")
            role = section.default_role
        elif role_said:
            fixed_roles.add(crm_id)
        active = cell("active").casefold()
        if active not in _YES | _NO:
            unknown(
                "active", f"{active!r} is neither yes nor no; taken for no: map it in [people.values.active]"
            )
        days: tuple[int, ...] | None = None
        if said := cell("working_days"):
            try:
                days = working_days(said)
            except BadCell as error:
                unknown("working_days", str(error))
        roster.users[crm_id] = CrmUser(
            crm_id=crm_id,
            name=name,
            email=_address(section, email, name, crm_id, unknown),
            role=role,
            active=active in _YES,
            zone=_zone(section, cell("zone"), office, unknown),
            country=_country(section, cell("country"), office, unknown),
            language=cell("language").casefold() or None,
            access_since=date.fromordinal(since) if since is not None else None,
            working_days=days,
            office=office or None,
            sso_ids=(sso_id,) if (sso_id := cell("sso_id")) else (),
        )
        origin[crm_id] = (file, line)
        boss = cell("manager")
        if not boss and (team := cell("team")):
            boss = section.team_managers.get(team, "")
            if not boss:
                unknown("team", f"nobody manages team {team!r}: add it to [people.team_managers]")
        if boss:
            reports[crm_id] = boss
    _tie_to_managers(roster, section, reports, origin, headings, fault, fixed_roles)
    _report_shared_addresses(roster, origin, headings, fault)
    return roster


def _address(
    section: PeopleSection, email: str, name: str, crm_id: str, unknown: Callable[[str, str], None]
) -> str | None:
    if email:
        if _ADDRESS.match(email):
            return email
        unknown("email", f"{email!r} is no e-mail address")
        return None
    if section.email_template is None:
        return None
    try:
        return fill_email(section.email_template, name, crm_id, section.fold)
    except BadCell as error:
        unknown("name", str(error))
        return None


def _zone(section: PeopleSection, zone: str, office: str, unknown: Callable[[str, str], None]) -> str | None:
    if zone:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            unknown("zone", f"{zone!r} is no IANA time zone, e.g. Europe/Berlin")
            return None
        return zone
    if office and section.zones and office not in section.zones:
        unknown("office", f"office {office!r} has no time zone: add it to [people.zones]")
    return section.zones.get(office)


def _country(
    section: PeopleSection, country: str, office: str, unknown: Callable[[str, str], None]
) -> str | None:
    """None leaves the programme's country in force."""
    if not country:
        return section.countries.get(office)
    try:
        return country_code(country)
    except UnknownCountry as error:
        unknown("country", str(error))
        return None


def _report_shared_addresses(
    roster: Roster,
    origin: Mapping[str, tuple[str, int]],
    headings: Mapping[str, str],
    fault: Callable[[RowFault], None],
) -> None:
    """Two people with one address: nobody can be matched to Slack by it. They keep it, and are listed as ambiguous."""
    sharing: defaultdict[str, list[str]] = defaultdict(list)
    for crm_id, user in roster.users.items():
        if user.email:
            sharing[user.email].append(crm_id)
    column = headings.get("email", headings["name"])
    for email, owners in sharing.items():
        for crm_id in owners[1:]:
            file, line = origin[crm_id]
            reason = (
                f"{email} is the address of {owners[0]!r} too: neither of them will be written to, unless the identity file "
                "or single sign-on tells them apart"
            )
            fault(RowFault(file, line, column, reason, dropped=False))


def _tie_to_managers(
    roster: Roster,
    section: PeopleSection,
    reports: Mapping[str, str],
    origin: dict[str, tuple[str, int]],
    headings: Mapping[str, str],
    fault: Callable[[RowFault], None],
    fixed_roles: set[str],
) -> None:
    """Resolve managers; who is named as one but has no row of their own becomes a person with that name."""
    roster.index()
    offices: defaultdict[str, set[str]] = defaultdict(set)
    managers: set[str] = set()
    added: dict[str, CrmUser] = {}
    column = headings.get("manager", headings.get("team", ""))
    for crm_id, said in reports.items():
        file, line = origin[crm_id]

        def unknown(_key: str, reason: str, file: str = file, line: int = line) -> None:
            fault(RowFault(file, line, column, reason, dropped=False))

        boss: str | None
        if said in added:
            boss = said
        else:
            try:
                boss = roster.find(said)
            except BadCell as error:
                if said.casefold() in roster._names:  # noqa: SLF001 -- the roster is being built here
                    unknown("manager", str(error))
                    continue
                boss = said
                origin[said] = (file, line)
                is_address = _ADDRESS.match(said) is not None
                added[said] = CrmUser(
                    crm_id=said,
                    name=said.partition("@")[0] if is_address else said,
                    email=_address(section, said.casefold() if is_address else "", said, said, unknown),
                    role="manager",
                )
        if boss is None or boss == crm_id:
            continue
        managers.add(boss)
        user = roster.users[crm_id]
        offices[boss].add(user.office or "")
        roster.users[crm_id] = replace(user, manager=boss)
    for said, user in added.items():
        # A manager without a row works where all of their people do.
        office = next(iter(offices[said])) if len(offices[said]) == 1 else ""
        roster.users[said] = replace(
            user,
            office=office or None,
            zone=section.zones.get(office),
            country=section.countries.get(office),
        )
    for crm_id in managers - fixed_roles - added.keys():
        roster.users[crm_id] = replace(roster.users[crm_id], role="manager")
    roster.index()
