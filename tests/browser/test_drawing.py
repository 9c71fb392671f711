"""Every block and element of Block Kit is drawn by the page: nothing is dropped, everything is reached by keyboard."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import expect

from sandbox.blocks import BLOCKS, ELEMENTS, IN_ACTIONS, IN_INPUT
from tests.browser.access import faults
from tests.browser.drawing import Bench, Json
from tests.browser.windows import NARROW, WIDE, Windows
from tests.installation import SlackOnThisMachine, eventually

_KINDS = ("attachments", "blocks", "elements", "messages", "objects", "rich_text", "views")
_LABEL = {"type": "plain_text", "text": "What it is about"}
_OPTION = {"text": {"type": "plain_text", "text": "One"}, "value": "one"}


def _section(text: Json) -> Json:
    return {"type": "section", "text": text}


def _actions(element: Json) -> Json:
    return {"type": "actions", "elements": [{"action_id": "act", **element}]}


def _input(element: Json) -> Json:
    return {"type": "input", "block_id": "in", "label": _LABEL, "element": {"action_id": "act", **element}}


def _rich(element: Json) -> Json:
    whole = element["type"].startswith("rich_text_")
    inside = element if whole else {"type": "rich_text_section", "elements": [element]}
    return {"type": "rich_text", "elements": [inside]}


def _element(element: Json) -> Json:
    """An element in a block where it may stand."""
    if element["type"] in IN_ACTIONS:
        return _actions(element)
    if element["type"] in IN_INPUT:
        return _input(element)
    if element["type"] == "url":
        return {"type": "task_card", "task_id": "t", "title": "Reading", "sources": [element]}
    return {"type": "context", "elements": [element]}


def _workflow(given: Json) -> Json:
    return _actions({"type": "workflow_button", "text": _LABEL, "workflow": given})


_OBJECTS: dict[str, Callable[[Json], Json]] = {
    "confirmation": lambda given: _actions({"type": "button", "text": _LABEL, "confirm": given}),
    "conversation": lambda given: _actions({"type": "conversations_select", "filter": given}),
    "dispatch": lambda given: _input({"type": "plain_text_input", "dispatch_action_config": given}),
    "input": lambda given: _workflow({"trigger": {"url": "https://x.example/", "customizable": [given]}}),
    "option_group": lambda given: _actions({"type": "static_select", "option_groups": [given]}),
    "option": lambda given: _actions({"type": "static_select", "options": [given]}),
    "text": _section,
    "trigger": lambda given: _workflow({"trigger": given}),
    "workflow": _workflow,
}


def _object(name: str, given: Json) -> Json:
    """An object in an element that carries one."""
    kind = next(kind for kind in sorted(_OBJECTS, key=len, reverse=True) if name.startswith(kind))
    return _OBJECTS[kind](given)


def _texts(given: Any, key: str = "") -> Iterator[str]:
    """Every text in a fixture that a reader must get."""
    if isinstance(given, dict):
        for name, value in given.items():
            yield from _texts(value, name)
    elif isinstance(given, list):
        for value in given:
            yield from _texts(value, key)
    elif isinstance(given, str):
        shown = {"text", "alt_text", "label", "title", "caption", "x_label", "y_label", "name", "author_name"}
        if key in shown and given.strip():
            yield given


def _missing(given: Any, readable: str) -> list[str]:
    """The texts that a reader does not get."""
    flat = re.sub(r"\s+", " ", readable)
    found = []
    for text in _texts(given):
        plain = re.sub(r"\s+", " ", re.sub(r"[*_~]", "", text)).strip()
        if plain not in re.sub(r"[*_~]", "", flat):
            found.append(text)
    return found


def _fixtures(folder: Path, kind: str) -> Iterator[tuple[str, Json]]:
    for path in sorted((folder / kind).glob("*.json")):
        yield path.stem, json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def valid(shared_folder: Path) -> Path:
    return shared_folder / "conformance" / "slack" / "blockkit" / "spec" / "fixtures" / "valid"


def _draw(bench: Bench, kind: str, name: str, given: Json) -> None:
    """Draw a fixture on the surface that it is for."""
    if kind == "messages":
        bench.draw(given.get("blocks", []))
        readable = bench.readable()
        assert not _missing(given.get("blocks"), readable), name
        bench.draw_attachments(given.get("attachments", []))
    elif kind == "attachments":
        bench.draw_attachments([given])
    elif kind == "views" and given["type"] == "modal":
        bench.draw([])
        bench.open_modal(given)
    elif kind == "views":
        bench.draw(given["blocks"], "home")
    else:
        block = {
            "blocks": lambda: given,
            "elements": lambda: _element(given),
            "objects": lambda: _object(name, given),
            "rich_text": lambda: _rich(given),
        }[kind]()
        surface = "modal" if block["type"] in {"alert", "input"} else "message"
        bench.draw([block], surface)


def test_all_valid_fixtures_are_drawn_with_every_text_of_theirs(bench: Bench, valid: Path) -> None:
    drawn = 0
    faults = []
    for kind in _KINDS:
        for name, given in _fixtures(valid, kind):
            _draw(bench, kind, name, given)
            bench.open_lists()
            readable = bench.readable()
            if "cannot be drawn" in readable:
                faults.append(f"{kind}/{name} is shown in a frame")
            told = given.get("attachments", []) if kind == "messages" else given
            if kind == "objects" and name.startswith("confirmation"):
                bench.page.get_by_role("button").click()
                readable = bench.readable()
                bench.page.get_by_role("button", name="Nope!").click()
            if kind == "attachments":
                told = given["blocks"]
            if name.startswith(("trigger", "workflow", "input_parameter")):
                told = given.get("text")  # what a workflow gets is not shown to who presses the button
            faults += [f"{kind}/{name} does not show {text!r}" for text in _missing(told, readable)]
            bench.page.evaluate("document.querySelectorAll('dialog').forEach((each) => each.remove())")
            drawn += 1
    assert not faults, "\n".join(faults)
    assert drawn == 100


def test_the_fixtures_have_every_block_and_element_that_the_sandbox_takes(valid: Path) -> None:
    seen: set[str] = set()

    def collect(given: Any) -> None:
        if isinstance(given, dict):
            seen.add(str(given.get("type")))
            for value in given.values():
                collect(value)
        elif isinstance(given, list):
            for value in given:
                collect(value)

    for path in valid.rglob("*.json"):
        collect(json.loads(path.read_text(encoding="utf-8")))
    assert set(BLOCKS) | set(ELEMENTS) <= seen


def test_what_is_not_known_is_shown_in_a_frame_with_its_name(bench: Bench) -> None:
    unknown = [
        {"type": "hologram"},
        _actions({"type": "dial"}),
        {"type": "rich_text", "elements": [{"type": "rich_text_poem"}]},
        {"type": "constructor"},
    ]
    place = bench.draw(unknown)
    for name in ("hologram", "dial", "rich_text_poem", "constructor"):
        assert place.get_by_text(f"This block cannot be drawn here: {name}").is_visible()


_CONTROLS = [
    _actions({"type": "button", "action_id": "b", "text": _LABEL}),
    _actions({"type": "button", "action_id": "l", "text": _LABEL, "url": "https://example.com/"}),
    _actions({"type": "overflow", "action_id": "o", "options": [_OPTION]}),
    _actions({"type": "static_select", "action_id": "s", "options": [_OPTION]}),
    _actions({"type": "multi_static_select", "action_id": "ms", "options": [_OPTION]}),
    _actions({"type": "users_select", "action_id": "u"}),
    _actions({"type": "multi_users_select", "action_id": "mu"}),
    _actions({"type": "channels_select", "action_id": "c"}),
    _actions({"type": "conversations_select", "action_id": "cv"}),
    _actions({"type": "external_select", "action_id": "e"}),
    _actions({"type": "datepicker", "action_id": "d"}),
    _actions({"type": "timepicker", "action_id": "t"}),
    _actions({"type": "datetimepicker", "action_id": "dt"}),
    _actions({"type": "checkboxes", "action_id": "ch", "options": [_OPTION]}),
    _actions({"type": "radio_buttons", "action_id": "r", "options": [_OPTION]}),
    _input({"type": "plain_text_input", "action_id": "p", "multiline": True}),
    _input({"type": "number_input", "action_id": "n", "is_decimal_allowed": True}),
    _input({"type": "email_text_input", "action_id": "em"}),
    _input({"type": "url_text_input", "action_id": "ur"}),
    _input({"type": "rich_text_input", "action_id": "ri"}),
    _input({"type": "file_input", "action_id": "f"}),
    {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": "fb",
                "positive_button": {"text": _LABEL, "value": "1"},
                "negative_button": {"text": _LABEL, "value": "0"},
            },
            {"type": "icon_button", "action_id": "ic", "icon": "trash", "text": _LABEL},
        ],
    },
]


def test_every_control_is_reached_by_tab_and_shows_its_focus(bench: Bench) -> None:
    bench.draw(_CONTROLS)
    wanted = {
        each["action_id"] for block in _CONTROLS for each in block.get("elements") or [block["element"]]
    }
    reached = {}
    for _ in range(60):
        bench.page.keyboard.press("Tab")
        found = bench.page.evaluate(
            """() => {
              const node = document.activeElement;
              const style = getComputedStyle(node);
              const control = node.closest('[data-control]');
              return control && [control.dataset.action, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2];
            }"""
        )
        if found:
            reached[found[0]] = found[1]
    assert set(reached) == wanted
    assert all(reached.values()), reached


def test_every_control_has_a_name_for_a_screen_reader(bench: Bench) -> None:
    bench.draw(_CONTROLS)
    session = bench.page.context.new_cdp_session(bench.page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    roles = {
        *("button", "link", "combobox", "textbox", "checkbox", "radio", "group", "radiogroup"),
        *("Date", "InputTime", "DateTime", "spinbutton", "listbox", "menu"),
    }
    nameless = [
        node["role"]["value"]
        for node in nodes
        if not node["ignored"]
        and node["role"]["value"] in roles
        and not node.get("name", {}).get("value", "").strip()
    ]
    assert not nameless


@pytest.mark.parametrize(
    ("theme", "size"), [("light", WIDE), ("dark", NARROW)], ids=["light", "dark and narrow"]
)
def test_everything_drawn_has_contrast_names_and_room(
    windows: Windows,
    empty_workspace: SlackOnThisMachine,
    valid: Path,
    theme: Literal["light", "dark"],
    size: tuple[int, int],
) -> None:
    bench = Bench(windows.open(theme=theme, size=size), empty_workspace.url)
    bench.draw([*(given for _, given in _fixtures(valid, "blocks")), *_CONTROLS])
    found = faults(bench.page, theme)
    assert not found, "\n".join(found)


# What each control tells --------------------------------------------------------------------------------------------


def _acted(bench: Bench) -> tuple[str, Any]:
    (action,) = eventually(lambda: bench.actions, "an action to be told", 10)
    bench.page.evaluate("window.actions = []")
    return action["action_id"], action["value"]


def test_a_button_tells_its_value_and_asks_first_if_it_should(bench: Bench) -> None:
    confirm = {
        "title": {"type": "plain_text", "text": "Sure?"},
        "text": {"type": "mrkdwn", "text": "This *cannot* be undone."},
        "confirm": {"type": "plain_text", "text": "Do it"},
        "deny": {"type": "plain_text", "text": "Leave it"},
        "style": "danger",
    }
    bench.draw([_actions({"type": "button", "text": _LABEL, "value": "7", "confirm": confirm})])
    button = bench.page.get_by_role("button", name="What it is about")
    button.click()
    assert bench.page.get_by_role("alertdialog", name="Sure?").is_visible()
    bench.page.get_by_role("button", name="Leave it").click()
    button.press("Enter")
    bench.page.keyboard.press("Escape")
    assert bench.actions == []
    assert button.evaluate("(node) => node === document.activeElement")
    button.click()
    bench.page.get_by_role("button", name="Do it").click()
    assert _acted(bench) == ("act", "7")


def test_a_link_button_opens_a_window_of_its_own_and_tells_the_bot(bench: Bench) -> None:
    bench.draw([_actions({"type": "button", "text": _LABEL, "value": "7", "url": "https://x.example/a"})])
    link = bench.page.get_by_role("link", name="What it is about")
    assert link.get_attribute("href") == "https://x.example/a"
    assert link.get_attribute("target") == "_blank"
    assert "noopener" in (link.get_attribute("rel") or "")
    link.evaluate("(node) => node.addEventListener('click', (event) => event.preventDefault())")
    link.click()
    assert _acted(bench) == ("act", "7")


def test_a_menu_is_used_by_keyboard_and_gives_the_focus_back(bench: Bench) -> None:
    options = [
        {"text": {"type": "plain_text", "text": text}, "value": text.lower()} for text in ("Keep", "Drop")
    ]
    bench.draw([_actions({"type": "overflow", "options": options})])
    opener = bench.page.get_by_role("button", name="More choices")
    opener.press("ArrowDown")
    expect(opener).to_have_attribute("aria-expanded", "true")
    bench.page.keyboard.press("Escape")
    expect(opener).to_have_attribute("aria-expanded", "false")
    opener.click()
    bench.page.keyboard.press("ArrowDown")
    bench.page.keyboard.press("Enter")
    assert _acted(bench) == ("act", "drop")
    assert opener.evaluate("(node) => node === document.activeElement")


def test_selects_tell_what_was_chosen(bench: Bench) -> None:
    options = [
        {"text": {"type": "plain_text", "text": text}, "value": text.lower()} for text in ("Red", "Blue")
    ]
    bench.draw([_actions({"type": "static_select", "options": options})])
    bench.page.get_by_role("combobox").select_option("blue")
    assert _acted(bench) == ("act", "blue")

    bench.draw([_actions({"type": "users_select"})])
    bench.page.get_by_role("combobox").fill("lin")
    bench.page.keyboard.press("Enter")
    assert _acted(bench) == ("act", "U00000002")
    assert bench.page.get_by_role("combobox").input_value() == "Bo Lind"

    bench.draw([_actions({"type": "multi_channels_select"})])
    bench.page.get_by_role("combobox").click()
    bench.page.get_by_role("option", name="#wins").click()
    assert _acted(bench) == ("act", ["C00000002"])
    bench.page.get_by_role("option", name="#sales-emea").click()
    assert _acted(bench) == ("act", ["C00000002", "C00000001"])
    bench.page.keyboard.press("Escape")
    bench.page.get_by_role("button", name="Remove #wins").click()
    assert _acted(bench) == ("act", ["C00000001"])

    bench.draw([_actions({"type": "external_select", "min_query_length": 2})])
    bench.page.get_by_role("combobox").fill("de")
    bench.page.get_by_role("option", name="de south").click()
    assert _acted(bench) == ("act", {"text": {"type": "plain_text", "text": "de south"}, "value": "de-south"})


def test_dates_times_and_choices_tell_what_was_chosen(bench: Bench) -> None:
    bench.draw([_actions({"type": "datepicker"})])
    bench.page.get_by_label("Date").fill("2026-03-29")
    assert _acted(bench) == ("act", "2026-03-29")

    bench.draw([_actions({"type": "timepicker"})])
    bench.page.get_by_label("Time").fill("08:15")
    assert _acted(bench) == ("act", "08:15")

    # In Berlin, on the day the clocks go forward: 08:15 is 06:15 UTC. The browser itself is in Auckland.
    bench.draw([_actions({"type": "datetimepicker"})])
    bench.page.get_by_label("Date and time").fill("2026-03-29T08:15")
    assert _acted(bench) == ("act", 1774764900)

    options = [{"text": {"type": "mrkdwn", "text": f"*{text}*"}, "value": text} for text in "ab"]
    bench.draw([_actions({"type": "checkboxes", "options": options, "initial_options": [options[0]]})])
    bench.page.get_by_role("checkbox", name="b").check()
    assert _acted(bench) == ("act", ["a", "b"])
    bench.draw([_actions({"type": "radio_buttons", "options": options})])
    bench.page.get_by_role("radio", name="b").check()
    assert _acted(bench) == ("act", "b")


def test_a_table_is_sorted_by_a_press_on_its_head(bench: Bench) -> None:
    rows: list[list[Json]] = [[{"type": "raw_text", "text": "Name"}, {"type": "raw_text", "text": "Score"}]]
    rows += [
        [{"type": "raw_text", "text": name}, {"type": "raw_number", "text": str(score), "value": score}]
        for name, score in (("Ada", 9), ("Bo", 100), ("Cai", 20))
    ]
    bench.draw([{"type": "data_table", "rows": rows, "page_size": 2, "caption": "Scores"}])
    bench.page.get_by_role("button", name="Score").click()
    assert bench.page.locator("tbody tr").all_inner_texts() == ["Ada\t9", "Cai\t20"]
    assert bench.page.get_by_role("columnheader", name="Score").get_attribute("aria-sort") == "ascending"
    bench.page.get_by_role("button", name="Further rows").click()
    assert bench.page.locator("tbody tr").all_inner_texts() == ["Bo\t100"]
    bench.page.get_by_role("button", name="Score").click()
    assert bench.page.locator("tbody tr").all_inner_texts() == ["Bo\t100", "Cai\t20"]


def test_a_chart_says_in_words_and_in_a_table_what_it_shows(bench: Bench) -> None:
    points = [{"label": "Mon", "value": 12000}, {"label": "Tue", "value": 13500}]
    chart = {
        "type": "line",
        "series": [{"name": "Web", "data": points}, {"name": "Shop", "data": points[:1]}],
        "axis_config": {"categories": ["Mon", "Tue"]},
    }
    bench.draw([{"type": "data_visualization", "title": "Sales", "chart": chart}])
    name = bench.page.get_by_role("img").get_attribute("aria-label")
    assert name == "Line chart: Sales. Web: Mon 12,000, Tue 13,500. Shop: Mon 12,000."
    bench.page.get_by_text("Show as a table").click()
    assert bench.page.get_by_role("row", name="Tue 13,500 none").is_visible()
    dashes = bench.page.locator("path.bk-line").evaluate_all(
        "(all) => all.map((node) => node.getAttribute('stroke-dasharray'))"
    )
    assert len(set(dashes)) == 2  # lines differ in more than their colour
