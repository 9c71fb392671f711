"""Moving time for whoever looks at the page: one journey at a time, in the background, which can be stopped."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox.clock import LAST_YEAR, SteeredClock
from sandbox.events import BotAway, Outbound
from sandbox.slack import Slack
from sandbox.steering import BotKeepsItsTime, Steering, SteeringFailed

Json = dict[str, Any]
#: What "run" does: so much time of the workspace in a real second.
PACE = timedelta(hours=1)
FURTHEST = timedelta(days=366)
#: While somebody talks to the app, time passes as far as it needs to answer: it may have to wait for its turn to write.
PATIENCE = timedelta(seconds=30)


class NoJourney(Exception):
    """Time cannot be moved now, with the reason for a person."""


@dataclass(frozen=True, slots=True)
class Journey:
    """Time on its way from `begins` to `target`; without a target until somebody stops it."""

    begins: datetime
    target: datetime | None


class Pilot:
    """Who moves the clock. Where somebody drives already, `steering` is theirs and goes on with its people."""

    def __init__(self, slack: Slack, outbound: Outbound) -> None:
        self.slack = slack
        self.steering = Steering(slack, outbound) if isinstance(slack.clock, SteeredClock) else None
        self.journey: Journey | None = None
        self.trouble = ""
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._settling = False

    def state(self) -> Json:
        """What the page shows of it."""
        journey = self.journey
        return {
            "now": self.slack.clock.now().isoformat(),
            "steered": self.steering is not None,
            "driven": self.journey is not None or self._driven_elsewhere(),
            "waiting": self.steering is not None and self.steering.waiting and journey is not None,
            "trouble": self.trouble,
            "journey": journey
            and {
                "from": journey.begins.isoformat(),
                "to": journey.target.isoformat() if journey.target else None,
                "stopping": self._stopping.is_set(),
            },
        }

    def start(self, target: datetime | None) -> None:
        """Set out for `target`; None runs an hour a second until stopped. Raises NoJourney."""
        begins = self._ready(target)
        self._set_out(begins, target)
        self._task = asyncio.create_task(self._travel())

    async def drive(self, target: datetime) -> None:
        """Take the bot along to `target`, and come back when it is reached. Raises NoJourney, BotAway, SteeringFailed."""
        begins = self._ready(target)
        assert self.steering is not None
        self._set_out(begins, target)
        try:
            await self.steering.run(target)
        finally:
            self.journey = None

    def stop(self) -> None:
        """End the journey after the instant that it is at."""
        if self.journey is not None and self.steering is not None:
            self._stopping.set()
            self.steering.stop()

    async def settle(self) -> None:
        """After an act under steered time: let the bot do at once what became due. A bot on its own clock does so anyway."""
        if self.steering is None or self.slack.driven:
            return
        self._settling = True
        try:
            await self.steering.settle(PATIENCE)
        except BotKeepsItsTime:
            return
        except (BotAway, SteeringFailed) as exc:
            self.trouble = str(exc)
        finally:
            self._settling = False

    async def close(self) -> None:
        """End whatever is under way, at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _driven_elsewhere(self) -> bool:
        return bool(self.slack.driven) and not self._settling and self.journey is None

    def check(self, target: datetime) -> None:
        """Raises NoJourney for an instant that time does not go to in one go."""
        now = self.slack.clock.now()
        if target < now:
            raise NoJourney("time does not run backwards")
        if target - now > FURTHEST or target.year > LAST_YEAR:
            raise NoJourney(f"a year at once is the most, and {LAST_YEAR} the last")

    def _ready(self, target: datetime | None) -> datetime:
        if self.steering is None:
            raise NoJourney(
                "this workspace runs on real time; start the sandbox with a steered clock to move it"
            )
        if self.journey is not None or self._driven_elsewhere():
            raise NoJourney("time is on its way already; stop it first")
        if target is not None:
            self.check(target)
        return self.slack.clock.now()

    def _set_out(self, begins: datetime, target: datetime | None) -> None:
        self.trouble = ""
        self._stopping.clear()
        self.journey = Journey(begins, target)

    async def _travel(self) -> None:
        assert self.journey is not None
        try:
            if self.journey.target is not None:
                await self._step(self.journey.target)
                return
            while not self._stopping.is_set():
                started = time.monotonic()
                await self._step(self.slack.clock.now() + PACE)
                rest = max(0.0, 1.0 - (time.monotonic() - started))
                try:
                    await asyncio.wait_for(self._stopping.wait(), rest)
                except TimeoutError:
                    continue
        except (BotAway, SteeringFailed) as exc:
            self.trouble = str(exc)
        finally:
            self.journey = None

    async def _step(self, target: datetime) -> None:
        assert self.steering is not None
        try:
            await self.steering.run(target)
        except BotKeepsItsTime:
            # The workspace's own clock can be moved all the same: limits, quiet hours and dates follow it.
            self.steering.clock.move_to(max(target, self.slack.clock.now()))
            await self.steering.deliver_due()
            self.trouble = "The app runs on its own clock: only the workspace's time moved."
