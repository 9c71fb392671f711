"""Seals what the database must not hold in clear: the settings of a CRM, with their secrets.

Fernet (AES-128 in CBC mode with an HMAC, https://cryptography.io/en/latest/fernet/) over JSON. There may be several keys: the
newest seals, every one of them opens, so that a key can be replaced without losing what an older one has sealed.
"""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from bot.domain.errors import ConfigurationError, Permanent

log = logging.getLogger(__name__)

SEALED = "sealed"
"""The key under which a source's settings lie in the database when they are sealed."""
NO_KEYS = (
    "FULLSTEAM_KEYS is not set (nor FULLSTEAM_KEYS_FILE): secrets of a CRM are kept sealed only; "
    "`fullsteam keys new` prints a key, docs/deploying.md says where to put it"
)
WRONG_KEYS = (
    "none of the keys in FULLSTEAM_KEYS opens what is kept of {name}: add the key that sealed it, "
    "or `fullsteam connect {name}` once more"
)


def new_key() -> str:
    """A key: 32 random bytes in URL-safe base64."""
    return Fernet.generate_key().decode()


class Vault:
    """``keys``: the newest first; none: nothing can be sealed or opened. Shows none of them.

    Raises ConfigurationError when one of them is no key.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        try:
            fernets = [Fernet(key) for key in keys]
        except ValueError:
            raise ConfigurationError(
                ["FULLSTEAM_KEYS holds something that is no key: `fullsteam keys new` prints one"]
            ) from None  # the key stands in the other error
        self._fernet = MultiFernet(fernets) if fernets else None

    def __bool__(self) -> bool:
        """Whether there is a key."""
        return self._fernet is not None

    def seal(self, name: str, settings: Mapping[str, Any]) -> dict[str, str]:
        """Settings of a source as the database may hold them. Raises ConfigurationError without a key."""
        content = json.dumps({"name": name, "settings": dict(settings)}, sort_keys=True)
        return {SEALED: self._in_use().encrypt(content.encode()).decode()}

    def unseal(self, name: str, kept: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that :meth:`seal` was given; what is not sealed comes back as it is.

        Raises ConfigurationError without a key, or when none of them fits.
        """
        if SEALED not in kept:
            return dict(kept)
        try:
            content = json.loads(self._in_use().decrypt(str(kept[SEALED])))
        except InvalidToken:
            raise ConfigurationError([WRONG_KEYS.format(name=name)]) from None
        if content["name"] != name:
            raise Permanent(
                f"what is kept of {name} was sealed for another source", code="sealed-for-another"
            )
        return dict(content["settings"])

    def renew(self, name: str, kept: Mapping[str, Any]) -> dict[str, str]:
        """The same settings, sealed with the newest key. Raises as :meth:`unseal` does."""
        return self.seal(name, self.unseal(name, kept))

    def _in_use(self) -> MultiFernet:
        if self._fernet is None:
            raise ConfigurationError([NO_KEYS])
        return self._fernet


def open_vault(keys: str | None, keys_file: Path | None) -> Vault:
    """The vault of an installation. ``keys``: separated by commas; ``keys_file``: one a line; the newest first in both, and those
    of ``keys`` before those of the file.

    Warns when others on this machine may read the file. Raises ConfigurationError when it cannot be read, or holds no key.
    """
    found = [key.strip() for key in (keys or "").split(",") if key.strip()]
    if keys_file is not None:
        try:
            lines = keys_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                [f"FULLSTEAM_KEYS_FILE cannot be read ({type(error).__name__}): {keys_file}"]
            ) from None
        in_file = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        if not in_file:
            raise ConfigurationError(
                [f"FULLSTEAM_KEYS_FILE holds no key: {keys_file}; `fullsteam keys new` prints one"]
            )
        found += in_file
        if is_open_to_others(keys_file):
            log.warning("vault.keys_readable_by_others", extra={"advice": f"chmod 600 {keys_file}"})
    return Vault(found)


def is_open_to_others(path: Path) -> bool:
    """Whether the group or everybody may read or write a file."""
    try:
        return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except OSError:
        return False
