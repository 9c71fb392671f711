"""Whatever is sent to the sandbox, it answers as Slack does, and never with a traceback."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sandbox.app import Sandbox
from sandbox.blocks import BLOCKS, ELEMENTS, check_blocks, check_view
from sandbox.clock import SteeredClock
from sandbox.errors import ANY_METHOD
from sandbox.events import Outbound
from sandbox.limits import Limits
from sandbox.slack import Slack
from sandbox.state import User
from sandbox.web_api import METHODS
from tests.contract.sandbox.test_block_kit import SOUND, Json, plain, surface_of, text_input, view
from tests.contract.sandbox.workspace import MORNING, SECRET, TOKEN

IDS = (
    "U1",
    "U2",
    "U4",
    "D1",
    "C00000001",
    "F00000001",
    "S00000001",
    "V00000001",
    "xapp-test",
    "TS",
    "TRIGGER",
)
WORDS = st.one_of(
    st.sampled_from(IDS), st.sampled_from(sorted(BLOCKS) + sorted(ELEMENTS)), st.text(max_size=8)
)
KEYS = st.sampled_from(
    re.findall(
        r"\w+",
        """
        channel text blocks attachments metadata thread_ts ts users user view trigger_id view_id user_id external_id
        hash files id title length filename channel_id channels limit cursor types usergroup name timestamp message_ts
        oldest latest inclusive link_names parse markdown_text message email token include_users type elements
        value action_id block_id private_metadata delete_original replace_original response_type reply_broadcast
        """,
    )
)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**9),
    st.floats(allow_nan=False, allow_infinity=False),
    WORDS,
    st.just("x" * 3001),
)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=5),
        # Something like a block or an element, so that the rules behind the first one are reached too.
        st.fixed_dictionaries({"type": WORDS}, optional={"text": inner, "elements": inner, "element": inner}),
    )


VALUES = st.recursive(PLAIN, nested, max_leaves=12)
ARGUMENTS = st.dictionaries(KEYS, VALUES, max_size=6)
KINDS = st.one_of(
    st.sampled_from(
        ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
    ),
    st.text(st.characters(max_codepoint=255), max_size=20),
)
FAR = {"type": "number_input", "is_decimal_allowed": True, "action_id": "n", "min_value": 10**399}
DEEP = "[" * 100_000
NESTED: Any = json.loads("[" * 150 + "]" * 150)
QUIET = settings(
    max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Door:
    """The sandbox's ASGI application, called without a network."""

    def __init__(self, sandbox: Sandbox, run: Callable[[Any], Any]) -> None:
        self.sandbox = sandbox
        self.run = run

    def sends(
        self, path: str, body: bytes, kind: str = "application/json", *, token: str = TOKEN, **more: Any
    ) -> tuple[int, bytes]:
        """Status and body of the answer to one request."""
        headers = [(b"host", b"localhost"), (b"content-type", kind.encode("latin-1"))]
        if token:
            headers.append((b"authorization", b"Bearer " + token.encode("utf-8", "replace")))
        scope = {
            "type": "http",
            "method": more.get("verb", "POST"),
            "path": path,
            "raw_path": path.encode(),
            "query_string": more.get("query", b""),
            "headers": headers,
            "scheme": "http",
            "http_version": "1.1",
            "root_path": "",
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        self.run(self.sandbox(scope, receive, send))
        return sent[0]["status"], b"".join(each.get("body", b"") for each in sent[1:])


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    slack = Slack(SteeredClock(MORNING), limits=Limits(on=False))
    slack.workspace.grant(TOKEN)
    slack.workspace.grant("xapp-test", app_level=True)
    for user in (
        User("U1", "ann", "Ann"),
        User("U2", "ben", "Ben", deleted=True),
        User("U4", "cleo", "Cleo"),
    ):
        slack.workspace.add_user(user)
    slack.workspace.add_channel("sales", members=["U1", slack.workspace.bot_user_id])
    with asyncio.Runner() as runner:
        outbound = Outbound(slack, "http://127.0.0.1:9", SECRET)
        it = Door(Sandbox(slack, outbound), runner.run)
        status, _ = it.sends("/api/chat.postMessage", json.dumps({"channel": "U1", "text": "Hi"}).encode())
        assert status == 200
        yield it
        runner.run(outbound.close())


def real(door: Door, value: Any) -> Any:
    """The value with the names of things that change in it: a message's ts, a fresh trigger."""
    workspace = door.sandbox.slack.workspace
    if value == "TS":
        return workspace.channels["D1"].messages[0].ts if workspace.channels["D1"].messages else value
    if value == "TRIGGER":
        return workspace.trigger_for("U1")
    if isinstance(value, list):
        return [real(door, each) for each in value]
    return {key: real(door, each) for key, each in value.items()} if isinstance(value, dict) else value


def is_slacks(name: str, status: int, body: bytes) -> None:
    answer = json.loads(body)
    assert status in (200, 413, 429), answer
    assert isinstance(answer["ok"], bool)
    if not answer["ok"] and name != "api.test":
        known = ANY_METHOD | (METHODS[name].errors if name in METHODS else set())
        assert answer["error"] in known, (name, answer)


@QUIET
@given(name=st.sampled_from(sorted(METHODS)), args=ARGUMENTS)
@example(name="chat.postMessage", args={"channel": "U1", "blocks": [{"type": ["section"]}]})
@example(name="chat.postMessage", args={"channel": "U1", "blocks": [{"type": "video", "title": []}]})
@example(name="views.open", args={"trigger_id": "TRIGGER", "view": {"type": {}, "blocks": [1]}})
@example(name="files.completeUploadExternal", args={"files": [{"id": []}]})
@example(name="chat.postMessage", args={"channel": "U1", "text": "a \ud800 b"})
@example(name="chat.postMessage", args={"channel": "U1", "text": "x", "blocks": '[{"a": "\\ud800"}]'})
@example(name="chat.postMessage", args={"channel": "U1", "text": "x", "blocks": DEEP})
@example(name="chat.postMessage", args={"channel": "U1", "text": "x", "blocks": '{"a":' * 100_000})
@example(name="chat.postMessage", args={"channel": "U1", "text": "x", "attachments": [{"a": NESTED}]})
@example(name="views.open", args={"trigger_id": "TRIGGER", "view": DEEP})
@example(name="users.list", args={"limit": float("inf")})
@example(name="users.list", args={"limit": 10**400, "cursor": "x"})
@example(name="users.list", args={"limit": "1e999"})
@example(name="conversations.history", args={"channel": "D1", "oldest": "1" * 400})
@example(name="blocks.validate", args={"blocks": [{"type": "input", "label": plain(), "element": FAR}]})
@example(
    name="chat.postMessage",
    args={"channel": "U1", "blocks": [{"type": "input", "label": plain(), "element": FAR}]},
)
@example(name="files.getUploadURLExternal", args={"filename": "data:image/\u20ac/x,", "length": 1})
def test_any_argument_of_any_method_gets_an_answer_that_the_method_documents(
    door: Door, name: str, args: dict[str, Any]
) -> None:
    is_slacks(name, *door.sends(f"/api/{name}", json.dumps(real(door, args)).encode()))


WRONG: list[Any] = [
    None,
    True,
    -1,
    1e300,
    "",
    "x",
    "x" * 3001,
    [],
    [None],
    ["x"],
    {},
    {"type": "x"},
    {"type": []},
]


def places(thing: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every node of a JSON value, but to the whole."""
    inner = thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ()
    for key, value in inner:
        yield (*at, key)
        yield from places(value, (*at, key))


def broken(thing: Any) -> Iterator[Any]:
    """The value with each node in turn replaced by each of WRONG, or taken away."""
    for place in places(thing):
        for wrong in [*WRONG, "GONE"]:
            made = copy.deepcopy(thing)
            where = made
            for key in place[:-1]:
                where = where[key]
            if wrong == "GONE":
                del where[place[-1]]
            else:
                where[place[-1]] = wrong
            yield made


@pytest.mark.parametrize("block", SOUND, ids=lambda block: block["type"])
def test_a_block_with_anything_in_any_place_is_refused_or_can_be_posted_and_shown(
    door: Door, block: Json
) -> None:
    posted, slack = 0, door.sandbox.slack
    for made in broken(block):
        faults = check_blocks([made], surface_of(block))
        assert all(isinstance(fault.message, str) for fault in faults)
        if not faults:
            body = json.dumps({"channel": "U1", "blocks": [made]}).encode()
            status, answer = door.sends("/api/chat.postMessage", body)
            is_slacks("chat.postMessage", status, answer)
            said = json.loads(answer)
            posted += 1
            if said["ok"]:
                message = slack.workspace.channels["D1"].by_ts[said["ts"]]
                assert isinstance(door.sandbox.acts._held(slack.workspace.users["U1"], message), dict)
    assert posted
    status, answer = door.sends("/sandbox/messages", b"", query=b"user=U1", verb="GET")
    assert (status, json.loads(answer)["ok"]) == (200, True)


@pytest.mark.parametrize(
    "whole", [view(submit=plain(), blocks=[text_input()]), {"type": "home", "blocks": SOUND[:2]}]
)
def test_a_view_with_anything_in_any_place_is_refused_or_taken(door: Door, whole: Json) -> None:
    for made in broken(whole):
        assert isinstance(check_view(made), list)
        args = {"user_id": "U1", "trigger_id": door.sandbox.slack.workspace.trigger_for("U1"), "view": made}
        for name in ("views.open", "views.publish"):
            is_slacks(name, *door.sends(f"/api/{name}", json.dumps(args).encode()))


@QUIET
@given(
    name=st.one_of(st.sampled_from(sorted(METHODS)), st.text(max_size=20)),
    kind=KINDS,
    body=st.binary(max_size=200),
)
@example(name="auth.test", kind="application/json", body=b'{"token": "\\ud800"}')
@example(name="auth.test", kind="application/x-www-form-urlencoded", body=b"token=%ff&%00=1")
@example(name="", kind="", body=b"")
@example(name="users.list", kind="application/json", body=b'{"limit": 1e999}')
@example(name="users.list", kind="application/json", body=b'{"limit": NaN, "cursor": -Infinity}')
@example(name="users.list", kind="application/json", body=b'{"limit": ' + b"1" * 5000 + b"}")
@example(name="chat.postMessage", kind="application/json", body=b'{"text": "\xed\xa0\x80", "channel": "U1"}')
@example(name="api.test", kind="application/json", body=b'{"a":' * 100_000)
@example(name="api.test", kind="application/json", body=b'{"a":' * 150 + b"1" + b"}" * 150)
@example(name="chat.postMessage", kind="application/x-www-form-urlencoded", body=b"channel=U1&text=%ED%A0%80")
@example(
    name="chat.postMessage",
    kind="application/x-www-form-urlencoded",
    body=b"channel=U1&text=x&blocks=" + b"[" * 100_000,
)
def test_any_bytes_as_a_call_get_an_answer_of_slacks(door: Door, name: str, kind: str, body: bytes) -> None:
    for token in (TOKEN, "", "\x00é"):
        is_slacks(name, *door.sends(f"/api/{name}", body, kind, token=token))


@QUIET
@given(
    path=st.sampled_from(["/actions/T0/1/x", "/upload/v1/x", "/link/", "/nowhere", "/files/F9/x"]),
    kind=KINDS,
    body=st.binary(max_size=100),
)
def test_any_bytes_to_another_address_are_refused(door: Door, path: str, kind: str, body: bytes) -> None:
    status, _ = door.sends(path, body, kind)
    assert 400 <= status < 500


PERSONS = ("say", "react", "press", "submit", "close", "command", "shortcut", "home", "users", "channels")
SWITCHES = ("clock", "faults", "settings", "sockets", "usergroups", "suggest", "join")


@QUIET
@given(path=st.sampled_from(PERSONS + SWITCHES), body=st.one_of(VALUES, ARGUMENTS))
@example(path="users", body={"id": "U1", "status_expiration": [1]})
@example(path="users", body={"id": "U1", "status_expiration": float("inf")})
@example(path="users", body={"id": "U1", "status_expiration": 10**400})
@example(path="users", body={"id": "U1", "dnd": {"start": "09:00+01:00", "end": "17:00"}})
@example(
    path="users", body={"id": "U1", "dnd": {"start": "9999-12-31T23:59-11:00", "end": "0001-01-01T00:00"}}
)
@example(path="users", body={"name": "\ud800"})
@example(path="channels", body={"name": "a", "members": [{}]})
@example(path="usergroups", body={"handle": "a", "users": [{}]})
@example(path="usergroups", body={"handle": "a", "users": {}})
@example(path="say", body={"user": "U1", "text": "a \ud800 b"})
@example(path="say", body={"user": "U1", "text": "x", "more": NESTED})
@example(path="say", body={"user": "U1", "text": "x", "wait": float("nan")})
@example(path="home", body={"user": "U1", "wait": "nan"})
@example(path="home", body={"user": "U1", "wait": 10**400})
@example(path="clock", body={"advance": 10**400})
@example(path="clock", body={"advance": "nan"})
@example(path="clock", body={"now": "9999-12-31T23:59:59-11:00"})
@example(path="faults", body={"kind": "slow", "seconds": 1e300})
@example(path="sockets", body={"disconnect": []})
def test_any_json_to_the_sandboxs_own_interface_is_done_or_refused(door: Door, path: str, body: Any) -> None:
    status, answer = door.sends(f"/sandbox/{path}", json.dumps(real(door, body)).encode())
    assert status in (200, 400, 409, 502), answer
    assert isinstance(json.loads(answer)["ok"], bool)


CHOOSING = [
    {"type": kind, "action_id": kind, **more}
    for kind, more in (
        ("static_select", {"options": [{"text": plain(), "value": "a"}]}),
        ("multi_static_select", {"options": [{"text": plain(), "value": "a"}]}),
        ("checkboxes", {"options": [{"text": plain(), "value": "a"}]}),
        ("external_select", {"min_query_length": 0}),
        ("multi_external_select", {}),
        ("conversations_select", {"response_url_enabled": True}),
        ("multi_users_select", {}),
        ("datetimepicker", {}),
        ("plain_text_input", {}),
        ("rich_text_input", {}),
        ("number_input", {"is_decimal_allowed": True}),
    )
]


@settings(QUIET, max_examples=30)  # each goes into every kind of element, three times
@given(value=st.one_of(VALUES, st.lists(VALUES, max_size=3)))
@example(value={})
@example(value=[{}])
@example(value=[["a"]])
@example(value={"text": {"type": "plain_text", "text": "x"}, "value": "a"})
def test_any_value_in_any_element_is_taken_or_refused(door: Door, value: Any) -> None:
    blocks = [
        {"type": "input", "block_id": each["type"], "optional": True, "label": plain(), "element": each}
        for each in CHOOSING
    ]
    asked = view(blocks=blocks, submit=plain())
    for each in CHOOSING:
        trigger = door.sandbox.slack.workspace.trigger_for("U1")
        args = {"trigger_id": trigger, "view": asked}
        opened = json.loads(door.sends("/api/views.open", json.dumps(args).encode())[1])
        who = {"user": "U1", "view_id": opened["view"]["id"]}
        for path, body in (
            ("press", {**who, "action_id": each["type"], "value": value}),
            ("suggest", {**who, "action_id": each["type"], "text": "x"}),
            ("submit", {**who, "inputs": {each["type"]: value}}),
        ):
            status, answer = door.sends(f"/sandbox/{path}", json.dumps(body).encode())
            assert status in (200, 409), answer
        assert door.sends("/sandbox/views", b"", query=b"user=U1", verb="GET")[0] == 200
