"""Tips: content that helps one person with one behaviour, in terms of what they want (WIIFM)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class TipText:
    """A tip's words in one language: Jinja2 templates over the trigger's evidence (see docs/writing-tips.md).

    ``about``: what it is about, first line. ``gain``: what the person gets. ``effort``: what it takes.
    ``how``: optional how-to. ``action``: label of the deep-link button, at most 40 characters.
    """

    about: str
    gain: str
    effort: str
    how: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class Tip:
    """``trigger``: the trigger that makes it timely. ``goal``: performance, productivity or personal.

    ``evidence``: why we believe it helps (a source, or "experience"). ``owner``: programme role that keeps it true.
    ``names_records``: whether it lists the records it is about (then it is not sent without them).
    """

    id: str
    version: int
    trigger: str
    behaviour: str
    roles: frozenset[str]
    goal: str
    effort_minutes: int
    evidence: str
    owner: str
    expires: date
    names_records: bool
    texts: Mapping[str, TipText]

    def text(self, language: str) -> tuple[str, TipText]:
        """The words in this language, else in its base language, else in English; with the language they are in."""
        for key in (language, language.split("-", maxsplit=1)[0], "en"):
            if key in self.texts:
                return key, self.texts[key]
        raise KeyError(f"tip {self.id} has no English text")
