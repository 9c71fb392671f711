"""What the sandbox sends to the bot: shapes, signatures, deadlines, redelivery, response URLs, faults on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from slack_sdk.signature import SignatureVerifier
from starlette.responses import JSONResponse, Response

from sandbox.admin import deliver_due
from sandbox.clock import SteeredClock
from tests.contract.sandbox.workspace import (
    MORNING,
    SECRET,
    FakeBot,
    Running,
    Seen,
    buttons,
    listening,
    running,
)

pytestmark = pytest.mark.anyio

MODAL: dict[str, Any] = {
    "type": "modal",
    "callback_id": "ask",
    "notify_on_close": True,
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


@pytest.fixture
async def bot() -> AsyncIterator[FakeBot]:
    async with listening(FakeBot()) as fake:
        yield fake


@pytest.fixture
async def here(bot: FakeBot) -> AsyncIterator[Running]:
    async with running(bot=bot, clock=SteeredClock(MORNING)) as it:
        yield it


def payload_of(seen: Seen) -> dict[str, Any]:
    """What a request carries, whatever its form."""
    if seen.headers["content-type"] == "application/json":
        return json.loads(seen.body)
    form = {key: values[0] for key, values in parse_qs(seen.body.decode(), keep_blank_values=True).items()}
    return json.loads(form["payload"]) if "payload" in form else form


#: Keys that Slack sends and documents but that the recorded shapes lack.
BESIDE_THE_SHAPES = {
    "view.blocks",  # the shapes blank the blocks of views away; docs.slack.dev/reference/views
    "event.view.blocks",
    "message.reactions[].users",  # docs.slack.dev/reference/methods/reactions.get
    "response_urls",  # docs.slack.dev/reference/interaction-payloads/view-interactions-payload
}


#: Keys at the top of a recorded shape that ours never has: the event's envelope, then interactions and commands.
NEVER_SENT = {
    "authed_users": "Slack has replaced it by authorizations",
    "authed_teams": "the same",
    "enterprise_id": "the workspace belongs to no enterprise",
    "enterprise_name": "the same",
    "context_team_id": "only for channels that are shared between organisations",
    "context_enterprise_id": "the same",
    "app_unfurl": "the app unfurls no links",
    "bot_access_token": "workflow steps of the next-generation platform only",
    "function_data": "the same",
    "interactivity": "the same",
}
#: And those that a payload has only in some cases.
NOT_HERE = {
    "BlockAction": {"view": "the button stood in a message"},
    "ViewSubmission": {"is_cleared": "says how a view was closed"},
}


def strays(given: Any, shape: Any, at: str = "") -> list[str]:
    """Where a payload has a key, or a type, that the recorded shape has not. Blocks and state hold free content."""
    if given is None:
        return []
    if isinstance(shape, dict) and isinstance(given, dict):
        if at.endswith(("state", "blocks", "metadata")):
            return []
        found = []
        for key, value in given.items():
            here = f"{at}.{key}".lstrip(".")
            if here in BESIDE_THE_SHAPES:
                continue
            found += strays(value, shape[key], here) if key in shape else [here]
        return found
    if isinstance(shape, list) and isinstance(given, list):
        if at.endswith("blocks") or not shape:
            return []
        return [stray for item in given for stray in strays(item, shape[0], at + "[]")]
    # A recorded "" stands for any string, and a slash command's booleans travel as form text.
    same = isinstance(given, type(shape)) or (isinstance(shape, bool) and given in ("true", "false"))
    return [] if same else [f"{at}: {type(given).__name__} for {type(shape).__name__}"]


async def test_payloads_have_the_keys_and_types_of_slacks(
    bot: FakeBot, here: Running, shared_folder: Path
) -> None:
    workspace = here.slack.workspace
    post = await here.call("chat.postMessage", channel="U1", text="Hi", blocks=buttons("go", "stay"))
    await here.call("views.publish", user_id="U1", view={"type": "home", "blocks": [{"type": "divider"}]})
    await here.do("say", user="U1", text="Hello <you> & me", thread_ts=post["ts"])
    await here.do("say", user="U1", text="Without a thread")
    await here.do("home", user="U1")
    await here.do("users", id="U1", status_text="On leave", status_emoji=":palm_tree:")
    await here.do("users", id="U1", dnd={"start": "22:00", "end": "07:00"})
    await here.do("users", name="dora", email="dora@firm.example")
    await here.do("react", user="U1", channel="D1", message_ts=post["ts"], name="eyes")
    await here.do("press", user="U1", message_ts=post["ts"], action_id="go")
    await here.do("shortcut", user="U1", callback_id="keep", channel="D1", message_ts=post["ts"])
    await here.do("command", user="U1", command="/fullsteam", text="help")
    await here.call("views.open", trigger_id=workspace.trigger_for("U1"), view=MODAL)
    await here.do("submit", user="U1", inputs={"text": "It is slow"})
    await here.call("views.open", trigger_id=workspace.trigger_for("U1"), view=MODAL)
    await here.do("close", user="U1")
    channel = workspace.add_channel("sales", members=["U4"]).id
    await here.do("join", user="U1", channel=channel)  # the bot is not there, and does not hear of it
    await here.do("join", user=workspace.bot_user_id, channel=channel)
    await here.do("uninstall")
    names = [
        *("Message", "Message", "AppHomeOpened", "UserChange", "DndUpdatedUser", "TeamJoin", "ReactionAdded"),
        *("BlockAction", "MessageShortcut", "SlashCommand", "ViewSubmission", "ViewClosed"),
        *("MemberJoinedChannel", "TokensRevoked", "AppUninstalled"),
    ]
    assert len(bot.seen) == len(names)
    for name, seen in zip(names, bot.seen, strict=True):
        shape = json.loads((shared_folder / f"conformance/slack/shapes/{name}Payload.json").read_text())
        payload = payload_of(seen)
        assert strays(payload, shape) == [], name
        lacking = shape.keys() - payload.keys() - NEVER_SENT.keys()
        assert lacking == NOT_HERE.get(name, {}).keys(), name
        assert {"token", "team_id"} <= payload.keys() or payload["team"]["id"] == workspace.team_id
    said = payload_of(bot.seen[0])["event"]
    assert (said["channel_type"], said["thread_ts"], said["text"]) == (
        "im",
        post["ts"],
        "Hello &lt;you&gt; &amp; me",
    )
    pressed = payload_of(bot.seen[7])
    assert (pressed["actions"][0]["action_id"], pressed["actions"][0]["value"]) == ("go", "v-go")
    assert payload_of(bot.seen[10])["view"]["state"]["values"]["words"]["text"]["value"] == "It is slow"


async def test_signatures_are_what_slack_sdk_verifies(bot: FakeBot, here: Running) -> None:
    await here.do("say", user="U1", text="Hello")
    await here.do("command", user="U1", command="/fullsteam")
    for seen in bot.seen:
        assert SignatureVerifier(SECRET).is_valid_request(seen.body, seen.headers)
        assert not SignatureVerifier("another secret").is_valid_request(seen.body, seen.headers)
        assert not SignatureVerifier(SECRET).is_valid_request(seen.body + b" ", seen.headers)


async def test_a_failed_event_comes_again_at_once_after_a_minute_and_after_five(
    bot: FakeBot, here: Running
) -> None:
    clock = here.slack.clock
    assert isinstance(clock, SteeredClock)
    bot.answer = lambda _seen: Response(status_code=500)
    answer = await here.do("say", user="U1", text="Hello")
    assert (answer["status"], answer["acked"]) == (500, False)
    for seconds in (0, 59, 1, 299, 1, 3600):
        clock.move_to(clock.now() + timedelta(seconds=seconds))
        await deliver_due(here.slack)
    tries = [(s.headers.get("x-slack-retry-num"), s.headers.get("x-slack-retry-reason")) for s in bot.seen]
    assert tries == [(None, None), ("1", "http_error"), ("2", "http_error"), ("3", "http_error")]
    assert len({payload_of(seen)["event_id"] for seen in bot.seen}) == 1
    entries = [e for e in here.slack.record.entries if e["kind"] == "delivery"]
    assert [(e["attempt"], e["acked"]) for e in entries] == [(0, False), (1, False), (2, False), (3, False)]


async def test_three_real_seconds_without_an_answer_are_a_timeout(bot: FakeBot, here: Running) -> None:
    async def slowly() -> Response:
        await asyncio.sleep(3.3 if len(bot.seen) == 1 else 0)
        return Response()

    bot.answer = lambda _seen: slowly()
    answer = await here.do("say", user="U1", text="Hello")
    assert (answer["status"], answer["reason"]) == (None, "http_timeout")
    await deliver_due(here.slack)
    assert bot.seen[1].headers["x-slack-retry-reason"] == "http_timeout"
    assert here.slack.record.counts["acked"] == 1


async def test_no_retry_means_no_retry(bot: FakeBot, here: Running) -> None:
    bot.answer = lambda _seen: Response(status_code=500, headers={"X-Slack-No-Retry": "1"})
    await here.do("say", user="U1", text="Hello")
    await deliver_due(here.slack)
    assert len(bot.seen) == 1


async def test_an_event_can_be_lost_doubled_or_late(bot: FakeBot, here: Running) -> None:
    await here.do("faults", kind="lose", where="message", count=1)
    await here.do("say", user="U1", text="one")
    await here.do("faults", kind="duplicate", where="message", count=1)
    await here.do("say", user="U1", text="two")
    await here.do("faults", kind="reorder", where="message", count=1)
    await here.do("say", user="U1", text="three")
    await here.do("say", user="U1", text="four")
    texts = [payload_of(seen)["event"]["text"] for seen in bot.seen]
    assert texts == ["two", "two", "four", "three"]
    assert payload_of(bot.seen[0])["event_id"] == payload_of(bot.seen[1])["event_id"]
    assert [e["key"] for e in here.slack.record.entries if e["kind"] == "lost"]


async def test_a_held_event_comes_alone_when_none_follows(bot: FakeBot, here: Running) -> None:
    clock = here.slack.clock
    assert isinstance(clock, SteeredClock)
    await here.do("faults", kind="reorder", where="message", count=1)
    await here.do("say", user="U1", text="alone")
    clock.move_to(clock.now() + timedelta(seconds=60))
    await deliver_due(here.slack)
    assert len(bot.seen) == 1


async def respond(here: Running, seen: Seen, **body: Any) -> tuple[int, dict[str, Any]]:
    async with here.session.post(payload_of(seen)["response_url"], json=body) as response:
        return response.status, await response.json()


async def test_a_response_url_replaces_deletes_and_adds(bot: FakeBot, here: Running) -> None:
    post = await here.call("chat.postMessage", channel="U1", text="Hi", blocks=buttons("go"))
    await here.do("press", user="U1", message_ts=post["ts"], action_id="go")
    click = bot.seen[0]
    assert await respond(here, click, replace_original=True, text="Thank you") == (200, {"ok": True})
    _, shown = await here.admin("GET", "messages?user=U1")
    assert [(m["text"], "blocks" in m) for m in shown["messages"]] == [("Thank you", False)]
    await respond(here, click, text="Only you", blocks=buttons("again"))
    await respond(here, click, text="For all", response_type="in_channel", thread_ts=post["ts"])
    _, shown = await here.admin("GET", "messages?user=U1")
    assert [(m["text"], m["ephemeral"]) for m in shown["messages"]][1:] == [
        ("Only you", True),
        ("For all", False),
    ]
    # A button of an ephemeral message can be pressed too; the payload then carries no message.
    await here.do("press", user="U1", message_ts=shown["messages"][1]["ts"], action_id="again")
    payload = payload_of(bot.seen[1])
    assert (payload["container"]["is_ephemeral"], "message" in payload) == (True, False)
    await respond(here, bot.seen[1], delete_original=True)
    _, shown = await here.admin("GET", "messages?user=U1")
    assert [m["text"] for m in shown["messages"]] == ["Thank you", "For all"]


async def test_a_response_url_works_five_times_in_thirty_minutes(bot: FakeBot, here: Running) -> None:
    clock = here.slack.clock
    assert isinstance(clock, SteeredClock)
    for _ in range(2):
        await here.do("command", user="U1", command="/fullsteam")
    answers = [await respond(here, bot.seen[0], text="x") for _ in range(6)]
    assert [status for status, _ in answers] == [200] * 5 + [404]
    assert answers[-1][1]["error"] == "used_url"
    clock.move_to(clock.now() + timedelta(minutes=30, seconds=1))
    assert (await respond(here, bot.seen[1], text="x"))[1]["error"] == "expired_url"


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'{"blocks": 3}', b'{"text": ""}', b'{"text": {"a": 1}}', b'{"delete_original": true}'],
)
async def test_bad_input_to_a_response_url_is_refused(bot: FakeBot, here: Running, body: bytes) -> None:
    await here.do("command", user="U1", command="/fullsteam")
    async with here.session.post(payload_of(bot.seen[0])["response_url"], data=body) as response:
        assert response.status in (400, 404)
        assert (await response.json())["ok"] is False


async def test_an_answer_in_the_body_of_a_command_is_shown(bot: FakeBot, here: Running) -> None:
    bot.answer = lambda _seen: JSONResponse({"text": "Here is help"})
    answer = await here.do("command", user="U1", command="/fullsteam", text="help")
    assert [(e["kind"], e["text"]) for e in answer["follow_ups"]] == [("ephemeral", "Here is help")]


async def test_a_submission_can_be_answered_with_errors_update_push_and_clear(
    bot: FakeBot, here: Running
) -> None:
    answers = iter(
        [
            {"response_action": "errors", "errors": {"words": "Too short"}},
            {"response_action": "update", "view": {**MODAL, "callback_id": "second"}},
            {"response_action": "push", "view": {**MODAL, "callback_id": "third"}},
            {"response_action": "clear"},
        ]
    )
    bot.answer = lambda _seen: JSONResponse(next(answers))
    await here.call("views.open", trigger_id=here.slack.workspace.trigger_for("U1"), view=MODAL)
    seen = []
    for _ in range(4):
        await here.do("submit", user="U1", inputs={"text": "words"})
        _, shown = await here.admin("GET", "views?user=U1")
        seen.append([view["callback_id"] for view in shown["modals"]])
    assert seen == [["ask"], ["second"], ["second", "third"], []]


async def test_a_submission_pushes_no_fourth_modal(bot: FakeBot, here: Running) -> None:
    bot.answer = lambda _seen: JSONResponse({"response_action": "push", "view": MODAL})
    await here.call("views.open", trigger_id=here.slack.workspace.trigger_for("U1"), view=MODAL)
    for depth in (2, 3, 3):
        await here.do("submit", user="U1", inputs={"text": "words"})
        assert len(here.slack.workspace.modals["U1"]) == depth
    assert here.slack.record.totals()["rejected"] == {"push_limit_reached": 1}


@pytest.mark.parametrize("what", ["push", "update"])
async def test_a_modal_that_was_closed_meanwhile_takes_nothing(
    bot: FakeBot, here: Running, what: str
) -> None:
    async def answer(_seen: Seen) -> Response:
        here.slack.workspace.modals["U1"] = []
        return JSONResponse({"response_action": what, "view": MODAL})

    bot.answer = answer
    await here.call("views.open", trigger_id=here.slack.workspace.trigger_for("U1"), view=MODAL)
    await here.do("submit", user="U1", inputs={"text": "words"})
    assert here.slack.workspace.modals["U1"] == []
    assert here.slack.record.totals()["rejected"] == {"not_found": 1}


async def test_somebody_acts_only_in_channels_that_they_are_in(here: Running) -> None:
    sales = here.slack.workspace.add_channel("sales", members=["U4"]).id
    for path, body in (("command", {"command": "/fullsteam"}), ("say", {"text": "hello"})):
        status, told = await here.admin("POST", path, {"user": "U1", "channel": sales, **body})
        assert (status, told["error"]) == (409, "impossible"), path
    assert here.slack.record.totals()["commands"] == here.slack.record.totals()["replies"] == 0


async def test_of_too_many_events_in_an_hour_the_app_hears_once_a_minute(bot: FakeBot, here: Running) -> None:
    here.outbound.events_an_hour = 3
    clock = here.slack.clock
    assert isinstance(clock, SteeredClock)
    heard = []
    for minutes in (0, 10, 20, 30, 30, 31, 59, 60):
        clock.move_to(MORNING + timedelta(minutes=minutes))
        before = len(bot.seen)
        await here.do("say", user="U1", text=f"after {minutes}")
        heard += [json.loads(seen.body)["type"] for seen in bot.seen[before:]] or ["nothing"]
    event, limited = "event_callback", "app_rate_limited"
    assert heard == [event, event, event, limited, "nothing", limited, limited, event]
    told = json.loads(bot.seen[3].body)
    assert told["minute_rate_limited"] == int((MORNING + timedelta(minutes=30)).timestamp())
    assert here.slack.record.totals()["lost"] == 4


async def test_a_button_of_the_home_tab_is_pressed_in_its_view(bot: FakeBot, here: Running) -> None:
    home = await here.call("views.publish", user_id="U1", view={"type": "home", "blocks": buttons("pause")})
    await here.do("press", user="U1", view_id=home["view"]["id"], action_id="pause")
    payload = payload_of(bot.seen[0])
    assert payload["container"] == {"type": "view", "view_id": home["view"]["id"]}
    assert (payload["view"]["type"], "message" in payload, "response_url" in payload) == (
        "home",
        False,
        False,
    )
    # The trigger of the click opens a modal before the person who clicked.
    opened = await here.call("views.open", trigger_id=payload["trigger_id"], view=MODAL)
    _, shown = await here.admin("GET", "views?user=U1")
    assert [view["id"] for view in shown["modals"]] == [opened["view"]["id"]]


async def test_a_choice_in_a_menu_says_which_option(bot: FakeBot, here: Running) -> None:
    options = [{"text": {"type": "plain_text", "text": name}, "value": name} for name in ("day", "week")]
    menu = {"type": "overflow", "action_id": "tip:more", "options": options}
    blocks = [{"type": "actions", "elements": [menu]}]
    post = await here.call("chat.postMessage", channel="U1", text="Hi", blocks=blocks)
    await here.do("press", user="U1", message_ts=post["ts"], action_id="tip:more", value="week")
    action = payload_of(bot.seen[0])["actions"][0]
    assert (action["type"], action["selected_option"]["value"]) == ("overflow", "week")
    body = {"user": "U1", "message_ts": post["ts"], "action_id": "tip:more", "value": "year"}
    status, answer = await here.admin("POST", "press", body)
    assert (status, answer["error"]) == (409, "impossible")


async def test_a_person_cannot_do_what_slack_does_not_offer(here: Running) -> None:
    post = await here.call("chat.postMessage", channel="U1", text="Hi", blocks=buttons("go"))
    await here.call("views.open", trigger_id=here.slack.workspace.trigger_for("U1"), view=MODAL)
    impossible: list[tuple[str, dict[str, Any]]] = [
        ("say", {"user": "U9", "text": "x"}),
        ("say", {"user": "U2", "text": "x"}),
        ("say", {"user": "U1", "text": "  "}),
        ("say", {"user": "U1", "text": "x", "thread_ts": "1.000001"}),
        ("press", {"user": "U1", "message_ts": post["ts"], "action_id": "other"}),
        ("press", {"user": "U4", "channel": "D1", "message_ts": post["ts"], "action_id": "go"}),
        ("submit", {"user": "U4"}),
        ("submit", {"user": "U1", "inputs": {}}),
        ("react", {"user": "U1", "channel": "D9", "message_ts": "1.000001", "name": "eyes"}),
    ]
    for path, body in impossible:
        status, answer = await here.admin("POST", path, body)
        assert (status, answer["error"]) == (409, "impossible"), (path, body, answer)
    malformed: list[tuple[str, Any]] = [
        ("say", []),
        ("say", {"user": 1, "text": "x"}),
        ("users", {"users": [{"name": ""}]}),
        ("users", {"name": "x", "tz": "Mars/Base"}),
        ("users", {"name": "x", "dnd": {"start": "25:00", "end": "26:00"}}),
        ("users", {"name": "x", "colour": "red"}),
        ("users", {"users": 3}),
        ("channels", {"name": "x", "members": ["U9"]}),
        ("faults", {"kind": "earthquake"}),
        ("faults", {"kind": "slow", "rate": 7}),
        ("clock", {"now": "yesterday"}),
        ("clock", {"now": "2001-01-01T00:00:00+00:00"}),
        ("clock", {"advance": "far"}),
        ("settings", {"gravity": True}),
        ("command", {"user": "U1"}),
        ("press", {"user": "U1", "action_id": "go", "message_ts": 4}),
    ]
    for path, body in malformed:
        status, answer = await here.admin("POST", path, body)
        assert (status, answer["ok"]) == (400, False), (path, body, answer)
    async with here.session.post(f"{here.slack.url}/sandbox/say", data=b"{") as response:
        assert response.status == 400


async def test_a_page_of_another_host_is_refused(here: Running) -> None:
    async with here.session.get(
        f"{here.slack.url}/sandbox/health", headers={"Host": "evil.example"}
    ) as response:
        assert response.status == 403


async def test_the_bots_own_messages_come_back_to_it_as_events(bot: FakeBot) -> None:
    async with running(bot=bot, clock=SteeredClock(MORNING), echo=True) as here:
        post = await here.call("chat.postMessage", channel="U1", text="Hi")
        await here.call("chat.update", channel="D1", ts=post["ts"], text="Ho")
        await deliver_due(here.slack)
    first, second = (payload_of(seen)["event"] for seen in bot.seen)
    assert (first["bot_id"], first["text"]) == (here.slack.workspace.bot_id, "Hi")
    assert (second["subtype"], second["message"]["text"]) == ("message_changed", "Ho")


async def test_do_not_disturb_is_the_window_that_holds_or_comes_next(here: Running) -> None:
    clock = here.slack.clock
    assert isinstance(clock, SteeredClock)
    await here.do(
        "users", id="U1", dnd={"start": "22:00", "end": "07:00"}, events=False
    )  # Berlin, UTC+1 in March
    status = await here.call("dnd.info", user="U1")
    start = MORNING.replace(hour=21).timestamp()
    assert (status["next_dnd_start_ts"], status["next_dnd_end_ts"]) == (start, start + 9 * 3600)
    clock.move_to(MORNING + timedelta(hours=18))  # 04:00 in Berlin: inside
    inside = (await here.call("dnd.teamInfo", users="U1"))["users"]["U1"]
    assert (inside["next_dnd_start_ts"], inside["dnd_enabled"]) == (start, True)
    await here.do("users", id="U1", dnd={"start": "2017-04-01T00:00:00Z", "end": "2017-04-02T00:00:00Z"})
    clock.move_to(MORNING + timedelta(days=60))
    assert (await here.call("dnd.info", user="U1"))["dnd_enabled"] is False


async def test_a_status_is_gone_when_it_has_expired(here: Running) -> None:
    clock = here.slack.clock
    assert isinstance(clock, SteeredClock)
    await here.do("users", id="U1", status_text="Away", status_expiration="2017-03-02T09:00:00Z")
    assert (await here.call("users.info", user="U1"))["user"]["profile"]["status_text"] == "Away"
    clock.move_to(MORNING + timedelta(days=2))
    assert (await here.call("users.info", user="U1"))["user"]["profile"]["status_text"] == ""


# Menus whose options the app gives, shortcuts of no message, what stands in the fields of a message

ASKING = {"type": "external_select", "action_id": "who", "min_query_length": 2}


def given_options(*values: str) -> list[dict[str, Any]]:
    return [{"text": {"type": "plain_text", "text": value.title()}, "value": value} for value in values]


async def test_the_app_gives_the_options_of_an_external_menu_and_hears_which_was_chosen(
    bot: FakeBot, here: Running
) -> None:
    blocks = [{"type": "actions", "block_id": "row", "elements": [ASKING]}]
    post = await here.call("chat.postMessage", channel="U1", text="Whom?", blocks=blocks)
    bot.answer = lambda _seen: JSONResponse({"options": given_options("ada", "adam")})
    place = {"user": "U1", "message_ts": post["ts"], "action_id": "who"}
    shown = await here.do("suggest", **place, text="ad")
    assert [option["value"] for option in shown["options"]] == ["ada", "adam"]
    asked = payload_of(bot.seen[0])
    assert (asked["type"], asked["value"], asked["action_id"], asked["block_id"]) == (
        "block_suggestion",
        "ad",
        "who",
        "row",
    )
    assert "trigger_id" not in asked
    await here.do("press", **place, value="adam")
    assert payload_of(bot.seen[1])["actions"][0]["selected_option"] == shown["options"][1]
    for body in ({**place, "text": "a"}, {**place, "text": "ad", "action_id": "other"}):
        assert (await here.admin("POST", "suggest", body))[0] == 409
    assert (await here.admin("POST", "press", {**place, "value": "eve"}))[0] == 409


@pytest.mark.parametrize(
    "said",
    [{}, {"options": "many"}, {"options": given_options("x" * 151)}, {"options": given_options("a") * 101}],
)
async def test_options_that_slack_would_not_show_are_refused(
    bot: FakeBot, here: Running, said: dict[str, Any]
) -> None:
    blocks = [{"type": "actions", "elements": [ASKING]}]
    post = await here.call("chat.postMessage", channel="U1", text="Whom?", blocks=blocks)
    bot.answer = lambda _seen: JSONResponse(said)
    body = {"user": "U1", "message_ts": post["ts"], "action_id": "who", "text": "ad"}
    assert (await here.admin("POST", "suggest", body))[0] == 409


async def test_an_external_menu_in_a_modal_holds_the_option_that_was_offered(
    bot: FakeBot, here: Running
) -> None:
    label = {"type": "plain_text", "text": "Whom?"}
    blocks = [{"type": "input", "block_id": "b", "label": label, "element": ASKING}]
    workspace = here.slack.workspace
    opened = await here.call(
        "views.open", trigger_id=workspace.trigger_for("U1"), view={**MODAL, "blocks": blocks}
    )
    groups: list[dict[str, Any]] = [{"label": label, "options": given_options("ada")}]
    bot.answer = lambda _seen: JSONResponse({"option_groups": groups})
    view_id = opened["view"]["id"]
    shown = await here.do("suggest", user="U1", view_id=view_id, action_id="who", text="ad")
    assert shown["option_groups"] == groups
    assert payload_of(bot.seen[0])["view"]["id"] == view_id
    bot.answer = lambda _seen: Response()
    await here.do("submit", user="U1", inputs={"who": "ada"})
    state = payload_of(bot.seen[1])["view"]["state"]["values"]
    assert state["b"]["who"] == {"type": "external_select", "selected_option": groups[0]["options"][0]}


async def test_a_global_shortcut_belongs_to_no_message(bot: FakeBot, here: Running) -> None:
    await here.do("shortcut", user="U1", callback_id="feedback")
    payload = payload_of(bot.seen[0])
    assert (payload["type"], payload["callback_id"], payload["user"]["id"]) == ("shortcut", "feedback", "U1")
    assert not {"message", "channel", "response_url"} & payload.keys()
    opened = await here.call("views.open", trigger_id=payload["trigger_id"], view=MODAL)
    assert opened["ok"]


async def test_the_state_of_a_message_says_what_stands_in_its_fields(bot: FakeBot, here: Running) -> None:
    menu: dict[str, Any] = {
        "type": "static_select",
        "action_id": "when",
        "options": given_options("now", "later"),
    }
    day = {"type": "datepicker", "action_id": "day", "initial_date": "2017-03-02"}
    words = {"type": "plain_text_input", "action_id": "words"}
    send = {"type": "button", "action_id": "send", "text": {"type": "plain_text", "text": "Send"}}
    blocks = [
        {"type": "actions", "block_id": "row", "elements": [menu, day, send]},
        {"type": "input", "block_id": "free", "label": send["text"], "element": words},
    ]
    post = await here.call("chat.postMessage", channel="U1", text="Hi", blocks=blocks)
    place = {"user": "U1", "message_ts": post["ts"]}
    await here.do("press", **place, action_id="when", value="later")
    await here.do("press", **place, action_id="send", inputs={"words": "Not yet"})
    first, second = (payload_of(seen)["state"]["values"] for seen in bot.seen)
    later = {"type": "static_select", "selected_option": menu["options"][1]}
    date = {"type": "datepicker", "selected_date": "2017-03-02"}
    assert first["row"] == second["row"] == {"when": later, "day": date}
    assert first["free"] == {"words": {"type": "plain_text_input", "value": None}}
    assert second["free"] == {"words": {"type": "plain_text_input", "value": "Not yet"}}


async def test_what_was_chosen_in_a_modal_is_there_at_the_next_choice_and_at_the_end(
    bot: FakeBot, here: Running
) -> None:
    menu: dict[str, Any] = {
        "type": "static_select",
        "action_id": "when",
        "options": given_options("now", "later"),
    }
    blocks = [{"type": "actions", "block_id": "row", "elements": [menu]}, *MODAL["blocks"]]
    view = {**MODAL, "blocks": blocks}
    opened = await here.call("views.open", trigger_id=here.slack.workspace.trigger_for("U1"), view=view)
    view_id = opened["view"]["id"]
    await here.do("press", user="U1", view_id=view_id, action_id="when", value="now", inputs={"text": "Hm"})
    state = payload_of(bot.seen[0])["view"]["state"]["values"]
    assert state["row"]["when"]["selected_option"]["value"] == "now"
    assert state["words"]["text"]["value"] == "Hm"
    await here.do("submit", user="U1", inputs={"text": "Yes"})
    state = payload_of(bot.seen[1])["view"]["state"]["values"]
    assert state["row"]["when"]["selected_option"]["value"] == "now"
    assert state["words"]["text"]["value"] == "Yes"


async def test_an_ephemeral_message_is_changed_through_its_response_url(bot: FakeBot, here: Running) -> None:
    await here.do("command", user="U1", command="/fullsteam")
    await respond(here, bot.seen[0], text="Sure?", blocks=buttons("yes"))
    _, shown = await here.admin("GET", "messages?user=U1")
    asked = shown["messages"][-1]
    await here.do("press", user="U1", message_ts=asked["ts"], action_id="yes")
    assert await respond(here, bot.seen[1], replace_original=True, text="Done") == (200, {"ok": True})
    _, shown = await here.admin("GET", "messages?user=U1")
    assert [(m["ts"], m["text"], m["ephemeral"]) for m in shown["messages"]] == [(asked["ts"], "Done", True)]


async def test_a_conversation_chosen_in_a_modal_comes_with_a_response_url_where_it_was_asked_for(
    bot: FakeBot, here: Running
) -> None:
    workspace = here.slack.workspace
    channel = workspace.add_channel("sales", members=["U1", workspace.bot_user_id]).id
    menu = {"type": "conversations_select", "action_id": "where", "response_url_enabled": True}
    label = {"type": "plain_text", "text": "Where?"}
    blocks = [{"type": "input", "block_id": "b", "label": label, "element": menu}]
    view = {**MODAL, "blocks": blocks}
    await here.call("views.open", trigger_id=workspace.trigger_for("U1"), view=view)
    await here.do("submit", user="U1", inputs={"where": channel})
    (given,) = payload_of(bot.seen[0])["response_urls"]
    assert (given["block_id"], given["action_id"], given["channel_id"]) == ("b", "where", channel)
    async with here.session.post(
        given["response_url"], json={"text": "Said", "response_type": "in_channel"}
    ) as response:
        assert response.status == 200
    assert [message.text for message in workspace.channels[channel].messages] == ["Said"]


async def test_a_view_in_the_answer_that_slack_would_not_show_leaves_the_modal_as_it_was(
    bot: FakeBot, here: Running
) -> None:
    bot.answer = lambda _seen: JSONResponse({"response_action": "update", "view": {"type": "modal"}})
    await here.call("views.open", trigger_id=here.slack.workspace.trigger_for("U1"), view=MODAL)
    await here.do("submit", user="U1", inputs={"text": "words"})
    _, shown = await here.admin("GET", "views?user=U1")
    assert [view["callback_id"] for view in shown["modals"]] == ["ask"]
    assert here.slack.record.totals()["rejected"] == {"invalid_arguments": 1}
