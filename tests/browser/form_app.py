"""A small app on Bolt with what the bot has not: modals on top of each other, a Home tab, a menu whose options it gives.

It stands behind the same sandbox as the bot does, over HTTP, and writes down what Slack sent it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.wiring import listening, served
from sandbox.app import listen, serving
from sandbox.clock import SteeredClock
from sandbox.events import Outbound
from sandbox.limits import Limits
from sandbox.roster import add_channel, read_user
from sandbox.slack import Slack

Json = dict[str, Any]
TOKEN = "xoxb-form"
SECRET = "the-signing-secret-of-the-form"
MANIFEST: Json = {
    "display_information": {"name": "Forms", "description": "Asks one thing at a time."},
    "features": {
        "app_home": {"home_tab_enabled": True, "messages_tab_enabled": True},
        "slash_commands": [{"command": "/form", "description": "Open the form", "usage_hint": "now | later"}],
        "shortcuts": [
            {"name": "Note this", "type": "message", "callback_id": "note", "description": "Keep a message"},
            {"name": "New form", "type": "global", "callback_id": "new", "description": "Open the form"},
        ],
    },
}


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def question(block_id: str, label: str, element: Json, **more: Any) -> Json:
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label),
        "element": {"action_id": "it", **element},
        **more,
    }


def button(action: str, label: str, **more: Any) -> Json:
    return {"type": "button", "action_id": action, "text": plain(label), "value": action, **more}


def options(*texts: str) -> list[Json]:
    return [{"text": plain(text), "value": text.lower()} for text in texts]


FORM: Json = {
    "type": "modal",
    "callback_id": "form",
    "title": plain("What is in the way"),
    "submit": plain("Send"),
    "close": plain("Not now"),
    "notify_on_close": True,
    "blocks": [
        question("words", "In your words", {"type": "plain_text_input", "multiline": True}),
        question("mode", "How", {"type": "radio_buttons", "options": options("Named", "Quietly")}),
        question("who", "Who else", {"type": "multi_users_select"}, optional=True),
        question("when", "Until when", {"type": "datepicker"}, optional=True),
        question("deal", "Deal", {"type": "external_select", "min_query_length": 1}, optional=True),
        {"type": "actions", "block_id": "row", "elements": [button("more", "Tell me more")]},
    ],
}
MORE: Json = {
    "type": "modal",
    "title": plain("More"),
    "close": plain("Back"),
    "blocks": [{"type": "section", "text": plain("It is read by one person.")}],
}
HOME: Json = {
    "type": "home",
    "blocks": [
        {"type": "header", "text": plain("Where you are")},
        {"type": "actions", "block_id": "pick", "elements": [{"type": "datepicker", "action_id": "day"}]},
    ],
}
LETTER: list[Json] = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "*Two* things"}},
    {
        "type": "actions",
        "block_id": "first",
        "elements": [
            button("yes", "Yes", style="primary"),
            button(
                "wipe",
                "Wipe",
                style="danger",
                confirm={
                    "title": plain("Wipe it?"),
                    "text": plain("It is gone then."),
                    "confirm": plain("Wipe"),
                    "deny": plain("Keep"),
                },
            ),
            {
                "type": "static_select",
                "action_id": "step",
                "placeholder": plain("Step"),
                "options": options("Talking", "Offer"),
            },
        ],
    },
    question("note", "A note", {"type": "plain_text_input"}),
    {"type": "actions", "block_id": "second", "elements": [button("yes", "Yes, the second")]},
    {
        "type": "container",
        "title": plain("Inside"),
        "child_blocks": [
            {"type": "actions", "block_id": "inner", "elements": [button("deep", "Deep inside")]}
        ],
    },
]


ATTACHED: list[Json] = [
    {
        "color": "#0b6b63",
        "blocks": [
            {"type": "actions", "block_id": "beside", "elements": [button("deep", "In the attachment")]}
        ],
    }
]
CARDS: Json = {
    "type": "carousel",
    "elements": [
        {
            "type": "card",
            "block_id": "card",
            "title": plain("A card"),
            "actions": [button("deep", "On the card")],
        }
    ],
}


@dataclass
class Forms:
    """What the app was told: (kind, payload), in order."""

    slack: Slack
    client: AsyncWebClient
    told: list[tuple[str, Json]] = field(default_factory=list)

    def of(self, kind: str) -> list[Json]:
        return [payload for told, payload in self.told if told == kind]


def _app(forms: Forms) -> AsyncApp:
    app = AsyncApp(token=TOKEN, signing_secret=SECRET, client=forms.client)

    @app.command("/form")
    async def command(ack: Any, body: Json, client: AsyncWebClient) -> None:
        await ack()
        forms.told.append(("command", body))
        if body["text"].startswith("letter"):
            heading = {"type": "header", "text": plain(body["text"])}
            await client.chat_postMessage(
                channel=body["user_id"],
                text=body["text"],
                blocks=[heading, *LETTER, CARDS],
                attachments=ATTACHED,
            )
        else:
            await client.views_open(trigger_id=body["trigger_id"], view=FORM)

    @app.shortcut("new")
    async def new(ack: Any, body: Json, client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=FORM)

    @app.shortcut("note")
    async def note(ack: Any, body: Json) -> None:
        await ack()
        forms.told.append(("note", body))

    @app.view("form")
    async def submitted(ack: Any, body: Json, client: AsyncWebClient) -> None:
        forms.told.append(("form", body))
        words = body["view"]["state"]["values"]["words"]["it"]["value"]
        if len(words) < 10:
            await ack(response_action="errors", errors={"words": "Say a little more."})
            return
        await ack()
        await client.chat_postMessage(channel=body["user"]["id"], text=f"Noted: {words}")

    @app.view_closed("form")
    async def closed(ack: Any, body: Json) -> None:
        await ack()
        forms.told.append(("closed", body))

    @app.options("it")
    async def offered(ack: Any, body: Json) -> None:
        await ack(options=options(f"{body['value']} North", f"{body['value']} South"))

    @app.action("more")
    async def more(ack: Any, body: Json, client: AsyncWebClient) -> None:
        await ack()
        await client.views_push(trigger_id=body["trigger_id"], view=MORE)

    @app.event("app_home_opened")
    async def home(event: Json, client: AsyncWebClient) -> None:
        if event["tab"] == "home":
            await client.views_publish(user_id=event["user"], view=HOME)

    @app.event("message")
    async def message(body: Json) -> None:
        forms.told.append(("message", body))

    @app.action({"type": "block_actions", "action_id": "day"})
    @app.action({"type": "block_actions", "action_id": "yes"})
    @app.action({"type": "block_actions", "action_id": "wipe"})
    @app.action({"type": "block_actions", "action_id": "step"})
    @app.action({"type": "block_actions", "action_id": "deep"})
    async def pressed(ack: Any, body: Json, client: AsyncWebClient) -> None:
        await ack()
        forms.told.append(("pressed", body))
        if body["actions"][0]["action_id"] == "wipe":
            where = {"channel": body["channel"]["id"], "ts": body["message"]["ts"]}
            wiped: Json = {"type": "section", "text": plain("Wiped.")}
            text = body["message"]["text"]
            heading = {"type": "header", "text": plain(text)}
            await client.chat_update(**where, text=text, blocks=[heading, *LETTER, wiped])

    return app


@contextlib.asynccontextmanager
async def forms_at_work() -> AsyncIterator[tuple[Forms, str]]:
    """The app and a workspace of two people and a channel; yields what it was told, and where the page is."""
    # Time stands still here, and so would a limit: what a bot does about limits is tested elsewhere.
    slack = Slack(SteeredClock(datetime(2026, 3, 10, 9, tzinfo=UTC)), limits=Limits(on=False))
    slack.manifest = MANIFEST
    slack.workspace.grant(TOKEN)
    for number, name in enumerate(("Ada Marsh", "Bo Lind"), 1):
        slack.workspace.add_user(
            read_user({"id": f"U{number:08}", "name": name, "tz": "Europe/Berlin"}, slack.workspace)
        )
    members = ["U00000001", "U00000002"]
    add_channel({"name": "sales-emea", "members": members, "bot": True}, slack.workspace)
    bound = listening("127.0.0.1", 0)
    outbound = Outbound(slack, f"http://127.0.0.1:{bound.getsockname()[1]}", SECRET)
    async with serving(slack, outbound, listen("127.0.0.1", 0)):
        forms = Forms(slack, AsyncWebClient(token=TOKEN, base_url=f"{slack.url}/api/"))
        handler = AsyncSlackRequestHandler(_app(forms))

        async def endpoint(request: Request) -> Response:
            return await handler.handle(request)

        app = Starlette(routes=[Route("/slack/events", endpoint, methods=["POST"])])
        async with served(app, bound):
            yield forms, slack.url
