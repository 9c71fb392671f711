"""Settings of a CRM that is read over its interface: one pydantic model a kind, one name for each in the environment.

Each field of a model is ``FULLSTEAM_<NAME>_<FIELD>``; its description says what to set. A secret is a ``SecretStr``: it shows
in no repr, no traceback and no log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Protocol, TypeVar, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from bot.connectors.http import check_base_url
from bot.connectors.renaming import Renamed
from bot.connectors.renaming import variable as variable  # noqa: PLC0414 - offered to all who name settings
from bot.domain.errors import ConfigurationError, Permanent
from bot.domain.ports import Clock, Connector

GIVEN = frozenset({"name", "zone"})
"""Fields that the program sets: which source it is, and the zone in which the programme's day begins."""


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError("must hold no user name or password")
    if end := next((each for each in url if each in "?#"), None):
        raise ValueError(f"has too much: end it before {end}")
    try:
        return check_base_url(url, "")
    except ConfigurationError as error:
        raise ValueError("must start with https:// (http only on this machine)") from error


def _address_or_none(url: str) -> str:
    return _address(url) if url else ""


def _known_zone(zone: str) -> str:
    try:
        ZoneInfo(zone)
    except (LookupError, ValueError, OSError) as error:
        raise ValueError(f"is no IANA time zone: {zone}") from error
    return zone


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"names no file: {path}")
    return path


def _prefix(path: str) -> str:
    if path and (not path.startswith("/") or "?" in path or "#" in path):
        raise ValueError("must be a path that starts with /")
    return path.rstrip("/")


Address = Annotated[str, AfterValidator(_address)]
"""https, or http on this machine, with nothing but a host and a path; without a slash at its end."""
OptionalAddress = Annotated[str, AfterValidator(_address_or_none)]
"""The same, or "" for the usual place."""
Zone = Annotated[str, AfterValidator(_known_zone)]
ExistingFile = Annotated[Path, AfterValidator(_existing)]
PathPrefix = Annotated[str, AfterValidator(_prefix)]
"""What stands before every path, "" for nothing: "/crm" of a gateway, say."""


def ends_before(*paths: str) -> BeforeValidator:
    """Of an address: refuses one that goes on with a path which is added to it, or is a page of the CRM's, anyway.

    Said before what follows the path: what an address bar shows is mended in one go.
    """

    def check(url: Any) -> Any:
        said = f"{urlsplit(url).path}/".casefold() if isinstance(url, str) else ""
        for path in paths:
            if f"{path}/" in said:
                raise ValueError(f"has too much path: end it before {path}")
        return url

    return BeforeValidator(check)


ASKED: Final[dict[str, Any]] = {"asked": True}
"""``json_schema_extra`` of a field that has a default and is asked for all the same: some installations need it."""


def asked(*, after: str = "", unless: str = "") -> dict[str, Any]:
    """The same, of a field that is asked for only ``after`` another one was given, or ``unless`` it was."""
    return {**ASKED, "after": after, "unless": unless}


Seconds = Annotated[float, Field(gt=0, le=600, description="seconds to wait for an answer, e.g. 60")]


class CrmSettings(BaseModel):
    """What every kind has. ``name``: of the source; ``zone``: where the programme's day begins: snapshots are of that day."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str
    zone: Zone = "UTC"
    time_out: Seconds = 60.0
    at_once: int = Field(4, ge=1, le=4, description="requests at the same time, 1 to 4")


SettingsT = TypeVar("SettingsT", bound=CrmSettings)
SettingsT_contra = TypeVar("SettingsT_contra", bound=CrmSettings, contravariant=True)


class Opens(Protocol[SettingsT_contra]):
    """Makes a connector; nothing is read yet. As a rule that is its class itself.

    ``clock``: whose time sessions and pauses are measured in (a steered one in a simulation). ``record_link``: where a
    record opens, with ``{id}``. ``transport``: how requests travel, if not by the network.
    """

    def __call__(
        self,
        settings: SettingsT_contra,
        *,
        clock: Clock | None,
        record_link: str | None,
        transport: httpx.AsyncBaseTransport | None,
    ) -> Connector:
        """Open it."""
        ...


def read_settings(model: type[SettingsT], given: Mapping[str, Any]) -> SettingsT:
    """Values -> settings. Raises ConfigurationError with every fault, each in the name of its variable."""
    try:
        return model(**given)
    except ValidationError as error:
        prefix = f"FULLSTEAM_{variable(str(given.get('name') or model.model_fields['name'].default))}_"
        found = error.errors(include_input=False, include_url=False)
        raise ConfigurationError(
            [_fault(model, each, prefix) for each in (*found, *_of_the_whole(model, given, found))]
        ) from None  # the values stand in pydantic's error, secrets among them


_STAND_IN = "https://stand-in.example"
"""What takes the place of a value that is missing or wrong, while the rest is looked at: an address, and a word."""


def _of_the_whole(model: type[CrmSettings], given: Mapping[str, Any], found: Sequence[Any]) -> list[Any]:
    """What a model says of all its fields together, also where single ones are wrong: pydantic stops at these."""
    wrong = {str(each["loc"][0]) for each in found if each["loc"]}
    if not wrong:
        return []
    needed = {name for name in wrong & model.model_fields.keys() if model.model_fields[name].is_required()}
    rest = {name: value for name, value in given.items() if name not in wrong}
    try:
        model(**rest, **dict.fromkeys(needed, _STAND_IN))
    except ValidationError as error:
        more = error.errors(include_input=False, include_url=False)
        return [
            each
            for each in more
            if not each["loc"] and not any(f"<{name.upper()}>" in each["msg"] for name in wrong)
        ]
    return []


def for_settings(error: Permanent, usual: str) -> ValueError:
    """An error that names variables of the kind ``usual``, as a fault of settings: there they are named as ``<FIELD>``."""
    return ValueError(re.sub(rf"FULLSTEAM_{variable(usual)}_([A-Z_]+)", r"<\1>", str(error)))


def may_be_emptied(model: type[CrmSettings], field: str) -> bool:
    """Whether "" means something else than nothing set: the field has a default, and may be empty all the same."""
    if model.model_fields[field].default in ("", None) or model.model_fields[field].is_required():
        return False
    try:
        model(**{"name": "x", field: ""})
    except ValidationError as error:
        return all(each["loc"][:1] != (field,) for each in error.errors(include_input=False))
    return True


def _fault(model: type[CrmSettings], error: Any, prefix: str) -> str:
    """One fault of pydantic's in plain words. A fault of the whole names its variables as ``<FIELD>``."""
    said = in_plain_words(error)
    if not error["loc"]:
        for name in model.model_fields:
            said = said.replace(f"<{name.upper()}>", prefix + name.upper())
        return said
    field = str(error["loc"][0])
    known = model.model_fields.get(field)
    if known is None:
        return f"{prefix}{field.upper()} is no setting of this CRM"
    return f"{prefix}{field.upper()} {said}" + (f": {known.description}" if known.description else "")


def in_plain_words(error: Any) -> str:
    """One of pydantic's findings, so that the name of a variable may stand before it."""
    kind = str(error["type"])
    if kind == "literal_error":
        there = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").removeprefix(", ")
        return f"is none of {there}"
    for beginning, words in _WORDS.items():
        if kind.startswith(beginning):
            return words
    return str(error["msg"]).removeprefix("Value error, ")


_WORDS = {
    "missing": "is not set",
    "int_": "is no number",
    "float_": "is no number",
    "finite_": "is no number",
    "bool_": "is neither true nor false",
    "date_": "is no day",
    "string_pattern_mismatch": "is not written as it should be",
    "string_too_short": "is too short",
    "too_short": "is too short",
    "greater_": "is out of range",
    "less_": "is out of range",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A setting that somebody may be asked for: ``required``, a ``secret``, a file, or what some installations need.

    ``after``: it is of use with that field only; ``unless``: of none with that one; "" where there is no such field.
    """

    field: str
    description: str
    required: bool
    secret: bool
    after: str = ""
    unless: str = ""


def wanted(model: type[CrmSettings]) -> tuple[Wanted, ...]:
    """What to ask of somebody who connects a CRM by hand, in the order of the model. The rest has its defaults."""
    return tuple(
        Wanted(
            name,
            each.description or name,
            each.is_required(),
            _speaks_of(each.annotation, SecretStr),
            **{key: str(_extra(each).get(key, "")) for key in ("after", "unless")},
        )
        for name, each in model.model_fields.items()
        if name not in GIVEN
        and (
            each.is_required()
            or ASKED.items() <= _extra(each).items()
            or _speaks_of(each.annotation, SecretStr)
            or _speaks_of(each.annotation, Path)
        )
    )


def _extra(field: FieldInfo) -> dict[str, Any]:
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def fault_of(model: type[CrmSettings], field: str, value: str) -> str:
    """What is wrong with one value by itself, so that its name may stand before it; "" for nothing."""
    try:
        model(**{"name": "x", field: value})
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        return next((in_plain_words(each) for each in found if each["loc"][:1] == (field,)), "")
    return ""


def secrets_of(settings: CrmSettings) -> frozenset[str]:
    """Every secret among some settings, in clear: to keep them out of what is shown."""
    values = (getattr(settings, name) for name in type(settings).model_fields)
    return frozenset(each.get_secret_value() for each in values if isinstance(each, SecretStr)) - {""}


def _speaks_of(annotation: Any, kind: type) -> bool:
    return annotation is kind or any(_speaks_of(each, kind) for each in get_args(annotation))


def opener(
    model: type[SettingsT], opens: Opens[SettingsT]
) -> Callable[[Mapping[str, Any], str | None], Connector]:
    """What ``ConnectorKind.open`` is for a kind with a model: ``clock`` and ``transport`` stand beside its settings."""

    def open_(settings: Mapping[str, Any], record_link: str | None) -> Connector:
        given = {key: value for key, value in settings.items() if key not in {"clock", "transport"}}
        read = read_settings(model, given)
        connector = opens(
            read,
            clock=settings.get("clock"),
            record_link=record_link,
            transport=settings.get("transport"),
        )
        usual, own = variable(str(model.model_fields["name"].default)), variable(read.name)
        if own == usual:
            return connector
        return Renamed(connector, f"FULLSTEAM_{usual}_", f"FULLSTEAM_{own}_")

    return open_
