"""Block Kit: whatever a message says, Slack takes it, and nothing a person or a CRM wrote is ever parsed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.delivery.blocks import MAX_BYTES, pieces, to_blocks, to_plain
from bot.delivery.ids import MENU, block_id, client_msg_id, option_value, read_option
from bot.domain.messages import (
    Button,
    Buttons,
    Heading,
    Message,
    Note,
    Paragraph,
    Part,
    Quote,
    RecordLine,
    Records,
)
from bot.rendering import escape
from sandbox.blocks import check_blocks

RAW = (
    st.text(max_size=60)
    | st.text(min_size=50, max_size=400)
    | st.integers(1, 6_000).map(lambda n: "wörter " * n)
)
ESCAPED = RAW.map(escape) | st.builds(
    lambda words, label: f"{escape(words)} <https://crm.example/{'x' * 40}|{escape(label)}>",
    RAW,
    st.text(max_size=20),
)
URLS = st.none() | st.sampled_from(
    ["https://crm.example/o/1", "javascript:alert(1)", "", "https://x.example/" + "y" * 4000]
)
BUTTONS = st.builds(
    Button,
    action=st.sampled_from(["tip:do", "tip:why", "tip:blocked", "goal:later", "x" * 300, ""]),
    label=st.text(max_size=120),
    value=st.sampled_from(["", "m0123", "v" * 140, "v" * 151, "v" * 2_000, "v" * 2_001]),
    url=URLS,
    style=st.sampled_from([None, "primary", "danger", "odd"]),
    confirm=st.none() | st.text(max_size=500),
)
PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Heading, ESCAPED),
    st.builds(Paragraph, ESCAPED),
    st.builds(Quote, RAW),
    st.builds(Note, ESCAPED),
    st.builds(
        Records,
        st.lists(st.builds(RecordLine, RAW, st.text(max_size=300), URLS), max_size=60).map(tuple),
    ),
    st.builds(Buttons, st.lists(BUTTONS, max_size=40).map(tuple), st.lists(BUTTONS, max_size=12).map(tuple)),
)
MESSAGES = st.builds(
    Message,
    kind=st.just("tip"),
    text=RAW,
    parts=st.lists(PARTS, max_size=20).map(tuple),
    template=st.just("tip.one"),
)
LONG = Message("tip", "t", tuple(Paragraph("ä " * 20_000) for _ in range(70)), "tip.one")
ALL_BUTTONS = Message(
    "tip", "t", (Buttons(tuple(Button(f"a{n}", "L" * 80, "v" * 2_000) for n in range(60))),), "tip.one"
)


def _texts(blocks: Any) -> Iterator[dict[str, Any]]:
    if isinstance(blocks, dict):
        if blocks.get("type") in ("mrkdwn", "plain_text", "text", "link"):
            yield blocks
        for value in blocks.values():
            yield from _texts(value)
    elif isinstance(blocks, list):
        for value in blocks:
            yield from _texts(value)


@pytest.fixture(scope="module")
def published(shared_folder: Path) -> dict[str, Any]:
    """The limits that Slack publishes."""
    path = shared_folder / "conformance/slack/blockkit/spec/limits.json"
    limits: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return limits


def over(limits: dict[str, Any], node: Any) -> list[tuple[str, str]]:
    """What is longer than it may be, by a checker that is neither ours nor the sandbox's."""
    if isinstance(node, list):
        return [each for one in node for each in over(limits, one)]
    if not isinstance(node, dict):
        return []
    kind = node.get("type")
    rules = limits.get(kind, {}) if isinstance(kind, str) else {}
    found = [each for one in node.values() for each in over(limits, one)]
    for key, rule in rules.items():
        if key in node:
            value = node[key]["text"] if isinstance(node[key], dict) else node[key]
            most = rule.get("max_length", rule.get("max_items", 10**9))
            if not rule.get("min_items", 0) <= len(value) <= most:
                found.append((node["type"], key))
    return found


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], max_examples=120)
@given(MESSAGES)
@example(LONG)
@example(ALL_BUTTONS)
@example(Message("tip", "", (), "tip.one"))
def test_slack_takes_every_message(published: dict[str, Any], said: Message) -> None:
    blocks = to_blocks(said, "m0123456789abcdef0123456")
    assert check_blocks(blocks) == []
    assert over(published, blocks) == []
    assert 1 <= len(blocks) <= 50
    assert len(json.dumps(blocks, ensure_ascii=False).encode()) <= MAX_BYTES
    assert 1 <= len(to_plain(said)) <= 4_000
    ids = [block["block_id"] for block in blocks]
    assert len(set(ids)) == len(ids)
    for text in _texts(blocks):
        assert text.get("text"), "an empty text is refused"
        if text["type"] == "mrkdwn":
            assert text["verbatim"] is True


def test_the_limits_here_are_those_that_slack_publishes(shared_folder: Path) -> None:
    from bot.delivery import blocks as ours

    spec = json.loads(
        (shared_folder / "conformance/slack/blockkit/spec/limits.json").read_text(encoding="utf-8")
    )
    assert spec["section"]["text"]["max_length"] == ours.MAX_TEXT
    assert spec["actions"]["elements"]["max_items"] == ours.MAX_ELEMENTS
    assert spec["overflow"]["options"]["max_items"] == ours.MAX_OPTIONS
    assert spec["button"]["text"]["max_length"] == ours.MAX_LABEL == spec["option"]["text"]["max_length"]
    assert spec["button"]["value"]["max_length"] == ours.MAX_BUTTON_VALUE
    assert spec["action_id"]["max_length"] == ours.MAX_ACTION_ID
    assert spec["confirmation"]["text"]["max_length"] == ours.MAX_CONFIRM
    assert spec["confirmation"]["confirm"]["max_length"] == ours.MAX_CONFIRM_LABEL
    assert spec["confirmation"]["title"]["max_length"] == ours.MAX_CONFIRM_TITLE


def _only(*parts: Part) -> list[dict[str, Any]]:
    return to_blocks(Message("tip", "t", parts, "tip.one"))


EVIL = "<!channel> *bold* <@U123> &lt; https://evil.example"


def test_words_of_a_person_and_names_of_records_are_never_parsed() -> None:
    quote, records = _only(Quote(EVIL), Records((RecordLine(EVIL, EVIL, "https://crm.example/1"),)))
    assert quote == {
        "type": "rich_text",
        "elements": [{"type": "rich_text_quote", "elements": [{"type": "text", "text": EVIL}]}],
    }
    [line] = records["elements"][0]["elements"]
    assert [element["type"] for element in line["elements"]] == ["link", "text"]
    assert line["elements"][0]["text"] == EVIL


def test_the_plain_text_calls_nobody() -> None:
    said = Message("tip", EVIL, (Paragraph("p"),), "tip.one")
    assert "<" not in to_plain(said)
    assert to_plain(said).startswith("&lt;!channel&gt;")


def test_a_link_that_is_no_web_address_is_no_link() -> None:
    [records] = _only(Records((RecordLine("Deal", link="javascript:alert(1)"),)))
    assert records["elements"][0]["elements"][0]["elements"] == [{"type": "text", "text": "Deal"}]
    assert not [
        b
        for b in _only(Paragraph("p"), Buttons((Button("tip:do", "Go", url="ftp://x"),)))
        if b["type"] == "actions"
    ]


def test_what_is_behind_the_dots_comes_back_whole() -> None:
    [actions] = _only(Buttons((Button("tip:do", "Go", "m1"),), (Button("tip:why", "Why this?", "m1"),)))
    button, dots = actions["elements"]
    assert (button["action_id"], button["value"]) == ("tip:do", "m1")
    assert dots["action_id"] == MENU
    assert read_option(dots["options"][0]["value"]) == ("tip:why", "m1")


@given(st.sampled_from(["tip:why", "pause:month"]), st.text(max_size=160))
def test_an_option_is_read_as_it_was_written_or_not_written(action: str, value: str) -> None:
    packed = option_value(action, value)
    if packed is None:
        assert len(action) + 1 + len(value) > 150
    else:
        assert read_option(packed) == (action, value)


def test_more_than_25_buttons_and_more_than_five_choices_go_into_further_rows() -> None:
    buttons = tuple(Button(f"a{n}", str(n)) for n in range(30))
    menu = tuple(Button(f"m{n}", str(n)) for n in range(7))
    rows = _only(Buttons(buttons, menu))
    elements = [element for row in rows for element in row["elements"]]
    assert [len(row["elements"]) for row in rows] == [25, 7]
    assert sum(len(e.get("options", ())) for e in elements) == 7


@given(ESCAPED, st.integers(20, 3_000))
def test_splitting_loses_no_word_and_cuts_no_link_or_entity(text: str, limit: int) -> None:
    parts = pieces(text, limit)
    assert all(0 < len(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())
    if limit > 400:
        for part in parts:
            assert part.count("<") == part.count(">")
            assert not part.endswith(("&a", "&am", "&amp", "&l", "&lt", "&g", "&gt", "&"))


def test_a_long_text_ends_in_an_ellipsis_on_a_word() -> None:
    blocks = _only(*(Paragraph("word " * 3_000) for _ in range(5)))
    texts = [block["text"]["text"] for block in blocks]
    assert all(text.endswith("word…") for text in texts)


def test_buttons_survive_a_message_that_is_too_long() -> None:
    said = Message(
        "tip", "t", (*(Paragraph("ä" * 9_000) for _ in range(60)), Buttons((Button("tip:do", "Go"),))), "x"
    )
    blocks = to_blocks(said, "m1")
    assert blocks[-1]["type"] == "actions"
    assert len(blocks) > 1


def test_a_block_that_changes_gets_a_new_id_and_one_that_does_not_keeps_it() -> None:
    before = to_blocks(Message("tip", "t", (Heading("H"), Paragraph("one")), "x"), "m1")
    after = to_blocks(Message("tip", "t", (Heading("H"), Paragraph("two")), "x"), "m1")
    assert before[0]["block_id"] == after[0]["block_id"]
    assert before[1]["block_id"] != after[1]["block_id"]
    assert len(block_id("d" * 400, 49, "12345678")) <= 255


def test_every_attempt_at_a_delivery_has_the_same_client_msg_id() -> None:
    assert client_msg_id("m1") == client_msg_id("m1") != client_msg_id("m2")


@pytest.mark.parametrize("text", ["\x00", "   ", ""])
def test_an_empty_message_still_says_something(text: str) -> None:
    said = Message("tip", text, (Paragraph(text),), "tip.one")
    assert to_plain(said) == "tip.one"
    assert check_blocks(to_blocks(said)) == []
