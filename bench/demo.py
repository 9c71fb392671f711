"""The demo: a company of 500 for half a year through the real bot, in people-weeks a second.

Reference: the same company for the same weeks without a bot, and how much of the time each of the two processes worked.
``DEMO_PEOPLE`` and ``DEMO_WEEKS`` in the environment make it smaller.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from bench.living import live
from bench.report import Figure, apart
from bot.demo import Demo, run_demo

PEOPLE, WEEKS = int(os.environ.get("DEMO_PEOPLE", "500")), int(os.environ.get("DEMO_WEEKS", "26"))


def measure(_kind: str) -> Iterator[Figure]:
    """On SQLite, as ``fullsteam demo`` does it."""
    alone = apart(live)
    ran = apart(run)
    memory = ran["memory_mib"]
    broken = sum(each["broken"] for each in ran["broken_promises"].values())
    examined = sum(each["examined"] for each in ran["broken_promises"].values())
    yield Figure(
        f"demo of {PEOPLE:,} people, {WEEKS} weeks",
        f"{PEOPLE * WEEKS / ran['seconds']:,.0f} people-weeks/s ({ran['seconds']:.1f} s)",
        (
            (
                f"{ran['decisions']:,} decisions, {ran['sandbox']['posts']:,} messages, {ran['replies']:,} replies, "
                f"{ran['sandbox']['ticks']:,} instants; {broken} promises broken in {examined:,} cases"
            ),
            (
                f"the bot worked {ran['cpu']:.1f} s, the sandbox {ran['sandbox']['cpu_seconds']:.1f} s; "
                f"memory {memory['bot']} and {memory['sandbox']} MiB"
            ),
            f"a company of 500 for 26 weeks without a bot: {alone['seconds']:.1f} s",
        ),
    )


def run() -> dict[str, Any]:
    """One demo, with the CPU seconds of this process."""
    began = time.process_time()
    report = run_demo(Demo(people=PEOPLE, weeks=WEEKS), tell=lambda *_: None, finished=lambda *_: None)
    return {**report, "cpu": time.process_time() - began}
