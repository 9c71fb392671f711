"""The identity file, a CSV that an admin keeps: whose Slack account somebody of the CRM has, one line a person.

The first line names the columns: ``crm`` and ``slack``, and if wanted ``source`` and ``note`` (docs/matching.md).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from bot.domain.errors import ConfigurationError
from bot.domain.matching import Override

NOBODY = "nobody"
COLUMNS = ("source", "crm", "slack", "note")
NEEDED = ("crm", "slack")
_MEMBER = re.compile(r"[UW][A-Z0-9]{5,}")
_ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")
_TITLE = "The identity file cannot be used"


def load_identities(path: Path | None) -> tuple[Override, ...]:
    """Read and check the file; no path, no overrides. Raises ConfigurationError with every fault at once: file, line, what to do."""
    if path is None:
        return ()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(
            [f"{path}: cannot be read ({error.strerror}); FULLSTEAM_IDENTITIES names it"], title=_TITLE
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            [f"{path.name}: is not UTF-8; save it as CSV UTF-8"], title=_TITLE
        ) from error
    overrides, faults = read_identities(text)
    if faults:
        raise ConfigurationError([f"{path.name}, {fault}" for fault in faults], title=_TITLE)
    return overrides


def read_identities(text: str) -> tuple[tuple[Override, ...], list[str]]:
    """The lines of a file, and every fault of it. Pure. Cells are parted by ``,``, ``;`` or tabs, as the first line is."""
    faults: list[str] = []
    found: dict[tuple[str | None, str], Override] = {}
    columns: list[str] | None = None
    separator = ","
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if columns is None:
            separator = max(",;\t", key=line.count)
        try:
            cells = [cell.strip() for cell in next(csv.reader([line], delimiter=separator, strict=True))]
        except csv.Error as error:
            faults.append(f"line {number}: {error}; mend the quotation marks")
            continue
        if not any(cells):
            continue
        if columns is None:
            columns = [cell.casefold() for cell in cells]
            if wrong := _wrong_columns(columns):
                return (), [f"line {number}: {wrong}; write {','.join(COLUMNS)} there"]
            continue
        if len(cells) > len(columns):
            faults.append(
                f"line {number}: has {len(cells)} cells for {len(columns)} columns; put quotation marks around what holds a "
                f"{separator!r}"
            )
            continue
        override = _override(number, dict(zip(columns, cells, strict=False)), faults)
        if override is None:
            continue
        before = found.setdefault((override.source, override.crm), override)
        if before is not override:
            faults.append(f"line {number}: {override.crm} is in line {before.line} already; keep one")
    return tuple(found.values()), faults


def _wrong_columns(columns: list[str]) -> str:
    if missing := [each for each in NEEDED if each not in columns]:
        return f"the first line has no column {' and '.join(missing)}"
    if unknown := [each for each in columns if each not in COLUMNS]:
        return f"nothing reads the column {', '.join(repr(each) for each in unknown)}"
    if len(set(columns)) < len(columns):
        return "a column is named twice"
    return ""


def _override(line: int, cells: Mapping[str, str], faults: list[str]) -> Override | None:
    crm, slack, wrong = cells.get("crm", ""), cells.get("slack", ""), len(faults)
    if not crm:
        faults.append(
            f"line {line}: the column crm is empty; write the e-mail address or the id that the CRM has"
        )
    elif "@" in crm and not _ADDRESS.fullmatch(crm):
        faults.append(f"line {line}: {crm!r} is no e-mail address; write one, or the id that the CRM has")
    if "@" in slack and _ADDRESS.fullmatch(slack):
        slack = slack.casefold()
    elif slack.casefold() == NOBODY:
        slack = NOBODY
    elif _MEMBER.fullmatch(slack.upper()) and any(letter.isdigit() for letter in slack):
        slack = slack.upper()
    elif not _MEMBER.fullmatch(slack):
        said = f"{slack!r} is no Slack account" if slack else "the column slack is empty"
        faults.append(
            f"line {line}: {said}; write a member id (U0123ABCD, from the profile), the e-mail address in Slack, or {NOBODY}"
        )
    if len(faults) > wrong:
        return None
    return Override(
        line,
        crm.casefold() if "@" in crm else crm,
        None if slack == NOBODY else slack,
        cells.get("source") or None,
    )
