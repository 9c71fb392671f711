"""The door: nothing that Slack was told we have is missing, and nothing is answered that was not kept."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter
from slack_bolt.adapter.socket_mode.async_internals import run_async_bolt_app, send_async_response
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from bot.domain.errors import Retryable
from bot.domain.messages import Message
from bot.domain.ports import Envelope
from bot.handlers.http import MAX_BODY, MAX_CLOCK_BODY, build_asgi
from bot.services.check_health import check_health
from store.database import Database, open_database
from store.tables import inbox
from tests.hearing import SECRET, TUESDAY, Workspace

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durable=False)
    yield opened
    opened.close()


class Away:
    """An inbox whose database does not answer."""

    async def keep(self, envelope: Envelope) -> bool:
        raise Retryable("away", code="database-away")


class Broken:
    """An inbox that fails in a way that nobody thought of."""

    async def keep(self, envelope: Envelope) -> bool:
        raise RuntimeError("surprise")


def seen_from_outside(url: str) -> list[str]:
    """Keys of the inbox as another process sees them."""
    other = open_database(url, durable=False)
    try:
        return [row.key for row in other.read_now(lambda uow: uow.rows(sa.select(inbox.c.key)))]
    finally:
        other.close()


async def test_an_event_is_committed_before_it_is_answered(database: Database, database_url: str) -> None:
    slack = Workspace(database)
    response = await slack.words("hello", key="Ev42")
    assert (response.status, seen_from_outside(database_url), slack.handed) == (200, ["Ev42"], ["Ev42"])


async def test_a_click_and_a_command_are_committed_before_they_are_answered(
    database: Database, database_url: str
) -> None:
    slack = Workspace(database)
    assert (await slack.click("tip:do", "m1", trigger="tr-a")).status == 200
    assert (await slack.command("help", trigger="tr-b")).status == 200
    assert seen_from_outside(database_url) == ["tr-a", "tr-b"]


async def test_fifty_envelopes_at_once_are_all_kept(database: Database) -> None:
    slack = Workspace(database)
    answers = await asyncio.gather(*(slack.words(f"word {n}", key=f"Ev{n}") for n in range(50)))
    assert {answer.status for answer in answers} == {200}
    assert sorted(row.key for row in slack.rows()) == sorted(f"Ev{n}" for n in range(50))


async def test_the_same_envelope_again_is_answered_the_same_and_kept_once(database: Database) -> None:
    slack = Workspace(database)
    first, second = await slack.command("help", trigger="t"), await slack.command("help", trigger="t")
    assert (await slack.words("hi", key="Ev1")).status == (await slack.words("hi", key="Ev1")).status == 200
    assert (first.status, first.body) == (second.status, second.body)
    assert len(slack.rows()) == 2
    assert slack.handed == ["t", "Ev1"]


@pytest.mark.parametrize("inbox_away", [Away(), Broken()])
async def test_what_could_not_be_kept_is_not_answered_200(database: Database, inbox_away: Any) -> None:
    slack = Workspace(database, inbox=inbox_away)
    answers = [await slack.words("x"), await slack.click("tip:do", "m"), await slack.command("help")]
    assert [answer.status for answer in answers] == [503, 503, 503]
    assert slack.rows() == []


async def test_our_own_messages_and_those_of_bots_are_not_kept(database: Database) -> None:
    slack = Workspace(database)
    own = await slack.words("posted by us", user="UBOT")
    bot = await slack.words("posted by a bot", bot_id="B1")
    changed = await slack.words(
        "", subtype="message_changed", message={"bot_id": "B1", "ts": "1.1", "text": "x"}
    )
    assert [own.status, bot.status, changed.status] == [200, 200, 200]
    assert slack.rows() == []


async def test_url_verification_is_answered_and_not_kept(database: Database) -> None:
    slack = Workspace(database)
    response = await slack.send({"type": "url_verification", "challenge": "c4"})
    assert response.status == 200
    assert "c4" in str(response.body)
    assert slack.rows() == []


async def test_suggestions_are_answered_and_not_kept(database: Database) -> None:
    slack = Workspace(database)
    body = {
        "type": "block_suggestion",
        "action_id": "who",
        "value": "a",
        "user": {"id": "U1"},
        "team": {"id": "T1"},
    }
    response = await slack.send(body, form="payload")
    assert (response.status, json.loads(response.body)) == (200, {"options": []})
    assert slack.rows() == []


@pytest.mark.parametrize(
    "body",
    [
        {"type": "block_actions", "trigger_id": "1", "actions": [{"action_id": "old:thing", "value": "x"}]},
        {"type": "block_actions", "trigger_id": "1", "actions": [{"action_id": ""}]},
        {
            "type": "view_submission",
            "trigger_id": "1",
            "view": {"id": "V1", "type": "modal", "callback_id": "gone"},
        },
        {"type": "view_closed", "view": {"id": "V1", "type": "modal", "hash": "h", "callback_id": "gone"}},
        {"type": "shortcut", "trigger_id": "1", "callback_id": "gone"},
        {"type": "message_action", "trigger_id": "1", "callback_id": "gone", "message": {"text": "a"}},
    ],
)
async def test_what_no_listener_knows_is_kept_and_answered_200(
    database: Database, body: dict[str, Any]
) -> None:
    slack = Workspace(database)
    response = await slack.send({"user": {"id": "U1"}, "team": {"id": "T1"}, **body}, form="payload")
    assert (response.status, len(slack.rows())) == (200, 1)
    report = await slack.work()
    assert (report.refused, report.failed) == (1, 0)


@pytest.mark.parametrize(
    ("body", "form"),
    [
        ({"type": "app_rate_limited", "minute_rate_limited": 1}, None),
        ({"type": "something_new"}, "payload"),
        ({"type": "dialog_submission", "callback_id": "gone", "submission": {"a": "words"}}, "payload"),
        ({"type": "interactive_message", "callback_id": "gone", "actions": [{}]}, "payload"),
        ({"type": "workflow_step_edit"}, "payload"),
        ({"type": "block_actions"}, "payload"),
        ({"type": "block_actions", "actions": []}, "payload"),
        ({"type": "block_actions", "actions": ["x"]}, "payload"),
        ({"type": "block_actions", "actions": [{"action_id": ["x"]}]}, "payload"),
        ({"type": "view_submission"}, "payload"),
        ({"type": "view_submission", "view": "x"}, "payload"),
        ({"type": "view_submission", "view": {"callback_id": "without a type"}}, "payload"),
        ({"type": "view_closed", "view": {"id": "V1"}}, "payload"),
        ({"type": "shortcut"}, "payload"),
    ],
)
async def test_what_nobody_can_read_is_kept_and_answered_200(
    database: Database, body: dict[str, Any], form: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    slack = Workspace(database)
    response = await slack.send({"user": {"id": "U1"}, "team": {"id": "T1"}, **body}, form=form)
    assert (response.status, len(slack.rows())) == (200, 1)
    assert (await slack.work()).failed == 0
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("body", [{}, {"x": 1}, {"type": 7}, {"type": ["x"]}, {"actions": []}])
async def test_what_is_no_request_of_slacks_is_400_and_not_kept(
    database: Database, body: dict[str, Any]
) -> None:
    slack = Workspace(database)
    assert (await slack.send(body)).status == 400
    assert slack.rows() == []


async def test_a_suggestion_without_its_field_is_answered_200(database: Database) -> None:
    slack = Workspace(database)
    body = {"type": "block_suggestion", "user": {"id": "U1"}, "team": {"id": "T1"}}
    assert (await slack.send(body, form="payload")).status == 200


async def test_an_unknown_event_and_command_are_answered_200(database: Database) -> None:
    slack = Workspace(database)
    assert (await slack.event({"type": "emoji_changed", "subtype": "add"})).status == 200
    body = {"command": "/other", "text": "", "user_id": "U1", "team_id": "T1", "trigger_id": "9"}
    assert (await slack.send(body, form="*")).status == 200


async def test_a_listener_that_fails_after_the_commit_is_answered_200(database: Database) -> None:
    async def broken(envelope: Envelope) -> Message:
        raise RuntimeError("boom")

    slack = Workspace(database, answer=broken)
    assert (await slack.command("help")).status == 200
    assert len(slack.rows()) == 1


@pytest.mark.parametrize(
    "text", ["שלום <!channel> " * 2_000, "nul \x00 in it", "half a pair \ud83d", "🎉" * 20_000, "=1+1\t|"]
)
async def test_whatever_people_write_is_kept(database: Database, text: str) -> None:
    slack = Workspace(database)
    assert (await slack.words(text)).status == 200
    (row,) = slack.rows()
    assert len(row.body["text"]) == min(len(text), 40_000)
    assert "\x00" not in row.body["text"]


async def test_a_choice_behind_the_dots_is_its_action(database: Database) -> None:
    slack = Workspace(database)
    await slack.click("tip:why", "m1", menu=True)
    (row,) = slack.rows()
    assert (row.name, row.body["value"]) == ("tip:why", "m1")


async def test_an_envelope_keeps_no_more_than_the_work_needs(database: Database) -> None:
    slack = Workspace(database)
    await slack.words("my words", token="verification", client_msg_id="x", blocks=[{"type": "rich_text"}])
    (row,) = slack.rows()
    assert set(row.body) == {"channel", "in_dm", "ts", "text", "files"}


# --- Socket Mode ----------------------------------------------------------------------------------------------------


class Line:
    """The connection: keeps what is acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: list[str] = []
        self.logger = logging.getLogger("test")

    async def send_socket_mode_response(self, response: SocketModeResponse) -> None:
        self.acknowledged.append(response.envelope_id)


async def over_the_socket(slack: Workspace, kind: str, payload: dict[str, Any]) -> list[str]:
    line = Line()
    request = SocketModeRequest(type=kind, envelope_id="e1", payload=payload)
    response = await run_async_bolt_app(slack.app, request)
    await send_async_response(line, request, response, time.time())  # type: ignore[arg-type] # what it uses of a client
    return line.acknowledged


async def test_in_socket_mode_an_envelope_is_kept_and_then_acknowledged(database: Database) -> None:
    slack = Workspace(database)
    event = {"type": "event_callback", "event_id": "E1", "event": {"type": "app_home_opened", "user": "U1"}}
    assert await over_the_socket(slack, "events_api", event) == ["e1"]
    command = {"command": "/fullsteam", "text": "help", "user_id": "U1", "team_id": "T1", "trigger_id": "t"}
    assert await over_the_socket(slack, "slash_commands", command) == ["e1"]
    assert [row.key for row in slack.rows()] == ["E1", "t"]


async def test_in_socket_mode_what_could_not_be_kept_is_not_acknowledged(database: Database) -> None:
    slack = Workspace(database, inbox=Away())
    event = {"type": "event_callback", "event_id": "E1", "event": {"type": "app_home_opened", "user": "U1"}}
    assert await over_the_socket(slack, "events_api", event) == []


# --- HTTP ----------------------------------------------------------------------------------------------------------


def calls(asgi: Any, client: tuple[str, int] = ("127.0.0.1", 50000)) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=asgi, client=client), base_url="http://127.0.0.1:8000"
    )


class Web:
    """The ASGI application with what wiring passes it."""

    def __init__(self, slack: Workspace, client: tuple[str, int] = ("127.0.0.1", 50000)) -> None:
        self.moved: list[datetime] = []
        registry = CollectorRegistry()
        Counter("fullsteam_sent", "Messages sent", registry=registry).inc(3)

        async def health() -> dict[str, Any]:
            return await check_health(slack.database, TUESDAY)

        async def advance(now: datetime) -> datetime | None:
            self.moved.append(now)
            return TUESDAY

        async def inspect(user: str, most: int, reasons: bool) -> dict[str, Any] | None:
            return {"user": user, "most": most, "reasons": reasons} if user == "U1" else None

        self.asgi = build_asgi(
            slack.app,
            health=health,
            registry=registry,
            advance=advance,
            inspect=inspect,
            arrive=self.moved.append,
            signing_secret=SECRET,
        )
        self.plain = build_asgi(slack.app, health=health, registry=registry)
        self.client = calls(self.asgi, client)


def signed(raw: bytes, *, at: str | None = None, secret: str = SECRET) -> dict[str, str]:
    stamp = at or str(int(time.time()))
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=raw) or ""
    return {
        "content-type": "application/json",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": signature,
    }


EVENT = json.dumps(
    {"type": "event_callback", "event_id": "E1", "event": {"type": "app_home_opened"}}
).encode()


async def test_under_steered_time_what_is_heard_is_heard_when_it_is_said(database: Database) -> None:
    web = Web(Workspace(database))
    for now in (TUESDAY.isoformat(), "tomorrow", "2026-11-17T10:00:00"):
        headers = {**signed(EVENT), "x-steered-now": now}
        assert (await web.client.post("/slack/events", content=EVENT, headers=headers)).status_code == 200
    assert web.moved == [TUESDAY]
    far = Web(Workspace(database), client=("203.0.113.9", 50000))
    headers = {**signed(EVENT), "x-steered-now": TUESDAY.isoformat()}
    await far.client.post("/slack/events", content=EVENT, headers=headers)
    assert far.moved == [], "nobody from outside moves a clock"


async def test_only_a_signed_request_says_when_it_is_made(database: Database) -> None:
    web = Web(Workspace(database))
    old = str(int(time.time()) - 600)
    for headers in (signed(EVENT, secret="guessed"), signed(EVENT, at=old), signed(b"another body"), {}):
        steered = {**headers, "x-steered-now": TUESDAY.isoformat()}
        response = await web.client.post("/slack/events", content=EVENT, headers=steered)
        assert response.status_code == 401
    assert web.moved == []


async def test_a_signed_request_comes_in_over_http(database: Database) -> None:
    slack = Workspace(database)
    response = await Web(slack).client.post("/slack/events", content=EVENT, headers=signed(EVENT))
    assert response.status_code == 200
    assert [row.name for row in slack.rows()] == ["app_home_opened"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(EVENT, secret="another"),
        signed(EVENT, at="1000000000"),
        {**signed(EVENT), "x-slack-request-timestamp": "yesterday"},
        {**signed(EVENT), "x-slack-request-timestamp": "1" * 400},
        {**signed(EVENT), "x-slack-request-timestamp": "-5"},
        {**signed(EVENT), "x-slack-signature": ""},
        {**signed(EVENT), "x-slack-signature": "v0=é".encode("latin-1").decode("latin-1")},
    ],
)
async def test_what_slack_did_not_sign_is_401_and_not_kept(
    database: Database, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    slack = Workspace(database)
    raw = [(key.encode(), value.encode("latin-1")) for key, value in headers.items()]
    response = await Web(slack).client.post("/slack/events", content=EVENT, headers=raw)
    assert response.status_code == 401
    assert slack.rows() == []
    assert "app_home_opened" not in caplog.text
    assert "Traceback" not in caplog.text


async def test_bytes_that_are_no_text_and_bodies_without_end_are_refused(database: Database) -> None:
    web = Web(Workspace(database))
    assert (
        await web.client.post("/slack/events", content=b"\xff\xfe", headers=signed(b"x"))
    ).status_code == 401
    assert (
        await web.client.post("/slack/events", content=b"a" * (MAX_BODY + 1), headers=signed(b"x"))
    ).status_code == 413


@pytest.mark.parametrize("raw", [b"no json", b"[]", b"7", b"null", b'"x"', b"[" * 200_000])
async def test_a_signed_body_that_is_no_payload_is_400(database: Database, raw: bytes) -> None:
    slack = Workspace(database)
    response = await Web(slack).client.post("/slack/events", content=raw, headers=signed(raw))
    assert response.status_code == 400
    assert slack.rows() == []


async def test_health_says_how_long_things_have_waited(database: Database) -> None:
    state = (await Web(Workspace(database)).client.get("/healthz")).json()
    assert state["ok"] is True
    assert set(state) >= {
        "database",
        "last_poll",
        "outbox_age_seconds",
        "inbox_age_seconds",
        "dead",
        "sending",
    }


async def test_health_is_503_when_the_database_is_away(database: Database) -> None:
    slack = Workspace(database)
    web = Web(slack)

    class Gone:
        async def read(self, *_arguments: object, **_named: object) -> None:
            raise Retryable("away", code="database-away")

    slack.database = Gone()  # type: ignore[assignment] # a database that is away
    response = await web.client.get("/healthz")
    assert (response.status_code, response.json()) == (503, {"ok": False, "database": "away"})


async def test_metrics_are_served(database: Database) -> None:
    assert "fullsteam_sent_total 3.0" in (await Web(Workspace(database)).client.get("/metrics")).text


async def test_the_steered_clock_answers_what_is_due_next(database: Database) -> None:
    web = Web(Workspace(database))
    response = await web.client.post("/clock", json={"now": "2026-11-17T10:00:00Z"})
    assert (response.json(), web.moved) == ({"next_due": "2026-11-17T10:00:00+00:00"}, [TUESDAY])
    assert (await web.client.post("/clock", json={"now": TUESDAY.timestamp()})).status_code == 200
    for wrong in ({}, {"now": "soon"}, {"now": "2026-11-17T10:00:00"}):
        assert (await web.client.post("/clock", json=wrong)).status_code == 400
    assert web.moved == [TUESDAY, datetime.fromtimestamp(TUESDAY.timestamp(), UTC)]


async def test_the_clock_and_the_look_inside_are_for_this_machine_only(database: Database) -> None:
    slack = Workspace(database)
    far = Web(slack, client=("10.1.2.3", 4711))
    assert (await far.client.post("/clock", json={"now": "2026-11-17T10:00:00Z"})).status_code == 403
    assert (await far.client.get("/inspect/U1")).status_code == 403
    near = Web(slack)
    forwarded = {"x-forwarded-for": "10.1.2.3"}
    assert (await near.client.get("/inspect/U1", headers=forwarded)).status_code == 403
    assert (await near.client.get("/inspect/U1")).json()["user"] == "U1"
    assert (await near.client.get("/inspect/U2")).status_code == 404
    assert far.moved == near.moved == []


@pytest.mark.parametrize(
    ("asked", "most", "reasons"),
    [
        ("", 20, False),
        ("?limit=1", 1, False),
        ("?limit=5000&only=reasons", 5000, True),
        ("?only=everything", 20, False),
    ],
)
async def test_who_looks_inside_says_how_many_and_whether_reasons_are_enough(
    database: Database, asked: str, most: int, reasons: bool
) -> None:
    web = Web(Workspace(database))
    shown = (await web.client.get(f"/inspect/U1{asked}")).json()
    assert shown == {"user": "U1", "most": most, "reasons": reasons}


@pytest.mark.parametrize(
    "asked", ["limit=0", "limit=5001", "limit=-1", "limit=many", "limit=٣", "only=words"]
)
async def test_a_look_inside_that_makes_no_sense_is_refused(database: Database, asked: str) -> None:
    web = Web(Workspace(database))
    assert (await web.client.get(f"/inspect/U1?{asked}")).status_code == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example:8000"}, 403),
        ({"host": "[::1"}, 403),
        ({"host": ""}, 403),
        ({"host": "10.0.0.1:8000"}, 403),
        ({"host": "localhost:8000"}, 200),
        ({"host": "[::1]:8000", "sec-fetch-site": "none"}, 200),
    ],
)
async def test_no_page_in_a_browser_moves_the_clock_or_looks_inside(
    database: Database, headers: dict[str, str], status: int
) -> None:
    web = Web(Workspace(database))
    asked = {"now": "2026-11-17T10:00:00Z"}
    assert (await web.client.post("/clock", json=asked, headers=headers)).status_code == status
    assert (await web.client.get("/inspect/U1", headers=headers)).status_code == status
    assert web.moved == ([TUESDAY] if status == 200 else [])


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", None])
async def test_the_clock_is_told_in_json_only(database: Database, kind: str | None) -> None:
    web = Web(Workspace(database))
    raw = b'{"now": "2026-11-17T10:00:00Z"}'
    headers = {} if kind is None else {"content-type": kind}
    assert (await web.client.post("/clock", content=raw, headers=headers)).status_code == 415
    json_text = {"content-type": "Application/JSON; charset=utf-8"}
    assert (await web.client.post("/clock", content=raw, headers=json_text)).status_code == 200
    assert web.moved == [TUESDAY]


async def test_a_body_without_end_does_not_reach_the_clock(database: Database) -> None:
    web = Web(Workspace(database))
    headers = {"content-type": "application/json"}
    raw = b'{"now": "2026-11-17T10:00:00Z"' + b" " * MAX_CLOCK_BODY + b"}"
    assert (await web.client.post("/clock", content=raw, headers=headers)).status_code == 413
    deep = b"[" * MAX_CLOCK_BODY
    assert (await web.client.post("/clock", content=deep, headers=headers)).status_code == 400
    assert web.moved == []


async def test_without_steered_time_the_clock_does_not_exist(database: Database) -> None:
    client = calls(Web(Workspace(database)).plain)
    assert (await client.post("/clock", json={"now": "2026-11-17T10:00:00Z"})).status_code == 404
    assert (await client.get("/inspect/U1")).status_code == 404
