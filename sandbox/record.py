"""The sandbox's own account of what happened: what arrived, what was sent out, what was acknowledged.

It is written by the sandbox alone, so that promises of the bot can be checked from outside.
One entry is one JSON object with `seq` (1, 2, 3 ...), `at` (workspace clock, ISO 8601) and `kind`:

posted, updated, deleted, ephemeral   a message, with `via` (the method, or response_url)
view                                  a modal or Home tab that the bot set
rejected                              a call that got an error: `method`, `error`
said, pressed, submitted, closed, commanded, shortcut, opened_home   what a person did
delivery                              one attempt to hand the bot something: `key`, `attempt`, `status`, `acked`
lost                                  an event that a fault swallowed, or the limit of events in an hour
socket                                a socket of the app: `what` is opened, closed, or why it was refused
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from sandbox.clock import Clock
from sandbox.shelf import Shelf

# Made once: json.dumps with options makes an encoder for every call.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def delivery_of(metadata: dict[str, Any] | None) -> str | None:
    """The name by which the app knows a message: `delivery_id`, else `id`, of its metadata's payload."""
    payload = (metadata or {}).get("event_payload") or {}
    given = payload.get("delivery_id", payload.get("id"))
    return str(given) if given is not None else None


KEPT = 20_000
"""Entries that are kept in memory: half a year of five hundred people would take hundreds of megabytes."""
PARCEL = 500
"""Entries that are put on the shelf together, once as many newer ones lie in front of them."""


class Record:
    """An append-only list, of which the newest `KEPT` stay in memory, mirrored line by line to a file when one is given."""

    def __init__(self, clock: Clock, path: Path | None = None) -> None:
        self._clock = clock
        self._fresh: list[dict[str, Any]] = []
        self._shelf = Shelf()
        self._shelved: deque[bytes] = deque(maxlen=KEPT // PARCEL)
        #: `seq` of the newest entry.
        self.last = 0
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.duplicates = 0
        #: Who looks at each entry as it is written.
        self.watchers: list[Callable[[dict[str, Any]], None]] = []
        self._delivery_ids: set[str] = set()
        self._file: TextIO | None = path.open("w", encoding="utf-8") if path else None

    def add(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Append one entry and return it."""
        self.last += 1
        entry = {"seq": self.last, "at": self._clock.now().isoformat(), "kind": kind, **fields}
        self._fresh.append(entry)
        if len(self._fresh) >= 2 * PARCEL:
            self._shelved.append(self._shelf.pack(self._fresh[:PARCEL]))
            del self._fresh[:PARCEL]
        self.counts[kind] += 1
        if kind == "rejected":
            self.errors[fields["error"]] += 1
        elif kind == "delivery" and fields["acked"]:
            self.counts["acked"] += 1
        elif kind in ("posted", "ephemeral"):
            self._look_for_a_double(fields.get("metadata"))
        if self._file:
            self._file.write(_encode(entry) + "\n")
            self._file.flush()
        for watch in self.watchers:
            watch(entry)
        return entry

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Every entry that is still in memory, in order."""
        return self.since(0)

    def since(self, seq: int) -> list[dict[str, Any]]:
        """The entries after `seq` that are still in memory."""
        wanted = self.last - max(0, seq)
        if wanted <= len(self._fresh):
            return self._fresh[len(self._fresh) - wanted :] if wanted > 0 else []
        parcels = min(len(self._shelved), -(-(wanted - len(self._fresh)) // PARCEL))
        found: list[dict[str, Any]] = []
        for place in range(len(self._shelved) - parcels, len(self._shelved)):
            found += self._shelf.unpack(self._shelved[place])
        found += self._fresh
        return found[max(0, len(found) - wanted) :]

    def _look_for_a_double(self, metadata: dict[str, Any] | None) -> None:
        delivery_id = delivery_of(metadata)
        if delivery_id is None:
            return
        if delivery_id in self._delivery_ids:
            self.duplicates += 1
        self._delivery_ids.add(delivery_id)

    def totals(self) -> dict[str, Any]:
        """Counts of the whole run; `rejected` is by error, `duplicates` counts delivery ids that came twice."""
        c = self.counts
        return {
            "messages": c["posted"] + c["ephemeral"] - c["deleted"],
            "posts": c["posted"],
            "ephemerals": c["ephemeral"],
            "updates": c["updated"],
            "deletes": c["deleted"],
            "views": c["view"],
            "clicks": c["pressed"],
            "replies": c["said"],
            "submissions": c["submitted"],
            "commands": c["commanded"],
            "deliveries": c["delivery"],
            "acks": c["acked"],
            "lost": c["lost"],
            "duplicates": self.duplicates,
            "rejected": dict(sorted(self.errors.items())),
        }

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file:
            self._file.close()
            self._file = None
