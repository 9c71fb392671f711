"""Settings: the environment is read here and nowhere else. Every fault comes in one error, with what to set."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import Field, PrivateAttr, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

import bot.connectors
from bot.connectors.settings import GIVEN, CrmSettings, in_plain_words, may_be_emptied, variable
from bot.connectors.settings import read_settings as check_settings
from bot.domain.errors import ConfigurationError
from bot.domain.ports import ConnectorKind
from bot.plugins import discover
from store.database import normal_url

_ADVICE = {
    "database_url": "e.g. sqlite:///fullsteam.db or postgresql://user@host/name",
    "programme": "path of programme.toml; examples/programme.toml is one to copy",
    "secret": "at least 32 random characters, e.g. from: openssl rand -hex 32. Keep it: draws depend on it",
    "port": "a port between 0 and 65535, e.g. 8000",
    "import_dir": "an existing folder with mapping.toml and the files it names",
    "content": "a folder with your own tips, behaviours and texts",
    "slack_api_url": "https://slack.com/api/ (the default), or the address of a sandbox",
    "slack_bot_token": "the Bot User OAuth Token of your Slack app, xoxb-…",
    "slack_signing_secret": "the Signing Secret on your Slack app's Basic Information page",
    "identities": "a CSV file that says whose Slack account is whose, see docs/matching.md",
    "slack_scim_token": "a token with the scope admin, xoxp-…, if ids of single sign-on are to be compared",
    "slack_scim_url": "https://api.slack.com/scim/v1/ (the default), or the address of a stand-in",
    "slack_app_token": "an app-level token with connections:write, xapp-…, if you use Socket Mode",
    "crms": "names of the CRMs to read, e.g. salesforce, or emea=salesforce, odoo",
    "keys": "keys that seal the secrets of CRMs, newest first, with commas between; `fullsteam keys new` prints one",
    "keys_file": "a file with such keys, one a line, newest first, that only its owner may read",
    "tick_seconds": "seconds between looks at what is due, e.g. 1",
    "poll_minutes": "minutes between polls of the CRM, e.g. 60",
    "host": "the address to listen on, e.g. 127.0.0.1",
}


@dataclass(frozen=True, slots=True)
class NamedCrm:
    """A CRM that the environment names. ``settings``: fields of the kind's model, as they were written, ``name`` included.

    ``faults``: what is wrong with them.
    """

    kind: str
    settings: Mapping[str, str] = field(repr=False)
    faults: tuple[str, ...] = ()


ENV_FILE = Path(".env")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_LETTERS = "small letters, digits, - and _, a letter first"


class Settings(BaseSettings):
    """What the installation needs to know. Names: ``FULLSTEAM_`` and the field in capitals."""

    model_config = SettingsConfigDict(env_prefix="FULLSTEAM_", extra="ignore", frozen=True)

    database_url: str = "sqlite:///fullsteam.db"
    programme: Path = Path("programme.toml")
    secret: SecretStr | None = None
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    import_dir: Path | None = None
    content: Path | None = None
    slack_api_url: str = "https://slack.com/api/"
    slack_bot_token: SecretStr | None = None
    slack_signing_secret: SecretStr | None = None
    slack_app_token: SecretStr | None = None
    slack_scim_token: SecretStr | None = None
    slack_scim_url: str = "https://api.slack.com/scim/v1/"
    identities: Path | None = None
    crms: str = ""
    keys: SecretStr | None = None
    keys_file: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    tick_seconds: float = Field(1.0, gt=0, le=60)
    poll_minutes: float = Field(60.0, gt=0, le=1440)
    _named: dict[str, NamedCrm] = PrivateAttr(default_factory=dict)
    _crm_faults: list[str] = PrivateAttr(default_factory=list)
    _strays: list[str] = PrivateAttr(default_factory=list)
    _unknown: list[str] = PrivateAttr(default_factory=list)
    _not_loaded: dict[str, str] = PrivateAttr(default_factory=dict)
    _of_no_kind: dict[str, str] = PrivateAttr(default_factory=dict)
    _said: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def named_crms(self) -> Mapping[str, NamedCrm]:
        """By source name: FULLSTEAM_CRMS, or every kind of which a variable is set. Not those of which the environment says
        only a part, and the database remembers the rest.
        """
        return self._named

    @property
    def crm_faults(self) -> Sequence[str]:
        """What is wrong with CRMs, each in the name of its variable."""
        return self._crm_faults

    @property
    def strays(self) -> Sequence[str]:
        """Variables that look like a CRM's and belong to none, with what to do."""
        return self._strays

    @property
    def unknown(self) -> Sequence[str]:
        """Variables that begin with our prefix and mean nothing, with what may have been meant."""
        return self._unknown

    @property
    def not_loaded(self) -> Sequence[str]:
        """Files of bot/connectors that are no connector of ours as they stand, with why."""
        return list(self._not_loaded.values())

    @property
    def of_no_kind(self) -> Mapping[str, str]:
        """CRMs of FULLSTEAM_CRMS, by name, whose kind is none: what is wrong."""
        return self._of_no_kind

    def crm_variables(self, name: str, kind: str) -> dict[str, str]:
        """What the environment says of one CRM of a kind: fields of its model, as they were written. Nothing is checked."""
        model = _kinds().get(kind)
        return _fields(self._said, name, model) if model is not None else {}

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        try:
            return normal_url(value)
        except ConfigurationError as error:
            raise ValueError(error.faults[0].removeprefix("FULLSTEAM_DATABASE_URL ")) from error

    @field_validator("import_dir", "content")
    @classmethod
    def _existing_folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError(f"is no folder: {value}")
        return value

    @field_validator("keys_file")
    @classmethod
    def _existing_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"names no file: {value}")
        return value

    @field_validator("slack_api_url", "slack_scim_url")
    @classmethod
    def _slash_at_the_end(cls, value: str) -> str:
        value = _secure(value)
        return value if value.endswith("/") else value + "/"

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 32:
            raise ValueError("is too short")
        return value


_OURS = {name.upper().partition("_")[0] for name in Settings.model_fields}
"""First words of our own variables."""


def _secure(url: str) -> str:
    """An address whose traffic nobody else reads. Raises ValueError."""
    parts = urlsplit(url)
    if parts.hostname and (
        parts.scheme == "https"
        or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1"))
    ):
        return url
    raise ValueError("must start with https:// (http only on this machine)")


def read_settings(
    *required: str,
    slack_in: bool = False,
    programme: bool = False,
    crms: bool = True,
    remembered: Remembered | None = None,
    env_file: Path | None = ENV_FILE,
) -> Settings:
    """Settings from the environment and ``.env``. ``required``: fields that this command cannot do without.

    ``slack_in``: Slack has to reach us, over HTTP (signing secret) or by socket (app token): one of the two is needed.
    ``crms`` False: what is wrong with a CRM is left to whoever opens it, and does not stop the rest. ``remembered``: the CRMs
    that the database remembers; single variables of theirs are no fault.

    Raises ConfigurationError with every fault at once: missing, malformed, and a programme file that is not there.
    """
    faults: list[str] = []
    strict = bool(required)  # a brake must not fail for a typing error elsewhere
    try:
        settings = Settings(_env_file=env_file)
    except ValidationError as error:
        for fault in error.errors():
            name = str(fault["loc"][0])
            reason = in_plain_words(fault)
            faults.append(f"FULLSTEAM_{name.upper()} {reason}: {_ADVICE.get(name, 'see README.md')}")
        broken = {str(fault["loc"][0]) for fault in error.errors()}
        settings = _without(broken, env_file)
        required = tuple(name for name in required if name not in broken)
    faults += [
        f"FULLSTEAM_{name.upper()} is not set: {_ADVICE[name]}"
        for name in required
        if not _given(settings, name)
    ]
    if slack_in and not {"slack_signing_secret", "slack_app_token"} & {
        name for name in Settings.model_fields if _given(settings, name)
    }:
        faults.append(
            f"FULLSTEAM_SLACK_SIGNING_SECRET is not set: {_ADVICE['slack_signing_secret']}; "
            f"or, for Socket Mode, FULLSTEAM_SLACK_APP_TOKEN: {_ADVICE['slack_app_token']}"
        )
    kept = remembered(settings) if remembered is not None else {}
    find_kinds(settings._not_loaded)  # noqa: SLF001 - read once, here
    settings._said.update(_environment(env_file))  # noqa: SLF001 - read once, here
    settings._crm_faults[:] = _read_crms(settings, kept)  # noqa: SLF001 - the same
    settings._strays[:], settings._unknown[:] = _unknown(settings, kept)  # noqa: SLF001 - the same
    if crms:
        faults += settings.crm_faults
    if programme and not settings.programme.is_file():
        faults.append(f"FULLSTEAM_PROGRAMME names no file ({settings.programme}): {_ADVICE['programme']}")
    unreadable = _unreadable_lines(env_file)
    settings._unknown[:0] = unreadable  # noqa: SLF001 - the same
    if strict:
        faults = [*settings.unknown, *settings.strays, *faults]
    elif faults:
        faults = [*unreadable, *faults]
    if faults:
        raise ConfigurationError(faults, title="Some settings are missing or wrong")
    return settings


Remembered = Callable[[Settings], Mapping[str, str]]
"""Kinds of the CRMs that the database remembers, by name."""


def _read_crms(settings: Settings, kept: Mapping[str, str]) -> list[str]:
    """Find the CRMs that the environment names, and keep what it says of each. Returns faults.

    ``kept``: kinds of those that the database remembers: it may know what the environment leaves out.
    """
    said = settings._said  # noqa: SLF001 - ours
    kinds = _kinds()
    faults: list[str] = []
    names: dict[str, str] = {}
    for each in filter(None, (part.strip() for part in settings.crms.split(","))):
        name, _, kind = (part.strip() for part in each.partition("="))
        kind = kind.lower() or name
        if not _NAME.fullmatch(name):
            faults.append(f"FULLSTEAM_CRMS: {name!r} is no name of a CRM: {_LETTERS}")
        elif kind not in kinds:
            fault = f"FULLSTEAM_CRMS: {kind!r} is no kind of CRM; there are {', '.join(sorted(kinds))}"
            if kind in settings._not_loaded:  # noqa: SLF001 - ours
                fault = f"FULLSTEAM_CRMS: {kind!r} has no connector that can be loaded"
            settings._of_no_kind[name] = fault  # noqa: SLF001 - read once, here
            faults.append(fault)
        elif variable(name).partition("_")[0] in _OURS - {variable(each) for each in kinds}:
            faults.append(f"FULLSTEAM_CRMS: {name!r} begins like a setting of ours: choose another name")
        elif name in names:
            faults.append(f"FULLSTEAM_CRMS: {name!r} is named twice")
        else:
            names[name] = kind
    if not settings.crms:
        names = {
            kind: kind
            for kind in kinds
            if any(name.startswith(f"FULLSTEAM_{variable(kind)}_") and said[name] for name in said)
        }
    for name, kind in names.items():
        given = {**_fields(said, name, kinds[kind]), "name": name}
        found: tuple[str, ...] = ()
        try:
            check_settings(kinds[kind], given)
        except ConfigurationError as error:
            found = error.faults
            if kept.get(name) == kind:
                continue
        settings._named[name] = NamedCrm(kind, given, found)  # noqa: SLF001 - read once, here
        faults += found
    return faults


def is_name(name: str) -> bool:
    """Whether a CRM may be called so: letters, digits, - and _; and its variables are not taken for ours."""
    first = variable(name).partition("_")[0]
    return bool(_NAME.fullmatch(name)) and first not in _OURS - {variable(each) for each in _kinds()}


def _environment(env_file: Path | None) -> dict[str, str]:
    """``.env``, and the environment over it; names in capitals."""
    said = (
        {name.upper(): value for name, value in dotenv_values(env_file).items() if value is not None}
        if env_file
        else {}
    )
    return said | {name.upper(): value for name, value in os.environ.items()}


def holds_secrets(env_file: Path) -> bool:
    """Whether a variable of ours in that file is a secret, by its name."""
    words = {"SECRET", "TOKEN", "KEY", "KEYS", "PASSWORD"}
    return env_file.is_file() and any(
        value and name.upper().startswith("FULLSTEAM_") and words & set(name.upper().split("_"))
        for name, value in dotenv_values(env_file).items()
    )


def _unreadable_lines(env_file: Path | None) -> list[str]:
    """Lines of ``.env`` that hold no setting: what they were to set is not set."""
    if env_file is None or not env_file.is_file():
        return []
    with env_file.open(encoding="utf-8") as lines:
        return [
            f"{env_file}, line {each.original.line}: cannot be read; write NAME=value, with # before a note"
            for each in parse_stream(lines)
            if each.error
        ]


def _kinds() -> dict[str, Any]:
    """The model of every kind of CRM that has settings."""
    return {kind.name: kind.settings for kind in find_kinds() if kind.settings}


def find_kinds(left_out: dict[str, str] | None = None) -> tuple[ConnectorKind, ...]:
    """Every kind of CRM in bot/connectors. ``left_out``: gets by module name what is wrong with others there."""
    wrong: dict[str, str] = {} if left_out is None else left_out
    return discover(bot.connectors, ConnectorKind, left_out=wrong, lacks=_lacks_a_kind)


def _lacks_a_kind(module: ModuleType) -> str:
    """What is wrong with a module in bot/connectors that defines no kind: it is a folder, has settings of a CRM, or a name like
    CONNECTOR, so that it was meant to. "" for the others.
    """
    was_meant = hasattr(module, "__path__") or any(
        (isinstance(value, type) and issubclass(value, CrmSettings) and value.__module__ == module.__name__)
        or (name.isupper() and get_close_matches(name, ["CONNECTOR"], 1, 0.8))
        for name, value in vars(module).items()
        if value is not CrmSettings
    )
    return (
        "no CONNECTOR = ConnectorKind(…) is in it, see the end of the example in docs/connectors/adding-one.md"
        if was_meant
        else ""
    )


def _fields(said: Mapping[str, str], name: str, model: Any) -> dict[str, str]:
    """``name``'s variables by field. An empty one counts as not set, but where only so a field can be empty."""
    found = {
        field: said[written]
        for field in model.model_fields
        if field not in GIVEN and (written := f"FULLSTEAM_{variable(name)}_{field.upper()}") in said
    }
    return {field: value for field, value in found.items() if value or may_be_emptied(model, field)}


def _unknown(settings: Settings, kept: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Variables that begin with our prefix and mean nothing: a typing error would pass unseen.

    Two lists: of those that may be a CRM's, what would make them one; of the others, that they are none of ours.
    """
    known = {f"FULLSTEAM_{name.upper()}" for name in Settings.model_fields}
    models = _kinds()
    names = dict(kept) | {name: crm.kind for name, crm in settings.named_crms.items()}
    for name, kind in names.items():
        known |= _variables(name, models[kind]) if kind in models else set()
    said = settings._said  # noqa: SLF001 - ours
    unknown = {
        name
        for name, value in said.items()
        if value and name.startswith("FULLSTEAM_") and name not in known and name != "FULLSTEAM_SHARED"
        if not name.startswith(tuple(f"FULLSTEAM_{variable(each)}_" for each in settings._not_loaded))  # noqa: SLF001 - ours
    }
    strays: list[str] = []
    for name in sorted(_would_be_names(unknown, models) - {variable(each).lower() for each in names}):
        own = sorted(each for each in unknown if each.startswith(f"FULLSTEAM_{name.upper()}_"))
        fitting = [kind for kind, model in sorted(models.items()) if {*own} <= _variables(name, model)]
        mistyped = get_close_matches(name, [variable(each).lower() for each in (*names, *models)], 1, 0.8)
        if not fitting or (mistyped and name not in models) or not is_name(name):
            continue
        unknown -= set(own)
        entries = [
            each if each == crm.kind else f"{each}={crm.kind}" for each, crm in settings.named_crms.items()
        ]
        kind = name if name in models else fitting[0] if len(fitting) == 1 else "KIND"
        entries.append(name if name == kind else f"{name}={kind}")
        strays.append(
            f"{', '.join(own)}: there is no CRM of that name; if there is to be one, "
            f'FULLSTEAM_CRMS="{", ".join(entries)}" makes it'
            + (f" (KIND is one of {', '.join(fitting)})" if kind == "KIND" else "")
        )
    return strays, [
        f"{name} is no setting of ours"
        + (f"; did you mean {close[0]}?" if (close := get_close_matches(name, known, 1, 0.8)) else "")
        for name in sorted(unknown)
    ]


def _variables(name: str, model: Any) -> set[str]:
    return {f"FULLSTEAM_{variable(name)}_{field.upper()}" for field in model.model_fields.keys() - GIVEN}


def _would_be_names(unknown: Iterable[str], models: Mapping[str, Any]) -> set[str]:
    """Of which CRMs variables would be, by the fields that kinds have: FULLSTEAM_EMEA_API_KEY is of ``emea``.

    Where a part of a field's name is a field too, the longer one counts.
    """
    fields = {field.upper() for model in models.values() for field in model.model_fields.keys() - GIVEN}
    found = set()
    for each in unknown:
        parts = each.removeprefix("FULLSTEAM_").split("_")
        at = next((at for at in range(1, len(parts)) if "_".join(parts[at:]) in fields), None)
        if at is not None:
            found.add("_".join(parts[:at]).lower())
    return found


def _given(settings: Settings, name: str) -> bool:
    value = getattr(settings, name)
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


def _without(broken: Iterable[str], env_file: Path | None) -> Settings:
    """The settings with the broken ones at their defaults, so that the missing ones can be named as well."""
    defaults = {name: Settings.model_fields[name].get_default() for name in broken}
    return Settings(_env_file=env_file, **defaults)
