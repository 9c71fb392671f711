"""Socket Mode: tickets, hello, envelopes to one socket each, acknowledgements, refreshes, sockets that are cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from sandbox.admin import deliver_due
from tests.contract.sandbox.test_web_api import MODAL
from tests.contract.sandbox.workspace import Running, buttons, running

pytestmark = pytest.mark.anyio


@pytest.fixture
async def here() -> AsyncIterator[Running]:
    async with running() as it:
        it.slack.sockets.on = True
        it.outbound.ack_seconds = 0.4
        yield it


async def address(here: Running) -> str:
    answer = await here.call("apps.connections.open", token="xapp-test")
    assert answer["ok"], answer
    return str(answer["url"])


class Client:
    """An app on one socket; it acknowledges what it hears unless told not to."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, *, acks: bool = True) -> None:
        self.socket = socket
        self.acks = acks
        self.heard: list[dict[str, Any]] = []
        self.answer: Any = None
        self.ended = asyncio.Event()

    @property
    def envelopes(self) -> list[dict[str, Any]]:
        return [each for each in self.heard if "envelope_id" in each]

    async def listen(self) -> None:
        async for frame in self.socket:
            said = json.loads(frame.data)
            self.heard.append(said)
            if self.acks and "envelope_id" in said:
                ack = {"envelope_id": said["envelope_id"]}
                await self.socket.send_json(ack | ({"payload": self.answer} if self.answer else {}))
        self.ended.set()

    async def hears(self, number: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(5):
            while len(self.heard) < number:  # noqa: ASYNC110 # the wire decides when
                await asyncio.sleep(0.005)
        return self.heard


@asynccontextmanager
async def connected(here: Running, *, acks: bool = True, more: str = "") -> AsyncIterator[Client]:
    async with here.session.ws_connect(await address(here) + more) as socket:
        client = Client(socket, acks=acks)
        listening = asyncio.create_task(client.listen())
        await client.hears(1)
        yield client
        listening.cancel()


async def test_only_an_app_level_token_opens_a_socket(here: Running) -> None:
    assert (await here.call("apps.connections.open"))["error"] == "not_allowed_token_type"
    assert (await here.call("apps.connections.open", token=None))["error"] == "not_authed"
    assert (await address(here)).startswith(here.slack.url.replace("http", "ws") + "/link/?ticket=")


async def test_a_ticket_opens_one_socket_and_a_wrong_one_none(here: Running) -> None:
    url = await address(here)
    async with here.session.ws_connect(url) as socket:
        assert (await socket.receive_json())["type"] == "hello"
        root = here.slack.url.replace("http", "ws")
        for again in (url, f"{root}/link/?ticket=guess", f"{root}/link/", f"{root}/elsewhere"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await here.session.ws_connect(again)
            assert refused.value.status in (403, 404)
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await here.session.ws_connect(await address(here), headers={"Host": "evil.example"})
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        await here.session.ws_connect(await address(here), origin="https://evil.example")


async def test_hello_counts_the_connections_and_says_how_long_they_last(here: Running) -> None:
    async with connected(here) as first, connected(here, more="&debug_reconnects=true") as second:
        (one,), (two,) = first.heard, second.heard
    assert (one["num_connections"], two["num_connections"]) == (1, 2)
    assert one["connection_info"] == {"app_id": here.slack.workspace.app_id}
    lives = [each["debug_info"]["approximate_connection_time"] for each in (one, two)]
    assert lives == [18_060, 360]


async def test_each_kind_of_delivery_has_its_envelope(here: Running) -> None:
    async with connected(here) as app:
        post = await here.call("chat.postMessage", channel="U1", text="Hi", blocks=buttons("go"))
        await here.do("say", user="U1", text="Hello")
        await here.do("press", user="U1", message_ts=post["ts"], action_id="go")
        app.answer = {"text": "Here is help"}
        told = await here.do("command", user="U1", command="/fullsteam", text="help")
        await here.call("views.open", trigger_id=here.slack.workspace.trigger_for("U1"), view=MODAL)
        app.answer = {"response_action": "errors", "errors": {"words": "More"}}
        refused = await here.do("submit", user="U1", inputs={"text": "x"})
    said, pressed, commanded, submitted = app.envelopes
    assert len({each["envelope_id"] for each in app.envelopes}) == 4
    assert (said["type"], said["accepts_response_payload"]) == ("events_api", False)
    assert (said["retry_attempt"], said["retry_reason"]) == (0, "")
    assert (said["payload"]["type"], said["payload"]["event"]["text"]) == ("event_callback", "Hello")
    assert (pressed["type"], pressed["accepts_response_payload"]) == ("interactive", False)
    assert (pressed["payload"]["type"], "retry_attempt" in pressed) == ("block_actions", False)
    assert (commanded["type"], commanded["accepts_response_payload"]) == ("slash_commands", True)
    assert commanded["payload"]["command"] == "/fullsteam"
    assert (submitted["payload"]["type"], submitted["accepts_response_payload"]) == ("view_submission", True)
    assert [each["text"] for each in told["follow_ups"]] == ["Here is help"]
    assert json.loads(refused["body"])["errors"] == {"words": "More"}


async def test_each_envelope_goes_to_one_socket_and_all_get_some(here: Running) -> None:
    async with connected(here) as one, connected(here) as two, connected(here) as three:
        for number in range(9):
            assert (await here.do("say", user="U1", text=str(number)))["acked"]
        counts = [len(app.envelopes) for app in (one, two, three)]
        texts = [each["payload"]["event"]["text"] for app in (one, two, three) for each in app.envelopes]
    assert counts == [3, 3, 3]
    assert sorted(texts) == [str(number) for number in range(9)]


async def test_what_is_not_acknowledged_comes_again_on_another_socket(here: Running) -> None:
    async with connected(here, acks=False) as deaf, connected(here) as app:
        answer = await here.do("say", user="U1", text="Hello")
        assert (answer["acked"], answer["reason"]) == (False, "timeout")
        await deliver_due(here.slack)
    (first,), (again,) = deaf.envelopes, app.envelopes
    assert again["payload"]["event_id"] == first["payload"]["event_id"]
    assert (again["retry_attempt"], again["retry_reason"]) == (1, "timeout")
    assert here.slack.record.counts["acked"] == 1


async def test_without_a_socket_nothing_goes_anywhere_and_it_comes_when_there_is_one(here: Running) -> None:
    answer = await here.do("say", user="U1", text="Hello")
    assert (answer["acked"], answer["reason"]) == (False, "connection_failed")
    async with connected(here) as app:
        await deliver_due(here.slack)
        (envelope,) = app.envelopes
    assert (envelope["retry_attempt"], envelope["retry_reason"]) == (1, "connection_failed")


async def test_a_driven_sandbox_insists_until_a_socket_takes_it() -> None:
    async with running(insist=True) as here:
        here.slack.sockets.on = True
        here.outbound.ack_seconds = 0.2
        await here.do("faults", kind="socket_killed", where="message", count=1, seconds=2)
        said = asyncio.create_task(here.do("say", user="U1", text="Hello"))
        async with connected(here) as first:
            await asyncio.wait_for(first.ended.wait(), 5)
        async with connected(here) as second:
            assert (await said)["acked"]
    (lost,), (again,) = first.envelopes, second.envelopes
    assert again["payload"]["event_id"] == lost["payload"]["event_id"]
    assert again["retry_attempt"] == 1


async def test_a_click_waits_for_the_socket_that_is_being_opened(here: Running) -> None:
    here.outbound.ack_seconds = 3.0
    post = await here.call("chat.postMessage", channel="U1", text="Hi", blocks=buttons("go"))
    press = asyncio.create_task(here.do("press", user="U1", message_ts=post["ts"], action_id="go"))
    async with connected(here) as app:
        assert (await press)["acked"]
        assert len(app.envelopes) == 1


async def test_a_refresh_is_asked_for_and_nothing_more_is_sent_there(here: Running) -> None:
    async with connected(here) as old, connected(here) as new:
        old_link = here.slack.sockets.links[0]
        await old_link.disconnect("refresh_requested")
        for number in range(4):
            assert (await here.do("say", user="U1", text=str(number)))["acked"]
        await old.hears(2)
        assert [each["type"] for each in old.heard] == ["hello", "disconnect"]
        assert old.heard[1]["reason"] == "refresh_requested"
        assert len(new.envelopes) == 4


async def test_a_warning_still_lets_envelopes_through(here: Running) -> None:
    async with connected(here) as app:
        await here.do("sockets", disconnect="warning")
        assert (await app.hears(2))[1]["reason"] == "warning"
        assert (await here.do("say", user="U1", text="Hello"))["acked"]


async def test_switching_socket_mode_off_ends_every_socket(here: Running) -> None:
    async with connected(here) as one, connected(here) as two:
        await here.do("sockets", on=False)
        async with asyncio.timeout(5):
            await asyncio.gather(one.ended.wait(), two.ended.wait())
        assert {one.heard[1]["reason"], two.heard[1]["reason"]} == {"link_disabled"}
    async with connected(here) as late:
        await late.ended.wait()
        assert [each.get("reason") for each in late.heard] == ["link_disabled"]
    assert here.slack.sockets.links == []


async def test_the_eleventh_socket_is_turned_away(here: Running) -> None:
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(await address(here)) for _ in range(10)]
        for number, socket in enumerate(sockets, start=1):
            assert (await socket.receive_json())["num_connections"] == number
        eleventh = await session.ws_connect(await address(here))
        said = await eleventh.receive_json()
        assert (said["type"], said["reason"]) == ("disconnect", "too_many_websockets")
        assert (await eleventh.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert len(here.slack.sockets.links) == 10


@pytest.mark.parametrize(("seconds", "acks"), [(0, True), (2, True), (0.05, False)])
async def test_a_socket_cut_before_the_acknowledgement_counts_means_the_event_comes_again(
    here: Running, seconds: float, acks: bool
) -> None:
    await here.do("faults", kind="socket_killed", where="message", count=1, seconds=seconds)
    async with connected(here, acks=acks) as app:
        answer = await here.do("say", user="U1", text="Hello")
        assert (answer["acked"], answer["reason"]) == (False, "connection_failed")
        await asyncio.wait_for(app.ended.wait(), 5)
    async with connected(here) as next_app:
        await deliver_due(here.slack)
        (again,) = next_app.envelopes
    assert again["retry_attempt"] == 1
    assert [each["payload"]["event_id"] for each in app.envelopes] in ([], [again["payload"]["event_id"]])


async def test_a_socket_cut_after_the_acknowledgement_does_not_bring_it_again(here: Running) -> None:
    await here.do("faults", kind="socket_killed_after_ack", where="*", count=1)
    async with connected(here) as app:
        assert (await here.do("say", user="U1", text="Hello"))["acked"]
        await asyncio.wait_for(app.ended.wait(), 5)
    async with connected(here) as next_app:
        await deliver_due(here.slack)
        assert next_app.envelopes == []


async def test_a_socket_that_the_app_closes_loses_what_was_pending(here: Running) -> None:
    here.outbound.ack_seconds = 5
    async with connected(here, acks=False) as app:
        said = asyncio.create_task(here.do("say", user="U1", text="Hello"))
        await app.hears(2)
        await app.socket.close()
        assert (await said)["reason"] == "connection_failed"


async def test_pings_are_answered(here: Running) -> None:
    async with here.session.ws_connect(await address(here), autoping=False) as socket:
        await socket.receive_json()
        await socket.ping(b"sdk-ping-pong:1")
        pong = await socket.receive(timeout=5)
        assert (pong.type, pong.data) == (aiohttp.WSMsgType.PONG, b"sdk-ping-pong:1")


GARBAGE: list[str | bytes] = [
    "",
    "{",
    "[" * 50_000,
    "null",
    "[]",
    '{"envelope_id": 3}',
    '{"envelope_id": {"a": []}}',
    '{"envelope_id": "unknown"}',
    b"\x00\xff\xfe",
    "x" * 100_000,
]


async def test_garbage_on_a_socket_has_no_effect(here: Running, caplog: pytest.LogCaptureFixture) -> None:
    async with connected(here) as app:
        for frame in GARBAGE:
            await (app.socket.send_str(frame) if isinstance(frame, str) else app.socket.send_bytes(frame))
        assert (await here.do("say", user="U1", text="Hello"))["acked"]
        heard = [e["what"] for e in here.slack.record.entries if e["kind"] == "socket"]
        assert heard.count("not understood") == len(GARBAGE)
    async with connected(here) as app:
        await app.socket.send_str("x" * 1_100_000)
        await asyncio.wait_for(app.ended.wait(), 5)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_raw_bytes_where_frames_belong_end_the_socket_without_a_traceback(
    here: Running, caplog: pytest.LogCaptureFixture
) -> None:
    for raw in (b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", b"\x81\x7f" + b"\xff" * 8, b"\xc1\x80abcd"):
        async with here.session.ws_connect(await address(here)) as socket:
            await socket.receive_json()
            transport = socket._writer.transport
            assert transport is not None
            transport.write(raw)
            async with asyncio.timeout(5):
                while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
