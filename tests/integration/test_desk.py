"""The desk: what people said, in Slack, for those who may read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from bot.domain.feedback import UNSEEN_FOR
from bot.domain.people import SlackUser
from store import people
from store.database import Database, UnitOfWork, open_database
from store.tables import audit
from tests.hearing import PROGRAMME, TUESDAY, Workspace, posted_tip, ts_of
from tests.sending import add_person

pytestmark = pytest.mark.anyio
LEAD, OWNER, STRANGER, OFFICER = 50, 51, 52, 53
"""Slack accounts without a seat in the CRM: the adoption lead, the owner of data problems, somebody else, the privacy officer."""


@pytest.fixture
def slack(database_url: str) -> Iterator[Workspace]:
    database: Database = open_database(database_url, durable=False)

    def seed(uow: UnitOfWork) -> None:
        for number in (1, 2):
            add_person(uow, number, team="p0009")
            posted_tip(uow, number)
        emails = {LEAD: PROGRAMME.adoption_lead, OWNER: PROGRAMME.owners["data"], STRANGER: "x@example.com"}
        emails[OFFICER] = PROGRAMME.privacy_officer
        accounts = [SlackUser(f"U{number:08d}", email, "", "UTC") for number, email in emails.items()]
        people.keep_slack_users(uow, accounts, TUESDAY, named=PROGRAMME.accounts())

    database.write_now(seed)
    yield Workspace(database)
    database.close()


async def say(slack: Workspace, words: str, mode: str) -> None:
    await slack.said(words, thread=ts_of())
    (question,) = [each for each in slack.answers() if "mode:named" in str(each.to_json())]
    value = next(b["value"] for p in question.to_json()["parts"] for b in p.get("buttons", ()) if b["value"])
    await slack.pressed(f"mode:{mode}", value)
    slack.clock.move(UNSEEN_FOR + timedelta(minutes=1))


async def desk(slack: Workspace, number: int) -> str:
    response = await slack.command("desk", number=number)
    assert response.status == 200
    return str(response.body)


async def test_the_adoption_lead_reads_named_words_without_a_seat_in_the_crm(slack: Workspace) -> None:
    await say(slack, "The account list is out of date", "named")
    shown = await desk(slack, LEAD)
    assert "The account list is out of date" in shown
    assert "Person 1" in shown


async def test_fresh_words_that_their_author_may_still_take_back_are_not_on_the_desk(
    slack: Workspace,
) -> None:
    await say(slack, "The account list is out of date", "named")
    slack.clock.at = TUESDAY
    assert "Nothing new on the desk" in await desk(slack, LEAD)


async def test_confidential_words_show_neither_name_nor_day_and_wait_until_they_are_released(
    slack: Workspace,
) -> None:
    await say(slack, "My manager asks for the numbers by mail", "confidential")
    assert "by mail" not in await desk(slack, LEAD)


async def test_words_chosen_to_be_dropped_never_come_to_the_desk(slack: Workspace) -> None:
    await say(slack, "Never mind this", "drop")
    assert "Never mind" not in await desk(slack, LEAD)


@pytest.mark.parametrize(
    ("number", "answer"),
    [(STRANGER, "can't tell who you are"), (1, "What you can tell me"), (OFFICER, "can't tell who you are")],
)
async def test_nobody_else_gets_a_desk(slack: Workspace, number: int, answer: str) -> None:
    await say(slack, "The account list is out of date", "named")
    shown = await desk(slack, number)
    assert answer in shown
    assert "out of date" not in shown


async def test_an_owner_sees_what_is_theirs_alone(slack: Workspace) -> None:
    await say(slack, "The account list is out of date", "named")
    assert "out of date" not in await desk(slack, OWNER)


async def test_a_deactivated_account_of_the_lead_reads_nothing(slack: Workspace) -> None:
    await say(slack, "The account list is out of date", "named")
    gone = replace(SlackUser(f"U{LEAD:08d}", PROGRAMME.adoption_lead, "", "UTC"), deleted=True)
    slack.database.write_now(people.keep_slack_users, [gone], slack.clock.now(), named=PROGRAMME.accounts())
    assert "out of date" not in await desk(slack, LEAD)


async def test_each_look_is_in_the_audit_log_once(slack: Workspace) -> None:
    await say(slack, "The account list is out of date", "named")
    await slack.command("desk", number=LEAD, trigger="t1")
    await slack.command("desk", number=LEAD, trigger="t1")
    report = await slack.work()
    assert report.reasons["command-desk"] == 1
    rows = slack.database.read_now(lambda uow: uow.rows(sa.select(audit)))
    looked = [row for row in rows if row.action == "feedback-read"]
    assert [(row.actor, row.detail) for row in looked] == [(PROGRAMME.adoption_lead, {"rows": 1})]


@pytest.mark.parametrize("number", [STRANGER, 1])
async def test_who_may_not_look_is_refused_and_that_is_kept(slack: Workspace, number: int) -> None:
    await desk(slack, number)
    report = await slack.work()
    assert "command-desk" not in report.reasons
    rows = slack.database.read_now(lambda uow: uow.rows(sa.select(audit)))
    assert [(row.actor, row.action) for row in rows] == [(f"U{number:08d}", "feedback-read-refused")]
