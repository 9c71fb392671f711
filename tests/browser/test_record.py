"""The page of a record in a browser: read, mended, refused beside the field; on a phone, in the dark, by keyboard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Literal

import pytest
from playwright.sync_api import expect

from sandbox.crm.server import CrmServer
from tests.browser.access import faults
from tests.browser.office import Office, running
from tests.browser.windows import NARROW, WIDE, Windows
from tests.contract.sandbox import workspace
from tests.orgs import Org


@asynccontextmanager
async def _crm() -> AsyncIterator[tuple[str, str]]:
    """A sandbox with one deal, in which a next step and an account are missing; yields its id and the address."""
    org = Org()
    rep = org.user("Ann Lee")
    org.account(rep)
    deal = org.deal(rep, 100, Name="Kiel Pumps renewal", Amount=48_500.0, NextStep=None)
    async with workspace.running(clock=org.clock) as here:
        here.sandbox.crm = CrmServer(org.crm, here.slack)
        yield deal, here.slack.url


@pytest.fixture(scope="module")
def office() -> Iterator[Office[str]]:
    with running(_crm()) as at:
        yield at


def test_a_deal_is_mended_with_the_keyboard_and_what_is_wrong_is_said_beside_it(
    office: Office[str], windows: Windows
) -> None:
    page = windows.open()
    page.goto(f"{office.url}/lightning/r/Opportunity/{office.work}/view")
    expect(page.get_by_role("heading", name="Kiel Pumps renewal")).to_be_visible()
    amount, step = page.get_by_label("Amount"), page.get_by_label("Next step")
    amount.fill("a lot")
    step.fill("Send the contract")
    step.press("Enter")
    expect(amount).to_be_focused()
    expect(amount).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#trouble-Amount")).to_contain_text("The amount is a number")
    assert not faults(page, "refused")
    amount.fill("52,000")
    page.get_by_label("Account").fill("Northwind")
    page.get_by_label("Account").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    for words in ("52,000", "Send the contract", "Northwind"):
        expect(page.locator(".facts")).to_contain_text(words)

    # A call is logged, has a page, and leads back.
    page.get_by_label("What was it about?").fill("Agreed the price")
    page.get_by_role("button", name="Log a call").press("Enter")
    page.get_by_role("link", name="Agreed the price").click()
    expect(page.get_by_role("heading", name="Agreed the price")).to_be_visible()
    page.get_by_role("link", name="Kiel Pumps renewal").click()
    expect(page.get_by_role("heading", name="Mend it")).to_be_visible()


@pytest.mark.parametrize(("theme", "size"), [("light", WIDE), ("dark", NARROW)])
def test_it_is_seen_and_heard_well_in_light_and_dark_and_on_a_phone(
    office: Office[str], windows: Windows, theme: Literal["light", "dark"], size: tuple[int, int]
) -> None:
    page = windows.open(theme=theme, size=size)
    for path in (office.work, "0065e00000000zzAAA"):
        page.goto(f"{office.url}/lightning/r/Opportunity/{path}/view")
        page.get_by_role("heading", level=1).wait_for()
        assert not faults(page, f"{path} {theme}")
