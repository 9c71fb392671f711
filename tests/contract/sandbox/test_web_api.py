"""The Web API, as strict as Slack: tokens, scopes, limits, triggers, pages, faults, bad input."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.clock import SteeredClock
from sandbox.limits import Limits, Pace
from sandbox.web_api import MAX_BODY
from tests.contract.sandbox.workspace import MORNING, TOKEN, Running, buttons, running

pytestmark = pytest.mark.anyio


MODAL = {
    "type": "modal",
    "callback_id": "ask",
    "title": {"type": "plain_text", "text": "Tell us"},
    "submit": {"type": "plain_text", "text": "Send"},
    "blocks": [
        {
            "type": "input",
            "block_id": "words",
            "label": {"type": "plain_text", "text": "In your words"},
            "element": {"type": "plain_text_input", "action_id": "text"},
        }
    ],
}
HOME = {"type": "home", "blocks": [{"type": "divider"}]}


async def test_tokens_are_needed_must_be_known_and_can_be_revoked() -> None:
    async with running() as here:
        assert (await here.call("auth.test", token=None))["error"] == "not_authed"
        assert (await here.call("auth.test", token="xoxb-other"))["error"] == "invalid_auth"
        assert (await here.call("users.list", token="xapp-test"))["error"] == "not_allowed_token_type"
        await here.do("settings", token_revoked=True)
        assert (await here.call("auth.test"))["error"] == "token_revoked"


async def test_a_missing_scope_says_what_is_needed_and_what_was_given() -> None:
    async with running(scopes=frozenset({"chat:write", "users:read"})) as here:
        answer = await here.call("users.lookupByEmail", email="ann@firm.example")
        assert (answer["error"], answer["needed"]) == ("missing_scope", "users:read.email")
        assert answer["provided"] == "chat:write,users:read"
        # Without the scope for it, nobody's address is shown.
        assert "email" not in (await here.call("users.info", user="U1"))["user"]["profile"]
        await here.call("chat.postMessage", channel="U1", text="Hello")
        assert (await here.call("conversations.history", channel="D1"))["error"] == "missing_scope"


async def test_a_method_over_its_tier_gets_429_until_the_sandbox_clock_has_moved() -> None:
    clock = SteeredClock(MORNING)
    async with running(clock=clock) as here:
        answers = [await here.call("users.list") for _ in range(21)]
        assert [a["ok"] for a in answers] == [True] * 20 + [False]
        assert (answers[-1]["_status"], answers[-1]["error"]) == (429, "ratelimited")
        wait = int(answers[-1]["_headers"]["Retry-After"])
        clock.move_to(clock.now() + timedelta(seconds=wait))
        assert (await here.call("users.list"))["ok"]


async def test_a_channel_takes_about_one_message_a_second_and_the_workspace_some_hundreds_a_minute() -> None:
    clock = SteeredClock(MORNING)
    pace = Pace(channel_rate=1.0, channel_burst=2, workspace_rate=5.0, workspace_burst=3)
    async with running(clock=clock, limits=Limits(pace)) as here:
        for expected in (200, 200, 429):
            assert (await here.call("chat.postMessage", channel="U1", text="x"))["_status"] == expected
        assert (await here.call("chat.postMessage", channel="U4", text="x"))["_status"] == 200
        late = await here.call("chat.postMessage", channel="U4", text="x")
        assert (late["_status"], late["_headers"]["Retry-After"]) == (429, "1")
        clock.move_to(clock.now() + timedelta(seconds=1))
        assert (await here.call("chat.postMessage", channel="U1", text="x"))["_status"] == 200
        assert here.slack.record.totals()["rejected"] == {"ratelimited": 2}


async def test_a_trigger_opens_one_modal_within_three_seconds() -> None:
    clock = SteeredClock(MORNING)
    async with running(clock=clock) as here:
        trigger = here.slack.workspace.trigger_for("U1")
        assert (await here.call("views.open", trigger_id=trigger, view=MODAL))["ok"]
        assert (await here.call("views.open", trigger_id=trigger, view=MODAL))[
            "error"
        ] == "exchanged_trigger_id"
        late = here.slack.workspace.trigger_for("U1")
        clock.move_to(clock.now() + timedelta(seconds=4))
        assert (await here.call("views.open", trigger_id=late, view=MODAL))["error"] == "expired_trigger_id"


async def test_three_modals_stack_and_a_fourth_is_refused() -> None:
    async with running() as here:
        new = here.slack.workspace.trigger_for
        await here.call("views.open", trigger_id=new("U1"), view=MODAL)
        pushed = [
            await here.call("views.push", trigger_id=new("U1", in_modal=True), view=MODAL) for _ in range(3)
        ]
        assert [answer.get("error") for answer in pushed] == [None, None, "push_limit_reached"]


async def test_a_modal_is_put_on_another_only_by_a_click_in_a_modal() -> None:
    async with running() as here:
        new = here.slack.workspace.trigger_for
        await here.call("views.open", trigger_id=new("U1"), view=MODAL)
        outside = await here.call("views.push", trigger_id=new("U1"), view=MODAL)
        assert outside["error"] == "invalid_trigger_id"
        assert len(here.slack.workspace.modals["U1"]) == 1


async def test_one_emoji_too_many_leaves_no_trace() -> None:
    async with running() as here:
        post = await here.call("chat.postMessage", channel="U1", text="Hi")
        where = {"channel": post["channel"], "timestamp": post["ts"]}
        for number in range(23):
            assert (await here.call("reactions.add", name=f"e{number}", **where))["ok"]
        assert (await here.call("reactions.add", name="e23", **where))["error"] == "too_many_emoji"
        shown = (await here.call("reactions.get", **where))["message"]["reactions"]
        assert [each["count"] for each in shown] == [1] * 23


async def test_nothing_is_posted_to_somebody_who_has_left() -> None:
    async with running() as here:
        dm = (await here.call("chat.postMessage", channel="U4", text="Hi"))["channel"]
        here.slack.workspace.users["U4"].deleted = True
        for channel in (dm, "U4"):
            late = await here.call("chat.postMessage", channel=channel, text="Still there?")
            assert late["error"] == "channel_not_found"
        assert here.slack.record.counts["posted"] == 1


async def test_half_of_a_surrogate_pair_is_refused_and_whole_ones_are_kept() -> None:
    async with running() as here:
        head = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        for text, error in (
            (r"a \ud800 b", "invalid_json"),
            (r"\udc00\ud800", "invalid_json"),
            (r"\\ud800\udc00", "invalid_json"),
            (r"\ud83d\ude00", None),
            (r"\\ud800", None),
            ("\N{GRINNING FACE}", None),
        ):
            body = f'{{"channel": "U1", "text": "{text}"}}'.encode()
            async with here.session.post(
                f"{here.slack.url}/api/chat.postMessage", data=body, headers=head
            ) as response:
                assert (await response.json()).get("error") == error, text
        status, shown = await here.admin("GET", "messages?user=U1")
        assert status == 200
        assert [each["text"] for each in shown["messages"]] == [
            "\N{GRINNING FACE}",
            r"\ud800",
            "\N{GRINNING FACE}",
        ]


async def test_an_old_hash_loses_against_a_newer_view() -> None:
    async with running() as here:
        first = (await here.call("views.publish", user_id="U1", view=HOME))["view"]["hash"]
        assert (await here.call("views.publish", user_id="U1", view=HOME, hash=first))["ok"]
        assert (await here.call("views.publish", user_id="U1", view=HOME, hash=first))[
            "error"
        ] == "hash_conflict"


async def test_messages_tab_disabled_keeps_the_bot_out_of_direct_messages() -> None:
    async with running() as here:
        await here.do("settings", messages_tab_enabled=False)
        answer = await here.call("chat.postMessage", channel="U1", text="Hello")
        assert answer["error"] == "messages_tab_disabled"


async def test_metadata_comes_back_from_history_only_when_it_is_asked_for() -> None:
    async with running() as here:
        meta = {"event_type": "fullsteam", "event_payload": {"delivery_id": "d1"}}
        post = await here.call("chat.postMessage", channel="U1", text="Hello", metadata=meta)
        assert post["channel"] == "D1"
        plain = await here.call("conversations.history", channel="D1")
        assert "metadata" not in plain["messages"][0]
        full = await here.call("conversations.history", channel="D1", include_all_metadata=True)
        assert full["messages"][0]["metadata"] == meta


async def test_pages_follow_each_other_to_the_end_without_gap_or_overlap() -> None:
    async with running(limits=Limits(on=False)) as here:
        sent = [(await here.call("chat.postMessage", channel="U1", text=str(n)))["ts"] for n in range(7)]
        got: list[str] = []
        cursor = ""
        for _ in range(4):
            page = await here.call("conversations.history", channel="D1", limit=2, cursor=cursor)
            got += [message["ts"] for message in page["messages"]]
            cursor = (page.get("response_metadata") or {}).get("next_cursor", "")
        assert (got, cursor) == (sent[::-1], "")
        between = await here.call("conversations.history", channel="D1", oldest=sent[2], latest=sent[4])
        assert [message["ts"] for message in between["messages"]] == [sent[3]]


async def test_text_over_forty_thousand_characters_is_cut_with_a_warning() -> None:
    async with running() as here:
        answer = await here.call("chat.postMessage", channel="U1", text="x" * 40_001)
        assert (answer["warning"], len(answer["message"]["text"])) == ("message_truncated", 40_000)


async def test_slack_sdk_works_against_it() -> None:
    async with running() as here:
        client = AsyncWebClient(token=TOKEN, base_url=f"{here.slack.url}/api/")
        assert (await client.auth_test())["user_id"] == here.slack.workspace.bot_user_id
        posted = await client.chat_postMessage(
            channel="U1",
            text="Hi",
            blocks=buttons("a"),
            metadata={"event_type": "t", "event_payload": {"k": 1}},
        )
        listed = [user["id"] async for page in await client.users_list(limit=2) for user in page["members"]]
        assert listed == list(here.slack.workspace.users)
        history = await client.conversations_history(channel=posted["channel"], include_all_metadata=True)
        assert history["messages"][0]["metadata"]["event_payload"] == {"k": 1}
        await client.chat_update(channel=posted["channel"], ts=posted["ts"], text="Done", blocks=[])
        opened = await client.views_open(trigger_id=here.slack.workspace.trigger_for("U1"), view=MODAL)
        assert opened["view"]["callback_id"] == "ask"
        found = await client.users_list(include_locale=True)
        assert {user["locale"] for user in found["members"]} == {"en-US"}
        assert (await client.dnd_teamInfo(users=["U1"]))["users"]["U1"]["dnd_enabled"] is False
        with pytest.raises(SlackApiError, match="channel_not_found"):
            await client.chat_postMessage(channel="C404", text="x")


async def post_once(here: Running) -> None:
    """A call by a client that does not try again."""
    client = AsyncWebClient(token=TOKEN, base_url=f"{here.slack.url}/api/", retry_handlers=[], timeout=1)
    await client.chat_postMessage(channel="U1", text="Hello")


@pytest.mark.parametrize(
    ("kind", "error", "arrives"),
    [
        ("drop_after_commit", aiohttp.ServerDisconnectedError, 1),
        ("reset_before_commit", aiohttp.ClientOSError, 0),
        ("http_500", SlackApiError, 0),
        ("slow", TimeoutError, 1),
        ("ratelimited", SlackApiError, 0),
        ("token_revoked", SlackApiError, 0),
        ("unavailable", SlackApiError, 0),
    ],
)
async def test_a_fault_strikes_once_and_leaves_what_it_says(
    kind: str, error: type[Exception], arrives: int
) -> None:
    async with running() as here:
        await here.do("faults", kind=kind, where="chat.postMessage", count=1, seconds=1.5)
        with pytest.raises(error):
            await post_once(here)
        assert here.slack.record.counts["posted"] == arrives
        await post_once(here)
        assert here.slack.record.counts["posted"] == arrives + 1


async def test_a_fault_by_rate_is_the_same_for_the_same_seed() -> None:
    runs = []
    for _ in range(2):
        async with running(limits=Limits(on=False)) as here:
            await here.do("faults", kind="unavailable", where="*", rate=0.5)
            runs.append([(await here.call("auth.test"))["ok"] for _ in range(30)])
    assert runs[0] == runs[1]
    assert 5 < sum(runs[0]) < 25


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("/api/nonsense", {"data": b"{}", "headers": {"Content-Type": "application/json"}}, "unknown_method"),
    ("/api/", {"data": b""}, "unknown_method"),
    ("/api/auth.test", {"data": b"{", "headers": {"Content-Type": "application/json"}}, "invalid_json"),
    (
        "/api/auth.test",
        {"data": b"[" * 100_000, "headers": {"Content-Type": "application/json"}},
        "invalid_json",
    ),
    ("/api/auth.test", {"data": b"[1]", "headers": {"Content-Type": "application/json"}}, "json_not_object"),
    ("/api/auth.test", {"data": b"<a/>", "headers": {"Content-Type": "text/xml"}}, "invalid_post_type"),
    (
        "/api/auth.test",
        {"data": b"a=\xff\xfe", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        "invalid_charset",
    ),
    (
        "/api/auth.test",
        {"data": b" " * (MAX_BODY + 1), "headers": {"Content-Type": "application/json"}},
        "request_timeout",
    ),
    ("/api/chat.postMessage", {"json": {"channel": {"a": 1}, "text": 3}}, "invalid_arguments"),
    ("/api/chat.postMessage", {"json": {"channel": "U1", "text": ["x"]}}, "invalid_arguments"),
    ("/api/chat.postMessage", {"json": {"channel": "U1", "blocks": [None, 1, "x"]}}, "invalid_blocks"),
    ("/api/views.open", {"json": {"trigger_id": "GOOD", "view": "{"}}, "invalid_arguments"),
    ("/api/views.open", {"json": {"trigger_id": "GOOD", "view": [1]}}, "invalid_arguments"),
    ("/api/conversations.history", {"json": {"channel": "D1", "limit": "many"}}, "invalid_cursor"),
]


async def test_bad_input_gets_slacks_error_and_never_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as here:
        here.slack.workspace.open_dm(here.slack.workspace.users["U1"])
        for path, request, expected in BAD:
            if "json" in request and request["json"].get("trigger_id") == "GOOD":
                request["json"]["trigger_id"] = here.slack.workspace.trigger_for("U1")
            headers = {"Authorization": f"Bearer {TOKEN}", **request.get("headers", {})}
            args = {key: value for key, value in request.items() if key != "headers"}
            async with here.session.post(here.slack.url + path, headers=headers, **args) as response:
                assert (await response.json())["error"] == expected, (path, request)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
