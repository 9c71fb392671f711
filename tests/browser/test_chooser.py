"""The page on which one chooses whom to be: who stands first there has something to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from sandbox.clock import SteeredClock
from sandbox.state import User
from tests.browser.access import faults
from tests.browser.office import Office, running
from tests.browser.windows import NARROW, Windows
from tests.contract.sandbox import workspace

AFTERNOON = datetime(2026, 7, 16, 14, tzinfo=UTC)
"""A Thursday: work is over in Kolkata, going on in London and in New York."""


def _people() -> list[User]:
    def made(number: int, name: str, zone: str, locale: str, role: str = "rep", team: str = "") -> User:
        email = f"p{number}@example.com"
        return User(
            f"U{number}", f"p{number}", name, email, zone, locale=locale, role=role, team=team, dnd=None
        )

    return [
        made(11, "Quiet Quinn", "Europe/London", "en-GB"),
        made(12, "Dieter Deutsch", "Europe/Berlin", "de-DE"),
        made(13, "Asha Asleep", "Asia/Kolkata", "en-GB"),
        made(14, "Ready Rita", "Europe/London", "en-GB", team="Near Nell"),
        made(15, "Away Amy", "Europe/London", "en-GB"),
        made(21, "Far Fred", "America/New_York", "en-US", "manager"),
        made(22, "Near Nell", "Europe/London", "en-GB", "manager"),
    ]


@asynccontextmanager
async def _workspace() -> AsyncIterator[tuple[None, str]]:
    async with workspace.running(clock=SteeredClock(AFTERNOON)) as here:
        for user in _people():
            here.slack.workspace.add_user(user)
        here.slack.workspace.users["U15"].status_text = "Vacationing"
        for _ in range(3):
            for user_id in ("U11", "U21"):
                await here.call("chat.postMessage", channel=user_id, text="Hello")
        for user_id in ("U12", "U13", "U14", "U15"):
            blocks = workspace.buttons("tip:do")
            await here.call("chat.postMessage", channel=user_id, text="A tip", blocks=blocks)
        yield None, here.slack.url


@pytest.fixture(scope="module")
def office() -> Iterator[Office[None]]:
    with running(_workspace()) as at:
        yield at


def test_the_first_rep_has_a_tip_to_answer_and_the_manager_is_theirs(
    office: Office[None], windows: Windows
) -> None:
    page = windows.open(size=NARROW)
    page.goto(office.url)
    cards = page.get_by_role("region", name="Start here").get_by_role("listitem")
    expect(cards.nth(0)).to_contain_text("Ready Rita")
    expect(cards.nth(1)).to_contain_text("Near Nell")
    expect(page.get_by_role("region", name="Start here")).to_contain_text("What to try first")
    assert not faults(page, "the chooser")
