"""Content in, domain out: everything Fullsteam says, from TOML files, checked in one go.

Folders: ``behaviours/``, ``tips/``, ``messages/``; every ``*.toml`` in them is read, the file's name means nothing. A
table is one entry, its key the id. A customer's own folder of the same shape goes on top: an entry with a known id
changes only the keys that it names (``off = true`` takes the entry out), one with a new id is added.

Messages::

    [goal_chosen]
    version = 1
    kind = "answer"
    fields = { goal = "save time" }        # the names that its words may use, each with an example
    [goal_chosen.en]
    parts = [ { heading = "…" }, { paragraph = "… {{ goal }} …" }, { records = "records" }, { quote = "{{ words }}" },
              { note = "…" },
              { buttons = [ { action = "tip:do", label = "…", url = "{{ link }}" } ],
                menu = [ { action = "tip:why", label = "Why this?" } ] } ]

``records`` and ``buttons`` apart, a part whose words come out empty is left out: ``{ note = "{% if as_of %}…{% endif %}" }``.
Buttons without a label are left out too. ``text`` (plain) is derived from the parts unless it is given.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bot.content.fields import TRIGGERS, detail_schema, tip_schema
from bot.domain.behaviours import Behaviour, BehaviourKind
from bot.domain.behaviours import check as check_behaviour
from bot.domain.errors import ConfigurationError
from bot.domain.messages import KINDS
from bot.domain.people import GOALS, ROLES
from bot.domain.tips import Tip, TipText
from bot.rendering import Schema, check, example_schema

SHIPPED = Path(__file__).parent
FOLDERS = ("behaviours", "tips", "messages")
FALLBACK = "en"
RECORD_DETAIL = "record_"
"""Messages named ``record_<trigger>`` word the line about one record."""
_NEEDED = {
    "about": "write what it is about, in the person's own records",
    "gain": "write what the person gets from it",
    "effort": "write what it takes, e.g. It takes a minute.",
}
TEXT_PARTS = ("heading", "paragraph", "quote", "note")


@dataclass(frozen=True, slots=True)
class ButtonText:
    """Templates of one button. ``value``: "" means the value that the whole message is given."""

    action: str
    label: str
    url: str = ""
    value: str = ""
    style: str | None = None
    confirm: str = ""


@dataclass(frozen=True, slots=True)
class PartText:
    """One part of a message. ``part``: heading, paragraph, quote, note (``text`` is the template), records (``text`` is the
    name of the list) or buttons.
    """

    part: str
    text: str = ""
    buttons: tuple[ButtonText, ...] = ()
    menu: tuple[ButtonText, ...] = ()


@dataclass(frozen=True, slots=True)
class MessageBody:
    """A message in one language. ``text``: template of the plain text, "" when it is derived from the parts."""

    parts: tuple[PartText, ...]
    text: str = ""

    def templates(self) -> tuple[tuple[str, str], ...]:
        """Every template with the key it stands under."""
        found = [("text", self.text)]
        for index, part in enumerate(self.parts):
            here = f"parts[{index}]"
            if part.part in TEXT_PARTS:
                found.append((f"{here}.{part.part}", part.text))
            for group, buttons in (("buttons", part.buttons), ("menu", part.menu)):
                for number, button in enumerate(buttons):
                    keys = ("label", "url", "value", "confirm")
                    found += [(f"{here}.{group}[{number}].{key}", str(getattr(button, key))) for key in keys]
        return tuple((key, template) for key, template in found if template)


@dataclass(frozen=True, slots=True)
class MessageText:
    """A message by language. ``fields``: the names that its words may use, each with an example value."""

    key: str
    version: int
    kind: str
    fields: Mapping[str, Any]
    bodies: Mapping[str, MessageBody]

    def body(self, language: str) -> tuple[str, MessageBody]:
        """The words in this language, else in its base language, else in English; with the language they are in."""
        for key in languages(language):
            if key in self.bodies:
                return key, self.bodies[key]
        raise KeyError(f"message {self.key} has no English text")


@dataclass(frozen=True, slots=True)
class Content:
    """Everything Fullsteam can say. ``files``: ``<folder>/<id>`` -> the file it comes from, the customer's own if there."""

    behaviours: Mapping[str, Behaviour]
    tips: Mapping[str, Tip]
    messages: Mapping[str, MessageText]
    files: Mapping[str, str] = field(default_factory=dict)

    def file_of(self, folder: str, entry: str) -> str:
        return self.files.get(f"{folder}/{entry}", folder)

    def untranslated(self, language: str) -> tuple[str, ...]:
        """Entries that a reader of this language gets in English; the fallback is reported."""
        keys = set(languages(language)) - {FALLBACK}
        missing = [f"tips/{tip.id}" for tip in self.tips.values() if not keys & set(tip.texts)]
        missing += [f"messages/{m.key}" for m in self.messages.values() if not keys & set(m.bodies)]
        return tuple(sorted(missing)) if keys else ()


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with content. ``file``, ``key``: where, ``key`` "" for the whole file; ``message``: what is wrong and

    what to write.
    """

    file: str
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.message}" if self.key else f"{self.file}: {self.message}"


def languages(language: str) -> tuple[str, ...]:
    """Languages to try in turn: ``de-AT``, ``de``, ``en``."""
    normal = language.replace("_", "-")
    return tuple(dict.fromkeys((normal, normal.split("-", maxsplit=1)[0].lower(), FALLBACK)))


_LANGUAGE = r"^[a-z]{2}(-[A-Z]{2})?$"
_ID = r"^[a-z][a-z0-9_]*$"
_Words = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _BehaviourFile(_Strict):
    name: dict[Annotated[str, Field(pattern=_LANGUAGE)], _Words]
    roles: list[Literal["seller", "sales_development", "customer_success", "service", "manager"]] = Field(
        min_length=1
    )
    kind: Literal["count", "state"]
    metrics: list[str] = Field(min_length=1)
    target: float = Field(gt=0)
    tolerance: int = Field(default=0, ge=0)
    core: bool = True
    version: int = Field(default=1, ge=1)


class _TipWords(_Strict):
    about: str = ""
    gain: str = ""
    effort: str = ""
    how: str = ""
    action: str = ""


class _TipFile(_Strict):
    version: int = Field(default=1, ge=1)
    trigger: str
    behaviour: str
    roles: list[str] = Field(min_length=1)
    goal: str
    effort_minutes: int = Field(ge=1, le=60)
    evidence: str
    owner: str
    expires: date
    names_records: bool | None = None
    words: dict[Annotated[str, Field(pattern=_LANGUAGE)], _TipWords]


class _ButtonFile(_Strict):
    action: str = Field(min_length=1, max_length=255)
    label: _Words
    url: str = ""
    value: str = ""
    style: Literal["primary", "danger"] | None = None
    confirm: str = ""


class _PartFile(_Strict):
    heading: str | None = None
    paragraph: str | None = None
    quote: str | None = None
    note: str | None = None
    records: str | None = None
    buttons: list[_ButtonFile] | None = Field(default=None, max_length=25)
    menu: list[_ButtonFile] = Field(default_factory=list, max_length=5)

    @model_validator(mode="after")
    def _one_thing(self) -> _PartFile:
        given = [key for key in (*TEXT_PARTS, "records", "buttons") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError("a part is exactly one of heading, paragraph, records, quote, note, buttons")
        if self.menu and self.buttons is None:
            raise ValueError("a menu stands beside buttons")
        return self


class _BodyFile(_Strict):
    parts: list[_PartFile] = Field(min_length=1)
    text: str = ""


class _MessageFile(_Strict):
    version: int = Field(default=1, ge=1)
    kind: str
    fields: dict[str, Any] = Field(default_factory=dict)
    words: dict[Annotated[str, Field(pattern=_LANGUAGE)], _BodyFile]


def load(overrides: Path | None = None) -> Content:
    """The shipped content with the customer's folder on top. Raises ConfigurationError with every fault at once."""
    content, faults = gather(overrides)
    if faults:
        raise ConfigurationError([str(fault) for fault in faults], title="The content cannot be used")
    return content


def gather(overrides: Path | None = None) -> tuple[Content, list[Fault]]:
    """What can be used of the content, and every fault of the rest. Reads files, changes nothing.

    ``overrides``: the customer's folder, or a single file of theirs. Without one it is what ships, read once a process.
    """
    if overrides is None:
        content, faults = _shipped()
        return content, [*faults]
    return _gathered(overrides)


@cache
def _shipped() -> tuple[Content, list[Fault]]:
    return _gathered(None)


def _gathered(overrides: Path | None) -> tuple[Content, list[Fault]]:
    reading = _Reading()
    reading.folder(SHIPPED, shipped=True)
    if overrides is not None:
        if overrides.is_dir():
            reading.folder(overrides, shipped=False)
        elif overrides.is_file():
            reading.single(overrides)
        else:
            reading.faults.append(
                Fault(str(overrides), "", "is no folder; name the folder of your own content")
            )
    behaviours = reading.entries("behaviours", _behaviour)
    tips = reading.entries("tips", _tip)
    messages = reading.entries("messages", _message)
    content = Content(behaviours, tips, messages, reading.files)
    return content, reading.faults


class _Reading:
    """Tables by folder and id, with the faults met on the way."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, dict[str, Any]]] = {folder: {} for folder in FOLDERS}
        self.files: dict[str, str] = {}
        self.faults: list[Fault] = []

    def folder(self, root: Path, *, shipped: bool) -> None:
        for folder in FOLDERS:
            seen: dict[str, str] = {}
            for path in sorted((root / folder).glob("*.toml")):
                name = f"content/{folder}/{path.name}" if shipped else str(path)
                for entry, table in self._parse(path, name).items():
                    self._add(folder, entry, table, name, seen)

    def single(self, path: Path) -> None:
        """A file that stands in no folder: what an entry is, its id or its keys say."""
        name = str(path)
        for entry, table in self._parse(path, name).items():
            keys = table.keys() if isinstance(table, dict) else ()
            known = [folder for folder in FOLDERS if entry in self.tables[folder]]
            folder = "tips" if "trigger" in keys else "behaviours" if "metrics" in keys else "messages"
            self._add(known[0] if known else folder, entry, table, name, {})

    def _add(self, folder: str, entry: str, table: Any, name: str, seen: dict[str, str]) -> None:
        if not isinstance(table, dict):
            self.faults.append(Fault(name, entry, "stands outside of a table; write it under [id]"))
        elif entry in seen:
            self.faults.append(Fault(name, entry, f"is also in {seen[entry]}; keep one of the two"))
        else:
            seen[entry] = name
            self.files[f"{folder}/{entry}"] = name
            self.tables[folder][entry] = _merged(self.tables[folder].get(entry, {}), table)

    def _parse(self, path: Path, name: str) -> dict[str, Any]:
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            self.faults.append(Fault(name, "", f"cannot be read ({error.strerror})"))
            return {}
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            self.faults.append(Fault(name, "", f"is no valid TOML: {error}"))
            return {}

    def entries(
        self, folder: str, make: Callable[[str, dict[str, Any]], tuple[Any, list[tuple[str, str]]]]
    ) -> dict[str, Any]:
        made = {}
        for entry, table in self.tables[folder].items():
            if table.pop("off", False):
                continue
            name = self.files[f"{folder}/{entry}"]
            try:
                built, faults = make(entry, table)
            except ValidationError as error:
                for fault in error.errors():
                    where = ".".join([entry, *(str(p) for p in fault["loc"] if p != "words")])
                    self.faults.append(Fault(name, where, _said(fault["type"], fault["msg"])))
                continue
            self.faults += [
                Fault(name, f"{entry}.{key}" if key else entry, message) for key, message in faults
            ]
            if not faults:
                made[entry] = built
        return made


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(below)
    for key, value in above.items():
        old = made.get(key)
        made[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return made


def _said(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "is a key that nothing reads; look for a slip of the pen, or take it out"
    if kind == "missing":
        return "is missing; add it"
    return message.removeprefix("Value error, ")


def _split(table: Mapping[str, Any], known: type[BaseModel]) -> dict[str, Any]:
    """Tables under a language key become ``words``; all else stays."""
    made: dict[str, Any] = {"words": {}}
    for key, value in table.items():
        if key not in known.model_fields and isinstance(value, dict):
            made["words"][key] = value
        else:
            made[key] = value
    return made


def _behaviour(entry: str, table: dict[str, Any]) -> tuple[Behaviour, list[tuple[str, str]]]:
    read = _BehaviourFile.model_validate(table)
    made = Behaviour(
        id=entry,
        name=read.name.get(FALLBACK, ""),
        roles=frozenset(read.roles),
        kind=BehaviourKind(read.kind),
        metrics=tuple(read.metrics),
        target=read.target,
        tolerance=read.tolerance,
        core=read.core,
        version=read.version,
        names=dict(read.name),
    )
    faults = [("", fault) for fault in check_behaviour(made)]
    if FALLBACK not in read.name:
        faults.append(("name.en", "is missing; every text has English"))
    return made, faults


def _tip(entry: str, table: dict[str, Any]) -> tuple[Tip, list[tuple[str, str]]]:
    read = _TipFile.model_validate(_split(table, _TipFile))
    faults: list[tuple[str, str]] = []
    if read.trigger not in TRIGGERS:
        faults.append(
            ("trigger", f"there is no trigger {read.trigger!r}; choose one of {', '.join(TRIGGERS)}")
        )
    faults += [
        ("roles", f"there is no role {role!r}; choose from {', '.join(ROLES)}")
        for role in read.roles
        if role not in ROLES
    ]
    if read.goal not in GOALS:
        faults.append(("goal", f"there is no goal {read.goal!r}; choose one of {', '.join(GOALS)}"))
    if FALLBACK not in read.words:
        faults.append(("en", "is missing; every text has English"))
    texts = {language: TipText(**words.model_dump()) for language, words in read.words.items()}
    schema = tip_schema(read.trigger)
    for language, text in texts.items():
        faults += [
            (f"{language}.{key}", f"is missing or empty; {advice}")
            for key, advice in _NEEDED.items()
            if not getattr(text, key).strip()
        ]
        for key in ("about", "gain", "effort", "how", "action"):
            faults += [(f"{language}.{key}", fault) for fault in check(getattr(text, key), schema)]
    records = TRIGGERS[read.trigger].records if read.trigger in TRIGGERS else False
    made = Tip(
        id=entry,
        version=read.version,
        trigger=read.trigger,
        behaviour=read.behaviour,
        roles=frozenset(read.roles),
        goal=read.goal,
        effort_minutes=read.effort_minutes,
        evidence=read.evidence,
        owner=read.owner,
        expires=read.expires,
        names_records=records if read.names_records is None else read.names_records,
        texts=texts,
    )
    return made, faults


def _message(entry: str, table: dict[str, Any]) -> tuple[MessageText, list[tuple[str, str]]]:
    read = _MessageFile.model_validate(_split(table, _MessageFile))
    faults: list[tuple[str, str]] = []
    if read.kind not in KINDS:
        faults.append(("kind", f"there is no kind {read.kind!r}; choose one of {', '.join(sorted(KINDS))}"))
    if FALLBACK not in read.words:
        faults.append(("en", "is missing; every text has English"))
    schema: Schema = example_schema(read.fields)
    if entry.startswith(RECORD_DETAIL):
        trigger = entry.removeprefix(RECORD_DETAIL)
        schema = detail_schema(trigger) if trigger in TRIGGERS else {}
    bodies = {language: _body(words) for language, words in read.words.items()}
    for language, body in bodies.items():
        for key, template in body.templates():
            faults += [(f"{language}.{key}", fault) for fault in check(template, schema)]
        faults += [
            (f"{language}.parts[{index}].records", f"names the unknown list {part.text!r}; add it to fields")
            for index, part in enumerate(body.parts)
            if part.part == "records" and part.text not in schema
        ]
    return MessageText(entry, read.version, read.kind, read.fields, bodies), faults


def _body(words: _BodyFile) -> MessageBody:
    parts = []
    for part in words.parts:
        if part.buttons is not None:
            parts.append(PartText("buttons", "", _buttons(part.buttons), _buttons(part.menu)))
            continue
        key = next(key for key in (*TEXT_PARTS, "records") if getattr(part, key) is not None)
        parts.append(PartText(key, str(getattr(part, key))))
    return MessageBody(tuple(parts), words.text)


def _buttons(read: list[_ButtonFile]) -> tuple[ButtonText, ...]:
    return tuple(ButtonText(**button.model_dump()) for button in read)
