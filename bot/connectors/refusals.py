"""What a CRM may answer instead of rows, in words that every connector shares, and what each means for a metric."""

from __future__ import annotations

from bot.domain.errors import Permanent, Retryable, Throttled
from bot.domain.usage import CoverageStatus


class Denied(Permanent):
    """We may not read an object or a field. The message says what an admin has to grant; "": the asker knows."""


class FieldHidden(Denied):
    """A field that is not there for us: hidden by rights, or not in this CRM. ``field``, ``entity``: as we named them."""

    def __init__(self, field: str, entity: str, advice: str = "") -> None:
        super().__init__(
            advice
            or f"{entity}.{field} is hidden from the integration user: give it read access to the field",
            code="field-hidden",
        )
        self.field = field
        self.entity = entity


class NotOffered(Permanent):
    """This CRM, this version of it, or this installation does not say such a thing at all."""


class TooSlow(Retryable):
    """Too much at once for the server: the same for a shorter span may work. It is not an answer, and never "no rows"."""


def status_of(error: Retryable | Permanent) -> CoverageStatus:
    """What may be read of a metric whose query failed like this: nothing, and why."""
    if isinstance(error, Denied):
        return CoverageStatus.DENIED
    if isinstance(error, NotOffered):
        return CoverageStatus.UNSUPPORTED
    if isinstance(error, Throttled):
        return CoverageStatus.THROTTLED
    return CoverageStatus.ERROR
