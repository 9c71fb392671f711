"""The text bank: what people of the company write, by language and kind (words.toml)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

KINDS = ("thanks", "done", "chatter", "later", "question", "joke", "pause", "stop", "delete")


@dataclass(frozen=True, slots=True)
class Bank:
    """One language. `blocked`: by the cause of a barrier, with {thing} for what it is about; `things`: by habit."""

    lines: Mapping[str, Sequence[str]]
    blocked: Mapping[str, Sequence[str]]
    things: Mapping[str, str]

    def complaint(self, cause: str, habit: str, u: float) -> str:
        """What somebody says stands in their way; `u` from 0 up to 1 chooses the line."""
        bank = self.blocked[cause]
        text = bank[int(u * len(bank))].format(thing=self.things[habit])
        return text[0].upper() + text[1:] if text.startswith(self.things[habit]) else text


@cache
def banks() -> Mapping[str, Bank]:
    """Every language's. Raises ValueError where a kind of English is missing."""
    found = tomllib.loads((resources.files("sandbox.company") / "words.toml").read_text(encoding="utf-8"))
    english = found["en"]
    read = {}
    for language, given in found.items():
        lines = {kind: tuple(given.get(kind) or english[kind]) for kind in KINDS}
        blocked = {cause: tuple(texts) for cause, texts in {**english["blocked"], **given["blocked"]}.items()}
        # A cause that a language lacks would mix two languages.
        if (
            given["blocked"].keys() != english["blocked"].keys()
            or given["things"].keys() != english["things"].keys()
        ):
            raise ValueError(f"words.toml: {language} lacks a cause or a thing that English has")
        read[language] = Bank(lines, blocked, given["things"])
    return read
