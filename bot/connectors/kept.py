"""What was read a moment ago and is still good, so that it is not asked for again: by the server's clock, never on disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Generic, TypeVar

ROSTER_LIFE = timedelta(minutes=10)
"""Who is in the CRM: asked for by one poll after the other."""
RECORDS_LIFE = timedelta(seconds=1)
"""Open records: they are to be as they are now."""
SPANS_LIFE = timedelta(hours=12)
"""What was too much for the server: longer than it takes until days that failed are read again."""
_Value = TypeVar("_Value")


class Kept(Generic[_Value]):
    """One value, good for a while. ``now``: the time by the server's clock; ``life``: for how long.

    Our idea of the server's clock is corrected now and then: a value may seem to be of a moment that is still to come, and
    is good then too.
    """

    def __init__(self, now: Callable[[], datetime], life: timedelta) -> None:
        self._now = now
        self._life = life
        self._at: datetime | None = None
        self._key: Hashable = None
        self.last: _Value | None = None
        """What was kept last, however old it is; None: nothing was."""

    def is_good(self, key: Hashable = None) -> bool:
        """Whether what was kept last is for this key, and still good."""
        return self._at is not None and self._key == key and abs(self._now() - self._at) <= self._life

    def get(self, key: Hashable = None) -> _Value | None:
        """What was kept for this key, while it is good."""
        return self.last if self.is_good(key) else None

    def keep(self, value: _Value, key: Hashable = None) -> _Value:
        """Keep this from now on, in place of what was kept; gives it back."""
        self._at, self._key, self.last = self._now(), key, value
        return value

    def forget(self) -> None:
        """What was kept is of no use any more."""
        self._at = self.last = None


class KeptSpans:
    """How many days each question was too much for the server with, so that nobody waits for that again for a while."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._kept: dict[Hashable, Kept[int]] = {}

    def most(self, question: Hashable) -> int | None:
        """The days to ask for at once; None: nothing is known against any number of them."""
        known = self._kept.get(question)
        return None if known is None else known.get()

    def too_much(self, question: Hashable, days: int) -> None:
        """So many days took too long: half of them is asked for from now on."""
        half, known = (days + 1) // 2, self.most(question)
        if known is None or half < known:
            self._kept.setdefault(question, Kept(self._now, SPANS_LIFE)).keep(half)


class KeptOfOwners(Generic[_Value]):
    """Open records by owner, good for a second.

    Whoever plans a batch asks for one metric after the other, and whoever sends it asks again at once: the same people.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._kept: Kept[dict[str, Sequence[_Value]]] = Kept(now, RECORDS_LIFE)

    async def of(
        self,
        owners: Sequence[str],
        read: Callable[[Sequence[str]], Awaitable[Mapping[str, Sequence[_Value]]]],
    ) -> Mapping[str, Sequence[_Value]]:
        """The records of each of these owners. ``read``: reads those of whom they are not known; who has none may be left out."""
        known = self._kept.get()
        if known is None:
            known = self._kept.keep({})
        missing = [owner for owner in owners if owner not in known]
        if missing:
            found = await read(missing)
            known.update({owner: found.get(owner, ()) for owner in missing})
        return {owner: known[owner] for owner in owners}

    def forget(self) -> None:
        """They are read again."""
        self._kept.forget()
