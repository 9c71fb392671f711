"""People of the sandbox's company understand what the bot writes, and know when they are off."""

from __future__ import annotations

from typing import Any

import holidays as library
import pytest

from bot.content.load import Content, load
from bot.content.preview import preview, preview_message
from bot.delivery.blocks import to_blocks, to_plain
from bot.domain.messages import Message
from sandbox.company import reading
from sandbox.company.calendar import holidays
from sandbox.company.reading import FIRST_WEEKS, Reading, read
from sandbox.reacting import offers

HABITS = {
    "opportunities_created": "entering",
    "contacts_kept": "contacts",
    "activities_logged": "activities",
    "step_moves": "step",
    "leads_worked": "leads",
    "tasks_done": "tasks",
    "accounts_kept": "accounts",
    "cases_kept": "cases",
}
"""What a first-weeks tip about this behaviour invites to."""


@pytest.fixture(scope="module")
def content() -> Content:
    return load()


def as_read(message: Message) -> Reading:
    blocks = to_blocks(message, "m1")
    return read(to_plain(message), blocks, frozenset(offers(blocks)))


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_tip_is_read_as_what_triggered_it(content: Content, language: str) -> None:
    for tip in content.tips.values():
        for records in (None, 1) if tip.names_records else (None,):
            found = as_read(preview(content, tip.id, language, records=records))
            assert (found.kind, found.family) == (reading.TIP, tip.trigger), tip.id
            if tip.names_records:
                assert len(found.records) == (records or 2), tip.id
                assert {record.name for record in found.records} <= {"Northwind renewal", "Isdom upgrade"}


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_tip_for_the_first_weeks_invites_to_its_own_behaviour(content: Content, language: str) -> None:
    told = {
        tip.id: (as_read(preview(content, tip.id, language)).habit, HABITS[tip.behaviour])
        for tip in content.tips.values()
        if tip.trigger == FIRST_WEEKS and tip.behaviour in HABITS
    }
    assert len(told) > 10
    assert {tip: pair for tip, pair in told.items() if pair[0] != pair[1]} == {}


@pytest.mark.parametrize("language", ["en", "de"])
def test_what_is_no_tip_is_told_from_one_by_its_buttons(content: Content, language: str) -> None:
    wanted = {
        "welcome": reading.WELCOME,
        "back_off": reading.BACK_OFF,
        "ask_goal": reading.GOAL,
        "after_remind_ask": reading.WHEN,
        "after_pause_ask": reading.HOW_LONG,
        "after_blocked_ask": reading.WHICH_BARRIER,
        "after_blocked_mode": reading.WHO_SEES,
        "thanks_for_doing": reading.OTHER,
    }
    for key, kind in wanted.items():
        assert as_read(preview_message(content, key, language)).kind == kind, key


def test_a_record_is_known_by_the_link_behind_its_name() -> None:
    link = "https://org.my.salesforce.com/lightning/r/Opportunity/0065e0000000001AAA/view"
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "*One of your open deals has no amount*"}},
        {
            "type": "rich_text",
            "elements": [
                {
                    "type": "rich_text_list",
                    "elements": [
                        {"elements": [{"type": "link", "url": link, "text": "Northwind renewal"}]},
                        {"elements": [{"type": "text", "text": "Isdom upgrade"}]},
                        {"elements": [{"type": "text", "text": "…"}]},
                    ],
                }
            ],
        },
    ]
    found = read("", blocks, frozenset({"tip:do", "tip:blocked"}))
    assert found.family == "missing_amount"
    assert [(record.name, record.id) for record in found.records] == [
        ("Northwind renewal", "0065e0000000001AAA"),
        ("Isdom upgrade", None),
    ]


def test_words_that_nobody_understands_have_no_family() -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "*Something quite else*"}},
        {
            "type": "rich_text",
            "elements": [
                {"type": "rich_text_list", "elements": [{"elements": [{"type": "text", "text": "Deal"}]}]}
            ],
        },
    ]
    assert read("", blocks, frozenset({"tip:do", "tip:blocked"})).family is None


@pytest.mark.parametrize("country", ["US", "GB", "DE", "FR", "ES", "AU", "IN"])
@pytest.mark.parametrize("year", [2025, 2026, 2027])
def test_the_company_takes_no_day_off_that_is_no_public_holiday(country: str, year: int) -> None:
    ours = {day for day in holidays(country, year) if day.weekday() < 5}
    assert len(ours) >= 2
    assert ours <= library.country_holidays(country, years=year).keys()
