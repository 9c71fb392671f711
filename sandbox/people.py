"""Scripted people: they read what the bot writes and do what a script says people do.

What somebody does about a message is a pure function of the seed, the person and the message (its
`metadata.event_payload.delivery_id` or `.id`, or a hash of its text and how often it came), drawn by HMAC. So a bot that was
killed and came back meets the same people. They act inside their working hours, on a grid of minutes.

The script is TOML; `examples/replies.toml` explains every key.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import tomllib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sandbox.acts import Acts, Impossible, elements, options
from sandbox.events import Answer
from sandbox.record import delivery_of
from sandbox.roster import Hours
from sandbox.slack import Slack
from sandbox.state import Message, View

Json = dict[str, Any]
Thing = TypeVar("Thing")
PRESS_AGAIN = 5
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


@dataclass(frozen=True, slots=True)
class Offer:
    """Something to press: an element, and for an entry of a menu its value."""

    element: Json
    value: str | None = None


def offers(blocks: list[Json] | None) -> dict[str, Offer]:
    """What can be pressed, by name: an action id, or what stands before the first `|` of a menu entry's value."""
    found: dict[str, Offer] = {}
    for place in elements(blocks):
        element = place.element
        found.setdefault(element["action_id"], Offer(element))
        if element["type"] in ("overflow", "static_select"):
            for option in options(element):
                found.setdefault(option["value"].partition("|")[0], Offer(element, option["value"]))
    return found


class People:
    """Everybody who is scripted, and what they have seen."""

    def __init__(self, slack: Slack, acts: Acts, script: Script, hours: dict[str, Hours], seed: int) -> None:
        self.slack = slack
        self.acts = acts
        self.script = script
        self.hours = hours
        self._seed = str(seed).encode()
        self._answered: set[str] = set()
        self._buttons_seen: dict[tuple[str, str], set[str]] = {}
        self._times: Counter[tuple[str, str]] = Counter()
        slack.workspace.seen_by.append(self._sees)
        slack.workspace.views_seen_by.append(self._sees_view)

    # Drawing

    def draw(self, user: str, key: str, what: str) -> float:
        """A number from 0 up to 1, the same for the same seed, person, message and question."""
        mac = hmac.new(self._seed, f"{user}|{key}|{what}".encode(), hashlib.sha256).digest()
        return int.from_bytes(mac[:7], "big") / (1 << 56)

    def _choose(self, weights: Mapping[Thing, float], u: float) -> Thing | None:
        total = sum(weights.values())
        if total <= 0:
            return None
        point = u * total
        for thing, weight in weights.items():
            point -= weight
            if point < 0:
                return thing
        return next(reversed([thing for thing, weight in weights.items() if weight > 0]))

    def words(self, user: str, key: str, kinds: Mapping[str, float]) -> str:
        """What this person writes, in their language where there is a line of that kind."""
        language = self._choose(self.script.languages, self.draw(user, "", "language")) or "en"
        kind = self._choose(kinds, self.draw(user, key, "kind"))
        lines = self.script.lines
        bank = lines[language].get(str(kind)) or lines["en"][str(kind)]
        return self._one_of(bank, user, key, "line")

    def due(self, user: str, key: str, least: float, most: float) -> float:
        """When somebody gets round to it: log-uniform between least and most, then at work, on the grid.

        Counted from the step of the grid in which they saw it: half a minute that a message came late, because the bot
        was killed, changes nothing.
        """
        wait = math.exp(math.log(least) + self.draw(user, key, "wait") * (math.log(most) - math.log(least)))
        hours, zone = self.hours[user], ZoneInfo(self.slack.workspace.users[user].tz)
        seen = self.slack.clock.seconds() // self.script.grid * self.script.grid
        when = datetime.fromtimestamp(seen + wait, UTC)
        local = when.astimezone(zone)
        for offset in range(15):
            day = local.date() + timedelta(days=offset)
            if day.isoweekday() not in hours.days:
                continue
            begins = datetime.combine(day, hours.start, zone).astimezone(UTC)
            ends = datetime.combine(day, hours.end, zone).astimezone(UTC)
            if when >= ends:
                continue
            if when < begins:
                room = min(3600.0, (ends - begins).total_seconds() / 2)
                when = begins + timedelta(seconds=self.draw(user, key, "morning") * room)
            break
        grid = self.script.grid
        return math.ceil(when.timestamp() / grid) * grid

    # Seeing

    def _sees(self, kind: str, message: Message) -> None:
        if not message.bot or kind not in ("posted", "ephemeral", "updated"):
            return
        channel = self.slack.workspace.channels[message.channel]
        user = message.ephemeral_for or (channel.user if channel.kind == "im" else None)
        if user is None or user not in self.hours:
            return
        pressable = offers(message.blocks)
        actions = set(pressable)
        place = (message.channel, message.ts)
        new = frozenset(actions - self._buttons_seen.get(place, set()))
        self._buttons_seen[place] = actions
        if kind == "updated" and not new:
            return
        rule = self.script.rule_for(new)
        if rule is None:
            return
        key = self._key(user, message, new)
        if key in self._answered:
            return
        self._answered.add(key)
        weights = {doing: weight for doing, weight in rule.weights.items() if _possible(doing, new)}
        doing = self._choose(weights, self.draw(user, key, "doing"))
        if doing is None or doing == "ignore":
            return
        at = self.due(user, key, rule.least, rule.most)
        if doing == "reply":
            text = self.words(user, key, rule.words)
            root = message.thread_ts or message.ts
            to_thread = message.ephemeral_for is None and self.draw(user, key, "thread") < rule.thread
            thread_ts = root if to_thread else None
            self._later(at, user, lambda: self.acts.say(user, text, thread_ts=thread_ts), again=False)
        elif doing.startswith("press "):
            fitting = sorted(name for name in new if fnmatchcase(name, doing[6:]))
            self._press_later(at, user, key, message, pressable[self._one_of(fitting, user, key, "which")])
        else:
            name, _, rest = doing[8:].partition(" ")
            self._later(at, user, lambda: self.acts.command(user, name, rest))

    def _key(self, user: str, message: Message, new: frozenset[str]) -> str:
        given = delivery_of(message.metadata)
        if given is None:
            digest = hashlib.sha256(message.text.encode()).hexdigest()[:16]
            self._times[user, digest] += 1
            given = f"{digest}#{self._times[user, digest]}"
        return f"{given}|{','.join(sorted(new))}"

    def _one_of(self, things: Sequence[Thing], user: str, key: str, what: str) -> Thing:
        return things[int(self.draw(user, key, what) * len(things))]

    def _press_later(self, at: float, user: str, key: str, message: Message, offer: Offer) -> None:
        value = offer.value
        if value is None and options(offer.element):
            value = self._one_of(options(offer.element), user, key, "option")["value"]
        action, channel, ts = offer.element["action_id"], message.channel, message.ts
        self._later(
            at, user, lambda: self.acts.press(user, action, channel_id=channel, message_ts=ts, value=value)
        )

    def _sees_view(self, method: str, view: View) -> None:
        if view.content["type"] != "modal" or view.user not in self.hours or method.endswith("update"):
            return
        user, callback = view.user, str(view.content.get("callback_id") or "")
        self._times[user, callback] += 1
        key = f"modal {callback}#{self._times[user, callback]}"
        weights = {doing: self.script.modal.weights.get(doing, 0.0) for doing in ("submit", "close")}
        doing = self._choose(weights, self.draw(user, key, "doing"))
        at = self.due(user, key, 30, 240)
        if doing == "submit":
            self._later(
                at, user, lambda: self.acts.submit(user, self._inputs(user, key, view), view_id=view.id)
            )
        else:
            self._later(at, user, lambda: self.acts.close(user, view_id=view.id))

    def _inputs(self, user: str, key: str, view: View) -> Json:
        inputs: Json = {}
        for found in elements(view.content["blocks"]):
            element = found.element
            kind, name = element["type"], element["action_id"]
            here = f"{key}|{name}"
            if kind == "plain_text_input":
                text = self.words(
                    user, here, self.script.modal.words or {next(iter(self.script.lines["en"])): 1.0}
                )
                inputs[name] = text[: element.get("max_length") or 3000]
            elif kind == "datepicker":
                inputs[name] = self.slack.clock.now().date().isoformat()
            elif kind == "users_select":
                inputs[name] = user
            elif kind != "button" and options(element):
                value = self._one_of(options(element), user, here, "option")["value"]
                inputs[name] = [value] if kind in ("checkboxes", "multi_static_select") else value
        return inputs

    # Of their own accord

    def plan_day(self, day: date) -> None:
        """Enter what people do of their own accord on `day` (each in their own zone)."""
        for user, hours in self.hours.items():
            if day.isoweekday() not in hours.days:
                continue
            for number, habit in enumerate(self.script.daily):
                key = f"{day.isoformat()}|{number}"
                if self.draw(user, key, "chance") < habit.chance:
                    self._plan_habit(user, key, day, hours, habit)

    def _plan_habit(self, user: str, key: str, day: date, hours: Hours, habit: Daily) -> None:
        zone = ZoneInfo(self.slack.workspace.users[user].tz)
        begins = datetime.combine(day, hours.start, zone).timestamp()
        ends = datetime.combine(day, hours.end, zone).timestamp()
        grid = self.script.grid
        at = math.ceil((begins + self.draw(user, key, "hour") * (ends - begins)) / grid) * grid
        if at <= self.slack.clock.seconds():
            return
        if habit.what == "home":
            self._later(at, user, lambda: self.acts.open_home(user), again=False)
        elif habit.what == "say":
            text = self.words(user, key, habit.words)
            self._later(at, user, lambda: self.acts.say(user, text), again=False)
        else:
            name, _, rest = habit.command.partition(" ")
            self._later(at, user, lambda: self.acts.command(user, name, rest))

    # Doing

    def _later(
        self,
        at: float,
        user: str,
        act: Callable[[], Awaitable[Answer]],
        *,
        again: bool = True,
        tries: int = 0,
    ) -> None:
        async def do() -> None:
            try:
                answer = await act()
            except Impossible as why:
                self.slack.record.add("gave_up", user=user, reason=str(why))
                return
            # Slack sends an event again by itself; what was pressed and failed, a person presses again.
            if again and not answer.acked and tries < PRESS_AGAIN:
                self._later(self.slack.clock.seconds() + 60, user, act, tries=tries + 1)

        self.slack.agenda.add(at, user, do)


def _possible(doing: str, actions: frozenset[str]) -> bool:
    if not doing.startswith("press "):
        return True
    return any(fnmatchcase(action, doing[6:]) for action in actions)
