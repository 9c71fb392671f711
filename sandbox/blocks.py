"""The rules of Block Kit: what Slack takes and what it refuses, with the reason and the place.

Limits: docs.slack.dev/reference/block-kit. `check_blocks` and `check_view` return faults and change nothing;
an empty list means that Slack would take it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]

MESSAGE, MODAL, HOME, WEBHOOK = "message", "modal", "home", "webhook"
MAX_MESSAGE_BLOCKS, MAX_VIEW_BLOCKS = 50, 100

#: Code points: Slack counts an emoji of the astral planes once.
_TEXT_TYPES = ("plain_text", "mrkdwn")


class Fault:
    """One broken rule: `pointer` is a JSON pointer to the place, `code` and `message` say what is wrong there."""

    __slots__ = ("code", "message", "pointer")

    def __init__(self, pointer: str, message: str, code: str = "failed_constraint") -> None:
        self.pointer = pointer
        self.message = message
        self.code = code

    def __repr__(self) -> str:
        return f"Fault({self.pointer}: {self.message})"


Faults = list[Fault]


# Pieces -------------------------------------------------------------------------------------------------------------


def _length(
    value: Any, at: str, faults: Faults, most: int, least: int = 0, *, required: bool = False
) -> None:
    if value is None:
        if required:
            faults.append(Fault(at, "missing required field", "missing_field"))
        return
    if not isinstance(value, str):
        faults.append(Fault(at, "must be a string", "type_mismatch"))
    elif len(value) > most:
        faults.append(Fault(at, f"must be less than {most + 1} characters"))
    elif len(value) < least:
        faults.append(Fault(at, f"must be more than {least - 1} characters"))


def _text(
    value: Any,
    at: str,
    faults: Faults,
    most: int = 3000,
    *,
    plain: bool = False,
    required: bool = True,
    least: int = 1,
) -> None:
    if value is None:
        if required:
            faults.append(Fault(at, "missing required field", "missing_field"))
        return
    if not isinstance(value, dict):
        faults.append(Fault(at, "must be a text object", "type_mismatch"))
        return
    kind = value.get("type")
    if kind != "plain_text" and (plain or kind != "mrkdwn"):
        faults.append(Fault(f"{at}/type", f"unsupported type: {kind}"))
        return
    _length(value.get("text"), f"{at}/text", faults, most, least, required=True)
    foreign = value.keys() - (
        {"type", "text", "emoji"} if kind == "plain_text" else {"type", "text", "verbatim"}
    )
    faults.extend(Fault(at, f"invalid additional property: {key}") for key in sorted(foreign))


def _items(value: Any, at: str, faults: Faults, most: int, least: int = 1) -> list[Any]:
    if not isinstance(value, list):
        missing = value is None
        code = "missing_field" if missing else "type_mismatch"
        faults.append(Fault(at, "missing required field" if missing else "must be an array", code))
        return []
    if len(value) > most:
        faults.append(Fault(at, f"no more than {most} items allowed"))
    elif len(value) < least:
        faults.append(Fault(at, f"must have at least {least} item(s)"))
    return value


def _number(value: Any, at: str, faults: Faults, low: float, high: float) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        faults.append(Fault(at, "must be a number", "type_mismatch"))
    elif not low <= value <= high:
        faults.append(Fault(at, f"must be between {low} and {high}"))


def _only(value: Json, allowed: frozenset[str], at: str, faults: Faults) -> None:
    if not value.keys() <= allowed:
        for key in sorted(value.keys() - allowed):
            faults.append(Fault(at, f"invalid additional property: {key}"))


def _confirm(value: Any, at: str, faults: Faults) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        faults.append(Fault(at, "must be a confirmation object", "type_mismatch"))
        return
    _text(value.get("title"), f"{at}/title", faults, 100, plain=True)
    _text(value.get("text"), f"{at}/text", faults, 300)
    _text(value.get("confirm"), f"{at}/confirm", faults, 30, plain=True)
    _text(value.get("deny"), f"{at}/deny", faults, 30, plain=True)


def _option(value: Any, at: str, faults: Faults) -> None:
    if not isinstance(value, dict):
        faults.append(Fault(at, "must be an option object", "type_mismatch"))
        return
    _text(value.get("text"), f"{at}/text", faults, 75)
    _length(value.get("value"), f"{at}/value", faults, 150, 1, required=True)
    _text(value.get("description"), f"{at}/description", faults, 75, required=False)
    _length(value.get("url"), f"{at}/url", faults, 3000)


def _options(value: Any, at: str, faults: Faults, most: int, least: int = 1) -> None:
    items = _items(value, at, faults, most, least)
    for i, item in enumerate(items):
        _option(item, f"{at}/{i}", faults)


def _image_source(value: Json, at: str, faults: Faults) -> None:
    given = [key for key in ("image_url", "slack_file") if value.get(key) is not None]
    if len(given) != 1:
        faults.append(Fault(at, "must have exactly one of image_url and slack_file", "mutually_exclusive"))
    _length(value.get("image_url"), f"{at}/image_url", faults, 3000, 1)
    _length(value.get("alt_text"), f"{at}/alt_text", faults, 2000, required=True)


# Elements -----------------------------------------------------------------------------------------------------------

_BUTTON = frozenset(
    {"type", "text", "action_id", "url", "value", "style", "confirm", "accessibility_label", "agent_prompt"}
)


def _button(e: Json, at: str, faults: Faults) -> None:
    _only(e, _BUTTON, at, faults)
    _text(e.get("text"), f"{at}/text", faults, 75, plain=True)
    _length(e.get("url"), f"{at}/url", faults, 3000)
    _length(e.get("value"), f"{at}/value", faults, 2000)
    _length(e.get("accessibility_label"), f"{at}/accessibility_label", faults, 75)
    if e.get("style") not in (None, "primary", "danger"):
        faults.append(Fault(f"{at}/style", f"unsupported style: {e['style']}"))
    _confirm(e.get("confirm"), f"{at}/confirm", faults)


def _workflow_button(e: Json, at: str, faults: Faults) -> None:
    _text(e.get("text"), f"{at}/text", faults, 75, plain=True)
    _length(e.get("accessibility_label"), f"{at}/accessibility_label", faults, 75)
    if not isinstance(e.get("workflow"), dict):
        faults.append(Fault(f"{at}/workflow", "missing required field", "missing_field"))


def _placeholder(e: Json, at: str, faults: Faults) -> None:
    _text(e.get("placeholder"), f"{at}/placeholder", faults, 150, plain=True, required=False)
    _confirm(e.get("confirm"), f"{at}/confirm", faults)


def _static_select(e: Json, at: str, faults: Faults) -> None:
    _placeholder(e, at, faults)
    options, groups = e.get("options"), e.get("option_groups")
    if options is not None and groups is not None:
        faults.append(Fault(at, "options and option_groups exclude each other", "mutually_exclusive"))
    elif groups is not None:
        for i, group in enumerate(_items(groups, f"{at}/option_groups", faults, 100)):
            here = f"{at}/option_groups/{i}"
            if not isinstance(group, dict):
                faults.append(Fault(here, "must be an option group", "type_mismatch"))
                continue
            _text(group.get("label"), f"{here}/label", faults, 75, plain=True)
            _options(group.get("options"), f"{here}/options", faults, 100)
    else:
        _options(options, f"{at}/options", faults, 100)


def check_options(given: Json) -> Faults:
    """Check what an app answers to `block_suggestion`: `options` or `option_groups`; neither may be an empty menu."""
    faults: Faults = []
    if given.get("options") == []:
        return faults
    _static_select(given, "", faults)
    return faults


def _external_select(e: Json, at: str, faults: Faults) -> None:
    _placeholder(e, at, faults)
    _number(e.get("min_query_length"), f"{at}/min_query_length", faults, 0, 3000)


def _overflow(e: Json, at: str, faults: Faults) -> None:
    _options(e.get("options"), f"{at}/options", faults, 5)
    _confirm(e.get("confirm"), f"{at}/confirm", faults)


def _choices(e: Json, at: str, faults: Faults) -> None:
    _options(e.get("options"), f"{at}/options", faults, 10)
    _confirm(e.get("confirm"), f"{at}/confirm", faults)


def _plain_text_input(e: Json, at: str, faults: Faults) -> None:
    _placeholder(e, at, faults)
    _number(e.get("min_length"), f"{at}/min_length", faults, 0, 3000)
    _number(e.get("max_length"), f"{at}/max_length", faults, 1, 3000)


def _number_input(e: Json, at: str, faults: Faults) -> None:
    _placeholder(e, at, faults)
    if not isinstance(e.get("is_decimal_allowed"), bool):
        faults.append(Fault(f"{at}/is_decimal_allowed", "missing required field", "missing_field"))
    try:
        low, high = (float(e[key]) if e.get(key) is not None else None for key in ("min_value", "max_value"))
    except (TypeError, ValueError, OverflowError):
        faults.append(Fault(at, "min_value and max_value must be numbers", "type_mismatch"))
        return
    if low is not None and high is not None and low > high:
        faults.append(Fault(at, "min_value must not be more than max_value"))


def _file_input(e: Json, at: str, faults: Faults) -> None:
    _number(e.get("max_files"), f"{at}/max_files", faults, 1, 10)


def _image_element(e: Json, at: str, faults: Faults) -> None:
    _image_source(e, at, faults)


def _feedback_buttons(e: Json, at: str, faults: Faults) -> None:
    for side in ("positive_button", "negative_button"):
        button = e.get(side)
        here = f"{at}/{side}"
        if not isinstance(button, dict):
            faults.append(Fault(here, "missing required field", "missing_field"))
            continue
        _text(button.get("text"), f"{here}/text", faults, 75, plain=True)
        _length(button.get("value"), f"{here}/value", faults, 2000)
        _length(button.get("accessibility_label"), f"{here}/accessibility_label", faults, 75)


def _icon_button(e: Json, at: str, faults: Faults) -> None:
    _text(e.get("text"), f"{at}/text", faults, 75, plain=True)
    _length(e.get("value"), f"{at}/value", faults, 2000)
    _length(e.get("icon"), f"{at}/icon", faults, 100, 1, required=True)
    _length(e.get("accessibility_label"), f"{at}/accessibility_label", faults, 75)
    visible = e.get("visible_to_user_ids")
    if visible is not None:
        _items(visible, f"{at}/visible_to_user_ids", faults, 10, 0)
    _confirm(e.get("confirm"), f"{at}/confirm", faults)


def _url_source(e: Json, at: str, faults: Faults) -> None:
    _length(e.get("url"), f"{at}/url", faults, 3000, 1, required=True)
    _length(e.get("text"), f"{at}/text", faults, 3000, required=True)


Check = Callable[[Json, str, Faults], None]

ELEMENTS: dict[str, Check] = {
    "button": _button,
    "workflow_button": _workflow_button,
    "static_select": _static_select,
    "multi_static_select": _static_select,
    "external_select": _external_select,
    "multi_external_select": _external_select,
    "overflow": _overflow,
    "checkboxes": _choices,
    "radio_buttons": _choices,
    "plain_text_input": _plain_text_input,
    "number_input": _number_input,
    "file_input": _file_input,
    "image": _image_element,
    "feedback_buttons": _feedback_buttons,
    "icon_button": _icon_button,
    "url": _url_source,
    **dict.fromkeys(
        (
            "channels_select",
            "conversations_select",
            "users_select",
            "multi_channels_select",
            "multi_conversations_select",
            "multi_users_select",
            "datepicker",
            "datetimepicker",
            "timepicker",
            "email_text_input",
            "url_text_input",
            "rich_text_input",
        ),
        _placeholder,
    ),
}
_SELECTS = frozenset(name for name in ELEMENTS if name.endswith("_select"))
_PICKERS = frozenset({"datepicker", "datetimepicker", "timepicker"})
_CHOICES = frozenset({"checkboxes", "radio_buttons"})
IN_ACTIONS = _SELECTS | _PICKERS | _CHOICES | {"button", "workflow_button", "overflow", "rich_text_input"}
IN_SECTION = _SELECTS | _PICKERS | _CHOICES | {"button", "workflow_button", "overflow", "image"}
IN_INPUT = (
    _SELECTS
    | _PICKERS
    | _CHOICES
    | {
        "plain_text_input",
        "number_input",
        "file_input",
        "email_text_input",
        "url_text_input",
        "rich_text_input",
    }
)


_DATE, _TIME = re.compile(r"\d{4}-\d\d-\d\d"), re.compile(r"[0-2]\d:[0-5]\d")


def _initial_options(e: Json, at: str, faults: Faults) -> None:
    """What is chosen at first must be among the options, where the element has options of its own."""
    one, many = e.get("initial_option"), e.get("initial_options")
    if many is not None and not isinstance(many, list):
        faults.append(Fault(f"{at}/initial_options", "must be an array", "type_mismatch"))
        return
    groups = [group.get("options") for group in e.get("option_groups") or [] if isinstance(group, dict)]
    own = [
        option for some in (e.get("options"), *groups) for option in (some if isinstance(some, list) else ())
    ]
    given = [(f"{at}/initial_option", one)] if one is not None else []
    given += [(f"{at}/initial_options/{i}", each) for i, each in enumerate(many or [])]
    for here, option in given:
        _option(option, here, faults)
        if isinstance(option, dict) and own and option not in own:
            faults.append(Fault(here, "must be one of the options"))


def _initial(e: Json, key: str, at: str, faults: Faults) -> None:
    """One of the other `initial_...` keys."""
    value, here = e[key], f"{at}/{key}"
    if key == "initial_value" and e["type"] == "rich_text_input":
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            faults.append(Fault(here, "must be rich text", "type_mismatch"))
    elif key == "initial_date_time":
        _number(value, here, faults, 0, 9_999_999_999)
    elif isinstance(value, list) and e["type"].startswith("multi_"):
        for i, item in enumerate(value):
            _length(item, f"{here}/{i}", faults, 255, 1, required=True)
    elif e["type"].startswith("multi_"):
        faults.append(Fault(here, "must be an array", "type_mismatch"))
    else:
        _length(value, here, faults, 3000)
        pattern = {"initial_date": _DATE, "initial_time": _TIME}.get(key)
        if pattern and isinstance(value, str) and not pattern.fullmatch(value):
            faults.append(Fault(here, f"invalid {key.removeprefix('initial_')}"))


def check_element(value: Any, allowed: frozenset[str], at: str, faults: Faults) -> None:
    """Check one element that stands where only `allowed` types may stand."""
    if not isinstance(value, dict):
        faults.append(Fault(at, "must be an object", "type_mismatch"))
        return
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in allowed:
        faults.append(Fault(f"{at}/type", f"unsupported type: {kind}"))
        return
    _length(value.get("action_id"), f"{at}/action_id", faults, 255, 1)
    ELEMENTS[kind](value, at, faults)
    if kind == "button":
        return
    for key in value:
        if key in ("initial_option", "initial_options"):
            _initial_options(value, at, faults)
        elif key.startswith("initial_") and value[key] is not None:
            _initial(value, key, at, faults)


def _distinct_actions(elements: list[Any], at: str, faults: Faults) -> None:
    seen: set[str] = set()
    for i, element in enumerate(elements):
        action_id = element.get("action_id") if isinstance(element, dict) else None
        if isinstance(action_id, str):
            if action_id in seen:
                faults.append(Fault(f"{at}/{i}/action_id", f"`action_id` already exists: {action_id}"))
            seen.add(action_id)


# Blocks -------------------------------------------------------------------------------------------------------------


def _section(b: Json, at: str, faults: Faults) -> None:
    _only(b, frozenset({"type", "block_id", "text", "fields", "accessory", "expand"}), at, faults)
    text, fields = b.get("text"), b.get("fields")
    if text is None and not fields:
        faults.append(Fault(at, "must have text or fields", "missing_field"))
    _text(text, f"{at}/text", faults, required=False)
    if fields is not None:
        for i, item in enumerate(_items(fields, f"{at}/fields", faults, 10)):
            _text(item, f"{at}/fields/{i}", faults, 2000)
    if b.get("accessory") is not None:
        check_element(b["accessory"], IN_SECTION, f"{at}/accessory", faults)


def _header(b: Json, at: str, faults: Faults) -> None:
    _only(b, frozenset({"type", "block_id", "text", "level"}), at, faults)
    _text(b.get("text"), f"{at}/text", faults, 150, plain=True)


def _divider(b: Json, at: str, faults: Faults) -> None:
    _only(b, frozenset({"type", "block_id"}), at, faults)


def _context(b: Json, at: str, faults: Faults) -> None:
    _only(b, frozenset({"type", "block_id", "elements"}), at, faults)
    for i, item in enumerate(_items(b.get("elements"), f"{at}/elements", faults, 10)):
        here = f"{at}/elements/{i}"
        if isinstance(item, dict) and item.get("type") in _TEXT_TYPES:
            _text(item, here, faults)
        else:
            check_element(item, frozenset({"image"}), here, faults)


def _actions(b: Json, at: str, faults: Faults) -> None:
    _only(b, frozenset({"type", "block_id", "elements"}), at, faults)
    elements = _items(b.get("elements"), f"{at}/elements", faults, 25)
    for i, item in enumerate(elements):
        check_element(item, IN_ACTIONS, f"{at}/elements/{i}", faults)
    _distinct_actions(elements, f"{at}/elements", faults)


def _context_actions(b: Json, at: str, faults: Faults) -> None:
    allowed = frozenset({"feedback_buttons", "icon_button"})
    for i, item in enumerate(_items(b.get("elements"), f"{at}/elements", faults, 5)):
        check_element(item, allowed, f"{at}/elements/{i}", faults)


def _image(b: Json, at: str, faults: Faults) -> None:
    _only(b, frozenset({"type", "block_id", "image_url", "slack_file", "alt_text", "title"}), at, faults)
    _image_source(b, at, faults)
    _text(b.get("title"), f"{at}/title", faults, 2000, plain=True, required=False)


def _input(b: Json, at: str, faults: Faults) -> None:
    allowed = frozenset({"type", "block_id", "label", "element", "hint", "optional", "dispatch_action"})
    _only(b, allowed, at, faults)
    _text(b.get("label"), f"{at}/label", faults, 2000, plain=True)
    _text(b.get("hint"), f"{at}/hint", faults, 2000, plain=True, required=False)
    check_element(b.get("element"), IN_INPUT, f"{at}/element", faults)


def _markdown(b: Json, at: str, faults: Faults) -> None:
    _length(b.get("text"), f"{at}/text", faults, 12_000, 1, required=True)


_RICH = frozenset({"rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote"})


def _rich_text(b: Json, at: str, faults: Faults) -> None:
    for i, item in enumerate(_items(b.get("elements"), f"{at}/elements", faults, 1000)):
        if not isinstance(item, dict) or item.get("type") not in _RICH:
            kind = item.get("type") if isinstance(item, dict) else None
            faults.append(Fault(f"{at}/elements/{i}/type", f"unsupported type: {kind}"))
        else:
            _items(item.get("elements"), f"{at}/elements/{i}/elements", faults, 10_000, 0)


def _video(b: Json, at: str, faults: Faults) -> None:
    _length(b.get("alt_text"), f"{at}/alt_text", faults, 200, 1, required=True)
    _text(b.get("title"), f"{at}/title", faults, 200, plain=True)
    _length(b.get("author_name"), f"{at}/author_name", faults, 50)
    _length(b.get("provider_name"), f"{at}/provider_name", faults, 50)
    _text(b.get("description"), f"{at}/description", faults, 200, plain=True, required=False)
    for key in ("thumbnail_url", "video_url"):
        _length(b.get(key), f"{at}/{key}", faults, 3000, 1, required=True)


def _file(b: Json, at: str, faults: Faults) -> None:
    _length(b.get("external_id"), f"{at}/external_id", faults, 255, 1, required=True)
    if b.get("source") != "remote":
        faults.append(Fault(f"{at}/source", "must be remote"))


def _table(b: Json, at: str, faults: Faults) -> None:
    rows = _items(b.get("rows"), f"{at}/rows", faults, 100)
    widths = {len(row) if isinstance(row, list) else -1 for row in rows}
    if len(widths) > 1 or -1 in widths:
        faults.append(Fault(f"{at}/rows", "all rows must have the same number of cells"))
        return
    width = widths.pop() if widths else 0
    if width > 20:
        faults.append(Fault(f"{at}/rows", "no more than 20 columns allowed"))
    settings = b.get("column_settings")
    if settings is not None and (not isinstance(settings, list) or len(settings) != width):
        faults.append(Fault(f"{at}/column_settings", "must have one entry for each column"))


def _data_table(b: Json, at: str, faults: Faults) -> None:
    total = 0
    _number(b.get("page_size"), f"{at}/page_size", faults, 1, 100)
    for r, row in enumerate(_items(b.get("rows"), f"{at}/rows", faults, 201, 2)):
        for c, cell in enumerate(_items(row, f"{at}/rows/{r}", faults, 20)):
            here = f"{at}/rows/{r}/{c}"
            if not isinstance(cell, dict):
                faults.append(Fault(here, "must be a cell", "type_mismatch"))
                continue
            text = cell.get("text")
            if cell.get("type") == "raw_text":
                _length(text, f"{here}/text", faults, 20_000, 1, required=True)
            total += len(text) if isinstance(text, str) else 0
    if total > 20_000:
        faults.append(Fault(f"{at}/rows", "must be less than 20001 characters in all"))


def _data_visualization(b: Json, at: str, faults: Faults) -> None:
    _length(b.get("title"), f"{at}/title", faults, 50, 1, required=True)
    chart = b.get("chart")
    if not isinstance(chart, dict):
        faults.append(Fault(f"{at}/chart", "missing required field", "missing_field"))
        return
    kind = chart.get("type")
    if kind == "pie":
        for i, part in enumerate(_items(chart.get("segments"), f"{at}/chart/segments", faults, 12)):
            here = f"{at}/chart/segments/{i}"
            if not isinstance(part, dict):
                faults.append(Fault(here, "must be an object", "type_mismatch"))
                continue
            _length(part.get("label"), f"{here}/label", faults, 20, 1, required=True)
            value = part.get("value")
            if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                faults.append(Fault(f"{here}/value", "must be more than 0"))
    elif kind in ("bar", "line", "area"):
        for i, line in enumerate(_items(chart.get("series"), f"{at}/chart/series", faults, 12)):
            here = f"{at}/chart/series/{i}"
            if not isinstance(line, dict):
                faults.append(Fault(here, "must be an object", "type_mismatch"))
                continue
            _length(line.get("name"), f"{here}/name", faults, 20, 1, required=True)
            for j, point in enumerate(_items(line.get("data"), f"{here}/data", faults, 20)):
                label = point.get("label") if isinstance(point, dict) else None
                _length(label, f"{here}/data/{j}/label", faults, 20, 1, required=True)
        axis = chart.get("axis_config")
        if not isinstance(axis, dict):
            faults.append(Fault(f"{at}/chart/axis_config", "missing required field", "missing_field"))
            return
        here = f"{at}/chart/axis_config"
        for i, label in enumerate(_items(axis.get("categories"), f"{here}/categories", faults, 20)):
            _length(label, f"{here}/categories/{i}", faults, 20, 1, required=True)
        _length(axis.get("x_label"), f"{here}/x_label", faults, 50)
        _length(axis.get("y_label"), f"{here}/y_label", faults, 50)
    else:
        faults.append(Fault(f"{at}/chart/type", f"unsupported type: {kind}"))


def _alert(b: Json, at: str, faults: Faults) -> None:
    _text(b.get("text"), f"{at}/text", faults, 200)


def _card(b: Json, at: str, faults: Faults) -> None:
    _text(b.get("title"), f"{at}/title", faults, 150, required=False)
    _text(b.get("subtitle"), f"{at}/subtitle", faults, 150, required=False)
    _text(b.get("body"), f"{at}/body", faults, 200, required=False)
    _text(b.get("subtext"), f"{at}/subtext", faults, 200, required=False)
    if b.get("hero_image") is not None:
        check_element(b["hero_image"], frozenset({"image"}), f"{at}/hero_image", faults)
    if b.get("actions") is not None:
        for i, item in enumerate(_items(b["actions"], f"{at}/actions", faults, 3)):
            check_element(item, frozenset({"button"}), f"{at}/actions/{i}", faults)


def _carousel(b: Json, at: str, faults: Faults) -> None:
    for i, card in enumerate(_items(b.get("elements"), f"{at}/elements", faults, 10)):
        if not isinstance(card, dict) or card.get("type") != "card":
            faults.append(Fault(f"{at}/elements/{i}/type", "must be a card"))
        else:
            _card(card, f"{at}/elements/{i}", faults)


def _container(b: Json, at: str, faults: Faults) -> None:
    _text(b.get("title"), f"{at}/title", faults, 150, required=False)
    _text(b.get("subtitle"), f"{at}/subtitle", faults, 150, required=False)
    children = _items(b.get("child_blocks"), f"{at}/child_blocks", faults, 10)
    for i, child in enumerate(children):
        _block(child, MESSAGE, f"{at}/child_blocks/{i}", faults)


def _task_card(b: Json, at: str, faults: Faults) -> None:
    _length(b.get("task_id"), f"{at}/task_id", faults, 255, 1, required=True)
    _length(b.get("title"), f"{at}/title", faults, 3000, 1, required=True)
    sources = b.get("sources")
    for i, source in enumerate(
        _items(sources, f"{at}/sources", faults, 1000, 0) if sources is not None else []
    ):
        check_element(source, frozenset({"url"}), f"{at}/sources/{i}", faults)


def _plan(b: Json, at: str, faults: Faults) -> None:
    _length(b.get("title"), f"{at}/title", faults, 3000, 1, required=True)
    tasks = b.get("tasks")
    for i, task in enumerate(_items(tasks, f"{at}/tasks", faults, 1000, 0) if tasks is not None else []):
        if isinstance(task, dict):
            _task_card(task, f"{at}/tasks/{i}", faults)
        else:
            faults.append(Fault(f"{at}/tasks/{i}", "must be a task", "type_mismatch"))


_EVERYWHERE = frozenset({MESSAGE, MODAL, HOME, WEBHOOK})
_MESSAGES = frozenset({MESSAGE, WEBHOOK})
_TABLES = frozenset({MESSAGE, WEBHOOK, HOME})

#: type -> (where it may stand, how it is checked); docs.slack.dev/reference/block-kit/blocks
BLOCKS: dict[str, tuple[frozenset[str], Check]] = {
    "section": (_EVERYWHERE, _section),
    "header": (_EVERYWHERE, _header),
    "divider": (_EVERYWHERE, _divider),
    "context": (_EVERYWHERE, _context),
    "actions": (_EVERYWHERE, _actions),
    "image": (_EVERYWHERE, _image),
    "input": (_EVERYWHERE, _input),
    "rich_text": (_EVERYWHERE, _rich_text),
    "video": (_EVERYWHERE, _video),
    "card": (_EVERYWHERE, _card),
    "markdown": (_MESSAGES, _markdown),
    "context_actions": (_MESSAGES, _context_actions),
    "file": (_MESSAGES, _file),
    "task_card": (_MESSAGES, _task_card),
    "plan": (_MESSAGES, _plan),
    "container": (_MESSAGES, _container),
    "data_visualization": (_MESSAGES, _data_visualization),
    "table": (_TABLES, _table),
    "data_table": (_TABLES, _data_table),
    "carousel": (_TABLES, _carousel),
    "alert": (frozenset({MODAL}), _alert),
}


def _block(value: Any, surface: str, at: str, faults: Faults) -> str | None:
    if not isinstance(value, dict):
        faults.append(Fault(at, "must be an object", "type_mismatch"))
        return None
    kind = value.get("type")
    rule = BLOCKS.get(kind) if isinstance(kind, str) else None
    if rule is None:
        faults.append(Fault(f"{at}/type", f"unsupported type: {kind}"))
        return None
    if surface not in rule[0]:
        faults.append(Fault(f"{at}/type", f"unsupported type: {kind} is not allowed in a {surface}"))
        return None
    _length(value.get("block_id"), f"{at}/block_id", faults, 255)
    rule[1](value, at, faults)
    return kind


def check_blocks(blocks: Any, surface: str = MESSAGE, root: str = "/blocks") -> Faults:
    """Check a list of blocks for a surface: MESSAGE, MODAL, HOME or WEBHOOK.

    On WEBHOOK (response_url and incoming webhooks) a block_id may come twice; elsewhere it may not.
    """
    faults: Faults = []
    if not isinstance(blocks, list):
        return [Fault(root, "must be an array", "type_mismatch")]
    most = MAX_VIEW_BLOCKS if surface in (MODAL, HOME) else MAX_MESSAGE_BLOCKS
    if len(blocks) > most:
        faults.append(Fault(root, f"no more than {most} items allowed"))
        return faults
    seen: set[str] = set()
    tables = charts = markdown = 0
    for i, block in enumerate(blocks):
        kind = _block(block, surface, f"{root}/{i}", faults)
        if kind is None:
            continue
        block_id = block.get("block_id")
        if block_id and surface != WEBHOOK:
            if block_id in seen:
                faults.append(Fault(f"{root}/{i}/block_id", f"`block_id` already exists: {block_id}"))
            seen.add(block_id)
        tables += kind in ("table", "data_table")
        charts += kind == "data_visualization"
        if kind == "markdown":
            markdown += len(str(block.get("text", "")))
    if tables > 1:
        faults.append(Fault(root, "only_one_table_allowed"))
    if charts > 2:
        faults.append(Fault(root, "no more than 2 data_visualization blocks allowed"))
    if markdown > 12_000:
        faults.append(Fault(root, "markdown must be less than 12001 characters in all"))
    return faults


def check_attachments(attachments: list[Any], surface: str = MESSAGE) -> Faults:
    """Check the blocks inside attachments."""
    faults: Faults = []
    for i, attachment in enumerate(attachments):
        if not isinstance(attachment, dict):
            faults.append(Fault(f"/attachments/{i}", "must be an object", "type_mismatch"))
        elif attachment.get("blocks") is not None:
            faults.extend(check_blocks(attachment["blocks"], surface, f"/attachments/{i}/blocks"))
    return faults


_VIEW = frozenset(
    {
        "type",
        "title",
        "blocks",
        "close",
        "submit",
        "private_metadata",
        "callback_id",
        "clear_on_close",
        "notify_on_close",
        "external_id",
        "submit_disabled",
    }
)


def check_view(view: Any) -> Faults:
    """Check a modal or a Home tab (docs.slack.dev/reference/views)."""
    if not isinstance(view, dict):
        return [Fault("/view", "must be an object", "type_mismatch")]
    faults: Faults = []
    kind = view.get("type")
    if kind not in (MODAL, HOME):
        return [Fault("/view/type", f"unsupported type: {kind}")]
    _only(view, _VIEW, "/view", faults)
    blocks = view.get("blocks")
    if not isinstance(blocks, list) or not blocks:
        faults.append(Fault("/view/blocks", "must have at least 1 item(s)", "missing_field"))
    else:
        faults.extend(check_blocks(blocks, kind, "/view/blocks"))
    _length(view.get("private_metadata"), "/view/private_metadata", faults, 3000)
    _length(view.get("callback_id"), "/view/callback_id", faults, 255)
    _length(view.get("external_id"), "/view/external_id", faults, 255)
    if kind == MODAL:
        _text(view.get("title"), "/view/title", faults, 24, plain=True)
        _text(view.get("close"), "/view/close", faults, 24, plain=True, required=False)
        _text(view.get("submit"), "/view/submit", faults, 24, plain=True, required=False)
        inputs = isinstance(blocks, list) and any(
            isinstance(b, dict) and b.get("type") == "input" for b in blocks
        )
        if inputs and view.get("submit") is None:
            faults.append(Fault("/view/submit", "a modal with an input block needs submit", "missing_field"))
    return faults
