"""How fast Slack may be written to: a bucket for the workspace, one message a second for a channel.

Pure bookkeeping over the ``now`` that it is given; nobody sleeps here. Slack publishes "several hundred messages per
minute" for a workspace and one per second for a channel (docs.slack.dev/apis/web-api/rate-limits): 4 a second with a
burst of 60 is where we start, and every Retry-After teaches it better.
"""

from __future__ import annotations

from datetime import datetime, timedelta

WORKSPACE = "workspace"
_FORGET_AT = 10_000


class Bucket:
    """``rate``: messages a second in the long run. ``burst``: how many may go at once after a rest."""

    def __init__(
        self,
        *,
        rate: float = 4.0,
        burst: int = 60,
        channel_gap: timedelta = timedelta(seconds=1),
        recovery: timedelta = timedelta(minutes=10),
    ) -> None:
        self._full_rate = rate
        self._rate = rate
        self._floor = rate / 16
        self._burst = burst
        self._tokens = float(burst)
        self._channel_gap = channel_gap
        self._recovery = recovery
        self._at: datetime | None = None
        self._closed_until: datetime | None = None
        self._channels: dict[str, datetime] = {}

    @property
    def burst(self) -> int:
        """How many messages may go at once after a rest."""
        return self._burst

    @property
    def rate(self) -> float:
        """Messages a second that it believes in at the moment."""
        return self._rate

    def room(self, now: datetime) -> int:
        """How many messages the workspace takes at ``now``."""
        now = self._move(now)
        return 0 if self._closed(now) else int(self._tokens + 1e-9)

    def wait(self, now: datetime, channel: str) -> datetime | None:
        """Ask for one message: None takes its place in the bucket, a time says when to ask again."""
        now = self._move(now)
        if self._closed_until is not None and now < self._closed_until:
            return self._closed_until
        free = self._channels.get(channel)
        if free is not None and now < free:
            return free
        if self._tokens < 1 - 1e-9:
            return self._refilled(now)
        self._tokens -= 1
        if len(self._channels) >= _FORGET_AT:
            self._channels = {name: at for name, at in self._channels.items() if at > now}
        self._channels[channel] = now + self._channel_gap
        return None

    def free_at(self, now: datetime, messages: int = 1) -> datetime:
        """When the workspace takes so many messages (at most a full bucket) if nothing is sent until then."""
        now = self._move(now)
        start = max(now, self._closed_until) if self._closed_until else now
        return max(start, self._refilled(now, min(messages, self._burst)))

    def close(self, until: datetime) -> None:
        """Nothing goes before then. No lesson about the rate."""
        self._closed_until = max(until, self._closed_until or until)

    def slow_down(self, now: datetime, after: timedelta, scope: str = WORKSPACE) -> None:
        """Slack said Retry-After. For the workspace the rate is halved, too; it comes back within ``recovery``."""
        now = self._move(now)
        if scope and scope != WORKSPACE:
            self._channels[scope] = max(now + after, self._channels.get(scope, now))
            return
        if not self._closed(now):  # answers to what was in flight together teach one lesson, not sixteen
            self._rate = max(self._floor, self._rate / 2)
        self._tokens = 0.0
        self._closed_until = max(now + after, self._closed_until or now)

    def _closed(self, now: datetime) -> bool:
        return self._closed_until is not None and now < self._closed_until

    def _refilled(self, now: datetime, tokens: float = 1.0) -> datetime:
        """When there are so many tokens; rounded up to the microsecond, so that asking then succeeds."""
        missing = max(0.0, tokens - self._tokens)
        return now + timedelta(seconds=missing / self._rate) + timedelta(microseconds=1 if missing else 0)

    def _move(self, now: datetime) -> datetime:
        """Let time pass. A caller whose ``now`` is older than one seen already is treated as if it were that one."""
        if self._at is None:
            self._at = now
        if now <= self._at:
            return self._at
        # While Slack has the door closed nothing trickles in.
        opened = max(self._at, min(now, self._closed_until)) if self._closed_until else self._at
        passed = (now - opened).total_seconds()
        self._tokens = min(self._burst, self._tokens + passed * self._rate)
        gain = (self._full_rate - self._floor) * passed / self._recovery.total_seconds()
        self._rate = min(self._full_rate, self._rate + gain)
        self._at = now
        return now
