"""Steered time: the sandbox is master of the clock, the bot follows.

At each instant it delivers what is due (redeliveries, what people do), tells the bot `POST /clock {"now": ...}`,
waits until the bot is idle (it answers `{"next_due": ISO or null}`), and jumps to the earliest of the bot's next due
time, the next thing on its own agenda and the end. It never jumps while a call of the bot's is inside it, and time
stands still while the bot is away.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import aiohttp

from sandbox.agenda import Appointment
from sandbox.clock import SteeredClock, moment
from sandbox.events import INSIST_EVERY, INSIST_FOR, BotAway, Outbound
from sandbox.reacting import Reacting
from sandbox.slack import Slack

Json = dict[str, Any]
#: How long one answer to POST /clock may take: a bot may plan for thousands of people in it (real seconds).
TICK_SECONDS = 600.0
#: How often in a row the bot may ask for the instant it was just given.
SAME_INSTANT = 1_000


class SteeringFailed(Exception):
    """The bot does not follow the clock, with the reason."""


class BotKeepsItsTime(SteeringFailed):
    """The bot runs on its own clock: it has no address for this one."""


class Steering:
    """Drives one bot through time. `on_day` hears one line of counts for each simulated day (UTC)."""

    def __init__(
        self,
        slack: Slack,
        outbound: Outbound,
        people: Reacting | None = None,
        *,
        abreast: int = 1,
        on_day: Callable[[Json], None] | None = None,
    ) -> None:
        if not isinstance(slack.clock, SteeredClock):
            raise SteeringFailed("only a steered clock can be driven")
        self.slack = slack
        self.clock: SteeredClock = slack.clock
        self.outbound = outbound
        self.people = people
        self.abreast = abreast
        self.on_day = on_day
        self.ticks = 0
        #: Whether the bot is not reached right now, and time stands still for it.
        self.waiting = False
        self._stopping = False
        self._planned_to: date | None = None
        self._counted: Json = {}

    async def run(self, until: datetime) -> None:
        """Go on until `until`, or until somebody stops it. Raises BotAway and SteeringFailed."""
        self.slack.driven += 1
        self._stopping = False
        try:
            await self._run(until)
        finally:
            self.slack.driven -= 1

    def stop(self) -> None:
        """End a run after the instant that it is at."""
        self._stopping = True

    async def settle(self, patience: timedelta = timedelta(0)) -> None:
        """Let the bot do at this instant what somebody's act has made due, and what it makes due within `patience`.

        Raises BotAway and SteeringFailed.
        """
        latest = self.clock.now() + patience
        self.slack.driven += 1
        try:
            for _ in range(SAME_INSTANT):
                next_due = await self._instant()
                now = self.clock.now()
                at = self._agenda_at()
                if at is not None and at <= now.timestamp():
                    continue
                if next_due is not None and next_due <= now:
                    next_due = now + timedelta(seconds=1)
                target = self._target(next_due, latest + timedelta(seconds=1))
                if target > latest:
                    return
                self._jump(target)
        finally:
            self.slack.driven -= 1

    def _plan_to(self, last: date) -> None:
        """Enter what people do of their own accord on every day up to `last` that has not been entered yet."""
        if self.people is None:
            return
        day = self.clock.now().date() if self._planned_to is None else self._planned_to + timedelta(days=1)
        while day <= last:
            self.people.plan_day(day)
            self._planned_to = day
            day += timedelta(days=1)

    async def _run(self, until: datetime) -> None:
        self._plan_to(self.clock.now().date() + timedelta(days=1))
        stuck = 0
        while True:
            async with self.slack.turn:
                next_due = await self._instant()
            now = self.clock.now()
            at = self._agenda_at()
            if at is not None and at <= now.timestamp():
                continue
            stuck = stuck + 1 if next_due is not None and next_due <= now else 0
            if stuck > SAME_INSTANT:
                raise SteeringFailed(
                    f"the bot keeps asking for {next_due}, which is not after {now.isoformat()}"
                )
            if now >= until or self._stopping:
                self._end_day(now.date())
                return
            if next_due is not None and next_due <= now:
                next_due = now + timedelta(seconds=1)
            self._jump(self._target(next_due, until))

    def _agenda_at(self) -> float | None:
        return self.slack.agenda.next_at()

    def _target(self, next_due: datetime | None, until: datetime) -> datetime:
        at = self._agenda_at()
        own = datetime.fromtimestamp(at, UTC) if at is not None else until
        return min(next_due or until, own, until)

    def _jump(self, target: datetime) -> None:
        """Move the clock, stopping at each midnight (UTC) to close the day and to plan the one after the next."""
        while self.clock.now().date() < target.date():
            ending = self.clock.now().date()
            self._end_day(ending)
            midnight = datetime.combine(ending + timedelta(days=1), datetime.min.time(), UTC)
            self.clock.move_to(midnight)
            if self.people:
                self._plan_to(ending + timedelta(days=2))
                at = self._agenda_at()
                if at is not None and at < target.timestamp():
                    target = datetime.fromtimestamp(at, UTC)
        self.clock.move_to(max(target, self.clock.now()))

    def _end_day(self, day: date) -> None:
        totals = self.slack.record.totals()
        counts = {key: value for key, value in totals.items() if isinstance(value, int)}
        if self.on_day:
            line = {key: value - self._counted.get(key, 0) for key, value in counts.items()}
            self.on_day({"day": day.isoformat(), **line})
        self._counted = counts

    async def _instant(self) -> datetime | None:
        """Everything that happens at one instant; returns the bot's next due time."""
        await self.deliver_due()
        next_due = await self._tick()
        await self.slack.quiet()
        return next_due

    async def deliver_due(self) -> None:
        """Deliver what is due, and what that makes due at once. Nobody's things overtake each other."""
        while due := self.slack.agenda.take_due(self.clock.seconds()):
            if self.abreast == 1:
                for appointment in due:
                    await appointment.do()
                continue
            lanes: dict[str, list[Appointment]] = defaultdict(list)
            for appointment in due:
                lanes[appointment.lane].append(appointment)
            gate = asyncio.Semaphore(self.abreast)

            async def walk(lane: list[Appointment], gate: asyncio.Semaphore = gate) -> None:
                async with gate:
                    for appointment in lane:
                        await appointment.do()

            async with asyncio.TaskGroup() as group:
                for lane in lanes.values():
                    group.create_task(walk(lane))

    async def _tick(self) -> datetime | None:
        self.ticks += 1
        url = f"{self.outbound.root}/clock"
        body = {"now": self.clock.now().isoformat()}
        patience = aiohttp.ClientTimeout(total=TICK_SECONDS, sock_connect=5)
        away_since: float | None = None
        while True:
            try:
                async with self.outbound.session.post(url, json=body, timeout=patience) as response:
                    text = await response.text()
                    status = response.status
            except TimeoutError:
                raise SteeringFailed(
                    f"the bot has worked on {body['now']} for {TICK_SECONDS:.0f} s"
                ) from None
            except (aiohttp.ClientError, OSError):
                status, text = None, ""
            self.waiting = status != 200
            if status == 200:
                return self._next_due(text)
            if self._stopping:
                return None
            if status is not None and status < 500:
                raise BotKeepsItsTime(f"POST {url} answered {status}; does the bot run with a steered clock?")
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > INSIST_FOR:
                said = f"answers {status}" if status else "is not reached"
                raise BotAway(f"POST {url} {said} for {INSIST_FOR:.0f} s")
            await asyncio.sleep(INSIST_EVERY)

    @staticmethod
    def _next_due(text: str) -> datetime | None:
        try:
            given = json.loads(text)["next_due"]
            return moment(given) if given is not None else None
        except (ValueError, KeyError, TypeError):
            raise SteeringFailed(
                f'POST /clock must answer {{"next_due": ISO or null}}, not {text[:100]!r}'
            ) from None
