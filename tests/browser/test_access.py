"""The page for whoever does not use a mouse, sees badly, or holds a phone: names, contrast, order, width."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import expect

from tests.browser.access import faults
from tests.browser.form_app import Forms, forms_at_work
from tests.browser.office import Office, at_work, running
from tests.browser.visitor import Visitor
from tests.browser.windows import NARROW, WIDE, Windows
from tests.story import Firm, Story

ADA = "Ada Marsh"
LONG = "Maximiliana-Theodora von Hohenstein-Württemberg zu Oettingen"
ARAB = "جمال عبد الرحمن خالد"


@pytest.fixture(scope="module")
def firm_at_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office[Story]]:
    """Ada has been welcomed, has chosen, and has got a tip."""
    folder = tmp_path_factory.mktemp("firm")
    firm = Firm(folder / "crm")
    for name in (ADA, LONG, ARAB):
        firm.hires(name)
        firm.neglects_dates(name)

    async def half_a_week(story: Story) -> None:
        await story.is_welcomed(ADA, goal="productivity")
        await story.until("2026-11-20 12:00")

    with at_work(firm, f"sqlite:///{folder}/fullsteam.db", "2026-11-16 07:00") as office:
        office.does(half_a_week)
        yield office


@pytest.fixture(scope="module")
def forms() -> Iterator[Office[Forms]]:
    with running(forms_at_work()) as office:
        yield office


WRONG = """
<p style="color: #999; background: #fff">grey</p><button id="twice"></button><i id="twice"></i>
<p aria-labelledby="nowhere" tabindex="3">x</p><div aria-hidden="true"><a href="/">hidden</a></div>
<div style="width: 900px">wide</div><button style="width: 9px; padding: 0">small</button>
"""


def test_the_checks_find_what_is_wrong(windows: Windows) -> None:
    page = windows.open(size=NARROW)
    page.set_content(f"<html lang=en><title>Wrong</title><body>{WRONG}</body></html>")
    found = " ".join(faults(page, ""))
    for kind in ("contrast 2.85", "two of id twice", "points to nothing", "by number", "hidden from readers"):
        assert kind in found
    for kind in ("out of sight", "too small to hit", "a button without a name", "wide in a window of 400"):
        assert kind in found


SCREENS = [("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)]


@pytest.mark.parametrize(("theme", "size"), SCREENS, ids=[f"{theme} {size[0]}" for theme, size in SCREENS])
def test_every_screen_has_names_contrast_room_and_no_dead_end(
    firm_at_work: Office[Story],
    forms: Office[Forms],
    windows: Windows,
    theme: Literal["light", "dark"],
    size: tuple[int, int],
) -> None:
    page = windows.open(theme=theme, size=size)
    visitor = Visitor(page, firm_at_work.url)
    expect(page.get_by_role("searchbox")).to_be_visible()
    found = faults(page, "whom to be")
    visitor.becomes(ADA)
    tip = visitor.message("close date in the past")
    expect(tip).to_be_visible()
    found += faults(page, "the conversation")
    tip.locator(".content").get_by_role("button", name="More choices").click()
    found += faults(page, "the menu of a tip")
    page.keyboard.press("Escape")
    tip.hover()
    tip.get_by_role("button", name="Reply in thread").click()
    expect(visitor.thread).to_be_visible()
    found += faults(page, "the thread")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Inspect").click()
    expect(page.get_by_role("heading", name=f"What Fullsteam decided about {ADA}")).to_be_visible()
    expect(page.get_by_text("Decision", exact=False).first).to_be_visible()
    found += faults(page, "the inspector")

    visitor = Visitor(page, forms.url)
    visitor.becomes(ADA)
    visitor.writes("/form letter one")
    expect(visitor.message("letter one")).to_be_visible()
    found += faults(page, "a letter")
    visitor.writes("/form now")
    modal = page.get_by_role("dialog", name="What is in the way")
    modal.get_by_role("button", name="Send").click()
    expect(modal.get_by_text("Please fill this in.").first).to_be_visible()
    found += faults(page, "a modal with errors")
    modal.get_by_role("button", name="Not now").click()
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="Where you are")).to_be_visible()
    found += faults(page, "the Home tab")
    assert not found, "\n".join(found)


def test_long_and_foreign_names_stay_inside(firm_at_work: Office[Story], windows: Windows) -> None:
    page = windows.open(size=NARROW)
    visitor = Visitor(page, firm_at_work.url)
    for name in (LONG, ARAB):
        visitor.becomes(name)
        found = faults(page, name)
        assert not found, "\n".join(found)


def test_the_page_has_its_landmarks_and_one_title(firm_at_work: Office[Story], windows: Windows) -> None:
    visitor = Visitor(windows.open(), firm_at_work.url)
    visitor.becomes(ADA)
    for landmark in ("banner", "navigation", "main"):
        assert visitor.page.get_by_role(landmark).count() >= 1, landmark
    expect(visitor.page.get_by_role("main")).to_have_count(1)
    expect(visitor.page.get_by_role("heading", level=1)).to_have_count(1)


def test_everything_is_done_without_a_mouse(firm_at_work: Office[Story], windows: Windows) -> None:
    page = windows.open()
    page.goto(firm_at_work.url)
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("ada")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    composer = page.get_by_label("Message to Fullsteam")
    expect(composer).to_be_focused()

    # Backwards from where one writes to the newest tip's own buttons, and into its menu.
    def back_to(name: str) -> None:
        for _ in range(25):
            page.keyboard.press("Shift+Tab")
            if page.evaluate(
                "document.activeElement.textContent.trim() || document.activeElement.ariaLabel"
            ).startswith(name):
                return
        pytest.fail(f"Tab does not lead to {name}")

    back_to("Remind me")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="No reminder")).to_be_visible()
    page.reload()
    expect(composer).to_be_focused()
    expect(page.get_by_text("close date in the past")).to_be_visible()
    page.keyboard.press("Tab")
    for _ in range(30):
        if page.evaluate("document.activeElement.matches('.skip')"):
            break
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_a_new_message_is_read_out(forms: Office[Forms], windows: Windows) -> None:
    visitor = Visitor(windows.open(), forms.url)
    visitor.becomes(ADA)
    visitor.writes("/form letter two")
    expect(visitor.page.get_by_role("log").filter(has_text="letter two")).to_have_count(1)
