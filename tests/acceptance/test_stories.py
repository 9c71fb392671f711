"""The loop, told as stories: each runs the real program between files and a workspace, over HTTP, in steered time.

The first two run on both databases, the others on SQLite: what differs between the two is tested where it lives.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.connectors.spreadsheet.connector import SpreadsheetConnector
from bot.domain.adoption import LIVING_TOGETHER
from bot.domain.errors import Refused, Retryable
from bot.domain.usage import Collected, Window
from bot.services.export_feedback import ExportedRow, read_feedback
from bot.services.stop_sending import start_sending, stop_sending
from store import barriers
from store.database import UnitOfWork
from store.tables import feedback as feedback_table
from store.tables import inbox as inbox_table
from tests.story import BOSS, Firm, Story, moment

pytestmark = pytest.mark.anyio

MONDAY = "2026-11-16 05:00"
DATES = "past_close_date_productivity"
"""The tip on close dates in the past for whoever wants to save time."""
STEPS = "no_next_step_productivity"
LEAD, OFFICER = "lee.brandt@example.com", "kim.novak@example.com"


@pytest.fixture
def firm(tmp_path: Path) -> Firm:
    return Firm(tmp_path / "crm")


def read_by(story: Story, reader: str, *, stages: bool = False) -> tuple[ExportedRow, ...]:
    """What somebody reads with ``fullsteam export feedback``."""
    return read_feedback(story.database, reader, story.programme, story.now, user="ops", stages=stages)


# --- the loop --------------------------------------------------------------------------------------------------------


async def test_a_tip_comes_back_as_feedback_with_its_stage(firm: Firm, database_url: str) -> None:
    ada = firm.hires("Ada Marsh")
    firm.neglects_dates(ada)
    firm.works_daily(ada, "2026-08-03", "2026-11-30")

    async with firm.at_work(database_url, MONDAY) as story:
        await story.is_welcomed(ada, goal="productivity")
        tip = story.last(ada)
        assert story.tips(ada) == [DATES]
        assert "Deal 1" in tip.text

        await story.writes(ada, "The close date is locked for me", under=tip)
        await story.presses(ada, "mode:named")
        assert "for Lee Brandt, with your name" in story.last(ada).text

        (said,) = story.said(ada)
        (decision,) = [each for each in story.decided(ada) if each.action == DATES]
        assert (said.text, said.kind, said.mode) == ("The close date is locked for me", "reply", "named")
        assert (said.behaviour, said.trigger) == ("close_dates_in_future", "past_close_date")
        assert (said.decision, said.outbox) == (decision.id, decision.outbox)
        assert said.stage == LIVING_TOGETHER

        await story.passes(minutes=10)
        (row,) = read_by(story, OFFICER, stages=True)
        assert (row.name, row.stage, row.text) == (ada, "Living Together", "The close date is locked for me")


async def test_somebody_who_already_does_it_gets_nothing(firm: Firm, database_url: str) -> None:
    firm.silent_about = ("opps_open_long",)
    ada, ben = firm.hires("Ada Marsh"), firm.hires("Ben Okafor")
    for name, stuck in ((ada, 2), (ben, 1)):  # one deal that does not move is left alone, two are not
        firm.deal(name, stuck, since="2026-08-03")
        firm.deal(name, 6, since="2026-11-02")

    async with firm.at_work(database_url, MONDAY) as story:
        await story.is_welcomed(ada, ben, goal="productivity")
        await story.until("2026-11-28 05:00")
        assert story.tips(ada) == ["stuck_step_productivity"] * len(story.tips(ada)) != []
        assert story.tips(ben) == []
        assert "at-target" in {each.reason for each in story.decided(ben)}


async def test_a_click_says_what_was_done_and_when(firm: Firm, sqlite_url: str) -> None:
    ada = firm.hires("Ada Marsh")
    firm.neglects_dates(ada)

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed(ada, goal="productivity")
        tip, before = story.last(ada), len(story.to(ada))
        assert "https://crm.example.com/deals/D-001" in str(tip.blocks)
        await story.presses(ada, "tip:do", on=tip)
        assert "Opened on" in tip.text
        assert len(story.to(ada)) == before, "the message itself changes, there is no second one"


# --- who is written to -----------------------------------------------------------------------------------------------


async def test_nobody_gets_anything_before_the_welcome(firm: Firm, sqlite_url: str) -> None:
    ada = firm.hires("Ada Marsh", slack={"status_emoji": ":palm_tree:", "status_text": "Vacationing"})
    ben = firm.hires("Ben Okafor")
    for name in (ada, ben):
        firm.neglects_dates(name)

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed(ben, goal="productivity")
        await story.until("2026-11-30 05:00")
        assert story.tips(ben), "a colleague with the same deals gets tips meanwhile"
        assert story.to(ada) == []
        assert story.why_not(ada) == "away"

        story.changes(ada, status_emoji="", status_text="")
        await story.until("2026-12-02 17:00")
        assert story.templates(ada) == ["welcome"]
        assert len(story.to(ada)) == 1


async def test_a_goal_is_chosen_after_a_reply_and_changed_later(firm: Firm, sqlite_url: str) -> None:
    ada = firm.hires("Ada Marsh")
    firm.neglects_dates(ada)

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed(ada)
        await story.writes(ada, "Who are you, and who asked for this?", under=story.last(ada))
        await story.presses(ada, "goal:productivity")
        assert story.tips(ada) == [DATES], "choosing asks for a tip, whatever was said before"

        await story.writes(ada, "my goal")
        await story.presses(ada, "goal:performance", on=story.last(ada))
        assert "You chose: hit my targets" in story.last(ada).text
        assert story.tips(ada) == [DATES], "changing it asks for nothing"
        await story.until("2026-12-19 05:00")
        later = story.tips(ada)[1:]
        assert later
        assert all(story.content.tips[tip].goal == "performance" for tip in later)


async def test_a_stranger_who_writes_learns_why_they_are_not_helped(firm: Firm, sqlite_url: str) -> None:
    cleo = firm.hires("Cleo Ruiz", slack={"email": "cleo@private.example"})

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.writes(cleo, "Hello?")
        assert "Lee Brandt can help" in story.last(cleo).text
        await story.writes(cleo, "Anybody?")
        assert len(story.to(cleo)) == 1


async def test_only_pilot_teams_are_written_to(firm: Firm, sqlite_url: str) -> None:
    other = firm.hires("Noor Haddad", role="manager", manager="")
    ada, eva = firm.hires("Ada Marsh"), firm.hires("Eva Lind", manager=other)
    for name in (ada, eva):
        firm.neglects_dates(name)

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed(ada)
        await story.until("2026-11-27 17:00")
        assert {who for who, _ in story.posts()} == {ada, BOSS}
        assert (await story.ahead())[eva] == {"not-in-pilot"}


async def test_whom_slack_does_not_know_as_a_colleague_gets_nothing_and_is_listed(
    firm: Firm, sqlite_url: str
) -> None:
    ada = firm.hires("Ada Marsh")
    strangers = {
        firm.hires("Una Matched", slack={"email": "una@private.example"}): "not-matched:unmatched",
        firm.hires("Guy Guest", slack={"is_restricted": True}): "not-matched:guest",
        firm.hires("Robo Caller", slack={"is_bot": True}): "not-matched:bot",
        firm.hires("Dee Parted", slack={"deleted": True}): "not-matched:deactivated",
    }
    for name in (ada, *strangers):
        firm.neglects_dates(name)

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed(ada, goal="productivity")
        await story.until("2026-11-27 17:00")
        assert {who for who, _ in story.posts()} == {ada, BOSS}
        listed = await story.ahead()
        assert {name: listed[name] for name in strangers} == {
            name: {reason} for name, reason in strangers.items()
        }


async def test_somebody_whose_time_zone_nobody_knows_gets_nothing(tmp_path: Path, sqlite_url: str) -> None:
    firm = Firm(tmp_path / "crm", zone="")
    firm.people[BOSS]["Zone"] = firm.accounts[BOSS]["tz"] = "Europe/Berlin"
    ada, ben = firm.hires("Ada Marsh"), firm.hires("Ben Okafor", zone="Europe/Berlin")
    for name in (ada, ben):
        firm.neglects_dates(name)

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed(ben)
        await story.until("2026-11-20 05:00")
        assert story.to(ada) == []
        assert story.why_not(ada) == "zone-unknown"
        story.changes(ada, tz="America/New_York")
        await story.until("2026-11-24 05:00")
        (welcomed,) = story.when(ada, "America/New_York")
        assert time(9, 30) <= welcomed.time() < time(16, 30)


# --- hours -----------------------------------------------------------------------------------------------------------

CHANGES = {
    # zone, the last day of the old regime that is worked, the first of the new one
    "Europe, clocks go back": ("Europe/Berlin", "DE", "2026-10-23", "2026-10-26"),
    "Europe, clocks go forward": ("Europe/Berlin", "DE", "2026-03-27", "2026-03-30"),
    "US, clocks go back": ("America/Chicago", "US", "2026-10-30", "2026-11-02"),
    "US, clocks go forward": ("America/Chicago", "US", "2026-03-06", "2026-03-09"),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_quiet_hours_hold_over_a_change_of_the_clocks(
    name: str, tmp_path: Path, sqlite_url: str
) -> None:
    """Released at an instant that yesterday's offset would let through, or keep back, and today's does not."""
    zone, country, friday, monday = CHANGES[name]
    local = ZoneInfo(zone)
    firm = Firm(tmp_path / "crm", zone=zone, country=country)
    ada = firm.hires("Ada Marsh")
    friday_noon = datetime.fromisoformat(f"{friday} 12:00").replace(tzinfo=local)
    opens, closes = (
        datetime.fromisoformat(f"{monday} {at}").replace(tzinfo=local) for at in ("09:30", "16:30")
    )
    before = friday_noon.utcoffset() or timedelta(0)
    shift = (opens.utcoffset() or timedelta(0)) - before
    assert abs(shift) == timedelta(hours=1)

    async with firm.at_work(sqlite_url, friday_noon.replace(hour=5).isoformat()) as story:
        # The welcome is decided on Friday, and waits behind the switch until the clocks have changed.
        story.database.write_now(stop_sending, by=LEAD, now=story.now)
        await story.until(friday_noon)
        assert story.posts() == []
        if shift < timedelta(0):
            # By summer time it would be half past nine; it is half past eight.
            await story.until(opens + shift + timedelta(minutes=5))
            story.database.write_now(start_sending, by=LEAD, now=story.now)
            await story.until(opens - timedelta(minutes=1))
            assert story.posts() == []
            await story.until(closes)
        else:
            # By winter time it would be four o'clock; it is five.
            await story.until(closes + timedelta(minutes=30))
            story.database.write_now(start_sending, by=LEAD, now=story.now)
            await story.passes(hours=12)
            assert story.posts() == []
            await story.passes(hours=12)
        (welcomed,) = story.when(ada)
        assert time(9, 30) <= welcomed.time() < time(16, 30)
        assert welcomed.weekday() < 5


@pytest.mark.parametrize("name", CHANGES)
async def test_weeks_around_a_change_of_the_clocks_are_written_in_working_hours(
    name: str, tmp_path: Path, sqlite_url: str
) -> None:
    zone, country, friday, _ = CHANGES[name]
    firm = Firm(tmp_path / "crm", zone=zone, country=country)
    people = [firm.hires(f"Seller {word}") for word in ("Aa", "Bb", "Cc")]
    for each in people:
        firm.deal(each, 4, created="2025-12-01", expected="2026-02-02")
        firm.deal(each, 4, created="2025-12-01", next="")
    begin = moment(f"{friday} 00:00") - timedelta(days=4)

    async with firm.at_work(sqlite_url, begin.isoformat()) as story:
        await story.is_welcomed(*people, goal="productivity")
        await story.until(begin + timedelta(days=14))
        for each in people:
            assert story.tips(each)
            for at in story.when(each):
                assert time(9, 30) <= at.time() < time(16, 30), (each, at)
                assert at.weekday() < 5, (each, at)


# --- what people say -------------------------------------------------------------------------------------------------


async def test_something_in_the_way_silences_that_behaviour_for_that_person_and_only_that(
    firm: Firm, sqlite_url: str
) -> None:
    ada, ben = firm.hires("Ada Marsh"), firm.hires("Ben Okafor")
    for name in (ada, ben):
        firm.neglects_dates(name, 6)
        firm.deal(name, 3, next="")

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed(ada, ben, goal="productivity")
        assert (story.tips(ada), story.tips(ben)) == ([DATES], [DATES])
        await story.presses(ada, "tip:blocked")
        await story.presses(ada, "blocked:process")
        await story.presses(ada, "mode:named")
        await story.presses(ben, "tip:do")
        await story.until("2026-12-05 05:00")
        assert DATES not in story.tips(ada)[1:]
        assert STEPS in story.tips(ada)[1:], "other behaviours are not silent"
        assert DATES in story.tips(ben)[1:], "nobody else is silenced"

        (barrier,) = story.database.read_now(barriers.of_person, story.person(ada).id)
        assert (barrier.behaviour, barrier.type) == ("close_dates_in_future", "process")
        assert barrier.owner == "robin.weber@example.com"

        # The author takes it back: it is no longer in the way.
        await story.presses(ada, "feedback:delete")
        await story.until("2026-12-19 05:00")
        assert DATES in story.tips(ada)[1:]


async def test_not_for_me_is_for_ever(firm: Firm, sqlite_url: str) -> None:
    ada, ben = firm.hires("Ada Marsh"), firm.hires("Ben Okafor")
    for name in (ada, ben):
        firm.neglects_dates(name)

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed(ada, ben, goal="productivity")
        await story.presses(ada, "tip:not_for_me")
        await story.presses(ben, "tip:do")
        await story.until("2026-12-19 05:00")
        assert story.tips(ada) == [DATES]
        assert len(story.tips(ben)) > 1, "a colleague with the same deals does get it again"


async def test_stop_is_obeyed_and_never_filed(firm: Firm, sqlite_url: str) -> None:
    ada = firm.hires("Ada Marsh")
    firm.neglects_dates(ada)

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed(ada, goal="productivity")
        await story.writes(ada, "please stop messaging me")
        said_goodbye = len(story.to(ada))
        await story.until("2026-11-27 17:00")
        assert len(story.to(ada)) == said_goodbye
        assert story.why_not(ada) == "stopped"
        assert story.said(ada) == []
        assert "please stop" not in everything_kept(story)


async def test_pause_until_monday_is_obeyed_until_monday_and_never_filed(firm: Firm, sqlite_url: str) -> None:
    ada = firm.hires("Ada Marsh")

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed(ada)
        await story.writes(ada, "pause until Monday")
        firm.neglects_dates(ada)
        firm.exports()
        quiet = len(story.to(ada))
        await story.until("2026-11-22 23:00")
        assert {each.reason for each in story.decided(ada)[1:]} == {"paused"}
        assert len(story.to(ada)) == quiet
        await story.until("2026-11-27 17:00")
        assert len(story.tips(ada)) == 1
        assert story.said(ada) == []


async def test_delete_that_deletes(firm: Firm, sqlite_url: str) -> None:
    ada = firm.hires("Ada Marsh")
    firm.neglects_dates(ada)

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed(ada, goal="productivity")
        await story.writes(ada, "My manager does not want this kept", under=story.last(ada))
        await story.presses(ada, "mode:named")
        assert "My manager" in everything_kept(story)
        await story.writes(ada, "delete that")
        assert "Deleted" in story.last(ada).text or "gone" in story.last(ada).text
        await story.passes(minutes=30)
        assert story.seen_by_others() == []
        assert "My manager" not in everything_kept(story)


async def test_feedback_is_unseen_for_ten_minutes(firm: Firm, sqlite_url: str) -> None:
    ada = firm.hires("Ada Marsh")
    firm.neglects_dates(ada)

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed(ada, goal="productivity")
        await story.writes(ada, "The approval takes four days", under=story.last(ada))
        await story.presses(ada, "mode:named")
        (said,) = story.said(ada)
        await story.until(said.visible_at - timedelta(seconds=1))
        assert said.visible_at - said.created_at >= timedelta(minutes=10)
        assert read_by(story, LEAD) == ()
        await story.passes(seconds=1)
        assert [row.text for row in read_by(story, LEAD)] == ["The approval takes four days"]
        with pytest.raises(Refused):
            read_by(story, LEAD, stages=True)


async def test_the_first_reply_is_not_kept_before_its_author_chose_who_sees_it(
    firm: Firm, sqlite_url: str
) -> None:
    ada = firm.hires("Ada Marsh")
    firm.neglects_dates(ada)

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed(ada, goal="productivity")
        await story.writes(ada, "The approval takes four days", under=story.last(ada))
        question = story.last(ada)
        assert "Lee Brandt sees your words and your name; Kim Novak (privacy)" in question.text
        await story.passes(days=6)
        assert story.seen_by_others() == []
        await story.passes(days=1, hours=1)
        assert "The approval" not in everything_kept(story), "not confirmed in a week: deleted"
        assert any("deleted" in each.text for each in story.to(ada)[-2:])


def everything_kept(story: Story) -> str:
    """All that the tables of what people say hold, as text."""

    def read(uow: UnitOfWork) -> str:
        return "\n".join(
            str(row) for table in (feedback_table, inbox_table) for row in uow.rows(table.select())
        )

    return story.database.read_now(read)


# --- the CRM ---------------------------------------------------------------------------------------------------------


class DiesMidPoll(SpreadsheetConnector):
    """A CRM that hands over the first days of what it was asked for and then is gone, as long as ``dying`` is set."""

    dying = False
    read = 0

    async def collect(self, window: Window, metrics: frozenset[str]) -> AsyncIterator[Collected]:
        last = window.through
        async for part in super().collect(window, metrics):
            if not self.dying:
                yield part
                continue
            yield Collected(
                tuple(fact for fact in part.facts if fact.day < last),
                tuple(row for row in part.coverage if row.day < last),
            )
            self.read += 1
            raise Retryable("The CRM went away in the middle of an answer.", code="crm-away")


async def test_a_poll_that_dies_half_way_silences_what_reads_it(firm: Firm, sqlite_url: str) -> None:
    ada = firm.hires("Ada Marsh")
    firm.neglects_dates(ada)

    async with firm.at_work(sqlite_url, MONDAY, crm=DiesMidPoll) as story:
        await story.is_welcomed(ada)
        crm: Any = story.crm
        crm.dying = True
        await story.until("2026-11-18 09:00")
        assert crm.read > 0
        await story.presses(ada, "goal:productivity")
        await story.passes(hours=2)
        assert story.tips(ada) == []
        assert (story.why_not(ada) or "").startswith("no-data:")

        crm.dying = False
        await story.until("2026-11-20 05:00")
        assert story.tips(ada) == [DATES], "what it could not read it reads later, and then speaks"


async def test_a_file_of_which_a_part_is_unreadable_silences_what_reads_it(
    firm: Firm, sqlite_url: str
) -> None:
    ada = firm.hires("Ada Marsh")
    firm.deal(ada, 10)
    firm.neglects_dates(ada, 8)

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed(ada)
        whole = [dict(row) for row in firm.deals]
        for row in firm.deals[:4]:
            row["Created"] = "03/04/2026"  # March, or April? It is not guessed.
        firm.exports()
        await story.until("2026-11-17 09:30")
        await story.presses(ada, "goal:productivity")
        await story.passes(hours=1)
        assert story.tips(ada) == []
        assert (story.why_not(ada) or "").startswith("no-data:")

        firm.deals = whole
        firm.exports()
        await story.until("2026-11-20 05:00")
        assert story.tips(ada) == [DATES]


async def test_a_crm_that_refuses_for_good_silences_too(firm: Firm, sqlite_url: str) -> None:
    ada = firm.hires("Ada Marsh")
    firm.neglects_dates(ada)

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed(ada)
        (firm.folder / "people.csv").write_text("Nothing,of,what,was,mapped\n1,2,3,4,5\n")
        await story.until("2026-11-18 09:30")
        await story.presses(ada, "goal:productivity")
        await story.passes(hours=1)
        assert story.tips(ada) == []
        assert (story.why_not(ada) or "").startswith("no-data:")


# --- the switch ------------------------------------------------------------------------------------------------------


async def test_stop_holds_everything_within_one_step_and_start_lets_it_go(
    firm: Firm, sqlite_url: str
) -> None:
    ada = firm.hires("Ada Marsh")
    firm.neglects_dates(ada)

    async with firm.at_work(sqlite_url, MONDAY) as story:
        await story.is_welcomed(ada)
        story.database.write_now(stop_sending, by=LEAD, now=story.now)
        sent = len(story.posts())
        await story.presses(ada, "goal:productivity")
        await story.writes(ada, "The approval takes four days")
        await story.passes(minutes=5)
        assert len(story.posts()) == sent, "not even an answer"
        assert [each.text for each in story.said(ada)] == ["The approval takes four days"], "it still listens"

        story.database.write_now(start_sending, by=LEAD, now=story.now)
        await story.passes(seconds=5)
        assert {"ask_mode", DATES} <= set(story.templates(ada))
