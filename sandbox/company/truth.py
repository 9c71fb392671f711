"""The hidden truth, written down: what was planted, and what was read, felt, said and done because of which message.

A file of JSON lines. The first is `planted`: the people with their habits and barriers, the families with their true
effects, the outages. Then, as it happens:

read        a message came to somebody, and it was neither an answer nor the question what is in the way: `message` (its delivery id), `person`, `at`, `about` (the kind), of a tip `family`,
            `habit`, `read`, `chance` (of an effect on each record), `effect` (the records that they mean to mend),
            `blocked` (the cause of what stands in their way), `annoyed`, and `does` (what they will do about it)
mended      what they meant to mend: `message`, `person`, `at`, `record`, `changed` (false: it was in order already)
said        words: `person`, `at`, `message` (about which, or null), `true` (their kind) and, of a barrier, `habit`, `cause`
ended       the counts of all of them
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Truth:
    """Lines to a file, and their counts; without a path only the counts."""

    def __init__(self, path: Path | None = None) -> None:
        self._file: TextIO | None = path.open("w", encoding="utf-8") if path else None
        self.counts: Counter[str] = Counter()
        #: What is handed every line, for tests.
        self.lines: list[dict[str, Any]] | None = None

    def tell(self, kind: str, **fields: Any) -> None:
        """One line; what is None is left out."""
        self.counts[kind] += 1
        line = {"kind": kind, **{key: value for key, value in fields.items() if value is not None}}
        if self.lines is not None:
            self.lines.append(line)
        if self._file:
            self._file.write(_encode(line) + "\n")

    def count(self, what: str) -> None:
        """Something that is only counted."""
        self.counts[what] += 1

    def flush(self) -> None:
        """Everything that was told so far is in the file."""
        if self._file:
            self._file.flush()

    def close(self) -> None:
        """The last line, and the end of the file."""
        self.tell("ended", counts=dict(sorted(self.counts.items())))
        if self._file:
            self._file.close()
            self._file = None


def instant(when: datetime) -> str:
    """An instant, to the second."""
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")
