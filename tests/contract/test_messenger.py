"""What every Messenger does: the one for Slack (against the sandbox, over HTTP), the console's, and the fake of the tests."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.delivery.console import ConsoleMessenger, readable
from bot.delivery.directory import SlackDirectory, dnd_window, slack_user
from bot.delivery.ids import DELIVERY_EVENT
from bot.delivery.slack import SlackConnection, SlackMessenger, connect
from bot.domain.errors import Permanent, Retryable, Uncertain
from bot.domain.messages import Button, Buttons, Heading, Message, Note, Paragraph, Quote, RecordLine, Records
from bot.domain.ports import DndWindow, Messenger, Outgoing, Receipt
from sandbox.clock import SteeredClock
from sandbox.faults import Fault
from sandbox.limits import Limits, Pace
from sandbox.state import ALL_SCOPES, Quiet, User
from tests.contract.sandbox.workspace import MORNING, TOKEN, Running, running
from tests.fakes import FakeClock, FakeMessenger

pytestmark = pytest.mark.anyio
ANN, GONE = "U1", "U2"
HOUR = timedelta(hours=1)


def said(text: str = "Two deals are past their date", **changes: Any) -> Message:
    parts = (
        Heading(text),
        Paragraph("A fresh date takes a minute."),
        Records((RecordLine("Northwind <renewal>", "was due 3 Nov", "https://crm.example/o/1"),)),
        Quote("I said <!channel>"),
        Note("as of 09:12"),
        Buttons((Button("tip:do", "Update"),), (Button("tip:why", "Why this?", "m1"),)),
    )
    return Message(**{"kind": "tip", "text": text, "parts": parts, "template": "tip.one", **changes})


@dataclass
class Stage:
    """A messenger with the world it writes to. ``shown``: the text that stands at a receipt, None if nothing does."""

    messenger: Messenger
    now: Callable[[], datetime]
    shown: Callable[[Receipt], str | None]


@asynccontextmanager
async def fake() -> AsyncIterator[Stage]:
    clock = FakeClock(MORNING)
    messenger = FakeMessenger(clock)

    def shown(receipt: Receipt) -> str | None:
        if receipt in messenger.deleted:
            return None
        stands = [*messenger.posted, *messenger.updated]
        return next((out.message.text for each, out in reversed(stands) if each == receipt), None)

    yield Stage(messenger, clock.now, shown)


@asynccontextmanager
async def console() -> AsyncIterator[Stage]:
    clock, written = FakeClock(MORNING), [""]
    messenger = ConsoleMessenger(written.append, clock)

    def shown(receipt: Receipt) -> str | None:
        last = written[-1]
        return None if "deleted in" in last else next(line.strip() for line in last.splitlines()[1:])

    yield Stage(messenger, clock.now, shown)


@asynccontextmanager
async def slack() -> AsyncIterator[Stage]:
    async with on_slack() as (one, _, messenger):
        channels = one.slack.workspace.channels

        def shown(receipt: Receipt) -> str | None:
            channel = channels.get(receipt.channel)
            found = channel.find(receipt.ts) if channel else None
            return found.text if found else None

        yield Stage(messenger, one.slack.clock.now, shown)


@asynccontextmanager
async def on_slack(
    limits: Limits | None = None, *, token: str = TOKEN, scopes: frozenset[str] = ALL_SCOPES
) -> AsyncIterator[tuple[Running, SlackConnection, SlackMessenger]]:
    async with (
        running(clock=SteeredClock(MORNING), limits=limits or Limits(on=False), scopes=scopes) as one,
        connect(token, api_url=f"{one.slack.url}/api/") as connection,
    ):
        yield one, connection, SlackMessenger(connection)


@pytest.fixture(params=[fake, console, slack], ids=["fake", "console", "slack"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    async with request.param() as made:
        yield made


# --- what all of them do -------------------------------------------------------------------------------------------


async def test_a_message_stands_where_the_receipt_says(stage: Stage) -> None:
    receipt = await stage.messenger.send(Outgoing("m1", ANN, said("One")))
    assert stage.shown(receipt) == "One"
    assert receipt.channel.startswith("D")
    assert float(receipt.ts) >= stage.now().timestamp()


async def test_two_messages_have_two_places(stage: Stage) -> None:
    one = await stage.messenger.send(Outgoing("m1", ANN, said("One")))
    two = await stage.messenger.send(Outgoing("m2", ANN, said("Two")))
    assert one != two
    assert one.channel == two.channel


async def test_a_delivery_is_found_by_its_id_by_user_and_by_channel(stage: Stage) -> None:
    since = stage.now() - HOUR
    receipt = await stage.messenger.send(Outgoing("m1", ANN, said("One")))
    await stage.messenger.send(Outgoing("m2", ANN, said("Two")))
    assert await stage.messenger.find("m1", ANN, since) == receipt
    assert await stage.messenger.find("m1", receipt.channel, since) == receipt
    assert await stage.messenger.find("m3", ANN, since) is None


async def test_what_was_never_sent_to_somebody_is_not_found(stage: Stage) -> None:
    assert await stage.messenger.find("m1", ANN, stage.now() - HOUR) is None


async def test_an_updated_message_says_the_new_words_and_is_still_found(stage: Stage) -> None:
    receipt = await stage.messenger.send(Outgoing("m1", ANN, said("One")))
    await stage.messenger.update(receipt, Outgoing("m1", ANN, said("Changed")))
    assert stage.shown(receipt) == "Changed"
    assert await stage.messenger.find("m1", ANN, stage.now() - HOUR) == receipt


async def test_a_deleted_message_is_gone(stage: Stage) -> None:
    receipt = await stage.messenger.send(Outgoing("m1", ANN, said("One")))
    await stage.messenger.delete(receipt)
    assert stage.shown(receipt) is None
    assert await stage.messenger.find("m1", ANN, stage.now() - HOUR) is None


async def test_a_message_that_is_not_there_cannot_be_updated(stage: Stage) -> None:
    with pytest.raises(Permanent) as refused:
        await stage.messenger.update(Receipt("DX", "1.000001"), Outgoing("m1", ANN, said()))
    assert refused.value.code in {"message_not_found", "channel_not_found"}


# --- Slack's own ---------------------------------------------------------------------------------------------------


async def test_what_slack_gets_is_plain_text_blocks_and_the_delivery_id_and_nothing_that_unfurls() -> None:
    async with on_slack() as (one, _, messenger):
        receipt = await messenger.send(Outgoing("m1", ANN, said("Two < three")))
        posted = one.slack.workspace.channels[receipt.channel].by_ts[receipt.ts]
    assert posted.text == "Two &lt; three"
    assert posted.metadata == {"event_type": DELIVERY_EVENT, "event_payload": {"id": "m1"}}
    assert posted.blocks is not None
    assert [block["type"] for block in posted.blocks] == [
        "section",
        "section",
        "rich_text",
        "rich_text",
        "context",
        "actions",
    ]
    assert all(block["block_id"].startswith("m1.") for block in posted.blocks)


async def test_a_reply_stands_in_its_thread_and_is_found_there() -> None:
    async with on_slack() as (one, _, messenger):
        parent = await messenger.send(Outgoing("m1", ANN, said()))
        reply = await messenger.send(Outgoing("m2", ANN, said("A reply"), thread=parent.ts))
        since = MORNING - HOUR
        assert one.slack.workspace.channels[reply.channel].by_ts[reply.ts].thread_ts == parent.ts
        assert await messenger.find("m2", ANN, since, thread=parent.ts) == reply
        assert await messenger.find("m2", ANN, since) is None


async def test_an_answer_lost_after_the_post_is_uncertain_posted_once_and_found() -> None:
    async with on_slack() as (one, _, messenger):
        one.slack.faults.plan(Fault("drop_after_commit", "chat.postMessage", count=1))
        with pytest.raises(Uncertain):
            await messenger.send(Outgoing("m1", ANN, said()))
        posted = one.slack.workspace.channels["D1"].messages
        assert len(posted) == 1, "the client posted it again by itself"
        found = await SlackMessenger(messenger._connection).find("m1", ANN, MORNING - HOUR)
        assert found == Receipt("D1", posted[0].ts)


@pytest.mark.parametrize("kind", ["reset_before_commit", "http_500", "unavailable"])
async def test_when_nobody_can_say_whether_it_was_posted_it_is_uncertain(kind: str) -> None:
    async with on_slack() as (one, _, messenger):
        one.slack.faults.plan(Fault(kind, "chat.postMessage", count=1))
        with pytest.raises(Uncertain):
            await messenger.send(Outgoing("m1", ANN, said()))
        assert await messenger.find("m1", ANN, MORNING - HOUR) is None
        await messenger.send(Outgoing("m1", ANN, said()))


async def test_a_rate_limit_is_retryable_after_the_seconds_that_slack_names() -> None:
    async with on_slack() as (one, _, messenger):
        one.slack.faults.plan(Fault("ratelimited", "chat.postMessage", count=1, seconds=17))
        with pytest.raises(Retryable) as pause:
            await messenger.send(Outgoing("m1", ANN, said()))
    assert (pause.value.code, pause.value.after, pause.value.scope) == (
        "ratelimited",
        timedelta(seconds=17),
        "workspace",
    )


async def test_too_many_messages_into_one_channel_are_told_to_wait() -> None:
    async with on_slack(Limits(Pace(channel_burst=1))) as (_, _, messenger):
        await messenger.send(Outgoing("m1", ANN, said()))
        with pytest.raises(Retryable):
            await messenger.send(Outgoing("m2", ANN, said()))


async def test_a_revoked_token_makes_everything_wait_and_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with on_slack() as (one, _, messenger):
        one.slack.faults.plan(Fault("token_revoked", "*", count=3))
        for number in range(3):
            with pytest.raises(Retryable) as no:
                await messenger.send(Outgoing(f"m{number}", ANN, said()))
            assert (no.value.code, no.value.scope) == ("token_revoked", "workspace")
        await messenger.send(Outgoing("m9", ANN, said()))
    ours = [record for record in caplog.records if record.name == "bot.delivery.faults"]
    assert [record.message for record in ours] == ["slack.waits", "slack.answers_again"]
    assert "FULLSTEAM_SLACK_BOT_TOKEN" in ours[0].__dict__["advice"]
    assert TOKEN not in caplog.text


async def test_a_foreign_token_makes_everything_wait() -> None:
    async with on_slack(token="xoxb-wrong") as (_, _, messenger):
        with pytest.raises(Retryable) as no:
            await messenger.send(Outgoing("m1", ANN, said()))
        assert no.value.code == "invalid_auth"


@pytest.mark.parametrize("address", ["U404", "C404", "U3"])
async def test_an_address_that_takes_no_messages_is_refused_for_good(address: str) -> None:
    async with on_slack() as (_, _, messenger):
        with pytest.raises(Permanent) as no:
            await messenger.send(Outgoing("m1", address, said()))
        assert no.value.code
        assert str(no.value)


async def test_when_slack_cannot_be_reached_nothing_was_sent_and_everything_waits() -> None:
    async with connect(TOKEN, api_url="http://127.0.0.1:9/api/") as connection:
        with pytest.raises(Retryable) as away:
            await SlackMessenger(connection).send(Outgoing("m1", ANN, said()))
    assert (away.value.code, away.value.scope) == ("unreachable", "workspace")


async def test_while_history_does_not_answer_nobody_concludes_anything() -> None:
    async with on_slack() as (one, _, messenger):
        await messenger.send(Outgoing("m1", ANN, said()))
        one.slack.faults.plan(Fault("unavailable", "conversations.history", count=5))
        with pytest.raises(Retryable):
            await messenger.find("m1", ANN, MORNING - HOUR)


async def test_without_the_scope_to_read_history_looking_is_refused_for_good() -> None:
    async with on_slack(scopes=ALL_SCOPES - {"im:history"}) as (_, _, messenger):
        await messenger.send(Outgoing("m1", ANN, said()))
        with pytest.raises(Permanent) as no:
            await messenger.find("m1", ANN, MORNING - HOUR)
        assert no.value.code == "missing_scope"


async def test_a_messages_tab_that_is_off_makes_everything_wait_for_whoever_can_turn_it_on() -> None:
    async with on_slack() as (one, _, messenger):
        one.slack.workspace.messages_tab_enabled = False
        with pytest.raises(Retryable) as no:
            await messenger.send(Outgoing("m1", ANN, said()))
        assert (no.value.code, no.value.scope) == ("messages_tab_disabled", "workspace")
        assert "App Home" in str(no.value)


async def test_a_message_is_found_behind_many_others() -> None:
    async with on_slack() as (_, _, messenger):
        first = await messenger.send(Outgoing("m0", ANN, said()))
        for number in range(1, 260):
            await messenger.send(Outgoing(f"m{number}", ANN, said()))
        assert await messenger.find("m0", ANN, MORNING - HOUR) == first
        assert await messenger.find("none", ANN, MORNING - HOUR) is None


async def test_deleting_twice_is_deleting_once() -> None:
    async with on_slack() as (_, _, messenger):
        receipt = await messenger.send(Outgoing("m1", ANN, said()))
        await messenger.delete(receipt)
        await messenger.delete(receipt)


async def test_an_answer_through_a_response_url_replaces_or_is_seen_by_one_person() -> None:
    async with on_slack() as (one, _, messenger):
        receipt = await messenger.send(Outgoing("m1", ANN, said("Before")))
        workspace = one.slack.workspace
        path = workspace.response_path_for(receipt.channel, ANN, message_ts=receipt.ts)
        await messenger.respond(one.slack.url + path, said("After"), replace=True)
        assert workspace.channels[receipt.channel].by_ts[receipt.ts].text == "After"
        await messenger.respond(one.slack.url + path, said("Psst"), replace=False)
        [private] = workspace.channels[receipt.channel].ephemeral.values()
        assert (private.text, private.ephemeral_for) == ("Psst", ANN)
        await messenger.respond(one.slack.url + path, None, replace=True)
        assert receipt.ts not in workspace.channels[receipt.channel].by_ts
        with pytest.raises(Permanent):
            await messenger.respond(f"{one.slack.url}/actions/T0/404/none", said(), replace=True)


# --- the directory -------------------------------------------------------------------------------------------------


async def test_the_directory_reads_every_page_and_knows_guests_bots_and_who_left() -> None:
    async with on_slack() as (one, connection, _):
        workspace = one.slack.workspace
        for number in range(450):
            workspace.add_user(
                User(f"UX{number:04d}", f"x{number}", f"X {number}", f"x{number}@firm.example")
            )
        workspace.add_user(User("UG1", "guest", "Guest", "guest@other.example", is_ultra_restricted=True))
        pages = [page async for page in SlackDirectory(connection.reading).users()]
        users = {user.id: user for page in pages for user in page}
    assert len(pages) == 3
    assert len(users) == len(workspace.users)
    assert (users["U2"].deleted, users["U3"].is_bot, users["UG1"].is_guest) == (True, True, True)
    ann = users["U1"]
    assert (ann.email, ann.zone, ann.is_bot, ann.is_guest) == (
        "Ann@firm.example",
        "Europe/Berlin",
        False,
        False,
    )


async def test_do_not_disturb_is_read_fifty_people_at_a_time() -> None:
    async with on_slack() as (one, connection, _):
        workspace = one.slack.workspace
        end = MORNING + HOUR
        for number in range(120):
            quiet = Quiet(MORNING - HOUR, end) if number == 7 else None
            workspace.add_user(User(f"UX{number:04d}", f"x{number}", f"X {number}", dnd=quiet))
        ids = [f"UX{number:04d}" for number in range(120)]
        windows = await SlackDirectory(connection.reading).dnd(ids)
    assert windows["UX0007"] == DndWindow(MORNING - HOUR, end)
    assert windows["UX0008"] == DndWindow()
    assert len(windows) == 120


async def test_a_directory_that_is_told_to_wait_says_so() -> None:
    async with on_slack() as (one, connection, _):
        one.slack.faults.plan(Fault("ratelimited", "dnd.teamInfo", count=1, seconds=9))
        with pytest.raises(Retryable) as pause:
            await SlackDirectory(connection.reading).dnd([ANN])
    assert (pause.value.code, pause.value.after) == ("ratelimited", timedelta(seconds=9))


def test_a_user_of_another_organisation_is_a_guest_and_a_status_without_end_has_none() -> None:
    user = slack_user({"id": "U9", "is_stranger": True, "profile": {"status_emoji": ":palm_tree:"}})
    assert (user.is_guest, user.away, user.away_until) == (True, True, None)
    assert dnd_window({"dnd_enabled": True, "next_dnd_start_ts": 1, "next_dnd_end_ts": 1}) == DndWindow()


# --- the console ---------------------------------------------------------------------------------------------------


def test_a_reader_sees_words_and_no_markup() -> None:
    text = readable(said("Deals &lt; 3"))
    assert text.splitlines() == [
        "Deals < 3",
        "A fresh date takes a minute.",
        "• Northwind <renewal> · was due 3 Nov",
        "> I said <!channel>",
        "(as of 09:12)",
        "[Update] (⋯ Why this?)",
    ]


@dataclass
class Written:
    lines: list[str] = field(default_factory=list)


async def test_the_console_says_when_to_whom_and_what() -> None:
    written = Written()
    messenger = ConsoleMessenger(written.lines.append, FakeClock(MORNING), names={"U1": "Ann"})
    await messenger.send(Outgoing("m1", "U1", said("One")))
    assert written.lines[0].startswith("--- Wed 2017-03-01 09:00 UTC to Ann\n    One\n")
