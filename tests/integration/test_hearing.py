"""Buttons: what each of them does, once, and what the message shows afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bot.domain.adoption import LIVING_TOGETHER
from bot.domain.errors import Permanent, Retryable
from bot.domain.feedback import UNSEEN_FOR
from bot.domain.messages import Message
from bot.domain.ports import DndWindow
from bot.services.report_block import SUGGESTED
from store import barriers, control, feedback, outbox, people, slots
from store import inbox as inbox_store
from store.database import Database, UnitOfWork, open_database
from store.outbox import NewMessage, OutboxRow
from store.tables import inbox, person
from store.tables import outbox as outbox_table
from tests.fakes import FakeClock, FakeMessenger
from tests.hearing import (
    BEHAVIOUR,
    CONTENT,
    TUESDAY,
    Workspace,
    buttons,
    in_stage,
    posted_tip,
    ts_of,
)
from tests.sending import add_person

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durable=False)
    yield opened
    opened.close()


@pytest.fixture
def slack(database: Database) -> Workspace:
    """Two people, each with a tip in their DM; person 1 in Living Together."""

    def seed(uow: UnitOfWork) -> None:
        for number in (1, 2):
            add_person(uow, number, team="p0009")
            posted_tip(uow, number)
        in_stage(uow, LIVING_TOGETHER)

    database.write_now(seed)
    return Workspace(database)


def tip_of(number: int = 1) -> str:
    from bot.domain.messages import delivery_id

    return delivery_id(f"tip|{number}")


def preferences(slack: Workspace, number: int = 1) -> Any:
    who = f"p{number:04d}"
    return slack.database.read_now(people.preferences, [who])[who]


def of_person(slack: Workspace, number: int = 1) -> list[OutboxRow]:
    return slack.database.read_now(outbox.of_person, f"p{number:04d}", 50)


def another_tip() -> NewMessage:
    words = Message("tip", "Three deals have no next step", (), "another")
    return NewMessage("tip|another", words, "U00000001", TUESDAY, TUESDAY, person="p0001")


def frozen(slack: Workspace) -> dict[str, frozenset[str]]:
    return slack.database.read_now(barriers.open_for, None)


def said(slack: Workspace, number: int = 1) -> list[Any]:
    return slack.database.read_now(feedback.of_person, f"p{number:04d}")


# --- the goal ------------------------------------------------------------------------------------------------------


async def test_choosing_a_goal_opens_a_decision_point(slack: Workspace) -> None:
    report = await slack.pressed("goal:productivity", tip_of(), ts=ts_of())
    assert report.reasons == {"goal-productivity": 1}
    assert preferences(slack).goal == "productivity"
    slot = slack.database.read_now(slots.of, ["p0001"])["p0001"]
    assert (slot.next_at, slot.point) == (TUESDAY, "goal_chosen")
    assert "save time" in slack.shown.text


async def test_not_now_chooses_nothing_and_asks_nothing_more(slack: Workspace) -> None:
    await slack.pressed("goal:later", tip_of())
    assert preferences(slack).goal is None
    assert slack.database.read_now(slots.of, ["p0001"]) == {}


async def test_a_second_click_on_the_same_goal_changes_nothing(slack: Workspace) -> None:
    await slack.pressed("goal:productivity", tip_of())
    slack.clock.move(timedelta(minutes=5))
    report = await slack.pressed("goal:productivity", tip_of())
    assert report.reasons == {"chosen-before": 1}
    assert preferences(slack).goal_chosen_at == TUESDAY
    assert slack.messenger.responses[-1][1] == slack.messenger.responses[0][1]


async def test_a_goal_can_be_changed_and_only_the_first_choice_asks_for_a_tip(slack: Workspace) -> None:
    await slack.pressed("goal:productivity", tip_of())
    slack.clock.move(timedelta(minutes=5))
    report = await slack.pressed("goal:personal", tip_of())
    assert report.reasons == {"goal-personal": 1}
    assert preferences(slack).goal == "personal"
    assert "grow my skills" in slack.shown.text
    assert slack.database.read_now(slots.of, ["p0001"])["p0001"].next_at == TUESDAY


@pytest.mark.parametrize("first", ["a reply", "not now", "why"])
async def test_whatever_was_done_before_a_goal_that_is_pressed_is_chosen(
    slack: Workspace, first: str
) -> None:
    if first == "a reply":
        await slack.said("Who reads this?")
    else:
        await slack.pressed({"not now": "goal:later", "why": "tip:why"}[first], tip_of(), ts=ts_of())
    report = await slack.pressed("goal:productivity", tip_of(), ts=ts_of())
    assert report.reasons == {"goal-productivity": 1}
    assert preferences(slack).goal == "productivity"
    assert slack.database.read_now(slots.of, ["p0001"])["p0001"].point == "goal_chosen"


@pytest.mark.parametrize("words", ["my goal is to save time", "mein Ziel", "Change my goal", "save time"])
async def test_asking_for_the_goal_is_answered_with_the_choice(slack: Workspace, words: str) -> None:
    await slack.said(words)
    (question,) = slack.answers()
    assert set(buttons(question)) == {"goal:performance", "goal:productivity", "goal:personal"}
    assert said(slack) == []


async def test_the_goal_is_changed_from_what_is_known_about_me(slack: Workspace) -> None:
    await slack.pressed("goal:productivity", tip_of())
    for asked in ("goal", "ziel", "me"):
        response = await slack.command(asked)
        assert "goal:personal" in str(response.body)
    # Pressed in an answer that only they see: it is no message of the outbox.
    await slack.pressed("goal:personal", "")
    assert preferences(slack).goal == "personal"
    assert "grow my skills" in slack.shown.text


# --- do it now, remind me, not for me -------------------------------------------------------------------------------


async def test_do_it_now_says_when_it_was_opened_and_keeps_the_way_out(slack: Workspace) -> None:
    await slack.pressed("tip:do", tip_of())
    row = slack.database.read_now(outbox.by_id, tip_of())
    assert row is not None
    assert (row.reaction, row.reacted_at) == ("tip:do", TUESDAY)
    assert "Opened on 17 Nov at 10:00" in slack.shown.text
    assert "tip:do" not in buttons(slack.shown)
    assert buttons(slack.shown)["tip:blocked"] == tip_of()
    (done,) = said(slack)
    assert (done.kind, done.stage, done.behaviour, done.mode) == ("done", LIVING_TOGETHER, BEHAVIOUR, None)


async def test_a_double_click_shows_the_same_and_does_nothing_twice(slack: Workspace) -> None:
    await slack.click("tip:do", tip_of())
    await slack.click("tip:do", tip_of())
    slack.clock.move(timedelta(minutes=3))
    await slack.work()
    await slack.pressed("tip:do", tip_of())
    assert len({repr(shown) for _, shown, _ in slack.messenger.responses}) == 1
    assert len(said(slack)) == 1


@pytest.mark.parametrize(
    ("choice", "pressed_at", "due"),
    [
        ("tomorrow", TUESDAY, datetime(2026, 11, 18)),
        ("tomorrow", TUESDAY + timedelta(days=3), datetime(2026, 11, 23)),
        ("next_week", TUESDAY, datetime(2026, 11, 23)),
    ],
)
async def test_a_reminder_comes_at_their_own_time_on_the_day_they_asked_for(
    slack: Workspace, choice: str, pressed_at: datetime, due: datetime
) -> None:
    slack.clock.at = pressed_at
    await slack.pressed("tip:remind", tip_of())
    kept = {"tip:do", "tip:not_for_me", "tip:why", "remind:none"}
    assert set(buttons(slack.shown)) == {"remind:tomorrow", "remind:next_week", *kept}
    await slack.pressed(f"remind:{choice}", tip_of())
    assert kept < set(buttons(slack.shown))
    (reminder,) = slack.queued()
    assert (reminder.kind, reminder.behaviour) == ("reminder", BEHAVIOUR)
    assert reminder.due_at.date() == due.date()
    assert 9 <= reminder.due_at.hour < 17
    assert reminder.message is not None
    assert "You asked me" in reminder.message.text
    assert set(buttons(reminder.message).values()) == {reminder.id}


async def test_whoever_asks_to_be_reminded_of_what_is_no_longer_kept_is_told_so(slack: Workspace) -> None:
    slack.clock.at = TUESDAY + timedelta(days=10)
    slack.database.write_now(outbox.blank_old, slack.clock.at)
    await slack.pressed("tip:remind", tip_of())
    assert "can't repeat this one" in slack.shown.text
    assert "tip:why" in buttons(slack.shown)
    await slack.pressed("remind:tomorrow", tip_of())
    assert slack.queued() == []
    assert "can't repeat this one" in slack.shown.text


async def test_a_reminder_asked_for_twice_comes_once(slack: Workspace) -> None:
    for choice in ("tomorrow", "tomorrow", "next_week"):
        await slack.pressed(f"remind:{choice}", tip_of())
    assert len(slack.queued()) == 1
    assert "18 Nov" in slack.shown.text


async def test_a_reminder_can_be_taken_back_and_asked_for_again(slack: Workspace) -> None:
    await slack.pressed("remind:tomorrow", tip_of())
    await slack.pressed("remind:none", tip_of())
    assert slack.queued() == []
    assert {"tip:do", "tip:remind", "tip:why"} < set(buttons(slack.shown))
    assert "No reminder" in slack.shown.text
    await slack.pressed("remind:next_week", tip_of())
    (reminder,) = slack.queued()
    assert reminder.due_at.date() == datetime(2026, 11, 23).date()


async def test_no_reminder_before_a_day_is_chosen_brings_the_tip_back(slack: Workspace) -> None:
    await slack.pressed("tip:remind", tip_of())
    await slack.pressed("remind:none", tip_of())
    assert slack.queued() == []
    assert {"tip:do", "tip:remind"} < set(buttons(slack.shown))


async def test_a_reminder_can_be_put_off_again(slack: Workspace) -> None:
    await slack.pressed("remind:tomorrow", tip_of())
    (first,) = slack.queued()
    slack.clock.at = first.due_at
    await slack.pressed("remind:tomorrow", first.id)
    assert [row.due_at.date().day for row in sorted(slack.queued(), key=lambda row: row.due_at)] == [18, 19]


async def test_without_a_time_zone_no_reminder_is_promised(slack: Workspace) -> None:
    slack.database.write_now(lambda uow: uow.execute(sa.update(person).values(zone=None)))
    await slack.pressed("remind:tomorrow", tip_of())
    assert slack.queued() == []
    assert "can't set a reminder" in slack.shown.text


async def test_not_for_me_is_for_ever_and_seen_by_nobody(slack: Workspace) -> None:
    await slack.pressed("tip:not_for_me", tip_of(), menu=True)
    await slack.pressed("tip:not_for_me", tip_of(), menu=True)
    assert preferences(slack).tips_never == {"fresh_dates"}
    assert preferences(slack, 2).tips_never == frozenset()
    assert [each.kind for each in said(slack)] == ["not_for_me"]
    assert slack.database.read_now(feedback.visible, TUESDAY + timedelta(days=30)) == []


async def test_not_for_me_takes_back_what_waits_of_that_tip_and_no_reminder_of_it_is_promised(
    slack: Workspace,
) -> None:
    await slack.pressed("remind:tomorrow", tip_of())
    slack.database.write_now(lambda uow: outbox.add(uow, another_tip()))
    await slack.pressed("tip:not_for_me", tip_of(), menu=True)
    assert [row.template for row in slack.queued()] == ["another"]
    (dropped,) = [row for row in of_person(slack) if row.state == "dropped"]
    assert (dropped.kind, dropped.reason) == ("reminder", "not-for-me")
    await slack.pressed("remind:next_week", tip_of())
    assert [row.template for row in slack.queued()] == ["another"]


# --- something's in the way -----------------------------------------------------------------------------------------


async def test_something_in_the_way_freezes_that_behaviour_for_that_person_at_once(slack: Workspace) -> None:
    await slack.pressed("tip:blocked", tip_of())
    assert frozen(slack) == {"p0001": frozenset({BEHAVIOUR})}
    asked = buttons(slack.shown)
    assert {f"blocked:{kind}" for kind in SUGGESTED["past_close_date"]} < set(asked)
    assert asked["blocked:other"] == tip_of()


async def test_a_reminder_about_what_is_in_the_way_is_withdrawn(slack: Workspace) -> None:
    await slack.pressed("remind:tomorrow", tip_of())
    await slack.pressed("tip:blocked", tip_of())
    assert slack.queued() == []


async def test_the_reason_finds_its_owner_and_the_mode_is_asked_before_anybody_sees_it(
    slack: Workspace,
) -> None:
    await slack.pressed("tip:blocked", tip_of())
    await slack.pressed("blocked:process", tip_of())
    (report,) = said(slack)
    assert (report.kind, report.barrier_type, report.owner) == ("blocked", "process", "process@example.com")
    assert (report.state, report.stage, report.behaviour) == ("waiting", LIVING_TOGETHER, BEHAVIOUR)
    assert buttons(slack.shown)["mode:named"] == report.id
    assert slack.database.read_now(feedback.visible, TUESDAY + timedelta(days=1)) == []
    await slack.pressed("mode:named", report.id, ts=ts_of())
    assert "Noted as “The process”, for process@example.com, with your name" in slack.shown.text
    assert "Two of your deals" in slack.shown.text
    barrier = slack.database.read_now(barriers.by_feedback, report.id)
    assert barrier is not None
    assert (barrier.type, barrier.owner, barrier.closed_at) == ("process", "process@example.com", None)


async def test_who_chose_a_mode_before_is_not_asked_again(slack: Workspace) -> None:
    slack.database.write_now(
        lambda uow: people.change_preferences(uow, "p0001", feedback_mode="confidential")
    )
    await slack.pressed("tip:blocked", tip_of())
    await slack.pressed("blocked:data", tip_of())
    (report,) = said(slack)
    assert (report.state, report.mode) == ("kept", "confidential")
    assert "confidentially" in slack.shown.text
    assert set(buttons(slack.shown)) == {"feedback:change", "feedback:delete"}


async def test_something_else_goes_to_the_lead_and_asks_for_words(slack: Workspace) -> None:
    await slack.pressed("tip:blocked", tip_of())
    await slack.pressed("blocked:other", tip_of())
    (report,) = said(slack)
    assert (report.barrier_type, report.owner) == (None, "lead@example.com")
    assert "in your own words" in slack.shown.text
    assert frozen(slack) == {"p0001": frozenset({BEHAVIOUR})}


async def test_pressed_by_mistake_takes_everything_back(slack: Workspace) -> None:
    await slack.pressed("tip:blocked", tip_of())
    await slack.pressed("feedback:delete", buttons(slack.shown)["feedback:delete"], ts=ts_of())
    assert frozen(slack) == {}
    assert said(slack) == []
    await slack.pressed("tip:blocked", tip_of())
    assert frozen(slack) == {}
    assert "deleted already" in slack.shown.text


async def test_not_keeping_the_words_keeps_the_silence_until_the_person_lifts_it(slack: Workspace) -> None:
    await slack.pressed("tip:blocked", tip_of())
    await slack.pressed("blocked:process", tip_of())
    (report,) = said(slack)
    await slack.pressed("mode:drop", report.id, ts=ts_of())
    assert said(slack) == []
    assert frozen(slack) == {"p0001": frozenset({BEHAVIOUR})}
    await slack.pressed("me:lift", buttons(slack.shown)["me:lift"], ts=ts_of())
    assert frozen(slack) == {}
    assert "Two of your deals" in slack.shown.text


async def test_me_lets_the_person_lift_what_is_silent_and_nobody_else(slack: Workspace) -> None:
    await slack.pressed("tip:blocked", tip_of())
    assert "Ask me again: " in str((await slack.command("me")).body)
    assert (await slack.pressed("me:lift", BEHAVIOUR, number=2)).reasons["not-frozen"] == 1
    assert frozen(slack) == {"p0001": frozenset({BEHAVIOUR})}
    assert (await slack.pressed("me:lift", BEHAVIOUR)).reasons["lifted"] == 1
    assert frozen(slack) == {}


async def test_pressing_it_twice_reports_once(slack: Workspace) -> None:
    for _ in range(2):
        await slack.pressed("tip:blocked", tip_of())
        await slack.pressed("blocked:time", tip_of())
    assert len(said(slack)) == 1
    assert len(slack.database.read_now(barriers.of_person, "p0001")) == 1


async def test_nobody_presses_somebody_elses_button(slack: Workspace) -> None:
    report = await slack.pressed("tip:blocked", tip_of(1), number=2)
    assert (report.refused, frozen(slack), slack.messenger.responses) == (1, {}, [])


# --- why this? ------------------------------------------------------------------------------------------------------


async def test_why_this_tells_rule_data_reader_and_coin_in_the_thread(slack: Workspace) -> None:
    await slack.pressed("tip:why", tip_of(), menu=True, ts=ts_of())
    (row,) = slack.queued()
    assert (row.kind, row.thread) == ("answer", ts_of())
    assert row.message is not None
    for part in (
        "close date in the past",
        "17 Nov",
        "for 20 of 100 tips",
        "Who sees it",
        "the goal you chose",
    ):
        assert part in row.message.text
    assert set(buttons(row.message)) == {"why:wrong", "why:stop_kind"}


async def test_asking_why_twice_is_answered_once_a_day(slack: Workspace) -> None:
    for _ in range(2):
        await slack.pressed("tip:why", tip_of())
    assert len(slack.answers()) == 1
    slack.clock.move(timedelta(days=1))
    await slack.pressed("tip:why", tip_of())
    assert len(slack.answers()) == 2


async def test_this_is_wrong_reaches_the_lead_in_the_mode_that_its_author_chooses(slack: Workspace) -> None:
    await slack.pressed("why:wrong", tip_of())
    (dispute,) = said(slack)
    assert (dispute.kind, dispute.owner, dispute.state) == ("dispute", "lead@example.com", "waiting")
    await slack.pressed("mode:confidential", dispute.id)
    (dispute,) = said(slack)
    assert (dispute.state, dispute.mode) == ("kept", "confidential")


async def test_stop_this_kind_stops_this_kind(slack: Workspace) -> None:
    await slack.pressed("remind:tomorrow", tip_of())
    slack.database.write_now(lambda uow: outbox.add(uow, another_tip()))
    await slack.pressed("why:stop_kind", tip_of())
    assert slack.queued() == []
    assert preferences(slack).kinds_off == {"tip"}
    assert preferences(slack).stopped_at is None


# --- pause ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("choice", "day"), [("tomorrow", 18), ("next_week", 23)])
async def test_a_pause_ends_on_the_morning_of_that_day_where_the_person_is(
    slack: Workspace, choice: str, day: int
) -> None:
    slack.database.write_now(lambda uow: uow.execute(sa.update(person).values(zone="America/New_York")))
    await slack.pressed("tip:pause", tip_of())
    await slack.pressed(f"pause:{choice}", tip_of())
    assert preferences(slack).paused_until == TUESDAY.replace(day=day, hour=5)
    await slack.pressed("resume", tip_of())
    assert preferences(slack).paused_until is None


async def test_an_old_pause_button_does_not_undo_a_stop(slack: Workspace) -> None:
    await slack.said("stop")
    await slack.pressed("pause:tomorrow", tip_of())
    assert preferences(slack).stopped_at == TUESDAY


# --- showing, and what goes wrong -----------------------------------------------------------------------------------


class StubbornMessenger(FakeMessenger):
    """``fails``: raised by respond and update in turn, before they do anything."""

    def __init__(self, clock: FakeClock, *fails: Exception | None) -> None:
        super().__init__(clock)
        self.fails = list(fails)

    async def respond(self, response_url: str, message: Message | None, *, replace: bool) -> None:
        self._next()
        await super().respond(response_url, message, replace=replace)

    async def update(self, receipt: Any, outgoing: Any) -> None:
        self._next()
        self.updated.append((receipt, outgoing))

    def _next(self) -> None:
        failure = self.fails.pop(0) if self.fails else None
        if failure is not None:
            raise failure


async def test_a_response_url_that_is_used_up_gives_way_to_an_update(slack: Workspace) -> None:
    slack.messenger = StubbornMessenger(slack.clock, Permanent("used", code="used_url"))
    await slack.pressed("tip:do", tip_of(), ts=ts_of())
    ((receipt, outgoing),) = slack.messenger.updated
    assert (receipt.ts, outgoing.delivery) == (ts_of(), tip_of())
    assert [row.state for row in slack.rows()] == ["done"]


async def test_a_click_worked_after_half_an_hour_updates_the_message(slack: Workspace) -> None:
    slack.messenger = StubbornMessenger(slack.clock)
    await slack.click("tip:do", tip_of(), ts=ts_of())
    slack.clock.move(timedelta(minutes=31))
    await slack.work()
    assert (slack.messenger.responses, len(slack.messenger.updated)) == ([], 1)


async def test_why_is_answered_under_what_only_one_person_saw_too(slack: Workspace) -> None:
    for _ in range(2):
        await slack.pressed("tip:why", "", ts="1.000001", menu=True, ephemeral=True)
    (row,) = slack.queued()
    assert row.thread is None
    assert row.message is not None
    assert "an answer to what you said or pressed" in row.message.text


async def test_what_only_one_person_sees_is_answered_by_its_response_url_however_late(
    slack: Workspace,
) -> None:
    slack.messenger = StubbornMessenger(slack.clock)
    await slack.click("goal:personal", "", ts="1.000001", ephemeral=True)
    slack.clock.move(timedelta(minutes=31))
    await slack.work()
    assert (len(slack.messenger.responses), slack.messenger.updated) == (1, [])


async def test_what_could_not_be_shown_is_shown_later_and_the_work_is_not_done_again(
    slack: Workspace,
) -> None:
    slack.messenger = StubbornMessenger(
        slack.clock, Retryable("slow", code="ratelimited", after=timedelta(seconds=30))
    )
    report = await slack.pressed("tip:not_for_me", tip_of(), ts=ts_of())
    assert report.failed == 1
    assert preferences(slack).tips_never == {"fresh_dates"}
    assert report.next_due == TUESDAY + timedelta(seconds=30)
    slack.database.write_now(lambda uow: people.change_preferences(uow, "p0001", tips_never=frozenset()))
    slack.clock.move(timedelta(seconds=31))
    assert (await slack.work()).done == 1
    assert "won't see this one again" in slack.shown.text
    assert preferences(slack).tips_never == frozenset()


async def test_a_worker_that_dies_before_showing_leaves_it_to_the_next(slack: Workspace) -> None:
    class Dies(BaseException):
        pass

    slack.messenger = StubbornMessenger(slack.clock, Dies())  # type: ignore[arg-type] # as a killed process would
    with pytest.raises(Dies):
        await slack.pressed("tip:do", tip_of(), ts=ts_of())
    assert [row.state for row in slack.rows()] == ["new"]
    assert (await slack.work()).done == 0, "somebody else may be showing it right now"
    slack.clock.move(timedelta(seconds=61))
    assert (await slack.work()).done == 1
    assert "Opened on 17 Nov at 10:00" in slack.shown.text
    assert len(said(slack)) == 1


async def test_a_settled_row_keeps_its_key_and_nothing_of_its_body(slack: Workspace) -> None:
    await slack.said("secret words", key="Ev1")
    await slack.pressed("tip:do", tip_of())
    assert [(row.state, row.body) for row in slack.rows()] == [("done", None)] * 2
    assert (await slack.words("secret words", key="Ev1")).status == 200
    assert len(slack.rows()) == 2


async def test_one_poison_row_is_pushed_on_and_the_others_are_worked(
    slack: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    await slack.click("tip:do", tip_of())
    slack.database.write_now(lambda uow: uow.execute(sa.update(inbox).values(body=["no", "mapping"])))
    await slack.click("tip:do", tip_of(2), number=2)
    report = await slack.work()
    assert (report.done, report.failed) == (1, 1)
    for _ in range(inbox_store.MAX_ATTEMPTS):
        slack.clock.move(timedelta(hours=2))
        await slack.work()
    assert [row.state for row in slack.rows()] == ["dead", "done"]
    assert (await slack.work()).next_due is None
    assert "mapping" not in caplog.text


async def test_words_that_could_not_be_worked_are_kept_and_can_be_worked_later(slack: Workspace) -> None:
    """What Slack was told we have is never lost: not even to a fault of ours that lasts."""
    await slack.words("The search is slow", key="Ev1")
    (whole,) = [row.body for row in slack.rows()]
    slack.database.write_now(lambda uow: uow.execute(sa.update(inbox).values(body=["broken"])))
    for _ in range(inbox_store.MAX_ATTEMPTS):
        await slack.work()
        slack.clock.move(timedelta(hours=2))
    assert [(row.state, row.body) for row in slack.rows()] == [("dead", ["broken"])]
    slack.database.write_now(lambda uow: uow.execute(sa.update(inbox).values(body=whole)))
    assert slack.database.write_now(inbox_store.revive, slack.clock.now()) == 1
    assert (await slack.work()).done == 1
    assert [each.text for each in said(slack)] == ["The search is slow"]


async def test_what_one_person_said_is_worked_in_the_order_in_which_they_said_it(slack: Workspace) -> None:
    await slack.words("the search is slow", key="Ev1", ts="1.1")
    await slack.words("", key="Ev2", subtype="message_deleted", deleted_ts="1.1", user="U00000001")
    waits = await slack.work(only="Ev2")
    assert (waits.done, waits.refused) == (0, 0)
    await slack.work()
    assert said(slack) == []


async def test_only_one_of_two_workers_does_the_work(slack: Workspace) -> None:
    import asyncio

    await slack.words("the search is slow", key="Ev1")
    reports = await asyncio.gather(slack.work(only="Ev1"), slack.work(only="Ev1"), slack.work())
    assert sum(report.done for report in reports) == 1
    assert len(slack.answers()) == 1


async def test_somebody_whom_the_crm_does_not_know_is_not_written_to(slack: Workspace) -> None:
    assert (await slack.click("goal:personal", "m1", number=77)).status == 200
    assert (await slack.words("hello?", number=77, channel_type="channel")).status == 200
    assert (await slack.work()).reasons == {"unknown-person": 2}
    assert slack.database.read_now(outbox.states) == {"sent": 2}


async def test_a_stranger_who_writes_is_told_once_a_day_whom_to_ask(slack: Workspace) -> None:
    assert (await slack.said("hello?", number=77)).reasons == {"unknown-person-answered": 1}
    assert (await slack.said("anybody?", number=77)).reasons == {"unknown-person": 1}
    query = sa.select(outbox_table).where(outbox_table.c.address == "U00000077")
    (row,) = slack.database.read_now(lambda uow: uow.rows(query))
    assert (row.kind, row.person, row.template, row.due_at) == ("answer", None, "not_known", TUESDAY)
    assert "lead@example.com can help" in row.message["text"]
    slack.clock.move(timedelta(days=1))
    assert (await slack.said("hello?", number=77)).reasons == {"unknown-person-answered": 1}


async def test_somebody_who_left_the_crm_is_told_so_and_not_heard(slack: Workspace) -> None:
    slack.database.write_now(lambda uow: uow.execute(sa.update(person).values(active=False)))
    assert (await slack.said("the search is slow")).reasons == {"left-answered": 1}
    assert said(slack) == []


# --- events about the workspace -------------------------------------------------------------------------------------


def profile(number: int = 1, **changes: Any) -> dict[str, Any]:
    inner = {
        "real_name": "Ada",
        "email": f"person{number}@example.com",
        "status_emoji": "",
        **changes.pop("profile", {}),
    }
    return {"id": f"U{number:08d}", "tz": "Europe/Paris", "profile": inner, **changes}


async def test_a_changed_profile_is_kept_at_once(slack: Workspace) -> None:
    await slack.event({"type": "user_change", "user": profile(profile={"status_emoji": ":palm_tree:"})})
    assert (await slack.work()).reasons == {"profile-kept": 1}
    kept = slack.database.read_now(people.slack_users, ["U00000001"])["U00000001"]
    assert (kept.zone, kept.away) == ("Europe/Paris", True)


async def test_somebody_whose_account_is_deactivated_is_no_longer_matched(slack: Workspace) -> None:
    await slack.event({"type": "user_change", "user": profile(deleted=True)})
    assert (await slack.work()).reasons == {"profile-matched": 1}
    assert slack.database.read_now(people.get, ["p0001"])["p0001"].match == "deactivated"


async def test_do_not_disturb_is_kept_at_once(slack: Workspace) -> None:
    ends = TUESDAY + timedelta(hours=3)
    status = {"dnd_enabled": False, "snooze_enabled": True, "snooze_endtime": int(ends.timestamp())}
    await slack.event({"type": "dnd_updated_user", "user": "U00000001", "dnd_status": status})
    await slack.work()
    kept = slack.database.read_now(people.slack_users, ["U00000001"])["U00000001"]
    assert DndWindow(kept.dnd_start, kept.dnd_end) == DndWindow(TUESDAY, ends)


@pytest.mark.parametrize("event", ["app_uninstalled", "tokens_revoked"])
async def test_when_slack_lets_us_go_sending_stops_and_it_is_said_once(
    slack: Workspace, event: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        await slack.event({"type": event, "tokens": {"bot": ["UBOT"]}})
        await slack.work()
    assert slack.database.read_now(control.stopped) is not None
    assert [record.message for record in caplog.records].count("slack.gone") == 1


async def test_every_text_can_be_said_in_english_and_german() -> None:
    ours = [key for key, name in CONTENT.files.items() if name.endswith("hearing.toml")]
    assert len(ours) > 60
    bodies = [CONTENT.messages[key.removeprefix("messages/")].bodies for key in ours]
    assert all({"en", "de"} <= set(body) for body in bodies)


async def test_a_german_reads_german(slack: Workspace) -> None:
    slack.database.write_now(lambda uow: uow.execute(sa.update(person).values(language="de")))
    await slack.pressed("tip:blocked", tip_of())
    assert "Danke. Was ist es?" in slack.shown.text
    for intent in (
        "hilfe",
        "warum?",
        "was weißt du über mich?",
        "danke",
        "stopp",
        "weiter",
        "pause bis montag",
    ):
        slack.clock.move(timedelta(seconds=1))
        assert (await slack.said(intent)).failed == 0
    assert all("{" not in message.text for message in slack.answers())


async def test_an_unseen_minute_is_an_unseen_minute(slack: Workspace) -> None:
    slack.database.write_now(lambda uow: people.change_preferences(uow, "p0001", feedback_mode="named"))
    await slack.said("the search is slow")
    (kept,) = said(slack)
    assert kept.visible_at == TUESDAY + UNSEEN_FOR
    read = slack.database.read_now
    assert read(feedback.visible, TUESDAY + UNSEEN_FOR - timedelta(seconds=1)) == []
    assert [each.id for each in read(feedback.visible, TUESDAY + UNSEEN_FOR)] == [kept.id]
    assert replace(kept, text="") != kept
