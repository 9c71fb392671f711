"""Where things are kept and who is there: files, user groups, group messages, threads that show in the channel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.clock import SteeredClock
from sandbox.limits import Limits
from sandbox.roster import read_roster
from sandbox.state import Workspace
from tests.contract.sandbox.test_conformance import uploaded
from tests.contract.sandbox.test_deliveries import payload_of
from tests.contract.sandbox.workspace import MORNING, TOKEN, FakeBot, Running, listening, running

pytestmark = pytest.mark.anyio


@pytest.fixture
async def here() -> AsyncIterator[Running]:
    async with running(limits=Limits(on=False)) as it:
        yield it


def client(here: Running) -> AsyncWebClient:
    return AsyncWebClient(token=TOKEN, base_url=f"{here.slack.url}/api/")


async def last(here: Running, channel: str) -> dict[str, Any]:
    history = await here.call("conversations.history", channel=channel)
    message: dict[str, Any] = history["messages"][0]
    return message


async def test_slack_sdk_uploads_a_chart_into_a_thread(here: Running) -> None:
    sdk = client(here)
    root = await sdk.chat_postMessage(channel="U1", text="The week")
    png = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    done = await sdk.files_upload_v2(
        content=png,
        filename="week.png",
        title="The week",
        alt_txt="A chart",
        channel=root["channel"],
        thread_ts=root["ts"],
        initial_comment="In one picture",
    )
    file = done["files"][0]
    thread = await sdk.conversations_replies(channel="D1", ts=root["ts"])
    (reply,) = thread["messages"][1:]
    assert (reply["text"], reply["files"][0]["id"]) == ("In one picture", file["id"])
    assert (file["mimetype"], file["size"], file["alt_txt"]) == ("image/png", len(png), "A chart")
    assert file["ims"] == ["D1"]
    async with here.session.get(file["url_private"]) as response:
        assert (response.status, response.content_type, await response.read()) == (200, "image/png", png)
        assert response.headers["Content-Security-Policy"] == "sandbox"


async def test_a_form_with_the_file_in_it_is_an_upload_too(here: Running) -> None:
    asked = await here.call("files.getUploadURLExternal", filename="a.txt", length=5)
    form = aiohttp.FormData()
    form.add_field("file", b"hello", filename="a.txt")
    async with here.session.post(asked["upload_url"], data=form) as response:
        assert (response.status, await response.text()) == (200, "OK - 5")
    assert (await here.call("files.completeUploadExternal", files=[{"id": asked["file_id"]}]))["ok"]


async def test_uploads_that_are_not_what_was_announced_are_refused(here: Running) -> None:
    asked = await here.call("files.getUploadURLExternal", filename="a.txt", length=5)
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    for body, headers in ((b"four", {}), (b"", {}), (b"--x\r\n\r\n", multipart), (b"\xff" * 9, multipart)):
        async with here.session.post(asked["upload_url"], data=body, headers=headers) as response:
            assert (response.status, (await response.json())["ok"]) == (400, False), body
    async with here.session.post(f"{here.slack.url}/upload/v1/guess", data=b"hello") as response:
        assert response.status == 404
    async with here.session.get(f"{here.slack.url}/files/{asked['file_id']}/a.txt") as response:
        assert response.status == 404
    assert (await here.call("files.info", file=asked["file_id"]))["error"] == "file_not_found"


async def test_a_file_goes_to_every_channel_that_is_named(here: Running) -> None:
    workspace = here.slack.workspace
    channel = workspace.add_channel("sales", members=["U1", workspace.bot_user_id]).id
    file = await uploaded(here)
    done = await here.call("files.completeUploadExternal", files=[{"id": file}], channels=f"{channel},U4")
    assert (done["files"][0]["channels"], done["files"][0]["ims"]) == ([channel], ["D4"])
    assert [(await last(here, each))["files"][0]["id"] for each in (channel, "D4")] == [file, file]
    # It can be shown in a block, which a file that is not there cannot.
    image = {"type": "image", "slack_file": {"id": file}, "alt_text": "x"}
    assert (await here.call("chat.postMessage", channel="U1", text="x", blocks=[image]))["ok"]
    by_url = {**image, "slack_file": {"url": done["files"][0]["url_private"]}}
    assert (await here.call("chat.postMessage", channel="U1", text="x", blocks=[by_url]))["ok"]


async def test_files_need_their_scope() -> None:
    async with running(scopes=frozenset({"chat:write"})) as here:
        answer = await here.call("files.getUploadURLExternal", filename="a", length=1)
        assert (answer["error"], answer["needed"]) == ("missing_scope", "files:write")
        assert (await here.call("usergroups.list"))["needed"] == "usergroups:read"


async def test_user_groups_have_members_and_can_be_disabled(here: Running) -> None:
    await here.do("usergroups", handle="sales", name="Sales", users=["U1", "U4"])
    await here.do("usergroups", handle="former", disabled=True)
    sdk = client(here)
    groups = (await sdk.usergroups_list(include_users=True))["usergroups"]
    assert [(each["handle"], each["name"], each["users"]) for each in groups] == [
        ("sales", "Sales", ["U1", "U4"])
    ]
    assert (await sdk.usergroups_users_list(usergroup=groups[0]["id"]))["users"] == ["U1", "U4"]
    assert len((await sdk.usergroups_list(include_disabled=True))["usergroups"]) == 2
    await here.do("usergroups", handle="sales", users=["U4"])
    assert (await sdk.usergroups_users_list(usergroup=groups[0]["id"]))["users"] == ["U4"]
    for wrong in ({}, {"handle": "x", "users": ["U9"]}, {"handle": "x", "colour": "red"}):
        assert (await here.admin("POST", "usergroups", wrong))[0] == 400


async def test_a_group_message_is_opened_once_and_heard_as_one() -> None:
    async with listening(FakeBot()) as bot, running(bot=bot) as here:
        first = await here.call("conversations.open", users="U1,U4")
        again = await here.call("conversations.open", users="U4,U1")
        channel = first["channel"]["id"]
        assert (again["channel"]["id"], again["already_open"]) == (channel, True)
        shown = (await here.call("conversations.info", channel=channel))["channel"]
        assert (shown["is_mpim"], shown["is_private"], shown["name"]) == (
            True,
            True,
            "mpdm-ann--cleo--fullsteam-1",
        )
        assert (await here.call("chat.postMessage", channel=channel, text="You two"))["ok"]
        await here.do("say", user="U4", text="Yes?", channel=channel)
        assert payload_of(bot.seen[0])["event"]["channel_type"] == "mpim"
        listed = await here.call("conversations.list", types="mpim")
        assert [each["id"] for each in listed["channels"]] == [channel]
    async with running(scopes=frozenset({"im:write"})) as here:
        assert (await here.call("conversations.open", users="U1,U4"))["needed"] == "mpim:write"


async def test_a_reply_that_is_broadcast_stands_in_the_channel_too(here: Running) -> None:
    root = await here.call("chat.postMessage", channel="U1", text="Root")
    await here.call("chat.postMessage", channel="U1", text="Quiet", thread_ts=root["ts"])
    loud = await here.call(
        "chat.postMessage", channel="U1", text="Loud", thread_ts=root["ts"], reply_broadcast=True
    )
    history = await here.call("conversations.history", channel="D1")
    assert [message["text"] for message in history["messages"]] == ["Loud", "Root"]
    assert (loud["message"]["subtype"], loud["message"]["root"]["text"]) == ("thread_broadcast", "Root")
    thread = await here.call("conversations.replies", channel="D1", ts=root["ts"])
    assert [message["text"] for message in thread["messages"]] == ["Root", "Quiet", "Loud"]


@pytest.mark.parametrize("how", [{"link_names": True}, {"parse": "full"}])
async def test_names_become_mentions_only_when_asked_for(here: Running, how: dict[str, Any]) -> None:
    text = "@ann and @nobody, mail ann@cleo.example"
    plain = await here.call("chat.postMessage", channel="U1", text=text)
    linked = await here.call("chat.postMessage", channel="U1", text=text, **how)
    assert plain["message"]["text"] == text
    assert linked["message"]["text"] == "<@U1> and @nobody, mail ann@cleo.example"


def test_the_people_of_the_documentation_can_be_read(repository: Path, tmp_path: Path) -> None:
    page = (repository / "docs/sandbox.md").read_text(encoding="utf-8")
    people = tmp_path / "people.json"
    people.write_text(page.partition("```json\n")[2].partition("```")[0], encoding="utf-8")
    workspace = Workspace(SteeredClock(MORNING))
    assert [user.role for user in read_roster(people, workspace).users] == ["rep", "adoption_lead"]
    assert workspace.users["U00000001"].team == "North"
