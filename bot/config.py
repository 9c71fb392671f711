"""Settings: the environment is read here and nowhere else. Every fault comes in one error, with what to set."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.domain.errors import ConfigurationError
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
    "slack_app_token": "an app-level token with connections:write, xapp-…, if you use Socket Mode",
    "salesforce_url": "your org's My Domain, https://MYDOMAIN.my.salesforce.com",
    "salesforce_client_id": "the consumer key of your external client app, see docs/connectors/salesforce.md",
    "salesforce_client_secret": "the consumer secret of your external client app",
    "salesforce_token_url": "where to log in, if not at services/oauth2/token of your My Domain",
    "salesforce_api_version": "a version that your org has, e.g. v68.0",
    "salesforce_time_out": "seconds to wait for an answer of Salesforce, e.g. 60",
    "salesforce_licences": "licences of those who work on opportunities, e.g. Salesforce, Sales Cloud",
    "tick_seconds": "seconds between looks at what is due, e.g. 1",
    "poll_minutes": "minutes between polls of the CRM, e.g. 60",
    "host": "the address to listen on, e.g. 127.0.0.1",
}
_SALESFORCE = ("salesforce_url", "salesforce_client_id", "salesforce_client_secret")
"""What reaches an org: all three, or none."""


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
    salesforce_url: str | None = None
    salesforce_client_id: str | None = None
    salesforce_client_secret: SecretStr | None = None
    salesforce_token_url: str | None = None
    salesforce_api_version: str = Field("v68.0", pattern=r"^v\d{2,3}\.0$")
    salesforce_time_out: float = Field(60.0, gt=0, le=600)
    salesforce_licences: str = "Salesforce"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    tick_seconds: float = Field(1.0, gt=0, le=60)
    poll_minutes: float = Field(60.0, gt=0, le=1440)

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

    @field_validator("slack_api_url")
    @classmethod
    def _slash_at_the_end(cls, value: str) -> str:
        value = _secure(value)
        return value if value.endswith("/") else value + "/"

    @field_validator("salesforce_url", "salesforce_token_url")
    @classmethod
    def _secure_or_here(cls, value: str | None) -> str | None:
        return _secure(value) if value else None

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 32:
            raise ValueError("is too short")
        return value


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
    *required: str, slack_in: bool = False, programme: bool = False, env_file: Path | None = Path(".env")
) -> Settings:
    """Settings from the environment and ``.env``. ``required``: fields that this command cannot do without.

    ``slack_in``: Slack has to reach us, over HTTP (signing secret) or by socket (app token): one of the two is needed.

    Raises ConfigurationError with every fault at once: missing, malformed, and a programme file that is not there.
    """
    faults = _unknown(os.environ) if required else []  # a brake must not fail for a typing error elsewhere
    try:
        settings = Settings(_env_file=env_file)
    except ValidationError as error:
        for fault in error.errors():
            name = str(fault["loc"][0])
            reason = _said(fault["type"], fault["msg"])
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
    reaching = [name for name in _SALESFORCE if _given(settings, name)]
    faults += [
        f"FULLSTEAM_{name.upper()} is not set, and FULLSTEAM_{reaching[0].upper()} is: {_ADVICE[name]}"
        for name in _SALESFORCE
        if reaching and name not in reaching and f"FULLSTEAM_{name.upper()}" not in "".join(faults)
    ]
    if programme and not settings.programme.is_file():
        faults.append(f"FULLSTEAM_PROGRAMME names no file ({settings.programme}): {_ADVICE['programme']}")
    if faults:
        raise ConfigurationError(faults, title="Some settings are missing or wrong")
    return settings


def _said(kind: str, message: str) -> str:
    """What pydantic found, in plain words."""
    if kind.startswith(("int_", "float_")):
        return "is no number"
    if kind == "string_pattern_mismatch":
        return "is not written as it should be"
    if kind.startswith(("greater_", "less_")):
        return "is out of range"
    return message.removeprefix("Value error, ")


def _unknown(environ: Iterable[str]) -> list[str]:
    """Variables that begin with our prefix and mean nothing: a typing error would pass unseen."""
    known = {f"FULLSTEAM_{name.upper()}" for name in Settings.model_fields}
    return [
        f"{name} is no setting of ours"
        + (f"; did you mean {close[0]}?" if (close := get_close_matches(name, known, 1, 0.8)) else "")
        for name in sorted(environ)
        if name.startswith("FULLSTEAM_") and name not in known and name != "FULLSTEAM_SHARED"
    ]


def _given(settings: Settings, name: str) -> bool:
    value = getattr(settings, name)
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


def _without(broken: Iterable[str], env_file: Path | None) -> Settings:
    """The settings with the broken ones at their defaults, so that the missing ones can be named as well."""
    defaults = {name: Settings.model_fields[name].get_default() for name in broken}
    return Settings(_env_file=env_file, **defaults)
