"""Slack's own framework takes the sandbox for Slack: a Bolt app is signed in, hears everything, and answers."""

from __future__ import annotations

from typing import Any

import pytest
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from starlette.requests import Request
from starlette.responses import Response

from sandbox.clock import SteeredClock
from tests.contract.sandbox.test_deliveries import MODAL
from tests.contract.sandbox.workspace import MORNING, SECRET, TOKEN, FakeBot, buttons, listening, running

pytestmark = pytest.mark.anyio


class BoltBot(FakeBot):
    """A Bolt app in the bot's place; `heard` names what its listeners got."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def connect(self, url: str) -> None:
        client = AsyncWebClient(token=TOKEN, base_url=f"{url}/api/")
        app = AsyncApp(client=client, signing_secret=SECRET, process_before_response=True)
        heard = self.heard

        @app.event("message")
        async def on_message(event: dict[str, Any], say: Any) -> None:
            heard.append(f"message {event['text']}")
            await say("Noted", thread_ts=event["ts"])

        @app.event("app_home_opened")
        async def on_home(event: dict[str, Any], client: AsyncWebClient) -> None:
            heard.append(f"home {event['tab']}")
            await client.views_publish(
                user_id=event["user"], view={"type": "home", "blocks": [{"type": "divider"}]}
            )

        @app.action("go")
        async def on_go(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
            heard.append("action go")
            await client.views_open(trigger_id=body["trigger_id"], view=MODAL)
            await ack()

        @app.action("done")
        async def on_done(ack: Any, respond: Any) -> None:
            heard.append("action done")
            await ack()
            await respond(text="All done", replace_original=True)

        @app.view("ask")
        async def on_submit(ack: Any, view: dict[str, Any]) -> None:
            heard.append(f"submit {view['state']['values']['words']['text']['value']}")
            await ack(response_action="errors", errors={"words": "Say more"})

        @app.view_closed("ask")
        async def on_close(ack: Any) -> None:
            heard.append("close")
            await ack()

        @app.command("/fullsteam")
        async def on_command(ack: Any, command: dict[str, Any]) -> None:
            heard.append(f"command {command['text']}")
            await ack("Here is help")

        @app.shortcut("keep")
        async def on_shortcut(ack: Any, shortcut: dict[str, Any]) -> None:
            heard.append(f"shortcut {shortcut['message']['text']}")
            await ack()

        self.handler = AsyncSlackRequestHandler(app)

    async def serve_event(self, request: Request) -> Response:
        return await self.handler.handle(request)


async def test_a_bolt_app_works_with_it_as_with_slack() -> None:
    bot = BoltBot()
    async with listening(bot), running(bot=bot, clock=SteeredClock(MORNING), echo=True) as here:
        bot.connect(here.slack.url)
        post = await here.call("chat.postMessage", channel="U1", text="Hi", blocks=buttons("go", "done"))
        answers = [
            await here.do("say", user="U1", text="hello"),
            await here.do("home", user="U1"),
            await here.do("press", user="U1", message_ts=post["ts"], action_id="go"),
            await here.do("submit", user="U1", inputs={"text": "slow"}),
            await here.do("close", user="U1"),
            await here.do("command", user="U1", command="/fullsteam", text="help"),
            await here.do("shortcut", user="U1", callback_id="keep", channel="D1", message_ts=post["ts"]),
            await here.do("press", user="U1", message_ts=post["ts"], action_id="done"),
        ]
        _, shown = await here.admin("GET", "messages?user=U1")
        _, views = await here.admin("GET", "views?user=U1")
    assert [answer["status"] for answer in answers] == [200] * len(answers)
    assert bot.heard == [
        *("message hello", "home home", "action go", "submit slow", "close"),
        *("command help", "shortcut Hi", "action done"),
    ]
    texts = [message["text"] for message in shown["messages"]]
    assert texts == ["All done", "hello", "Noted", "Here is help"]
    assert views["home"]["type"] == "home"
    assert views["modals"] == []
