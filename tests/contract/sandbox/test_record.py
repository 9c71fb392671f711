"""The record of a sandbox: what stays in memory of it."""

from __future__ import annotations

from datetime import UTC, datetime

from sandbox.clock import SteeredClock
from sandbox.record import KEPT, Record


def test_the_newest_entries_stay_in_memory_and_keep_their_numbers() -> None:
    record = Record(SteeredClock(datetime(2026, 1, 12, tzinfo=UTC)))
    for number in range(2 * KEPT):
        record.add("said", number=number)
    assert record.last == record.counts["said"] == 2 * KEPT
    assert KEPT <= len(record.entries) <= KEPT + KEPT // 4
    assert [entry["seq"] for entry in record.since(2 * KEPT - 3)] == [2 * KEPT - 2, 2 * KEPT - 1, 2 * KEPT]
    assert len(record.since(-1)) == len(record.since(0)) == len(record.entries)
    assert record.since(2 * KEPT) == []
