"""What the bot has not yet: modals, a Home tab, menus that the app fills, shortcuts. A small Bolt app stands behind the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Route, expect

from tests.browser.form_app import Forms, Json, forms_at_work
from tests.browser.office import Office, running
from tests.browser.visitor import Visitor
from tests.browser.windows import Windows
from tests.installation import eventually

ADA, BO = "Ada Marsh", "Bo Lind"


@pytest.fixture(scope="module")
def office() -> Iterator[Office[Forms]]:
    with running(forms_at_work()) as at:
        yield at


@pytest.fixture
def ada(office: Office[Forms], windows: Windows) -> Visitor:
    """A window in which one is Ada; nothing was told yet."""
    office.work.told.clear()
    visitor = Visitor(windows.open(), office.url)
    visitor.becomes(ADA)
    return visitor


def told(office: Office[Forms], kind: str) -> Json:
    """The only thing of a kind that the app was told, as soon as it was."""
    (only,) = eventually(lambda: office.work.of(kind), f"{kind} to be told", 10)
    return only


def test_a_modal_is_opened_filled_in_refused_mended_and_sent(office: Office[Forms], ada: Visitor) -> None:
    ada.writes("/form now")
    modal = ada.page.get_by_role("dialog", name="What is in the way")
    expect(modal.get_by_label("In your words")).to_be_focused()
    modal.get_by_label("In your words").fill("Slow")
    modal.get_by_label("Quietly").check()
    modal.get_by_role("combobox", name="Who else").fill("bo")
    ada.page.keyboard.press("Enter")
    ada.page.keyboard.press("Escape")
    modal.get_by_label("Until when").fill("2026-03-16")
    modal.get_by_role("combobox", name="Deal").fill("Isdom")
    modal.get_by_role("option", name="Isdom South").click()
    modal.get_by_role("button", name="Send").click()

    expect(modal.get_by_text("Say a little more.")).to_be_visible()
    modal.get_by_label("In your words").fill("Search is slow in the morning")
    modal.get_by_role("button", name="Send").click()
    expect(modal).to_have_count(0)
    expect(ada.message("Noted: Search is slow in the morning")).to_be_visible()

    first, second = office.work.of("form")
    assert first["view"]["state"]["values"]["words"]["it"]["value"] == "Slow"
    values = second["view"]["state"]["values"]
    assert values["words"]["it"]["value"] == "Search is slow in the morning"
    assert values["mode"]["it"]["selected_option"]["value"] == "quietly"
    assert values["who"]["it"]["selected_users"] == ["U00000002"]
    assert values["when"]["it"]["selected_date"] == "2026-03-16"
    assert values["deal"]["it"]["selected_option"]["value"] == "isdom south"


def test_a_modal_on_top_goes_back_to_what_was_typed_below(office: Office[Forms], ada: Visitor) -> None:
    ada.writes("/form now")
    modal = ada.page.get_by_role("dialog", name="What is in the way")
    modal.get_by_label("In your words").fill("half a sent")
    modal.get_by_role("button", name="Tell me more").click()
    top = ada.page.get_by_role("dialog", name="More")
    expect(top.get_by_text("It is read by one person.")).to_be_visible()
    expect(modal).to_be_hidden()
    top.get_by_role("button", name="Back").click()
    expect(modal.get_by_label("In your words")).to_have_value("half a sent")
    ada.page.keyboard.press("Escape")
    expect(ada.page.get_by_role("dialog")).to_have_count(0)
    assert told(office, "closed")["view"]["callback_id"] == "form"
    expect(ada.composer).to_be_focused()


def test_a_modal_that_is_open_is_there_again_after_a_reload(ada: Visitor) -> None:
    ada.writes("/form now")
    modal = ada.page.get_by_role("dialog", name="What is in the way")
    expect(modal).to_be_visible()
    ada.page.reload()
    expect(modal).to_be_visible()
    modal.get_by_role("button", name="Not now").click()
    expect(modal).to_have_count(0)


def test_each_element_of_a_message_tells_what_it_is_and_where(office: Office[Forms], ada: Visitor) -> None:
    ada.writes("/form letter one")
    letter = ada.message("letter one")

    def last() -> Json:
        count = len(office.work.of("pressed"))
        payload = eventually(lambda: office.work.of("pressed")[-1:], "a press to be told", 10)[0]
        action: Json = payload["actions"][0]
        assert count <= len(office.work.of("pressed"))
        office.work.told.clear()
        return action

    for label, block_id, action_id in (
        ("Yes, the second", "second", "yes"),
        ("Yes", "first", "yes"),
        ("Deep inside", "inner", "deep"),
        ("On the card", "card", "deep"),
        ("In the attachment", "beside", "deep"),
    ):
        letter.get_by_role("button", name=label, exact=True).click()
        action = last()
        assert (action["block_id"], action["action_id"], action["type"]) == (block_id, action_id, "button")
    letter.get_by_role("combobox", name="Step").select_option("Offer")
    assert last()["selected_option"]["value"] == "offer"


def test_what_stands_in_a_message_is_told_with_a_press_and_outlives_an_update(
    office: Office[Forms], ada: Visitor
) -> None:
    ada.writes("/form letter two")
    letter = ada.message("letter two")
    letter.get_by_label("A note").fill("half a thought")
    letter.get_by_role("combobox", name="Step").select_option("Offer")
    letter.get_by_role("button", name="Wipe").click()
    ada.page.get_by_role("alertdialog").get_by_role("button", name="Wipe").click()
    expect(letter.get_by_text("Wiped.")).to_be_visible()
    expect(letter.get_by_label("A note")).to_have_value("half a thought")
    expect(letter.get_by_role("combobox", name="Step")).to_have_value("offer")
    values = office.work.of("pressed")[-1]["state"]["values"]
    assert values["note"]["it"]["value"] == "half a thought"
    assert values["first"]["step"]["selected_option"]["value"] == "offer"


def test_the_home_tab_is_asked_for_and_drawn_and_its_date_is_told(
    office: Office[Forms], ada: Visitor
) -> None:
    ada.page.get_by_role("link", name="Home").click()
    expect(ada.page.get_by_role("heading", name="Where you are")).to_be_visible()
    ada.page.get_by_label("Date").fill("2026-03-20")
    ada.page.get_by_label("Date").press("Enter")
    payload = told(office, "pressed")
    assert payload["actions"][0]["selected_date"] == "2026-03-20"
    assert payload["view"]["type"] == "home"


def test_commands_are_offered_while_one_types(ada: Visitor) -> None:
    ada.composer.press_sequentially("/fo")
    offers = ada.page.get_by_role("listbox", name="Commands")
    expect(offers.get_by_role("option").first).to_contain_text("/form")
    ada.page.keyboard.press("Enter")
    expect(ada.composer).to_have_value("/form ")


def test_shortcuts_of_a_message_and_of_the_whole_are_used(office: Office[Forms], ada: Visitor) -> None:
    ada.writes("worth keeping")
    said = ada.message("worth keeping")
    said.hover()
    said.get_by_role("button", name="More actions").click()
    ada.page.get_by_role("menuitem", name="Note this").click()
    assert told(office, "note")["message"]["text"] == "worth keeping"
    ada.page.get_by_role("main").get_by_role("button", name="Shortcuts and commands").click()
    ada.page.get_by_role("menuitem", name="New form").click()
    modal = ada.page.get_by_role("dialog", name="What is in the way")
    modal.get_by_role("button", name="Not now").click()
    expect(modal).to_have_count(0)


def test_two_windows_are_two_people_who_see_each_other_write_and_react(
    office: Office[Forms], ada: Visitor, windows: Windows
) -> None:
    bo = Visitor(windows.open(), office.url)
    bo.becomes(BO)
    for each in (ada, bo):
        each.page.get_by_role("link", name="sales-emea").click()
        expect(each.composer).to_have_accessible_name("Message to #sales-emea")
    ada.writes("Who knows the Isdom deal?")
    expect(bo.message("Who knows the Isdom deal?")).to_be_visible()
    heard = bo.message("Who knows the Isdom deal?")
    heard.hover()
    heard.get_by_role("button", name="Add a reaction").click()
    bo.page.get_by_label("Search emoji").fill("rocket")
    bo.page.keyboard.press("Enter")
    expect(ada.message("Who knows the Isdom deal?")).to_contain_text("🚀")
    heard.get_by_role("button", name="Reply in thread").click()
    bo.writes("I do", under=True)
    expect(ada.message("Who knows the Isdom deal?")).to_contain_text("1 reply")


def test_words_of_others_are_text_in_the_page_too(ada: Visitor) -> None:
    ada.writes("<img src=x onerror=alert(1)> <javascript:alert(1)|press> *not bold by code*")
    said = ada.message("onerror")
    expect(said).to_contain_text("<img src=x onerror=alert(1)> <javascript:alert(1)|press>")
    assert said.locator(".content img, .content a").count() == 0


def test_who_writes_faster_than_it_is_sent_loses_nothing(ada: Visitor) -> None:
    waiting: list[Route] = []
    ada.page.route("**/sandbox/say", lambda route: waiting.append(route))  # noqa: PLW0108  # it has to be a function of ours
    ada.writes("quick one")
    ada.writes("quick two")
    ada.page.wait_for_timeout(100)
    (first,) = waiting
    first.continue_()
    ada.page.unroute("**/sandbox/say")
    expect(ada.message("quick one")).to_be_visible()
    expect(ada.message("quick two")).to_be_visible()
    expect(ada.composer).to_have_value("")


def test_what_is_said_while_the_messages_are_read_is_shown(office: Office[Forms], windows: Windows) -> None:
    visitor = Visitor(windows.open(), office.url)
    read = []

    def late(route: Route) -> None:
        read.append((route, route.fetch()))

    visitor.page.route("**/sandbox/page/messages?*", late)
    visitor.becomes(BO)
    visitor.writes("said in the middle of it")
    expect(visitor.message("said in the middle of it")).to_be_visible()
    for route, answer in read:
        route.fulfill(response=answer)
    visitor.page.unroute("**/sandbox/page/messages?*")
    visitor.page.wait_for_timeout(100)
    expect(visitor.message("said in the middle of it")).to_be_visible()


def test_what_is_said_before_anything_is_followed_is_shown(office: Office[Forms], windows: Windows) -> None:
    visitor = Visitor(windows.open(), office.url)
    held: list[Route] = []
    visitor.page.route("**/sandbox/page/stream?*", lambda route: held.append(route))  # noqa: PLW0108  # likewise
    visitor.becomes(BO)
    visitor.writes("said before it was followed")
    visitor.page.wait_for_timeout(200)
    for route in held:
        route.continue_()
    visitor.page.unroute("**/sandbox/page/stream?*")
    expect(visitor.message("said before it was followed")).to_be_visible()
