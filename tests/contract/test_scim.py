"""Ids of single sign-on: read from a server that answers as Slack's SCIM API does, with Slack's own client."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.delivery.directory import SlackDirectory, _with_sso_ids
from bot.delivery.scim import SlackScim, names_of
from bot.delivery.slack import connect
from bot.domain.errors import Permanent, Retryable
from sandbox.clock import SteeredClock
from sandbox.limits import Limits
from tests.contract.sandbox.workspace import TOKEN, running

pytestmark = pytest.mark.anyio
ADMIN = "xoxp-admin"


def scim_user(identity: str, external: str = "", name: str = "handle") -> dict[str, Any]:
    """As in Slack's own test of its client (slack_sdk tests, scim internal_utils) and docs.slack.dev/reference/scim-api."""
    return {
        "schemas": ["urn:scim:schemas:core:1.0"],
        "id": identity,
        "externalId": external,
        "meta": {"created": "2026-08-13T04:15:35-07:00", "location": f"https://x/scim/v1/Users/{identity}"},
        "userName": name,
        "nickName": name,
        "name": {"givenName": "", "familyName": ""},
        "active": True,
        "emails": [{"value": f"{identity}@example.com".lower(), "primary": True}],
        "groups": [],
    }


@dataclass
class Scim:
    """``most``: rows a page at most, whatever is asked. ``fault``: status and body instead of an answer."""

    users: list[dict[str, Any]] = field(default_factory=list)
    most: int = 1000
    fault: tuple[int, str] | None = None
    asked: list[tuple[int, int]] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        if self.fault is not None:
            return web.Response(status=self.fault[0], text=self.fault[1], content_type="application/json")
        if request.headers.get("Authorization") != f"Bearer {ADMIN}":
            said = {"Errors": {"description": "invalid_authentication", "code": 401}}
            return web.json_response(said, status=401)
        start, count = int(request.query["startIndex"]), int(request.query["count"])
        self.asked.append((start, count))
        page = self.users[start - 1 : start - 1 + min(count, self.most)]
        return web.json_response(
            {
                "totalResults": len(self.users),
                "itemsPerPage": len(page),
                "startIndex": start,
                "schemas": ["urn:scim:schemas:core:1.0"],
                "Resources": page,
            }
        )


@asynccontextmanager
async def serving(scim: Scim) -> AsyncIterator[Scim]:
    app = web.Application()
    app.router.add_get("/scim/v1/Users", scim.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    scim.url = f"http://127.0.0.1:{port}/scim/v1/"
    try:
        yield scim
    finally:
        await runner.cleanup()


@asynccontextmanager
async def client(scim: Scim, token: str = ADMIN) -> AsyncIterator[SlackScim]:
    async with serving(scim), aiohttp.ClientSession() as session:
        yield SlackScim(token, scim.url, session)


async def test_every_page_is_read_however_few_rows_come() -> None:
    scim = Scim([scim_user(f"U{n}", f"oid-{n}") for n in range(25)], most=10)
    async with client(scim) as read:
        found = await read.sso_ids()
    assert found == {f"U{n}": (f"oid-{n}",) for n in range(25)}
    assert [start for start, _ in scim.asked] == [1, 11, 21]


async def test_who_has_no_id_is_absent_and_a_handle_is_none() -> None:
    users = [
        scim_user("U1"),
        scim_user("U2", "oid-2", "bob@example.com"),
        scim_user("U3", name="eve@example.com"),
    ]
    async with client(Scim(users)) as read:
        assert await read.sso_ids() == {"U2": ("oid-2", "bob@example.com"), "U3": ("eve@example.com",)}
    assert names_of({"id": "U1", "externalId": None, "userName": "the.boss"}) == ()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, '{"Errors": {"description": "invalid_authentication", "code": 401}}', Permanent),
        (403, '{"Errors": {"description": "missing_scope", "code": 403}}', Permanent),
        (400, '{"Errors": {"description": "non_org_teams_only", "code": 400}}', Permanent),
        (429, '{"Errors": {"description": "ratelimited", "code": 429}}', Retryable),
        (500, "<html>", Retryable),
        (200, "<html>", Retryable),
        (200, '{"Resources": [', Retryable),
        (200, "{}", Retryable),
    ],
)
async def test_no_answer_is_never_taken_for_nobody(status: int, body: str, kind: type[Exception]) -> None:
    async with client(Scim(fault=(status, body))) as read:
        with pytest.raises(kind) as raised:
            await read.sso_ids()
    if status in (401, 403):
        assert "FULLSTEAM_SLACK_SCIM_TOKEN" in str(raised.value)


async def test_a_server_that_is_away_is_asked_again_later() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(Retryable):
            await SlackScim(ADMIN, "http://127.0.0.1:9/scim/v1/", session).sso_ids()


@asynccontextmanager
async def directory(scim: Scim, token: str = ADMIN) -> AsyncIterator[SlackDirectory]:
    clock = SteeredClock(datetime(2026, 11, 18, 9, tzinfo=UTC))
    async with (
        running(clock=clock, limits=Limits(on=False)) as one,
        connect(TOKEN, api_url=f"{one.slack.url}/api/") as connection,
        serving(scim),
    ):
        yield SlackDirectory(
            connection.reading, connection.voice, SlackScim(token, scim.url, connection.session)
        )


async def test_the_directory_says_of_everybody_by_what_names_single_sign_on_knows_them() -> None:
    async with directory(Scim([scim_user("U1", "oid-1"), scim_user("W9", "oid-9")])) as read:
        users = {user.id: user.sso_ids async for page in read.users() for user in page}
        assert read.scim_fault is None
    assert users.pop("U1") == ("oid-1",)
    assert set(users.values()) == {()}


async def test_while_scim_does_not_answer_slacks_users_are_read_and_their_ids_left_as_they_were(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scim = Scim([scim_user("U1", "oid-1")], fault=(500, ""))
    async with directory(scim) as read:
        caplog.set_level(logging.INFO)
        for _ in range(2):
            assert {user.sso_ids async for page in read.users() for user in page} == {None}
        assert isinstance(read.scim_fault, Retryable)
        scim.fault = None
        assert ("oid-1",) in {user.sso_ids async for page in read.users() for user in page}
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("slack.scim")]
    assert said == ["slack.scim_failed", "slack.scim_answers_again"]


async def test_an_account_of_an_organisation_is_known_by_the_id_that_it_has_there() -> None:
    member = {"id": "U1", "enterprise_user": {"id": "W7"}, "profile": {}}
    assert _with_sso_ids(member, {"W7": ("oid-7",)}).sso_ids == ("oid-7",)
    assert _with_sso_ids(member, {"W8": ("oid-8",)}).sso_ids == ()
    assert _with_sso_ids(member, None).sso_ids is None


async def test_nothing_that_scim_says_is_logged_even_at_debug_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with client(Scim([scim_user("U1", "oid-1")])) as read:
        await read.sso_ids()
    assert "oid-1" not in caplog.text
    assert ADMIN not in caplog.text
