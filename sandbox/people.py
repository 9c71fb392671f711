"""Scripted people: they read what the bot writes and do what a script says people do.

What somebody does about a message is a pure function of the seed, the person and the message (its
`metadata.event_payload.delivery_id` or `.id`, or a hash of its text and how often it came), drawn by HMAC. So a bot that was
killed and came back meets the same people. They act inside their working hours, on a grid of minutes.

The script is TOML; `examples/replies.toml` explains every key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.acts import Acts
from sandbox.parcels import Answer
from sandbox.reacting import Offer, Reacting, choose
from sandbox.roster import Hours
from sandbox.slack import Slack
from sandbox.state import Message, View

Json = dict[str, Any]
_UNITS = {"m": 60, "h": 3600, "d": 86400}
_DOINGS = ("ignore", "press", "reply", "command")


class BadScript(ValueError):
    """A script that cannot be read, with the place and the reason."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What people do about messages that have a button matching `when` (none: messages without such buttons)."""

    when: tuple[str, ...]
    weights: Mapping[str, float]
    words: Mapping[str, float]
    thread: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Daily:
    """What somebody does of their own accord with a `chance` a working day."""

    what: str
    chance: float
    words: Mapping[str, float]
    command: str


@dataclass(frozen=True, slots=True)
class Script:
    """What people do, and the words they use: `lines[language][kind]`."""

    grid: int
    rules: tuple[Rule, ...]
    languages: Mapping[str, float]
    lines: Mapping[str, Mapping[str, tuple[str, ...]]]
    modal: Rule
    daily: tuple[Daily, ...]

    def rule_for(self, actions: frozenset[str]) -> Rule | None:
        """The first rule that fits a message with these buttons."""
        for rule in self.rules:
            if not rule.when or any(fnmatchcase(a, pattern) for a in actions for pattern in rule.when):
                return rule
        return None


def _seconds(text: Any, where: str) -> float:
    try:
        return float(text[:-1]) * _UNITS[text[-1]]
    except (TypeError, ValueError, KeyError, IndexError):
        raise BadScript(f"{where}: not a duration like 5m, 2h, 1d: {text!r}") from None


def _weights(given: Any, where: str) -> dict[str, float]:
    if not isinstance(given, dict):
        raise BadScript(f"{where}: a table of weights is needed")
    for key, weight in given.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or weight < 0:
            raise BadScript(f"{where}: the weight of {key!r} must be a number, 0 or more")
    return {key: float(weight) for key, weight in given.items()}


def _rule(given: Any, where: str, kinds: frozenset[str]) -> Rule:
    if not isinstance(given, dict):
        raise BadScript(f"{where}: a table is needed")
    unknown = given.keys() - {"when", "words", "thread", "after", "submit", "close", *_DOINGS}
    if unknown:
        raise BadScript(f"{where}: unknown key {min(unknown)!r}")
    weights: dict[str, float] = {}
    for doing in ("ignore", "reply", "submit", "close"):
        if doing in given:
            weights.update(_weights({doing: given[doing]}, where))
    for doing in ("press", "command"):
        for key, weight in _weights(given.get(doing, {}), f"{where}.{doing}").items():
            weights[f"{doing} {key}"] = weight
    words = _weights(given.get("words", {}), f"{where}.words")
    strange = words.keys() - kinds
    if strange:
        raise BadScript(f"{where}.words: there are no lines of kind {min(strange)!r}")
    if weights.get("reply") and not words:
        raise BadScript(f"{where}: who replies needs words")
    after = given.get("after", ["5m", "6h"])
    if not isinstance(after, list) or len(after) != 2:
        raise BadScript(f"{where}.after: two durations, the least and the most")
    least, most = (_seconds(text, f"{where}.after") for text in after)
    if not 0 < least <= most:
        raise BadScript(f"{where}.after: the least must be above 0 and not above the most")
    when = given.get("when", [])
    return Rule(tuple(when), weights, words, float(given.get("thread", 0.7)), least, most)


def read_script(path: Path) -> Script:
    """Read a script. Raises BadScript with file, place and reason."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise BadScript(f"{path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise BadScript(f"{path}: {exc}") from exc
    try:
        return _script(found)
    except BadScript as exc:
        raise BadScript(f"{path}: {exc}") from None


def _script(found: Json) -> Script:
    lines: dict[str, dict[str, tuple[str, ...]]] = {}
    for language, by_kind in found.get("lines", {}).items():
        lines[language] = {}
        for kind, texts in by_kind.items():
            if (
                not isinstance(texts, list)
                or not texts
                or not all(isinstance(t, str) and t.strip() for t in texts)
            ):
                raise BadScript(f"lines.{language}.{kind}: a list of texts is needed")
            lines[language][kind] = tuple(texts)
    if "en" not in lines:
        raise BadScript("lines.en is missing: it is what everybody falls back to")
    kinds = frozenset(lines["en"])
    languages = _weights(found.get("languages", {"en": 1}), "languages")
    if not languages.keys() <= lines.keys() or not sum(languages.values()):
        raise BadScript("languages: each needs lines, and one a weight above 0")
    grid = found.get("grid_minutes", 5)
    if not isinstance(grid, int) or not 1 <= grid <= 60:
        raise BadScript("grid_minutes: a whole number from 1 to 60")
    daily = []
    for number, given in enumerate(found.get("daily", []), start=1):
        what, chance = given.get("what"), given.get("chance")
        if (
            what not in ("home", "say", "command")
            or not isinstance(chance, int | float)
            or not 0 <= chance <= 1
        ):
            raise BadScript(f"daily {number}: what is home, say or command, chance lies between 0 and 1")
        words = _weights(given.get("words", {}), f"daily {number}.words")
        if words.keys() - kinds or (what == "say" and not words):
            raise BadScript(f"daily {number}.words: kinds of lines are needed")
        daily.append(Daily(what, float(chance), words, str(given.get("command", ""))))
    rules = [_rule(given, f"rule {n}", kinds) for n, given in enumerate(found.get("rule", []), start=1)]
    modal = _rule(found.get("modal", {"submit": 1}), "modal", kinds)
    return Script(grid * 60, tuple(rules), languages, lines, modal, tuple(daily))


class People(Reacting):
    """Everybody who is scripted, and what they have seen."""

    def __init__(
        self, slack: Slack, acts: Acts, script: Script, hours: Mapping[str, Hours], seed: int
    ) -> None:
        super().__init__(slack, acts, hours, seed, script.grid)
        self.script = script

    def words(self, user: str, key: str, kinds: Mapping[str, float]) -> str:
        """What this person writes, in their language where there is a line of that kind."""
        language = choose(self.script.languages, self.draw(user, "", "language")) or "en"
        kind = choose(kinds, self.draw(user, key, "kind"))
        lines = self.script.lines
        bank = lines[language].get(str(kind)) or lines["en"][str(kind)]
        return self.one_of(bank, user, key, "line")

    # Seeing

    def cares(self, new: frozenset[str]) -> bool:
        """A message that no rule is for is not looked at."""
        return self.script.rule_for(new) is not None

    def about(
        self, user: str, key: str, message: Message, offered: Mapping[str, Offer], new: frozenset[str]
    ) -> None:
        """Do what the rule says."""
        rule = self.script.rule_for(new)
        if rule is None:
            return
        weights = {doing: weight for doing, weight in rule.weights.items() if _possible(doing, new)}
        doing = choose(weights, self.draw(user, key, "doing"))
        if doing is None or doing == "ignore":
            return
        at = self.due(user, key, rule.least, rule.most)
        if doing == "reply":
            text = self.words(user, key, rule.words)
            root = message.thread_ts or message.ts
            to_thread = message.ephemeral_for is None and self.draw(user, key, "thread") < rule.thread
            thread_ts = root if to_thread else None
            self.later(at, user, lambda: self.acts.say(user, text, thread_ts=thread_ts), again=False)
        elif doing.startswith("press "):
            fitting = sorted(name for name in new if fnmatchcase(name, doing[6:]))
            self.press_later(at, user, key, message, offered[self.one_of(fitting, user, key, "which")])
        else:
            name, _, rest = doing[8:].partition(" ")
            self.later(at, user, lambda: self.acts.command(user, name, rest))

    def about_modal(self, user: str, key: str, view: View) -> None:
        """Submit or close it."""
        weights = {doing: self.script.modal.weights.get(doing, 0.0) for doing in ("submit", "close")}
        doing = choose(weights, self.draw(user, key, "doing"))
        at = self.due(user, key, 30, 240)
        if doing == "submit":
            kinds = self.script.modal.words or {next(iter(self.script.lines["en"])): 1.0}

            def submit() -> Awaitable[Answer]:
                inputs = self.fill_in(user, key, view, lambda here: self.words(user, here, kinds))
                return self.acts.submit(user, inputs, view_id=view.id)

            self.later(at, user, submit)
        else:
            self.later(at, user, lambda: self.acts.close(user, view_id=view.id))

    # Of their own accord

    def plan_day(self, day: date) -> None:
        """Enter what people do of their own accord on `day` (each in their own zone)."""
        for user, hours in self.hours.items():
            if not self.works(user, day):
                continue
            for number, habit in enumerate(self.script.daily):
                key = f"{day.isoformat()}|{number}"
                if self.draw(user, key, "chance") < habit.chance:
                    self._plan_habit(user, key, day, hours, habit)

    def _plan_habit(self, user: str, key: str, day: date, hours: Hours, habit: Daily) -> None:
        zone = ZoneInfo(self.slack.workspace.users[user].tz)
        begins = datetime.combine(day, hours.start, zone).timestamp()
        ends = datetime.combine(day, hours.end, zone).timestamp()
        at = self.on_grid(begins + self.draw(user, key, "hour") * (ends - begins))
        if at <= self.slack.clock.seconds():
            return
        if habit.what == "home":
            self.later(at, user, lambda: self.acts.open_home(user), again=False)
        elif habit.what == "say":
            text = self.words(user, key, habit.words)
            self.later(at, user, lambda: self.acts.say(user, text), again=False)
        else:
            name, _, rest = habit.command.partition(" ")
            self.later(at, user, lambda: self.acts.command(user, name, rest))


def _possible(doing: str, actions: frozenset[str]) -> bool:
    if not doing.startswith("press "):
        return True
    return any(fnmatchcase(action, doing[6:]) for action in actions)
