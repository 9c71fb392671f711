"""Modals as the page shows them: three in a stack, errors at their fields, nothing typed is lost, the focus stays inside."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import expect

from tests.browser.drawing import Bench, Json
from tests.installation import eventually


def _plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def _field(block_id: str, label: str, **more: Any) -> Json:
    element = {"type": "plain_text_input", "action_id": "text", **more.pop("element", {})}
    return {"type": "input", "block_id": block_id, "label": _plain(label), "element": element, **more}


def _view(*blocks: Json, **more: Any) -> Json:
    whole = {"type": "modal", "id": "V1", "title": _plain("In the way"), "submit": _plain("Send"), **more}
    return {**whole, "close": _plain("Not now"), "blocks": list(blocks)}


_WORDS = _field("words", "In your words", hint=_plain("A sentence is enough"))
_MORE = _field("more", "Anything else", optional=True)


def test_what_was_filled_in_is_submitted_by_block(bench: Bench) -> None:
    picked = {
        "type": "static_select",
        "action_id": "text",
        "options": [{"text": _plain("Sales"), "value": "sales"}],
    }
    modal = bench.open_modal(_view(_WORDS, _MORE, {**_field("who", "Who"), "element": picked}))
    words = modal.get_by_label("In your words")
    expect(words).to_be_focused()
    words.fill("Search is slow")
    modal.get_by_label("Who").select_option("sales")
    modal.get_by_role("button", name="Send").click()
    expect(modal).to_have_count(0)
    assert bench.told == [["submit", {"words": "Search is slow", "more": None, "who": "sales"}]]


def test_a_required_field_is_asked_for_before_anything_is_sent(bench: Bench) -> None:
    modal = bench.open_modal(_view(_MORE, _WORDS))
    modal.get_by_role("button", name="Send").click()
    words = modal.get_by_label("In your words")
    expect(words).to_be_focused()
    expect(words).to_have_attribute("aria-invalid", "true")
    expect(words).to_have_accessible_description("A sentence is enough ⚠ Please fill this in.")
    assert bench.told == []


def test_values_that_are_none_are_told_at_the_field(bench: Bench) -> None:
    number = {"type": "number_input", "is_decimal_allowed": False, "min_value": "2"}
    modal = bench.open_modal(
        _view(
            _field("mail", "Mail", element={"type": "email_text_input"}),
            _field("number", "How many", element=number),
            _field("site", "Site", element={"type": "url_text_input"}),
            _field("long", "Long", element={"max_length": 3}),
        )
    )
    for label, typed in (("Mail", "ada"), ("How many", "1.5"), ("Site", "javascript:x"), ("Long", "abcd")):
        modal.get_by_label(label).fill(typed)
    modal.get_by_role("button", name="Send").click()
    assert modal.get_by_role("alert").all_inner_texts() == [
        "This is no e-mail address.",
        "Use a whole number.",
        "This is no web address: it starts with https://.",
        "Use at most 3 characters; these are 4.",
    ]
    assert bench.told == []


def test_the_bots_errors_stand_at_their_fields_and_nothing_typed_is_lost(bench: Bench) -> None:
    errors = {"words": "Say a little more.", "elsewhere": "The window is closed."}
    bench.draw([])
    bench.answer_next(ok=True, acked=True, body=json.dumps({"response_action": "errors", "errors": errors}))
    modal = bench.open_modal(_view(_WORDS))
    words = modal.get_by_label("In your words")
    words.fill("Hm")
    words.press("Enter")
    expect(modal.get_by_text("Say a little more.")).to_be_visible()
    expect(modal.get_by_text("The window is closed.")).to_be_visible()
    expect(words).to_have_value("Hm")
    expect(words).to_be_focused()
    words.fill("Search is slow")
    modal.get_by_role("button", name="Send").click()
    expect(modal).to_have_count(0)


def test_a_bot_that_does_not_answer_costs_nothing_that_was_typed(bench: Bench) -> None:
    bench.answer_next(ok=True, acked=False, reason="timeout")
    modal = bench.open_modal(_view(_WORDS))
    modal.get_by_label("In your words").fill("Search is slow")
    modal.get_by_role("button", name="Send").click()
    expect(modal.get_by_text("The app did not answer in time.")).to_be_visible()
    expect(modal.get_by_label("In your words")).to_have_value("Search is slow")


def test_a_send_that_is_under_way_is_not_sent_twice(bench: Bench) -> None:
    modal = bench.open_modal(_view(_WORDS))
    modal.get_by_label("In your words").fill("Search is slow")
    modal.get_by_role("button", name="Send").dblclick()
    expect(modal).to_have_count(0)
    assert len(bench.told) == 1


def test_an_update_keeps_what_was_typed_where_the_block_is_the_same(bench: Bench) -> None:
    modal = bench.open_modal(_view(_WORDS, _MORE))
    modal.get_by_label("In your words").fill("Search is slow")
    modal.get_by_label("Anything else").fill("Also on the phone")
    new = _view(_WORDS, _field("other", "Anything else", optional=True), title=_plain("Nearly done"))
    bench.page.evaluate("(view) => window.modal.update(view)", {**new, "hash": "2"})
    assert modal.get_by_role("heading", name="Nearly done").is_visible()
    expect(modal.get_by_label("In your words")).to_have_value("Search is slow")
    expect(modal.get_by_label("Anything else")).to_have_value("")


def test_escape_closes_one_and_gives_the_focus_back(bench: Bench) -> None:
    bench.draw(
        [{"type": "actions", "elements": [{"type": "button", "action_id": "b", "text": _plain("Open")}]}]
    )
    opener = bench.page.get_by_role("button", name="Open")
    opener.focus()
    bench.open_modal(_view(_WORDS))
    bench.page.get_by_label("In your words").fill("below")
    top = bench.open_modal(_view(_MORE, id="V2", previous_view_id="V1", title=_plain("On top")))
    expect(bench.page.get_by_role("dialog", name="On top")).to_be_visible()
    expect(bench.page.get_by_role("dialog", name="In the way")).to_be_hidden()
    top.get_by_label("Anything else").press("Escape")
    below = bench.page.get_by_role("dialog", name="In the way")
    expect(below.get_by_label("In your words")).to_have_value("below")
    expect(below.get_by_label("In your words")).to_be_focused()
    bench.page.keyboard.press("Escape")
    expect(bench.page.get_by_role("dialog")).to_have_count(0)
    expect(opener).to_be_focused()
    assert bench.told == [["close", False, "V2"], ["close", False, "V1"]]


def test_clear_on_close_takes_the_whole_stack_away(bench: Bench) -> None:
    bench.open_modal(_view(_WORDS))
    top = bench.open_modal(_view(_MORE, id="V2", previous_view_id="V1", clear_on_close=True))
    top.get_by_role("button", name="Not now").click()
    expect(bench.page.locator("dialog")).to_have_count(0)
    assert bench.told == [["close", True, "V2"]]


def test_escape_closes_an_open_list_before_the_modal(bench: Bench) -> None:
    modal = bench.open_modal(
        _view({**_field("who", "Who"), "element": {"type": "users_select", "action_id": "u"}})
    )
    field = modal.get_by_role("combobox", name="Who")
    field.press("ArrowDown")
    expect(field).to_have_attribute("aria-expanded", "true")
    field.press("Escape")
    expect(field).to_have_attribute("aria-expanded", "false")
    expect(modal).to_be_visible()
    field.press("Escape")
    expect(modal).to_have_count(0)


def test_the_focus_never_leaves_an_open_modal(bench: Bench) -> None:
    bench.draw(
        [{"type": "actions", "elements": [{"type": "button", "action_id": "b", "text": _plain("Behind")}]}]
    )
    modal = bench.open_modal(_view(_WORDS, _MORE))
    for key in ["Tab"] * 8 + ["Shift+Tab"] * 8:
        bench.page.keyboard.press(key)
        assert modal.evaluate("(node) => node.contains(document.activeElement)")


def test_a_press_in_a_modal_is_told_with_what_else_stands_there(bench: Bench) -> None:
    button = {"type": "button", "action_id": "more", "text": _plain("More"), "value": "1"}
    modal = bench.open_modal(_view(_WORDS, {"type": "actions", "block_id": "row", "elements": [button]}))
    modal.get_by_label("In your words").fill("so far")
    modal.get_by_role("button", name="More").click()
    ((kind, action),) = eventually(lambda: bench.told, "the press to be told", 10)
    assert kind == "action"
    assert action == {
        "block_id": "row",
        "action_id": "more",
        "type": "button",
        "value": "1",
        "state": {"words": "so far"},
    }
