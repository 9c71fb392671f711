"""The page for whoever hears it or works it with keys alone: what is spoken, what a key does, where a menu is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.access import faults
from tests.browser.form_app import Forms, forms_at_work
from tests.browser.office import Office, running
from tests.browser.visitor import Visitor
from tests.browser.windows import NARROW, Windows

ADA = "Ada Marsh"
CLOCK_BUTTON = "+1 hour"


@pytest.fixture(scope="module")
def office() -> Iterator[Office[Forms]]:
    with running(forms_at_work()) as at:
        yield at


@pytest.fixture
def ada(office: Office[Forms], windows: Windows) -> Visitor:
    """A wide window in which one is Ada."""
    visitor = Visitor(windows.open(), office.url)
    visitor.becomes(ADA)
    return visitor


def landmark(panel: Locator) -> str:
    """Of what part of the page a panel is."""
    found: str = panel.evaluate(
        "(node) => node.closest('main, nav, aside, dialog, .topbar')?.tagName ?? 'none'"
    )
    return found


def test_the_arrows_speak_who_when_what_it_says_and_what_hangs_on_it(ada: Visitor) -> None:
    ada.writes("the first of two")
    ada.writes("/form letter to hear")
    letter = ada.message("letter to hear")
    expect(letter).to_be_visible()
    letter.focus()
    ada.page.keyboard.press("ArrowUp")
    heard = ada.conversation.locator(".message:focus")
    expect(heard).to_have_accessible_name(re.compile(r"^Ada Marsh, \d\d:\d\d: the first of two$"))
    ada.page.keyboard.press("ArrowDown")
    # Its buttons are reached with Tab and have names of their own: they are not read as if they were said.
    expect(heard).to_have_accessible_name(re.compile(r"^Forms, \d\d:\d\d: letter to hear\. Two things"))
    expect(heard).not_to_have_accessible_name(re.compile("Wipe|Talking"))
    heard.get_by_role("button", name="Wipe").click()
    ada.page.get_by_role("alertdialog").get_by_role("button", name="Wipe").click()
    expect(ada.message("letter to hear")).to_have_accessible_name(
        re.compile(r"^Forms, \d\d:\d\d, edited: letter to hear\. .*Wiped\.$")
    )
    ada.message("the first of two").focus()
    ada.page.keyboard.press("Enter")
    ada.writes("under it", under=True)
    expect(ada.message("the first of two")).to_have_accessible_name(
        re.compile(r"the first of two \(1 reply\)$")
    )


def test_what_is_long_is_cut_at_a_word_when_it_is_spoken(ada: Visitor) -> None:
    ada.writes("many words " * 100)
    name = ada.message("many words").get_attribute("aria-label") or ""
    assert 380 < len(name) < 440
    assert re.search(r"(many|words)…$", name)


def test_that_a_message_was_changed_stands_beside_its_time(ada: Visitor) -> None:
    ada.writes("/form letter that changes")
    letter = ada.message("letter that changes")
    letter.get_by_role("button", name="Wipe").click()
    ada.page.get_by_role("alertdialog").get_by_role("button", name="Wipe").click()
    mark = letter.get_by_text("(edited)")
    expect(mark).to_be_visible()
    at, of = mark.bounding_box(), letter.locator("time").bounding_box()
    assert at is not None
    assert of is not None
    assert abs(at["y"] + at["height"] - of["y"] - of["height"]) < 3


def test_single_keys_can_be_switched_off_and_stay_off(ada: Visitor) -> None:
    page = ada.page
    ada.writes("somewhere to stand")
    stand = ada.message("somewhere to stand")
    stand.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    switch = keys.get_by_role("switch", name="i, c and ? act anywhere")
    expect(switch).to_be_checked()
    switch.press("Space")
    expect(switch).not_to_be_checked()
    page.keyboard.press("Escape")
    for _ in range(2):
        for key in ("i", "c", "?"):
            stand.press(key)
            expect(stand).to_be_focused()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_role("complementary")).to_have_count(0)
        page.reload()
        expect(stand).to_be_visible()

    # The list of keys is still to be found, and with it the way back.
    page.get_by_role("button", name=ADA).first.click()
    page.get_by_role("menuitem", name="Keys").click()
    switch.click()
    page.keyboard.press("Escape")
    stand.press("c")
    expect(ada.composer).to_be_focused()


def test_the_field_is_a_combobox_as_long_as_it_offers_commands(ada: Visitor) -> None:
    field = ada.composer
    expect(field).to_have_role("textbox")
    field.press_sequentially("/")
    expect(field).to_have_role("combobox")
    expect(field).to_have_attribute("aria-expanded", "true")
    offers = ada.page.get_by_role("listbox", name="Commands")
    expect(offers).to_have_id(field.get_attribute("aria-controls") or "")
    field.press("ArrowDown")
    chosen = offers.get_by_role("option", selected=True)
    expect(chosen).to_have_id(field.get_attribute("aria-activedescendant") or "")
    field.press("Escape")
    expect(offers).to_be_hidden()
    expect(field).to_have_role("textbox")
    assert field.get_attribute("aria-expanded") is None


def test_emoji_are_buttons_in_a_grid_that_the_arrows_walk(ada: Visitor) -> None:
    page = ada.page
    page.get_by_role("main").get_by_role("button", name="Insert an emoji").click()
    picker = page.get_by_role("dialog", name="Insert an emoji")
    assert landmark(picker) == "MAIN"
    rows = picker.get_by_role("grid", name="Emoji").get_by_role("row")
    expect(rows.first.get_by_role("gridcell")).to_have_count(8)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    here = rows.nth(1).get_by_role("button").nth(1)
    expect(here).to_be_focused()
    # Tab leaves the grid, and comes back to where one was.
    page.keyboard.press("Shift+Tab")
    expect(picker.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("Tab")
    expect(here).to_be_focused()
    picker.get_by_role("searchbox").fill("no such thing")
    expect(picker.get_by_role("status")).to_have_text("No emoji by that name")
    picker.get_by_role("searchbox").fill("rocket")
    expect(picker.get_by_role("status")).to_be_empty()
    page.keyboard.press("Enter")
    expect(ada.composer).to_have_value(":rocket: ")


def test_a_menu_belongs_to_the_part_of_the_page_its_button_is_in(ada: Visitor) -> None:
    page = ada.page
    ada.writes("with a menu")
    menu = page.get_by_role("menu")
    page.get_by_role("banner").get_by_role("button", name=ADA).click()
    assert landmark(menu) == "HEADER"
    page.keyboard.press("Escape")
    said = ada.message("with a menu")
    said.hover()
    said.get_by_role("button", name="More actions").click()
    assert landmark(menu) == "MAIN"
    page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    expect(said.get_by_role("button", name="More actions")).to_be_focused()
    said.get_by_role("button", name="Reply in thread").click()
    under = ada.thread.get_by_role("listitem").first
    under.hover()
    under.get_by_role("button", name="More actions").click()
    assert landmark(menu) == "ASIDE"
    expect(under).to_be_visible()
    entry = menu.get_by_role("menuitem").first
    # Nothing lies over it.
    assert entry.evaluate("""(node) => {
        const {left, top, width, height} = node.getBoundingClientRect();
        return node.contains(document.elementFromPoint(left + width / 2, top + height / 2));
    }""")


def test_on_a_phone_the_time_is_one_line_that_unfolds(office: Office[Forms], windows: Windows) -> None:
    page = windows.open(size=NARROW)
    visitor = Visitor(page, office.url)
    visitor.becomes(ADA)
    place = page.get_by_role("region", name="Time of the workspace")
    folded = place.bounding_box()
    assert folded is not None
    assert folded["height"] < 40
    moves = page.get_by_role("group", name="Move time")
    expect(moves).to_be_hidden()
    opener = place.get_by_role("button", name="Move time")
    opener.press("Enter")
    expect(opener).to_have_attribute("aria-expanded", "true")
    expect(moves.get_by_role("button", name=CLOCK_BUTTON)).to_be_visible()
    assert not faults(page, "the clock unfolded")
    page.keyboard.press("Escape")
    expect(moves).to_be_hidden()
    expect(opener).to_be_focused()


@pytest.mark.parametrize(("width", "rows"), [(1280, [5]), (700, [3, 2]), (400, [2, 2, 1])])
def test_the_five_roles_stand_in_full_rows(
    windows: Windows, office: Office[Forms], width: int, rows: list[int]
) -> None:
    page = windows.open(size=(width, 800))
    page.goto(office.url)
    expect(page.get_by_role("searchbox")).to_be_visible()
    tops: list[float] = page.evaluate(
        """() => {
            const list = document.createElement('ul');
            list.className = 'featured';
            for (let at = 0; at < 5; at += 1) list.append(document.createElement('li'));
            for (const each of list.children) each.textContent = 'Adoption lead';
            document.querySelector('.chooser').append(list);
            return [...list.children].map((each) => each.getBoundingClientRect().top);
        }"""
    )
    assert [tops.count(top) for top in sorted(set(tops))] == rows
