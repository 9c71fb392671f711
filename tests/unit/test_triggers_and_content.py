"""Triggers, the fields that tips may name, and the shipped tips and behaviours agree with each other."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bot import nudges
from bot.content import fields
from bot.content.fields import TRIGGERS
from bot.content.lint import lint
from bot.content.load import load
from bot.content.preview import PROGRAMME
from bot.content.wording import tip_message
from bot.domain.nudging import REASONS, Trigger, consider, substantiate
from bot.domain.people import GOALS, ROLES, Preferences
from bot.plugins import discover
from tests.builders import TUESDAY, case, evidence, names_records, person, policy, profile, standing

SHIPPED = load()
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


def test_every_trigger_has_a_tip() -> None:
    assert {tip.trigger for tip in load().tips.values()} == FOUND.keys()


def test_adding_a_trigger_works_as_the_page_shows_it(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (repository / "docs/planning.md").read_text().partition("## Adding a trigger")[2]
    rule, entry = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    messages, tips = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    package = tmp_path / "shown_nudges"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "many_open_long.py").write_text(rule)
    monkeypatch.syspath_prepend(tmp_path)
    (trigger,) = discover(importlib.import_module("shown_nudges"), Trigger)
    for name, declared in eval(entry, vars(fields)).items():  # noqa: S307 - our own page
        assert (declared.behaviour, declared.metric) == (trigger.behaviour, trigger.reads[0])
        monkeypatch.setitem(fields.TRIGGERS, name, declared)
    for folder, text in (("messages", messages), ("tips", tips)):
        (tmp_path / "own" / folder).mkdir(parents=True)
        (tmp_path / "own" / folder / "added.toml").write_text(text)
    content = load(tmp_path / "own")
    assert [str(fault) for fault in lint(content, today=TUESDAY.date())] == []

    rules = policy(triggers=(trigger,), tips=content.tips, behaviours=content.behaviours)
    for count, offered in ((9.0, []), (10.0, ["many_open_long_productivity"])):
        read = replace(NEW, role="seller", snapshot={"opps_open": 20.0, "opps_open_long": count})
        who = person(role="seller")
        one = case(standing(who), profile=read, behaviours=dict(content.behaviours))
        considered = substantiate(consider(one, rules), evidence(read), names_records)
        assert [each.action for each in considered.candidates] == offered


def test_every_reason_for_sending_nothing_has_words_for_the_person() -> None:
    messages = load().messages
    for reason in REASONS:
        assert {"en", "de"} <= set(messages[f"held_{reason.replace('-', '_')}"].bodies), reason


NEW = profile(
    snapshot={"opps_open": 10.0}
    | {each.metric: 7.0 for each in TRIGGERS.values() if each.metric is not None},
    sums_28d={},
    weeks_since_access=3,
)
"""Somebody in their third week: ten open deals, seven of them out of order in every way, and nothing done yet."""


@pytest.mark.parametrize("tip", sorted(SHIPPED.tips))
def test_every_shipped_tip_reaches_everybody_it_is_for(tip: str) -> None:
    """The planner itself offers it to each of its roles with its goal, and it can be worded from what the CRM says."""
    text = SHIPPED.tips[tip]
    rules = policy(triggers=tuple(FOUND.values()), tips=SHIPPED.tips, behaviours=SHIPPED.behaviours)
    others = frozenset(each for each in SHIPPED.tips if each != tip)
    for role in text.roles:
        who = person(role=role)
        one = case(
            standing(who, choices=Preferences(who.id, goal=text.goal, tips_never=others)),
            profile=replace(NEW, role=role),
            behaviours={key: each for key, each in SHIPPED.behaviours.items() if role in each.roles},
        )
        considered = substantiate(consider(one, rules), evidence(NEW), names_records)
        (candidate,) = considered.candidates
        assert candidate.action == tip
        for language in ("en", "de"):
            shown = tip_message(
                SHIPPED,
                tip,
                candidate,
                person=who,
                programme=PROGRAMME,
                language=language,
                delivery="m1",
                now=TUESDAY,
            )
            assert shown.language == language


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("role", ROLES)
def test_every_role_and_goal_has_a_tip_on_own_records_and_one_for_the_first_weeks(
    role: str, goal: str
) -> None:
    there = {
        FOUND[tip.trigger].own_records
        for tip in SHIPPED.tips.values()
        if role in tip.roles and tip.goal == goal
    }
    assert there == {True, False}


def test_the_starter_pack_has_sixty_tips() -> None:
    assert len(SHIPPED.tips) >= 60
