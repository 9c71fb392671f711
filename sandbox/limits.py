"""Slack's rate limits, counted on the workspace clock.

Tiers: docs.slack.dev/apis/web-api/rate-limits. Tier 1 is 1+ calls a minute, tier 2 20+, tier 3 50+, tier 4 100+,
each per method, workspace and app. `chat.postMessage` has limits of its own: about one message a second in a
channel with short bursts, and "several hundred" a minute in the workspace. Slack gives no figure for the methods
it calls special; 600 a minute is what its Java SDK assumes.

Counted strictly: in no sixty seconds, wherever they begin, does a method take more calls than its tier says. All of them
may come at once, which lets an app read a list of some pages in one go, and the next then waits for the first to be a
minute old.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

TIER_1, TIER_2, TIER_3, TIER_4, SPECIAL = 1, 20, 50, 100, 600

PER_MINUTE = {
    "api.test": TIER_4,
    "apps.connections.open": TIER_3,
    "auth.test": SPECIAL,
    "blocks.validate": SPECIAL,
    "chat.delete": TIER_3,
    "chat.getPermalink": SPECIAL,
    "chat.postEphemeral": TIER_4,
    "chat.update": TIER_3,
    "conversations.history": TIER_3,
    "conversations.info": TIER_3,
    "conversations.list": TIER_2,
    "conversations.members": TIER_4,
    "conversations.open": TIER_3,
    "conversations.replies": TIER_3,
    "dnd.info": TIER_3,
    "dnd.teamInfo": TIER_2,
    "files.completeUploadExternal": TIER_4,
    "files.getUploadURLExternal": TIER_4,
    "files.info": TIER_4,
    "reactions.add": TIER_3,
    "reactions.get": TIER_3,
    "usergroups.list": TIER_2,
    "usergroups.users.list": TIER_2,
    "users.info": TIER_4,
    "users.list": TIER_2,
    "users.lookupByEmail": TIER_3,
    "views.open": TIER_4,
    "views.publish": TIER_4,
    "views.push": TIER_4,
    "views.update": TIER_4,
}


class Minute:
    """At most `most` calls in any sixty seconds."""

    __slots__ = ("_taken", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._taken: deque[float] = deque(maxlen=most)

    def wait(self, now: float) -> float:
        """Seconds until one more is allowed; 0.0 when it is allowed now. Takes nothing."""
        if len(self._taken) < self.most:
            return 0.0
        return max(0.0, self._taken[0] + 60.0 - now)

    def take(self, now: float) -> None:
        """Use one; call `wait` first."""
        self._taken.append(now)


class Bucket:
    """A token bucket: `burst` at once, refilled at `rate` a second."""

    __slots__ = ("_at", "_left", "burst", "rate")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self.burst = burst
        self.rate = rate
        self._left = burst
        self._at = now

    def wait(self, now: float) -> float:
        """Seconds until one more is allowed; 0.0 when it is allowed now. Takes nothing."""
        if now > self._at:
            self._left = min(self.burst, self._left + (now - self._at) * self.rate)
            self._at = now
        return 0.0 if self._left >= 1.0 - 1e-9 else (1.0 - self._left) / self.rate

    def take(self) -> None:
        """Use one; call `wait` first."""
        self._left -= 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast messages may come. Rates are messages a second, bursts are messages.

    A minute takes at most the burst and sixty times the rate: 64 messages in a channel, 400 in the workspace.
    """

    channel_rate: float = 1.0
    channel_burst: int = 4
    workspace_rate: float = 5.0
    workspace_burst: int = 100


class Limits:
    """Says yes, or how long to wait. With `on=False` it always says yes."""

    def __init__(self, pace: Pace | None = None, *, on: bool = True) -> None:
        self.on = on
        self.pace = pace or Pace()
        self._methods: dict[str, Minute] = {}
        self._channels: dict[str, Bucket] = {}
        self._workspace: Bucket | None = None

    def call(self, method: str, now: float) -> int:
        """Count one call of `method`. Returns 0, or the whole seconds for `Retry-After`."""
        per_minute = PER_MINUTE.get(method)
        if not self.on or per_minute is None:
            return 0
        minute = self._methods.get(method)
        if minute is None:
            minute = self._methods[method] = Minute(per_minute)
        wait = minute.wait(now)
        if wait:
            return math.ceil(wait)
        minute.take(now)
        return 0

    def message(self, channel: str, now: float) -> int:
        """Count one message into `channel`. Returns 0, or the whole seconds for `Retry-After`."""
        if not self.on:
            return 0
        pace = self.pace
        if self._workspace is None:
            self._workspace = Bucket(pace.workspace_burst, pace.workspace_rate, now)
        bucket = self._channels.get(channel)
        if bucket is None:
            bucket = self._channels[channel] = Bucket(pace.channel_burst, pace.channel_rate, now)
        wait = max(bucket.wait(now), self._workspace.wait(now))
        if wait:
            return math.ceil(wait)
        bucket.take()
        self._workspace.take()
        return 0
