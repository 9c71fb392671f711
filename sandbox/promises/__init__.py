"""The bot's promises, checked from outside while it runs: on what arrived when, by the workspace's own account.

The bot's word is taken for two of them, at the end: `no_reason` reads the reasons of all its decisions and of the messages
that it let go, and `never_arrived` compares what it calls sent with what came (sandbox.promises.asking).

`Promises` watches the record as it is written, in one pass, and reports for each promise how many cases it examined and
how many were broken. What cannot be seen from here is listed in NOT_CHECKED with the reason.
"""

from __future__ import annotations

from sandbox.promises.asking import ask_the_bot
from sandbox.promises.surroundings import Surroundings
from sandbox.promises.watch import NOT_CHECKED, PROMISES, Promises

__all__ = ["NOT_CHECKED", "PROMISES", "Promises", "Surroundings", "ask_the_bot"]
