"""What scripted people and the people of a company share: drawing, when they get round to things, what they see.

What somebody does about a message is a pure function of the seed, the person and the message (its
`metadata.event_payload.delivery_id` or `.id`, or a hash of its text and how often it came), drawn by HMAC. So a bot that was
killed and came back meets the same people.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sandbox.acts import Acts, Impossible, elements, options
from sandbox.parcels import Answer
from sandbox.record import delivery_of
from sandbox.roster import Hours
from sandbox.slack import Slack
from sandbox.state import Message, View

Json = dict[str, Any]
Thing = TypeVar("Thing")
PRESS_AGAIN = 5
LOOK_AHEAD = 45
"""Days in which somebody is back at work."""


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


def choose(weights: Mapping[Thing, float], u: float) -> Thing | None:
    """One of some things by weight; `u` from 0 up to 1. None when nothing has weight."""
    total = sum(weights.values())
    if total <= 0:
        return None
    point = u * total
    for thing, weight in weights.items():
        point -= weight
        if point < 0:
            return thing
    return next(reversed([thing for thing, weight in weights.items() if weight > 0]))


class Reacting(ABC):
    """People who look at what the bot writes. `grid`: they act at whole multiples of it, in seconds."""

    def __init__(self, slack: Slack, acts: Acts, hours: Mapping[str, Hours], seed: int, grid: int) -> None:
        self.slack = slack
        self.acts = acts
        self.hours = hours
        self.grid = grid
        self._seed = str(seed).encode()
        self._answered: set[str] = set()
        self._buttons_seen: dict[tuple[str, str], frozenset[str]] = {}
        #: Each set of buttons once: thousands of messages have the same.
        self._sets: dict[frozenset[str], frozenset[str]] = {frozenset(): frozenset()}
        self._times: Counter[tuple[str, str]] = Counter()
        slack.workspace.seen_by.append(self._sees)
        slack.workspace.views_seen_by.append(self._sees_view)

    # What differs

    @abstractmethod
    def plan_day(self, day: date) -> None:
        """Enter what people do of their own accord on `day` (each in their own zone)."""

    @abstractmethod
    def about(
        self, user: str, key: str, message: Message, offered: Mapping[str, Offer], new: frozenset[str]
    ) -> None:
        """`user` has got a message, or new buttons on one. `key` names it for drawing."""

    @abstractmethod
    def about_modal(self, user: str, key: str, view: View) -> None:
        """A modal has opened before `user`."""

    def cares(self, new: frozenset[str]) -> bool:
        """Whether a message with these new buttons is looked at at all."""
        return True

    # Drawing

    def draw(self, user: str, key: str, what: str) -> float:
        """A number from 0 up to 1, the same for the same seed, person, message and question."""
        mac = hmac.digest(self._seed, f"{user}|{key}|{what}".encode(), "sha256")
        return int.from_bytes(mac[:7], "big") / (1 << 56)

    def one_of(self, things: Sequence[Thing], user: str, key: str, what: str) -> Thing:
        """One of some things, all as likely."""
        return things[int(self.draw(user, key, what) * len(things))]

    # Time

    def works(self, user: str, day: date) -> bool:
        """Whether somebody works on a day, local to them."""
        return day.isoweekday() in self.hours[user].days

    def due(self, user: str, key: str, least: float, most: float) -> float:
        """When somebody gets round to it: log-uniform between least and most, then at work, on the grid.

        Counted from the step of the grid in which they saw it: half a minute that a message came late, because the bot
        was killed, changes nothing.
        """
        wait = math.exp(math.log(least) + self.draw(user, key, "wait") * (math.log(most) - math.log(least)))
        hours, zone = self.hours[user], ZoneInfo(self.slack.workspace.users[user].tz)
        seen = self.slack.clock.seconds() // self.grid * self.grid
        when = datetime.fromtimestamp(seen + wait, UTC)
        local = when.astimezone(zone)
        for offset in range(LOOK_AHEAD):
            day = local.date() + timedelta(days=offset)
            if not self.works(user, day):
                continue
            begins = datetime.combine(day, hours.start, zone).astimezone(UTC)
            ends = datetime.combine(day, hours.end, zone).astimezone(UTC)
            if when >= ends:
                continue
            if when < begins:
                room = min(3600.0, (ends - begins).total_seconds() / 2)
                when = begins + timedelta(seconds=self.draw(user, key, "morning") * room)
            break
        return self.on_grid(when.timestamp())

    def on_grid(self, at: float) -> float:
        """The next step of the grid."""
        return math.ceil(at / self.grid) * self.grid

    # Seeing

    def _sees(self, kind: str, message: Message) -> None:
        if not message.bot or kind not in ("posted", "ephemeral", "updated"):
            return
        channel = self.slack.workspace.channels[message.channel]
        user = message.ephemeral_for or (channel.user if channel.kind == "im" else None)
        if user is None or user not in self.hours or user in self.slack.played:
            return
        offered = offers(message.blocks)
        actions = frozenset(offered)
        actions = self._sets.setdefault(actions, actions)
        place = (message.channel, message.ts)
        new = actions - self._buttons_seen.get(place, frozenset())
        self._buttons_seen[place] = actions
        if (kind == "updated" and not new) or not self.cares(new):
            return
        key = self._key(user, message, new)
        if key in self._answered:
            return
        self._answered.add(key)
        self.about(user, key, message, offered, new)

    def _key(self, user: str, message: Message, new: Collection[str]) -> str:
        given = delivery_of(message.metadata)
        if given is None:
            digest = hashlib.sha256(message.text.encode()).hexdigest()[:16]
            self._times[user, digest] += 1
            given = f"{digest}#{self._times[user, digest]}"
        return f"{given}|{','.join(sorted(new))}"

    def _sees_view(self, method: str, view: View) -> None:
        if view.content["type"] != "modal" or view.user not in self.hours or method.endswith("update"):
            return
        if view.user in self.slack.played:
            return
        user, callback = view.user, str(view.content.get("callback_id") or "")
        self._times[user, callback] += 1
        self.about_modal(user, f"modal {callback}#{self._times[user, callback]}", view)

    # Doing

    def press_later(self, at: float, user: str, key: str, message: Message, offer: Offer) -> None:
        """Press it at `at`; in a select, something is chosen."""
        value = offer.value
        if value is None and options(offer.element):
            value = self.one_of(options(offer.element), user, key, "option")["value"]
        action, channel, ts = offer.element["action_id"], message.channel, message.ts
        self.later(
            at, user, lambda: self.acts.press(user, action, channel_id=channel, message_ts=ts, value=value)
        )

    def fill_in(self, user: str, key: str, view: View, words: Callable[[str], str]) -> Json:
        """What somebody enters into a modal. `words`: what they write, by a key for drawing."""
        inputs: Json = {}
        for found in elements(view.content["blocks"]):
            element = found.element
            kind, name = element["type"], element["action_id"]
            here = f"{key}|{name}"
            if kind == "plain_text_input":
                inputs[name] = words(here)[: element.get("max_length") or 3000]
            elif kind == "datepicker":
                inputs[name] = self.slack.clock.now().date().isoformat()
            elif kind == "users_select":
                inputs[name] = user
            elif kind != "button" and options(element):
                value = self.one_of(options(element), user, here, "option")["value"]
                inputs[name] = [value] if kind in ("checkboxes", "multi_static_select") else value
        return inputs

    def later(
        self,
        at: float,
        user: str,
        act: Callable[[], Awaitable[Answer]],
        *,
        again: bool = True,
        tries: int = 0,
    ) -> None:
        """Enter it into the agenda. `again`: what was pressed and failed is pressed again.

        Nothing acts for a person whom somebody has been on the page by then.
        """

        async def do() -> None:
            if user in self.slack.played:
                return
            try:
                answer = await act()
            except Impossible as why:
                self.slack.record.add("gave_up", user=user, reason=str(why))
                return
            # Slack sends an event again by itself; what was pressed and failed, a person presses again.
            if again and not answer.acked and tries < PRESS_AGAIN:
                self.later(self.slack.clock.seconds() + 60, user, act, tries=tries + 1)

        self.slack.agenda.add(at, user, do)
