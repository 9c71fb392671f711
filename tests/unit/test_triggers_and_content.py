"""Triggers, the fields that tips may name, and the shipped tips and behaviours agree with each other."""

from __future__ import annotations

from bot import nudges
from bot.content.fields import TRIGGERS
from bot.content.load import load
from bot.domain.nudging import REASONS, Trigger
from bot.plugins import discover

FOUND = {trigger.name: trigger for trigger in discover(nudges, Trigger)}


def test_every_trigger_declares_what_its_tips_may_name() -> None:
    assert set(FOUND) == set(TRIGGERS)
    for name, trigger in FOUND.items():
        assert TRIGGERS[name].behaviour == trigger.behaviour
        assert TRIGGERS[name].metric == (trigger.reads[0] if trigger.reads else None)


def test_every_shipped_tip_is_about_the_behaviour_of_its_trigger_and_asked_of_its_roles() -> None:
    content = load()
    for tip in content.tips.values():
        trigger, behaviour = FOUND[tip.trigger], content.behaviours[tip.behaviour]
        assert trigger.behaviour in {"", tip.behaviour}, tip.id
        assert tip.roles <= behaviour.roles, tip.id


def test_the_behaviour_of_a_record_trigger_is_measured_by_what_the_trigger_reads() -> None:
    content = load()
    for trigger in FOUND.values():
        if trigger.behaviour:
            assert content.behaviours[trigger.behaviour].metrics == trigger.reads


def test_every_trigger_has_a_tip_for_a_seller_with_any_goal() -> None:
    content = load()
    there = {(tip.trigger, tip.goal) for tip in content.tips.values() if "seller" in tip.roles}
    goals = ("performance", "productivity", "personal")
    assert {(name, goal) for name in FOUND for goal in goals} <= there


def test_every_reason_for_sending_nothing_has_words_for_the_person() -> None:
    messages = load().messages
    for reason in REASONS:
        assert {"en", "de"} <= set(messages[f"held_{reason.replace('-', '_')}"].bodies), reason
