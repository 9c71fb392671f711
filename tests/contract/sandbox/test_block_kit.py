"""Block Kit: every valid fixture is taken on the surface it is for, every case that must be rejected is.

The fixtures come from the shared folder. The rejected cases are named there by id; each is built here by breaking
one rule of a block that is otherwise sound, and must be refused on the surface where that block may stand.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.blocks import (
    HOME,
    IN_ACTIONS,
    IN_INPUT,
    MESSAGE,
    MODAL,
    WEBHOOK,
    check_attachments,
    check_blocks,
    check_view,
)

Json = dict[str, Any]


def plain(text: str = "x") -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str = "x") -> Json:
    return {"type": "mrkdwn", "text": text}


def option(**more: Any) -> Json:
    return {"text": plain(), "value": "v", **more}


def many(number: int, one: Any) -> list[Any]:
    return [copy.deepcopy(one) for _ in range(number)]


def button(**more: Any) -> Json:
    return {"type": "button", "text": plain(), "action_id": "a", **more}


def confirm(**more: Any) -> Json:
    return {"title": plain(), "text": plain(), "confirm": plain(), "deny": plain(), **more}


def select(**more: Any) -> Json:
    return {"type": "static_select", "action_id": "a", "options": [option()], **more}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def field(element: Json, **more: Any) -> Json:
    return {"type": "input", "label": plain(), "element": element, **more}


def section(**more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(), **more}


def image(**more: Any) -> Json:
    return {"type": "image", "image_url": "https://x.example/i.png", "alt_text": "x", **more}


def video(**more: Any) -> Json:
    given = {
        "alt_text": "x",
        "title": plain(),
        "thumbnail_url": "https://x.example",
        "video_url": "https://x.example",
    }
    return {"type": "video", **given, **more}


def card(**more: Any) -> Json:
    return {"type": "card", "title": mrkdwn(), **more}


def container(**more: Any) -> Json:
    return {"type": "container", "title": plain(), "child_blocks": [section()], **more}


def feedback(**more: Any) -> Json:
    element = {
        "type": "feedback_buttons",
        "action_id": "a",
        "positive_button": {"text": plain(), "value": "v", **more},
        "negative_button": {"text": plain(), "value": "v"},
    }
    return {"type": "context_actions", "elements": [element]}


def icon(**more: Any) -> Json:
    return {"type": "icon_button", "icon": "trash", "text": plain(), "action_id": "a", **more}


def task(url: str) -> Json:
    sources = [{"type": "url", "url": url, "text": "x"}]
    return {"type": "task_card", "task_id": "t", "title": "x", "sources": sources}


def table(rows: list[Any], **more: Any) -> Json:
    return {"type": "table", "rows": rows, **more}


def data_table(rows: int = 2, columns: int = 1, text: str = "x", **more: Any) -> Json:
    cells = [many(columns, {"type": "raw_text", "text": text}) for _ in range(rows)]
    return {"type": "data_table", "caption": "x", "rows": cells, **more}


def pie(*segments: Json, title: str = "x") -> Json:
    return {
        "type": "data_visualization",
        "title": title,
        "chart": {"type": "pie", "segments": list(segments)},
    }


def segment(label: str = "x", value: float = 1) -> Json:
    return {"label": label, "value": value}


def line(**more: Any) -> Json:
    return {"name": "x", "data": [{"label": "x", "value": 1}], **more}


def bar(*series: Json, **axis: Any) -> Json:
    chart = {"type": "bar", "series": list(series), "axis_config": {"categories": ["x"], **axis}}
    return {"type": "data_visualization", "title": "x", "chart": chart}


def view(**more: Any) -> Json:
    return {"type": "modal", "title": plain(), "blocks": [section()], **more}


def group(number: int = 1, label: str = "x") -> Json:
    return {"label": plain(label), "options": many(number, option())}


def choices(kind: str, number: int) -> Json:
    return actions({"type": kind, "action_id": "a", "options": many(number, option())})


def text_input(**more: Any) -> Json:
    return field({"type": "plain_text_input", "action_id": "a", **more})


def grouped(*groups: Json) -> Json:
    return actions({"type": "static_select", "action_id": "a", "option_groups": list(groups)})


#: id -> the block (or, for view-*, the view) that breaks the rule.
REJECTED: dict[str, Json] = {
    "text-empty": section(text=mrkdwn("")),
    "text-too-long": section(text=mrkdwn("x" * 3001)),
    "button-action-id-too-long": actions(button(action_id="x" * 256)),
    "button-text-too-long": actions(button(text=plain("x" * 76))),
    "button-url-too-long": actions(button(url="x" * 3001)),
    "button-value-too-long": actions(button(value="x" * 2001)),
    "confirmation-title-too-long": actions(button(confirm=confirm(title=plain("x" * 101)))),
    "confirmation-text-too-long": actions(button(confirm=confirm(text=plain("x" * 301)))),
    "confirmation-confirm-too-long": actions(button(confirm=confirm(confirm=plain("x" * 31)))),
    "confirmation-deny-too-long": actions(button(confirm=confirm(deny=plain("x" * 31)))),
    "option-text-too-long": actions(select(options=[option(text=plain("x" * 76))])),
    "option-value-too-long": actions(select(options=[option(value="x" * 151)])),
    "option-url-too-long": actions(
        {"type": "overflow", "action_id": "a", "options": [option(url="😀" * 3001)]}
    ),
    "option-description-too-long": actions(select(options=[option(description=plain("x" * 76))])),
    "option-group-label-too-long": grouped(group(label="x" * 76)),
    "option-group-empty": grouped(group(0)),
    "option-group-too-many-options": grouped(group(101)),
    "select-placeholder-too-long": actions(select(placeholder=plain("x" * 151))),
    "select-too-many-options": actions(select(options=many(101, option()))),
    "select-too-many-option-groups": grouped(*many(101, group())),
    "overflow-empty": choices("overflow", 0),
    "overflow-too-many-options": choices("overflow", 6),
    "checkboxes-empty": choices("checkboxes", 0),
    "checkboxes-too-many-options": choices("checkboxes", 11),
    "radio-buttons-empty": choices("radio_buttons", 0),
    "radio-buttons-too-many-options": choices("radio_buttons", 11),
    "url-source-url-empty": task(""),
    "url-source-url-too-long": task("x" * 3001),
    "table-too-many-rows": table(many(101, [{"type": "raw_text", "text": "x"}])),
    "table-ragged-rows": table(
        [many(2, {"type": "raw_text", "text": "x"}), [{"type": "raw_text", "text": "x"}]]
    ),
    "table-column-settings-mismatch": table([[{"type": "raw_text", "text": "x"}]], column_settings=[{}, {}]),
    "file-input-max-files-too-small": field({"type": "file_input", "action_id": "a", "max_files": 0}),
    "file-input-max-files-too-large": field({"type": "file_input", "action_id": "a", "max_files": 11}),
    "plain-text-input-max-length-too-large": text_input(max_length=3001),
    "actions-too-many-elements": actions(*(button(action_id=str(n)) for n in range(26))),
    "context-too-many-elements": {"type": "context", "elements": many(11, mrkdwn())},
    "header-text-too-long": {"type": "header", "text": plain("x" * 151)},
    "image-url-too-long": image(image_url="x" * 3001),
    "image-alt-text-too-long": image(alt_text="x" * 2001),
    "input-label-too-long": field({"type": "plain_text_input", "action_id": "a"}, label=plain("x" * 2001)),
    "input-hint-too-long": field({"type": "plain_text_input", "action_id": "a"}, hint=plain("x" * 2001)),
    "markdown-empty": {"type": "markdown", "text": ""},
    "markdown-too-long": {"type": "markdown", "text": "x" * 12001},
    "section-text-too-long": section(text=plain("x" * 3001)),
    "section-too-many-fields": section(fields=many(11, mrkdwn())),
    "section-field-too-long": section(fields=[mrkdwn("x" * 2001)]),
    "video-alt-text-empty": video(alt_text=""),
    "video-alt-text-too-long": video(alt_text="x" * 201),
    "video-title-too-long": video(title=plain("x" * 201)),
    "video-author-name-too-long": video(author_name="x" * 51),
    "video-description-too-long": video(description=plain("x" * 201)),
    "video-provider-name-too-long": video(provider_name="x" * 51),
    "view-missing-blocks": view(blocks=[]),
    "view-too-many-blocks": view(blocks=many(101, section())),
    "view-private-metadata-too-long": view(private_metadata="x" * 3001),
    "view-callback-id-too-long": view(callback_id="x" * 256),
    "view-title-too-long": view(title=plain("x" * 25)),
    "view-close-too-long": view(close=plain("x" * 25)),
    "view-submit-too-long": view(submit=plain("x" * 25)),
    "section-missing-content": {"type": "section"},
    "static-select-options-and-groups": actions(select(option_groups=[group()])),
    "image-url-and-slack-file": {"type": "context", "elements": [image(slack_file={"id": "F1"})]},
    "number-input-inverted-range": field(
        {
            "type": "number_input",
            "action_id": "a",
            "is_decimal_allowed": False,
            "min_value": "5",
            "max_value": "3",
        }
    ),
    "context-invalid-element": {"type": "context", "elements": [button()]},
    "input-invalid-element": field(button()),
    "block-id-too-long": section(block_id="x" * 256),
    "button-accessibility-label-too-long": actions(button(accessibility_label="x" * 76)),
    "alert-text-too-long": {"type": "alert", "text": mrkdwn("x" * 201)},
    "card-title-too-long": card(title=mrkdwn("x" * 151)),
    "card-subtitle-too-long": card(subtitle=mrkdwn("x" * 151)),
    "card-body-too-long": card(body=mrkdwn("x" * 201)),
    "card-too-many-actions": card(actions=many(4, button())),
    "card-subtext-too-long": card(subtext=mrkdwn("x" * 201)),
    "carousel-empty": {"type": "carousel", "elements": []},
    "carousel-too-many-cards": {"type": "carousel", "elements": many(11, card())},
    "container-title-too-long": container(title=plain("x" * 151)),
    "container-subtitle-too-long": container(subtitle=mrkdwn("x" * 151)),
    "container-too-many-child-blocks": container(child_blocks=many(11, section())),
    "context-actions-too-many-elements": {"type": "context_actions", "elements": many(6, icon())},
    "feedback-button-text-too-long": feedback(text=plain("x" * 76)),
    "feedback-button-value-too-long": feedback(value="x" * 2001),
    "feedback-button-accessibility-label-too-long": feedback(accessibility_label="x" * 76),
    "icon-button-too-many-visible-users": {
        "type": "context_actions",
        "elements": [icon(visible_to_user_ids=many(11, "U1"))],
    },
    "data-table-too-few-rows": data_table(1),
    "data-table-too-many-rows": data_table(202),
    "data-table-too-few-columns": data_table(2, 0),
    "data-table-too-many-columns": data_table(2, 21),
    "data-table-page-size-too-small": data_table(page_size=0),
    "data-table-page-size-too-large": data_table(page_size=101),
    "data-table-cell-text-empty": data_table(text=""),
    "data-table-content-too-long": data_table(3, 1, "x" * 7000),
    "data-visualization-title-too-long": pie(segment(), title="x" * 51),
    "pie-chart-empty": pie(),
    "pie-chart-too-many-segments": pie(*many(13, segment())),
    "chart-segment-label-too-long": pie(segment("x" * 21)),
    "chart-segment-value-not-positive": pie(segment(value=0)),
    "chart-series-empty": bar(),
    "chart-too-many-series": bar(*many(13, line())),
    "data-series-name-too-long": bar(line(name="x" * 21)),
    "data-series-empty": bar(line(data=[])),
    "data-series-too-many-points": bar(line(data=many(21, {"label": "x", "value": 1}))),
    "data-point-label-too-long": bar(line(data=[{"label": "x" * 21, "value": 1}])),
    "axis-categories-empty": bar(line(), categories=[]),
    "axis-too-many-categories": bar(line(), categories=many(21, "x")),
    "axis-category-label-too-long": bar(line(), categories=["x" * 21]),
    "axis-label-too-long": bar(line(), x_label="x" * 51),
}

#: The same blocks with nothing broken: what refuses them would refuse the cases above for the wrong reason.
SOUND: list[Json] = [
    section(fields=[mrkdwn()]),
    actions(button(url="x", value="v", confirm=confirm(), accessibility_label="x"), select(action_id="b")),
    grouped(group()),
    choices("overflow", 5),
    choices("checkboxes", 10),
    choices("radio_buttons", 10),
    task("https://x.example"),
    table([[{"type": "raw_text", "text": "x"}]], column_settings=[{}]),
    field({"type": "file_input", "action_id": "a", "max_files": 10}),
    text_input(max_length=3000),
    field(
        {
            "type": "number_input",
            "action_id": "a",
            "is_decimal_allowed": False,
            "min_value": "3",
            "max_value": "5",
        }
    ),
    image(),
    video(author_name="x", provider_name="x", description=plain()),
    card(subtitle=mrkdwn(), body=mrkdwn(), subtext=mrkdwn(), actions=[button()]),
    {"type": "carousel", "elements": [card()]},
    container(subtitle=mrkdwn()),
    feedback(accessibility_label="x"),
    {"type": "context_actions", "elements": [icon(visible_to_user_ids=["U1"])]},
    data_table(page_size=5),
    pie(segment()),
    bar(line(), x_label="x"),
    # What is chosen or typed at first.
    actions(
        select(initial_option=option()),
        {**select(initial_options=[option()]), "type": "multi_static_select"} | {"action_id": "b"},
    ),
    actions(
        {"type": "datepicker", "action_id": "a", "initial_date": "2017-03-01"},
        {"type": "timepicker", "action_id": "b", "initial_time": "09:00"},
        {"type": "datetimepicker", "action_id": "c", "initial_date_time": 1_488_358_800},
        {"type": "users_select", "action_id": "d", "initial_user": "U1"},
        {"type": "multi_conversations_select", "action_id": "e", "initial_conversations": ["C1"]},
        {"type": "external_select", "action_id": "f", "initial_option": option(), "min_query_length": 1},
    ),
    text_input(initial_value="x"),
    field({"type": "checkboxes", "action_id": "a", "options": [option()], "initial_options": [option()]}),
]


def surface_of(block: Json) -> str:
    return MODAL if block["type"] == "alert" else MESSAGE


def faults_of(name: str, broken: Json) -> list[Any]:
    if name.startswith("view-"):
        return check_view(broken)
    return check_blocks([broken], surface_of(broken))


def invalid_cases(shared_folder: Path) -> list[str]:
    spec = shared_folder / "conformance" / "slack" / "blockkit" / "spec"
    manifest = json.loads((spec / "fixtures" / "invalid" / "manifest.json").read_text())
    return [case["id"] for case in manifest["cases"]]


def test_all_cases_that_must_be_rejected_are_built_here(shared_folder: Path) -> None:
    cases = invalid_cases(shared_folder)
    assert len(cases) == 106
    assert set(cases) == REJECTED.keys()


@pytest.mark.parametrize("name", REJECTED)
def test_a_broken_rule_is_refused_with_its_place(name: str) -> None:
    faults = faults_of(name, REJECTED[name])
    assert faults
    assert all(fault.pointer.startswith("/") and fault.message for fault in faults)


@pytest.mark.parametrize("block", SOUND, ids=lambda block: block["type"])
def test_the_same_block_with_nothing_broken_is_taken(block: Json) -> None:
    assert check_blocks([block], surface_of(block)) == []


@pytest.mark.parametrize(
    "element",
    [
        select(initial_option=option(value="other")),
        select(initial_option="v"),
        {"type": "checkboxes", "action_id": "a", "options": [option()], "initial_options": option()},
        {"type": "datepicker", "action_id": "a", "initial_date": "tomorrow"},
        {"type": "timepicker", "action_id": "a", "initial_time": "9"},
        {"type": "datetimepicker", "action_id": "a", "initial_date_time": "now"},
        {"type": "multi_users_select", "action_id": "a", "initial_users": "U1"},
        {"type": "multi_users_select", "action_id": "a", "initial_users": [1]},
    ],
)
def test_an_initial_value_that_cannot_be_is_refused(element: Json) -> None:
    assert check_blocks([actions(element)])


def test_sound_views_are_taken() -> None:
    assert check_view(view(submit=plain(), close=plain(), private_metadata="x", callback_id="x")) == []


def _in_section(text: Json) -> list[Any]:
    return check_blocks([section(text=text)])


def _object(name: str, given: Json) -> list[Any]:
    if name.startswith("text_"):
        return _in_section(given)
    if name.startswith("option_group"):
        return check_blocks([grouped(given)])
    if name.startswith("option_"):
        return check_blocks([actions(select(options=[given]))])
    if name.startswith("confirmation"):
        return check_blocks([actions(button(confirm=given))])
    workflow = {"trigger": given} if name.startswith("trigger") else given
    if name.startswith(("trigger", "workflow")):
        return check_blocks([actions({"type": "workflow_button", "text": plain(), "workflow": workflow})])
    if name.startswith("input_parameter"):
        trigger = {"url": "https://x.example", "customizable_input_parameters": [given]}
        element = {"type": "workflow_button", "text": plain(), "workflow": {"trigger": trigger}}
        return check_blocks([actions(element)])
    if name.startswith("conversation_filter"):
        return check_blocks([actions({"type": "conversations_select", "action_id": "a", "filter": given})])
    assert name.startswith("dispatch_action")
    return check_blocks([text_input(dispatch_action_config=given)])


def _element(given: Json) -> list[Any]:
    if given["type"] == "image":
        return check_blocks([{"type": "context", "elements": [given]}])
    if given["type"] == "url":
        return check_blocks([{**task("x"), "sources": [given]}])
    if given["type"] in IN_ACTIONS:
        return check_blocks([actions(given)])
    assert given["type"] in IN_INPUT
    return check_blocks([field(given)])


def _rich(given: Json) -> list[Any]:
    sections = {"rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote"}
    inside = given if given["type"] in sections else {"type": "rich_text_section", "elements": [given]}
    return check_blocks([{"type": "rich_text", "elements": [inside]}])


def _message(given: Json) -> list[Any]:
    # Messages with response_type or replace_original are for response URLs and webhooks.
    surface = WEBHOOK if "response_type" in given else MESSAGE
    faults = check_blocks(given.get("blocks", []), surface)
    return faults + check_attachments(given.get("attachments", []), surface)


CHECKS: dict[str, Callable[[str, Json], list[Any]]] = {
    "attachments": lambda _name, given: check_attachments([given]),
    "blocks": lambda _name, given: check_blocks([given], surface_of(given)),
    "elements": lambda _name, given: _element(given),
    "messages": lambda _name, given: _message(given),
    "objects": _object,
    "rich_text": lambda _name, given: _rich(given),
    "views": lambda _name, given: check_view(given),
}


def test_every_valid_fixture_is_taken_on_its_surface(shared_folder: Path) -> None:
    folder = shared_folder / "conformance" / "slack" / "blockkit" / "spec" / "fixtures" / "valid"
    fixtures = sorted(folder.rglob("*.json"))
    listed = json.loads((folder.parent.parent / "manifest.json").read_text())["fixtures"]
    assert len(fixtures) == len(listed)
    refused = {}
    for path in fixtures:
        faults = CHECKS[path.parent.name](path.stem, json.loads(path.read_text()))
        if faults:
            refused[path.stem] = faults
    assert refused == {}


@pytest.mark.parametrize(
    ("block", "surface"),
    [
        ({"type": "alert", "text": mrkdwn()}, MESSAGE),
        ({"type": "markdown", "text": "x"}, MODAL),
        (feedback(), HOME),
        (data_table(), MODAL),
        (pie(segment()), HOME),
        (container(), MODAL),
    ],
)
def test_a_block_on_the_wrong_surface_is_refused(block: Json, surface: str) -> None:
    assert check_blocks([block], surface)


def test_what_the_models_of_slack_sdk_let_through_is_refused() -> None:
    assert check_blocks(many(51, {"type": "divider"}))
    assert check_blocks(many(2, {"type": "divider", "block_id": "same"}))
    assert check_blocks(many(2, data_table()))
    assert check_blocks(many(3, pie(segment())))
    assert check_blocks([{"type": "markdown", "text": "x" * 7000}] * 2)
    assert check_blocks([actions(button(), button())])
    assert check_blocks([section(colour="red")])
    assert check_view(view(blocks=[text_input()]))
    assert check_view(view(blocks=[text_input()], submit=plain())) == []
