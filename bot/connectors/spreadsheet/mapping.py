"""The mapping file: what the columns of somebody's spreadsheets mean. TOML in, checked in one go.

Every key is explained for admins in docs/connectors/spreadsheet.md.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.connectors.countries import UnknownCountry, country_code
from bot.connectors.spreadsheet.cells import EXCEL_DATE_FORMAT, date_pattern
from bot.domain.errors import ConfigurationError
from bot.domain.people import ROLES
from bot.domain.usage import METRICS

ActivityKind = Literal["call", "meeting", "email", "task", "ignore"]
Heading = Annotated[str, Field(min_length=1)]
_EMAIL_FIELDS = frozenset({"first", "last", "f", "l", "id"})
_FIELD = re.compile(r"\{(\w*)\}")
_NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,39}$")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SourceSection(_Section):
    """``[source]``: the spreadsheets as a whole."""

    name: Annotated[
        str, Field(description='a short name for this CRM in lower case, e.g. name = "salesforce-export"')
    ]
    lag_days: Annotated[int, Field(ge=0, le=31, description="days until a row is in the export")] = 0
    zone: Annotated[str, Field(description='an IANA zone, e.g. zone = "Europe/Berlin"')] = "UTC"
    coverage: Annotated[
        Literal["written", "complete"],
        Field(description='coverage = "written" or coverage = "complete"'),
    ] = "written"
    record_link: Annotated[
        str | None,
        Field(description='a link with {id}, e.g. record_link = "https://crm.example.com/opportunity/{id}"'),
    ] = None


class FileSection(_Section):
    """What every table has: where it is, and how its file is written."""

    file: Annotated[
        str, Field(min_length=1, description='a file in the data folder, e.g. file = "deals-*.csv"')
    ]
    sheet: str | None = None
    header_line: Annotated[int, Field(ge=1)] = 1
    delimiter: Literal[";", ",", "\t", "|"] | None = None
    encoding: str = "utf-8"
    date_format: str | None = None
    decimal: Literal[".", ","] | None = None
    may_be_empty: bool = False
    values: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)


class PeopleColumns(_Section):
    """``[people.columns]``: field = heading in the file."""

    name: Annotated[Heading, Field(description='the heading of the names, e.g. name = "Sales agent"')]
    id: Heading | None = None
    email: Heading | None = None
    manager: Heading | None = None
    team: Heading | None = None
    office: Heading | None = None
    role: Heading | None = None
    active: Heading | None = None
    zone: Heading | None = None
    country: Heading | None = None
    language: Heading | None = None
    access_since: Heading | None = None
    working_days: Heading | None = None
    sso_id: Heading | None = None


class PeopleSection(FileSection):
    """``[people]``: who there is, and who reports to whom."""

    columns: Annotated[PeopleColumns, Field(description="a table [people.columns]")]
    email_template: str | None = None
    fold: Literal["plain", "german"] = "plain"
    default_role: str = "seller"
    roles: Mapping[str, str] = Field(default_factory=dict)
    zones: Mapping[str, str] = Field(default_factory=dict)
    countries: Mapping[str, str] = Field(default_factory=dict)
    team_managers: Mapping[str, str] = Field(default_factory=dict)
    ignore: Sequence[str] = ()
    access_since: Literal["first-dated-row"] | None = None


class OpportunityColumns(_Section):
    """``[opportunities.columns]``: field = heading in the file."""

    id: Annotated[Heading, Field(description='the heading of the ids, e.g. id = "Opportunity ID"')]
    owner: Annotated[Heading, Field(description='the heading of who owns it, e.g. owner = "Owner"')]
    created: Annotated[
        Heading, Field(description='the heading of the day it began, e.g. created = "Created"')
    ]
    step: Annotated[Heading, Field(description='the heading of its step (stage), e.g. step = "Stage"')]
    closed: Heading | None = None
    name: Heading | None = None
    account: Heading | None = None
    product: Heading | None = None
    amount: Heading | None = None
    won_amount: Heading | None = None
    expected_close: Heading | None = None
    next_step: Heading | None = None
    last_activity: Heading | None = None
    step_since: Heading | None = None


class OpportunitySection(FileSection):
    """``[opportunities]``: deals, open and closed."""

    columns: Annotated[OpportunityColumns, Field(description="a table [opportunities.columns]")]
    steps: Annotated[
        Mapping[str, Literal["open", "won", "lost"]],
        Field(
            min_length=1,
            description='a table [opportunities.steps] with every step, e.g. "Closed Won" = "won"',
        ),
    ]
    title: Sequence[str] = ()


class ActivityColumns(_Section):
    """``[activities.columns]``: field = heading in the file."""

    person: Annotated[Heading, Field(description='the heading of who did it, e.g. person = "Assigned to"')]
    date: Annotated[Heading, Field(description='the heading of the day it was done, e.g. date = "Date"')]
    kind: Annotated[Heading, Field(description='the heading of what it was, e.g. kind = "Type"')]
    id: Heading | None = None
    opportunity: Heading | None = None
    count: Heading | None = None


class ActivitySection(FileSection):
    """``[activities]``: calls, meetings, e-mails and tasks that are done."""

    columns: Annotated[ActivityColumns, Field(description="a table [activities.columns]")]
    kinds: Mapping[str, ActivityKind] = Field(default_factory=dict)

    def all_kinds(self) -> Mapping[str, ActivityKind]:
        """What the file writes -> kind. Without a table, the file writes call, meeting, email and task itself."""
        plain: dict[str, ActivityKind] = {
            "call": "call",
            "meeting": "meeting",
            "email": "email",
            "task": "task",
        }
        return self.kinds or plain


class LoginColumns(_Section):
    """``[logins.columns]``: field = heading in the file."""

    person: Annotated[Heading, Field(description='the heading of who logged in, e.g. person = "User"')]
    date: Annotated[Heading, Field(description='the heading of the day, e.g. date = "Login time"')]


class LoginSection(FileSection):
    """``[logins]``: days on which somebody logged in; the time of day is dropped."""

    columns: Annotated[LoginColumns, Field(description="a table [logins.columns]")]


class UsageColumns(_Section):
    """``[usage.columns]``: field = heading in the file."""

    person: Annotated[
        Heading, Field(description='the heading of whom it is about, e.g. person = "user_email"')
    ]
    date: Annotated[Heading, Field(description='the heading of the day, e.g. date = "date"')]
    metric: Annotated[Heading, Field(description='the heading of the metric, e.g. metric = "metric"')]
    value: Annotated[Heading, Field(description='the heading of the number, e.g. value = "value"')]


class UsageSection(FileSection):
    """``[usage]``: numbers that are already counted, one person, day and metric a row."""

    columns: Annotated[UsageColumns, Field(description="a table [usage.columns]")]
    metrics: Annotated[
        Sequence[str],
        Field(
            min_length=1,
            description='every metric that the file has, e.g. metrics = ["activities_completed.call"]',
        ),
    ]


class Unsupported(_Section):
    """``[[unsupported]]``: metrics that the files cannot say, though their columns look like it."""

    metrics: Annotated[
        Sequence[str], Field(min_length=1, description='metrics = ["opps_past_close", …]; * is allowed')
    ]
    reason: Annotated[str, Field(min_length=1, description='reason = "why the files cannot say it"')]


class SpreadsheetMapping(_Section):
    """A whole mapping file. ``people`` is always there; at least one other table is."""

    source: Annotated[SourceSection, Field(description="a table [source] with a name")]
    people: Annotated[PeopleSection, Field(description="a table [people] with file and columns")]
    opportunities: OpportunitySection | None = None
    activities: ActivitySection | None = None
    logins: LoginSection | None = None
    usage: UsageSection | None = None
    unsupported: Sequence[Unsupported] = ()

    TABLES: ClassVar[tuple[str, ...]] = ("people", "opportunities", "activities", "logins", "usage")

    def tables(self) -> dict[str, FileSection]:
        """The tables that this mapping has, by name, in a fixed order."""
        found = ((name, getattr(self, name)) for name in self.TABLES)
        return {name: section for name, section in found if section is not None}

    def said_unsupported(self) -> dict[str, str]:
        """Metric -> reason, of the metrics that the mapping declares unsupported."""
        return {
            metric: each.reason
            for each in self.unsupported
            for pattern in each.metrics
            for metric in METRICS
            if fnmatchcase(metric, pattern)
        }


def provided(mapping: SpreadsheetMapping) -> dict[str, tuple[str, ...]]:
    """Metric -> the tables that it is read from. A metric that is absent is unsupported: no column says it."""
    found: dict[str, tuple[str, ...]] = {}
    deals, activities = mapping.opportunities, mapping.activities
    if deals is not None:
        table, columns = ("opportunities",), deals.columns
        found |= dict.fromkeys(("records_created.opportunity", "opps_open", "opps_open_long"), table)
        if columns.closed:
            found |= dict.fromkeys(("step_moves", "won_count", "lost_count"), table)
            if columns.won_amount or columns.amount:
                found["won_amount"] = table
        if columns.amount:
            found |= dict.fromkeys(("pipeline_amount", "opps_missing_amount"), table)
        for metric, heading in (
            ("opps_missing_account", columns.account),
            ("opps_past_close", columns.expected_close),
            ("opps_no_next_step", columns.next_step),
            ("opps_no_activity_30d", columns.last_activity),
            ("opps_stuck_step", columns.step_since),
        ):
            if heading:
                found[metric] = table
        if activities is not None and activities.columns.opportunity:
            found["opps_no_activity_30d"] = ("opportunities", "activities")
    if activities is not None:
        kinds = sorted(set(activities.all_kinds().values()) - {"ignore"})
        found |= {f"activities_completed.{kind}": ("activities",) for kind in kinds}
    if mapping.logins is not None:
        found["active_day"] = ("logins",)
    if mapping.usage is not None:
        found |= {metric: ("usage",) for metric in mapping.usage.metrics if metric not in found}
    return {metric: tables for metric, tables in found.items() if metric not in mapping.said_unsupported()}


def columns_of(section: FileSection) -> dict[str, str]:
    """Field -> heading, of the columns that a table maps."""
    columns: BaseModel = getattr(section, "columns")  # noqa: B009 -- every table has one, of a type of its own
    return columns.model_dump(exclude_none=True)


def mapping_file(path: Path) -> Path:
    """The mapping that a path means: the file itself, or ``mapping.toml`` in a folder."""
    return path / "mapping.toml" if path.is_dir() else path


def load_mapping(path: Path) -> SpreadsheetMapping:
    """Read and check a mapping file. Raises ConfigurationError with every fault and what to write instead."""
    title = f"The mapping {path.name} cannot be used"
    try:
        with path.open("rb") as file:
            raw = tomllib.load(file)
    except FileNotFoundError as error:
        raise ConfigurationError([f"there is no file {path}"], title=title) from error
    except OSError as error:
        raise ConfigurationError([f"{path} cannot be read ({error.strerror})"], title=title) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"it is no TOML: {error}"], title=title) from error
    return check_mapping(raw, title=title)


def check_mapping(raw: Mapping[str, Any], *, title: str = "The mapping cannot be used") -> SpreadsheetMapping:
    """Check a mapping that is already parsed. Raises ConfigurationError with every fault at once."""
    try:
        mapping = SpreadsheetMapping.model_validate(raw)
    except ValidationError as error:
        # What pydantic found, and what can be said of the tables that are well formed.
        faults = [_sentence(fault) for fault in error.errors(include_url=False)]
        raise ConfigurationError([*faults, *_faults_of_parts(raw, error)], title=title) from error
    if faults := list(_faults(mapping)):
        raise ConfigurationError(faults, title=title)
    return mapping


# --- faults --------------------------------------------------------------------------------------------------------

_SECTIONS: Mapping[str, type[BaseModel]] = {
    "": SpreadsheetMapping,
    "source": SourceSection,
    "people": PeopleSection,
    "people.columns": PeopleColumns,
    "opportunities": OpportunitySection,
    "opportunities.columns": OpportunityColumns,
    "activities": ActivitySection,
    "activities.columns": ActivityColumns,
    "logins": LoginSection,
    "logins.columns": LoginColumns,
    "usage": UsageSection,
    "usage.columns": UsageColumns,
    "unsupported": Unsupported,
}


def _sentence(fault: Any) -> str:
    """A fault of pydantic's as a sentence for an admin: where, what is wrong, what to write."""
    place = [str(part) for part in fault["loc"] if not isinstance(part, int)]
    key = place.pop() if place else ""
    section = ".".join(place)
    model = _SECTIONS.get(section)
    where = f"[{section}] {key}" if section else f"[{key}]"
    if fault["type"] == "extra_forbidden":
        known = ", ".join(model.model_fields) if model else ""
        return f"{where} is not a known key; known are {known}"
    described = model.model_fields[key].description if model and key in model.model_fields else None
    advice = f": write {described}" if described else ""
    if fault["type"] == "missing":
        return f"{where} is missing{advice}"
    if fault["type"] in ("literal_error", "string_type", "int_type", "bool_type") and "input" in fault:
        return f"{where} = {fault['input']!r} is not allowed ({fault['msg']}){advice}"
    return f"{where}: {fault['msg']}{advice}"


def _faults_of_parts(raw: Mapping[str, Any], error: ValidationError) -> Iterator[str]:
    """Check the tables that pydantic found nothing wrong with, so that one typing error hides no other fault."""
    broken = {str(fault["loc"][0]) for fault in error.errors(include_url=False) if fault["loc"]}
    for name in ("source", *SpreadsheetMapping.TABLES):
        if name in raw and name not in broken:
            part = _SECTIONS[name].model_validate(raw[name])
            yield from (
                _faults_of_source(part) if isinstance(part, SourceSection) else _faults_of_table(name, part)
            )


def _faults(mapping: SpreadsheetMapping) -> Iterator[str]:
    yield from _faults_of_source(mapping.source)
    for name, section in mapping.tables().items():
        yield from _faults_of_table(name, section)
    if mapping.tables().keys() == {"people"}:
        yield (
            "only people are mapped, there is nothing to measure: add [opportunities], [activities], [logins] or [usage]"
        )
    tables = provided(mapping)
    for metric in mapping.usage.metrics if mapping.usage is not None else ():
        if tables.get(metric, ("usage",)) != ("usage",):
            yield (
                f"[usage] metrics: {metric} is read from [{tables[metric][0]}] already, and would be counted twice: leave it "
                "out here"
            )
    for each in mapping.unsupported:
        for pattern in each.metrics:
            if not any(fnmatchcase(metric, pattern) for metric in METRICS):
                yield f"[[unsupported]] metrics: {pattern!r} is no metric; known are {', '.join(METRICS)}"


def _faults_of_source(source: SourceSection) -> Iterator[str]:
    if not _NAME.match(source.name):
        yield f"[source] name = {source.name!r}: use lower-case letters, digits, - and _, at most 40"
    yield from _bad_zone("[source] zone", source.zone)
    if source.record_link is not None:
        fields = _FIELD.findall(source.record_link)
        if fields != ["id"] or not source.record_link.startswith(("https://", "http://")):
            yield f"[source] record_link = {source.record_link!r}: write a web address with {{id}} in it, once"


def _faults_of_table(name: str, section: BaseModel) -> Iterator[str]:
    assert isinstance(section, FileSection)
    columns = columns_of(section)
    if Path(section.file).is_absolute() or ".." in Path(section.file).parts:
        yield f"[{name}] file = {section.file!r}: name a file inside the data folder"
    elif Path(section.file).suffix.lower() not in (".csv", ".tsv", ".txt", ".xlsx", ".xlsm"):
        yield f"[{name}] file = {section.file!r}: only .csv, .tsv, .txt and .xlsx are read; save it as one of them"
    try:
        codecs.lookup(section.encoding)
    except LookupError:
        yield f'[{name}] encoding = {section.encoding!r} is unknown; Excel on Windows writes "cp1252" or "utf-8"'
    if section.date_format is not None and section.date_format != EXCEL_DATE_FORMAT:
        try:
            date_pattern(section.date_format)
        except ValueError as error:
            yield f"[{name}] date_format: {error}"
    for field in section.values:
        if field not in columns:
            yield f"[{name}.values.{field}]: {field} is not in [{name}.columns]"
    if isinstance(section, PeopleSection):
        yield from _faults_of_people(section, columns)
    if isinstance(section, OpportunitySection):
        yield from _faults_of_opportunities(section, columns)
    if isinstance(section, UsageSection):
        for metric in section.metrics:
            if metric not in METRICS:
                yield f"[usage] metrics: {metric!r} is no metric; known are {', '.join(METRICS)}"


def _faults_of_people(people: PeopleSection, columns: Mapping[str, str]) -> Iterator[str]:
    if people.email_template is not None:
        fields = _FIELD.findall(people.email_template)
        if not fields or set(fields) - _EMAIL_FIELDS or people.email_template.count("@") != 1:
            yield (
                f"[people] email_template = {people.email_template!r}: write an address with {{first}}, {{last}}, {{f}}, "
                '{l} or {id}, e.g. "{first}.{last}@example.com"'
            )
        if "id" in fields and "id" not in columns:
            yield "[people] email_template uses {id}: map id in [people.columns]"
    elif "email" not in columns:
        yield (
            '[people] nobody has an e-mail address: map email in [people.columns], or write email_template = "{first}.{last}'
            '@example.com"'
        )
    for where, role in [("default_role", people.default_role), *people.roles.items()]:
        if role not in ROLES:
            yield f"[people] role {role!r} ({where}) is unknown; known are {', '.join(ROLES)}"
    for office, zone in people.zones.items():
        yield from _bad_zone(f"[people.zones] {office!r}", zone)
    for office, country in people.countries.items():
        try:
            country_code(country)
        except UnknownCountry as error:
            yield f"[people.countries] {office!r}: {error}"
    if (people.zones or people.countries) and "office" not in columns:
        yield "[people.zones] and [people.countries] go by office: map office in [people.columns]"
    if people.team_managers and "team" not in columns:
        yield "[people.team_managers] goes by team: map team in [people.columns]"
    if "team" in columns and "manager" not in columns and not people.team_managers:
        yield (
            '[people.team_managers] is missing: say who manages each team, e.g. "North" = "Ada Lovelace" (a team is who '
            "reports to one manager)"
        )
    if people.access_since is not None and "access_since" in columns:
        yield '[people] access_since = "first-dated-row" and a column access_since: keep one of them'


def _faults_of_opportunities(deals: OpportunitySection, columns: Mapping[str, str]) -> Iterator[str]:
    for template in deals.title:
        for field in _FIELD.findall(template):
            if field not in columns or field not in ("id", "name", "account", "product"):
                yield (
                    f"[opportunities] title: {{{field}}} cannot be used; use id, name, account or product, and map it in "
                    "[opportunities.columns]"
                )
    closing = {outcome for outcome in deals.steps.values() if outcome != "open"}
    if closing and "closed" not in columns:
        yield (
            f"[opportunities.columns] closed is missing: steps end in {' and '.join(sorted(closing))}, so say in which "
            'column the day is, e.g. closed = "Close date"'
        )


def _bad_zone(where: str, zone: str) -> Iterator[str]:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield f'{where} = {zone!r} is no IANA time zone; write e.g. "Europe/Berlin" or "America/Chicago"'
