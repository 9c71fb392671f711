"""The record of a sandbox: what stays in memory of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sandbox.clock import SteeredClock
from sandbox.record import KEPT, PARCEL, Record
from sandbox.shelf import Shelf
from sandbox.state import AT_HAND, Message, User, Workspace


def test_the_newest_entries_stay_in_memory_and_keep_their_numbers() -> None:
    record = Record(SteeredClock(datetime(2026, 1, 12, tzinfo=UTC)))
    for number in range(2 * KEPT):
        record.add("said", number=number)
    assert record.last == record.counts["said"] == 2 * KEPT
    assert KEPT <= len(record.entries) <= KEPT + KEPT // 4
    assert [entry["seq"] for entry in record.since(2 * KEPT - 3)] == [2 * KEPT - 2, 2 * KEPT - 1, 2 * KEPT]
    assert len(record.since(-1)) == len(record.since(0)) == len(record.entries)
    assert record.since(2 * KEPT) == []


def test_an_entry_that_lies_on_the_shelf_is_given_back_as_it_was() -> None:
    record = Record(SteeredClock(datetime(2026, 1, 12, tzinfo=UTC)))
    given = [
        record.add("posted", text=f"Grüße {number}", blocks=[{"type": "divider", "n": number}], metadata=None)
        for number in range(4 * PARCEL)
    ]
    assert record.entries == given
    for seq in (0, 1, PARCEL - 1, PARCEL, 3 * PARCEL - 1, 3 * PARCEL, 4 * PARCEL - 1, 4 * PARCEL):
        assert record.since(seq) == given[seq:], seq


def test_an_old_message_has_its_content_still_and_takes_another() -> None:
    workspace = Workspace(SteeredClock(datetime(2026, 1, 12, tzinfo=UTC)))
    channel = workspace.open_dm(User("U1", "ada", "Ada"))[0]
    messages = [
        Message(
            ts=workspace.next_ts(),
            channel=channel.id,
            user=workspace.bot_user_id,
            text=f"No. {number}",
            bot=True,
            blocks=_blocks(number),
            metadata={"event_type": "told", "event_payload": {"id": number}},
        )
        for number in range(3 * AT_HAND)
    ]
    for message in messages:
        workspace.keep(message)
    old = messages[0]
    assert not isinstance(old.lying, list)
    assert isinstance(messages[-1].lying, list)
    assert [message.blocks for message in messages] == [_blocks(number) for number in range(3 * AT_HAND)]
    assert all(message.attachments is None for message in messages)
    old.blocks = _blocks(-1)
    assert old.blocks == _blocks(-1)
    assert old.metadata == {"event_type": "told", "event_payload": {"id": 0}}
    workspace.show("updated", old)
    for message in messages[1 : AT_HAND + 2]:
        workspace.show("updated", message)
    assert not isinstance(old.lying, list)
    assert workspace.message_object(old)["blocks"] == _blocks(-1)


def _blocks(number: int) -> list[dict[str, Any]]:
    words = {"type": "mrkdwn", "text": f"Deal {number}: \ud83d {'é' * (number % 7)}"}
    return [{"type": "section", "block_id": f"b{number}", "text": words, "n": [1.5, None, True]}]


def test_what_is_alike_takes_little_room_on_the_shelf() -> None:
    shelf = Shelf()
    things = [_blocks(number) * 20 for number in range(200)]
    packed = [shelf.pack(thing) for thing in things]
    assert [shelf.unpack(each) for each in packed] == things
    assert len(packed[-1]) < len(str(things[-1])) / 10
