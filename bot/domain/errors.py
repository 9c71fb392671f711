"""Errors by consequence: what the caller has to do, not where they came from.

FullsteamError
+-- Retryable            try again, not before ``after``
|   +-- Throttled        a budget is used up: nothing more is asked until then
+-- Permanent            will fail however often; say so and stop
+-- Skippable            this one item is bad; name it, count it, go on with the next
+-- Uncertain            a message may or may not have been posted; reconcile, never re-post blindly
+-- ConfigurationError   settings, programme file or content are wrong; all faults at once
+-- Refused              a person may not do this, or the words are not valid; the text is for them
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta


class FullsteamError(Exception):
    """Root of every error that this product raises on purpose."""


class Retryable(FullsteamError):
    """It may work later. ``after``: how long to wait at least (None: the caller's own back-off).

    ``code``: a short stable word for logs and counts. ``scope``: what has to wait: ``workspace`` or a channel id.
    """

    def __init__(
        self, message: str, *, code: str = "retry", after: timedelta | None = None, scope: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.after = after
        self.scope = scope


class Throttled(Retryable):
    """A budget is used up: everything stops, not only this request."""


class Permanent(FullsteamError):
    """It will fail however often it is tried. ``code``: a short stable word for logs and counts."""

    def __init__(self, message: str, *, code: str = "permanent") -> None:
        super().__init__(message)
        self.code = code


class Skippable(FullsteamError):
    """One item is bad; the rest goes on."""


class Uncertain(FullsteamError):
    """The other side may have done it. ``code`` as in Permanent."""

    def __init__(self, message: str, *, code: str = "uncertain") -> None:
        super().__init__(message)
        self.code = code


class ConfigurationError(FullsteamError):
    """Everything that is wrong with a configuration, at once. Each fault says what to set."""

    def __init__(self, faults: Sequence[str], *, title: str = "The configuration is not complete") -> None:
        self.faults = tuple(faults)
        self.title = title
        super().__init__(title + ":\n" + "\n".join(f"  - {fault}" for fault in self.faults))


class Refused(FullsteamError):
    """What was asked is not allowed or not valid. The message is written for the person who asked."""
