"""Every reason for which a message is held, dropped or withdrawn can be read by the person; every message says why."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bot.content.load import Content, load
from bot.content.preview import preview
from bot.domain.messages import ANSWER, KINDS, REMINDER, TIP, WELCOME, Buttons, Message
from store.outbox import DEAD

REPOSITORY = Path(__file__).parents[2]
CONTENT: Content = load()
SAYING_NO = {
    "bot/domain/attention.py": {"Refusal": 0},
    "bot/services/gate_outbox.py": {"_dropped": 1, "_held": 1, "_silent": 1},
}
"""File -> function and the place of the reason among its arguments."""
FRAGMENTS = ("what_is_read_", "record_", "reminder_intro")
"""Parts of messages, never sent by themselves."""


def _word(node: ast.expr) -> str | None:
    """A reason up to its colon; None for a variable, whose words were written elsewhere."""
    if isinstance(node, ast.JoinedStr):
        node = node.values[0]
    if isinstance(node, ast.IfExp):
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.partition(":")[0]
    return None


def _reasons() -> set[str]:
    found = {DEAD}
    for path in sorted(REPOSITORY.glob("bot/**/*.py")):
        name = str(path.relative_to(REPOSITORY))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            place = 2 if called == "withdraw" else SAYING_NO.get(name, {}).get(called)
            if place is not None and (word := _word(node.args[place])) is not None:
                found.add(word)
    # refusals whose word depends on a condition
    return found | {"back-off", "spacing"}


def test_the_reasons_are_found_in_the_code() -> None:
    assert {
        "stale",
        "crm-silent",
        "presence-unknown",
        "address-changed",
        "weekly-cap",
        "stopped",
    } <= _reasons()
    assert len(_reasons()) >= 25


@pytest.mark.parametrize("reason", sorted(_reasons()))
def test_every_no_of_the_gate_has_words_in_every_language(reason: str) -> None:
    assert {"en", "de"} <= set(CONTENT.messages[f"held_{reason.replace('-', '_')}"].bodies), reason


# --- why this? ------------------------------------------------------------------------------------------------------


def _actions(message: Message) -> set[str]:
    rows = [part for part in message.parts if isinstance(part, Buttons)]
    return {each.action for row in rows for each in (*row.buttons, *row.menu)}


@pytest.mark.parametrize("tip", sorted(CONTENT.tips))
def test_every_tip_can_be_asked_why(tip: str) -> None:
    assert "tip:why" in _actions(preview(CONTENT, tip))


def _sent_unasked() -> list[tuple[str, str]]:
    keys = [
        key
        for key, text in CONTENT.messages.items()
        if text.kind not in (ANSWER, TIP, REMINDER) and not key.startswith(FRAGMENTS)
    ]
    return [(key, language) for key in sorted(keys) for language in CONTENT.messages[key].bodies]


def test_the_welcome_and_the_back_off_are_among_what_is_sent_unasked() -> None:
    kinds = {CONTENT.messages[key].kind for key, _ in _sent_unasked()}
    assert {WELCOME, "back_off", "status"} <= kinds <= set(KINDS)


@pytest.mark.parametrize(("key", "language"), _sent_unasked())
def test_every_message_that_is_sent_unasked_can_be_asked_why(key: str, language: str) -> None:
    parts = CONTENT.messages[key].bodies[language].parts
    actions = {each.action for part in parts for each in (*part.buttons, *part.menu)}
    assert "tip:why" in actions


@pytest.mark.parametrize("kind", sorted({CONTENT.messages[key].kind for key, _ in _sent_unasked()}))
def test_why_knows_every_kind_that_is_sent_unasked(kind: str) -> None:
    bodies = CONTENT.messages["why_other"].bodies
    for language in ("en", "de"):
        assert f"kind == '{kind}'" in bodies[language].parts[0].text
