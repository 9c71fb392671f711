"""Words: silence is obeyed, feedback is kept in its author's mode and seen by nobody else for ten minutes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bot.domain.adoption import BUILDING_MOMENTUM, LIVING_TOGETHER
from bot.domain.errors import Refused
from bot.domain.feedback import UNCONFIRMED_FOR, UNSEEN_FOR
from bot.domain.messages import Message, delivery_id
from bot.domain.people import SlackUser
from bot.services.drop_unconfirmed import drop_unconfirmed
from bot.services.export_feedback import ExportedRow, read_feedback, to_csv
from bot.services.inspect_person import inspect_person
from store import audit, barriers, feedback, outbox, people
from store.audit import BrokenChain
from store.database import Database, UnitOfWork, open_database
from store.tables import audit as audit_table
from store.tables import hold, person
from store.tables import outbox as outbox_table
from tests.hearing import (
    BEHAVIOUR,
    CONTENT,
    PROGRAMME,
    TUESDAY,
    Workspace,
    buttons,
    in_stage,
    posted_tip,
    ts_of,
)
from tests.sending import add_person

pytestmark = pytest.mark.anyio
LATER = TUESDAY + UNSEEN_FOR


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durable=False)
    yield opened
    opened.close()


@pytest.fixture
def slack(database: Database) -> Workspace:
    """Six people in the team of person 9; persons 1 and 2 have a tip; person 7 is alone in the team of person 8."""

    def seed(uow: UnitOfWork) -> None:
        for number in (9, 8):
            add_person(uow, number, role="manager", name=f"Manager {number}", welcomed_at=None)
        for number in range(1, 7):
            add_person(uow, number, team="p0009")
        add_person(uow, 7, team="p0008")
        posted_tip(uow, 1)
        posted_tip(uow, 2)
        in_stage(uow, LIVING_TOGETHER)

    database.write_now(seed)
    return Workspace(database)


def chose(slack: Workspace, mode: str, *numbers: int) -> None:
    for number in numbers:
        slack.database.write_now(
            lambda uow, who: people.change_preferences(uow, who, feedback_mode=mode), f"p{number:04d}"
        )


def preferences(slack: Workspace, number: int = 1) -> Any:
    who = f"p{number:04d}"
    return slack.database.read_now(people.preferences, [who])[who]


def said(slack: Workspace, number: int = 1) -> list[Any]:
    return slack.database.read_now(feedback.of_person, f"p{number:04d}")


# --- feedback -------------------------------------------------------------------------------------------------------


async def test_a_reply_is_feedback_with_its_message_behaviour_decision_and_stage(slack: Workspace) -> None:
    chose(slack, "named", 1)
    await slack.said("The close date is locked for me", thread=ts_of())
    (kept,) = said(slack)
    tip = delivery_id("tip|1")
    assert (kept.text, kept.outbox, kept.decision) == ("The close date is locked for me", tip, f"d-{tip}")
    assert (kept.behaviour, kept.trigger, kept.stage) == (BEHAVIOUR, "past_close_date", LIVING_TOGETHER)
    assert (kept.mode, kept.state, kept.team) == ("named", "kept", "p0009")
    (row,) = slack.queued()
    assert (row.kind, row.thread, row.due_at) == ("answer", ts_of(), TUESDAY)
    assert row.message is not None
    assert buttons(row.message)["feedback:delete"] == kept.id


async def test_the_stage_stays_what_it_was_when_they_said_it(slack: Workspace) -> None:
    chose(slack, "named", 1)
    await slack.said("The close date is locked for me")
    slack.database.write_now(
        lambda uow: uow.execute(sa.text("UPDATE person_stage SET stage = :new"), {"new": BUILDING_MOMENTUM})
    )
    assert said(slack)[0].stage == LIVING_TOGETHER


async def test_words_without_a_thread_belong_to_the_last_message_of_seven_days(slack: Workspace) -> None:
    chose(slack, "named", 1)
    await slack.said("The close date is locked for me")
    slack.clock.move(timedelta(days=8))
    await slack.said("And the search is slow")
    late, early = said(slack)
    assert (early.outbox, late.outbox, late.behaviour) == (delivery_id("tip|1"), None, None)


async def test_a_reply_is_a_reaction(slack: Workspace) -> None:
    await slack.said("thanks")
    row = slack.database.read_now(outbox.by_id, delivery_id("tip|1"))
    assert row is not None
    assert row.reaction == "reply"


async def test_before_the_first_reply_is_kept_its_author_reads_who_will_see_it(slack: Workspace) -> None:
    await slack.said("The approval takes four days")
    (waiting,) = said(slack)
    assert (waiting.state, waiting.mode) == ("waiting", None)
    (asked,) = slack.answers()
    assert set(buttons(asked)) == {"mode:named", "mode:confidential", "mode:drop"}
    for name in ("lead@example.com", "privacy@example.com", "5 people"):
        assert name in asked.text
    assert slack.database.read_now(feedback.visible, TUESDAY + timedelta(days=6)) == []
    assert slack.database.read_now(people.get, ["p0001"])["p0001"].notice_read_at is None


async def test_who_will_see_it_is_called_by_name(slack: Workspace) -> None:
    def know(uow: UnitOfWork) -> None:
        lead = SlackUser("U90", "Lead@example.com", "Lee Brandt", None)
        people.keep_slack_users(uow, [lead], TUESDAY, named=PROGRAMME.accounts())

    slack.database.write_now(know)
    await slack.said("The approval takes four days")
    (asked,) = slack.answers()
    assert "Lee Brandt sees your words and your name" in asked.text
    assert "lead@example.com" not in asked.text
    assert "privacy@example.com" in asked.text, "whom nobody knows by name keeps the address"


async def test_the_choice_is_kept_for_what_waits_and_for_what_comes(slack: Workspace) -> None:
    await slack.said("The approval takes four days")
    await slack.said("And the search is slow")
    await slack.pressed("mode:confidential", said(slack)[-1].id)
    assert {(each.state, each.mode) for each in said(slack)} == {("kept", "confidential")}
    assert "confidentially" in slack.shown.text
    await slack.said("The report is wrong")
    assert {each.mode for each in said(slack)} == {"confidential"}
    assert slack.database.read_now(people.get, ["p0001"])["p0001"].notice_read_at == TUESDAY


async def test_not_keeping_it_deletes_it_and_decides_nothing_else(slack: Workspace) -> None:
    await slack.said("The approval takes four days")
    await slack.pressed("mode:drop", said(slack)[0].id)
    assert said(slack) == []
    assert preferences(slack).feedback_mode is None
    assert slack.database.read_now(
        lambda uow: [row.text for row in uow.rows(sa.text("SELECT text FROM feedback"))]
    ) == [""]


async def test_choosing_twice_starts_the_ten_minutes_once(slack: Workspace) -> None:
    await slack.said("The approval takes four days")
    (waiting,) = said(slack)
    await slack.pressed("mode:named", waiting.id)
    slack.clock.move(timedelta(minutes=9))
    await slack.pressed("mode:named", waiting.id)
    assert said(slack)[0].visible_at == LATER


async def test_the_choice_can_be_changed(slack: Workspace) -> None:
    chose(slack, "named", 1)
    await slack.said("The approval takes four days")
    await slack.pressed("feedback:change", said(slack)[0].id)
    assert "mode:confidential" in buttons(slack.shown)
    await slack.pressed("mode:confidential", said(slack)[0].id)
    assert said(slack)[0].mode == "confidential"


async def test_nobody_chooses_or_deletes_for_somebody_else(slack: Workspace) -> None:
    await slack.said("The approval takes four days")
    (waiting,) = said(slack)
    for action in ("mode:named", "mode:drop", "feedback:delete", "feedback:change"):
        assert (await slack.pressed(action, waiting.id, number=2)).refused == 1
    assert said(slack) == [waiting]


async def test_for_ten_minutes_nobody_else_sees_it(slack: Workspace) -> None:
    chose(slack, "named", 1)
    await slack.said("The approval takes four days")
    assert exported(slack, at=LATER - timedelta(seconds=1)) == ()
    assert [row.text for row in exported(slack, at=LATER)] == ["The approval takes four days"]


async def test_a_redelivered_envelope_and_a_repeated_message_change_nothing(slack: Workspace) -> None:
    chose(slack, "named", 1)
    for key in ("Ev1", "Ev1", "Ev2"):
        await slack.said("The approval takes four days", key=key, ts="1700000000.000001")
    assert (len(said(slack)), len(slack.answers())) == (1, 1)


async def test_an_edit_counts_and_is_unseen_for_ten_minutes_again(slack: Workspace) -> None:
    chose(slack, "named", 1)
    await slack.said("The aproval takes", ts="5.5")
    slack.clock.move(timedelta(minutes=9))
    edited = {"ts": "5.5", "user": "U00000001", "text": "The approval takes four days"}
    await slack.words("", subtype="message_changed", message=edited)
    assert (await slack.work()).reasons == {"words-changed": 1}
    (kept,) = said(slack)
    assert (kept.text, kept.visible_at) == ("The approval takes four days", slack.clock.now() + UNSEEN_FOR)


async def test_deleting_the_message_in_slack_deletes_the_feedback(slack: Workspace) -> None:
    chose(slack, "named", 1)
    await slack.said("The approval takes four days", ts="5.5")
    before = {"ts": "5.5", "user": "U00000001", "text": "The approval takes four days"}
    await slack.words("", subtype="message_deleted", deleted_ts="5.5", previous_message=before)
    await slack.work()
    assert said(slack) == []
    assert exported(slack, at=LATER) == ()


@pytest.mark.parametrize(
    "text",
    [
        "x" * 40_000,
        "המשוב שלי <@U123> <!channel>",
        '=HYPERLINK("http://evil")',
        "a\x00b",
        "slow 😀" * 100,
        "*bold* _x_ `y`",
    ],
)
async def test_text_is_data(slack: Workspace, text: str) -> None:
    chose(slack, "named", 1)
    assert (await slack.said(text)).failed == 0
    assert said(slack)[0].text == text.replace("\x00", "\ufffd")


async def test_words_nobody_chose_a_mode_for_are_deleted_after_seven_days_with_a_word_to_their_author(
    slack: Workspace,
) -> None:
    await slack.said("The approval takes four days")
    await slack.pressed("tip:blocked", delivery_id("tip|1"))

    async def drop() -> Any:
        return await drop_unconfirmed(
            slack.database, content=CONTENT, programme=PROGRAMME, now=slack.clock.now()
        )

    slack.clock.move(UNCONFIRMED_FOR - timedelta(seconds=1))
    assert await drop() == TUESDAY + UNCONFIRMED_FOR
    assert len(said(slack)) == 2
    slack.clock.move(timedelta(seconds=1))
    assert await drop() is None
    await drop()
    assert said(slack) == []
    # The silence that they asked for is theirs: it does not end because nobody was told why.
    assert slack.database.read_now(barriers.open_for, None) == {"p0001": frozenset({BEHAVIOUR})}
    told = [row.message for row in slack.queued() if row.kind == "status" and row.message]
    assert len(told) == 2
    assert all("deleted" in message.text and "tip:why" in buttons(message) for message in told)
    (lift,) = [buttons(message)["me:lift"] for message in told if "me:lift" in buttons(message)]
    await slack.pressed("me:lift", lift)
    assert slack.database.read_now(barriers.open_for, None) == {}


# --- obeyed at once, never filed --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["Stop", "bitte aufhören", "arrête", "para", "This is useless. Stop."])
async def test_stop_is_obeyed_and_never_filed(slack: Workspace, text: str) -> None:
    await slack.pressed("remind:tomorrow", delivery_id("tip|1"))
    await slack.said(text)
    assert preferences(slack).stopped_at == TUESDAY
    assert [row.kind for row in slack.queued()] == ["answer"]
    assert said(slack) == []
    await slack.said("resume")
    assert preferences(slack).stopped_at is None


async def test_pause_until_a_day_is_obeyed_and_never_filed(slack: Workspace) -> None:
    slack.database.write_now(lambda uow: uow.execute(sa.update(person).values(zone="Europe/Berlin")))
    await slack.said("Pause until Monday")
    assert preferences(slack).paused_until == TUESDAY.replace(day=22, hour=23)
    assert said(slack) == []
    assert "23 Nov" in slack.answers()[0].text


async def test_delete_that_deletes_what_was_said_last(slack: Workspace) -> None:
    chose(slack, "named", 1)
    await slack.said("The search is slow")
    slack.clock.move(timedelta(minutes=1))
    await slack.said("My manager is the problem")
    await slack.said("delete that")
    assert [each.text for each in said(slack)] == ["The search is slow"]


async def test_delete_that_in_a_thread_means_what_was_said_there(slack: Workspace) -> None:
    chose(slack, "named", 1)
    slack.database.write_now(lambda uow: posted_tip(uow, 1, "older"))
    slack.database.write_now(
        lambda uow: uow.execute(
            sa.text("UPDATE outbox SET ts = '9.9' WHERE id = :id"), {"id": delivery_id("older|1")}
        )
    )
    await slack.said("About the older one", thread="9.9")
    slack.clock.move(timedelta(minutes=1))
    await slack.said("About the newer one", thread=ts_of())
    await slack.said("delete that", thread="9.9")
    assert [each.text for each in said(slack)] == ["About the newer one"]


async def test_delete_that_says_how_much_is_still_here_and_deletes_all_on_a_press(slack: Workspace) -> None:
    for text in ("The search is slow", "The form is long", "The sync breaks", "The report is late"):
        await slack.said(text)
        slack.clock.move(timedelta(minutes=1))
    await slack.said("delete that")
    answered = slack.answers()[-1]
    assert "3 other notes of yours are still here" in answered.text
    assert "no record" not in answered.text
    assert len(said(slack)) == 3
    await slack.pressed("feedback:delete_all", buttons(answered)["feedback:delete_all"])
    assert said(slack) == []
    assert "all 3 notes" in slack.shown.text


async def test_delete_everything_is_obeyed_and_a_preference_is_no_note(slack: Workspace) -> None:
    chose(slack, "named", 1)
    await slack.said("The search is slow")
    await slack.said("The form is long")
    await slack.pressed("tip:not_for_me", delivery_id("tip|1"), menu=True)
    await slack.said("delete everything")
    assert [each.kind for each in said(slack)] == ["not_for_me"]
    assert any("all 2 notes" in each.text for each in slack.answers())
    await slack.said("delete that")
    assert any("nothing of yours to delete" in each.text for each in slack.answers())


async def test_nobody_deletes_everything_of_somebody_else(slack: Workspace) -> None:
    await slack.said("The search is slow")
    await slack.pressed("feedback:delete_all", "all", number=2)
    assert len(said(slack)) == 1


@pytest.mark.parametrize(
    "text",
    ["is this going to be on my review?", "who can see my numbers?", "wer sieht das?", "qui voit ça ?"],
)
async def test_who_sees_what_is_answered_and_not_filed(slack: Workspace, text: str) -> None:
    await slack.said(text)
    assert "Never for appraisal" in slack.answers()[0].text
    assert said(slack) == []


async def test_remind_me_in_words_is_a_reminder_that_can_be_taken_back(slack: Workspace) -> None:
    await slack.said("remind me tomorrow", thread=ts_of())
    (reminder,) = [row for row in slack.queued() if row.kind == "reminder"]
    assert reminder.due_at.date() == TUESDAY.date() + timedelta(days=1)
    (answered,) = slack.answers()
    assert {"tip:do", "remind:none"} <= set(buttons(answered))
    await slack.pressed("remind:none", buttons(answered)["remind:none"])
    assert [row.kind for row in slack.queued() if row.kind == "reminder"] == []
    assert said(slack) == []


async def test_not_now_asks_when_and_done_is_recorded_without_a_form(slack: Workspace) -> None:
    await slack.said("not now", thread=ts_of())
    assert {"tip:do", "remind:tomorrow", "remind:none"} <= set(buttons(slack.answers()[0]))
    assert said(slack) == []
    slack.clock.move(timedelta(minutes=1))
    await slack.said("I have updated it", thread=ts_of())
    assert [(each.kind, each.mode, each.state) for each in said(slack)] == [("done", None, "kept")]
    assert "Thank you" in slack.answers()[-1].text


async def test_without_a_tip_there_is_nothing_to_be_reminded_of(slack: Workspace) -> None:
    await slack.said("remind me tomorrow", number=3)
    assert "under one of my tips" in slack.answers(3)[0].text
    assert len(slack.queued(3)) == 1


async def test_a_pause_without_a_day_that_can_be_read_is_quiet_and_asks_until_when(slack: Workspace) -> None:
    chose(slack, "named", 1)
    await slack.said("pause until yesterday")
    assert said(slack) == []
    (answered,) = slack.answers()
    assert answered.text.startswith("Until when?")
    assert {"pause:tomorrow", "pause:next_week", "pause:month"} == set(buttons(answered))
    assert preferences(slack).paused_until > TUESDAY


@pytest.mark.parametrize("text", ["pause until Friday", "pause until yesterday"])
async def test_a_pause_after_a_stop_says_that_it_stays_stopped(slack: Workspace, text: str) -> None:
    await slack.said("stop")
    slack.clock.move(timedelta(minutes=1))
    await slack.said(text)
    assert "resume" in slack.answers()[-1].text
    assert "that holds" in slack.answers()[-1].text
    assert "that holds" in str((await slack.command(text)).body)
    assert preferences(slack).stopped_at == TUESDAY


@pytest.mark.parametrize("text", ["ok", "thanks"])
async def test_an_ok_after_a_stop_is_only_all_right(slack: Workspace, text: str) -> None:
    await slack.said("stop")
    slack.clock.move(timedelta(minutes=1))
    await slack.said(text)
    assert slack.answers()[-1].text == "All right."


async def test_thanks_in_a_sentence_is_a_reaction_and_no_form(slack: Workspace) -> None:
    await slack.said("Thank you, that one was actually useful")
    assert (said(slack), len(slack.answers())) == ([], 1)
    assert "Glad it helped" in slack.answers()[0].text


async def test_a_question_is_told_that_we_cannot_answer_it_ourselves(slack: Workspace) -> None:
    await slack.said("How do I change the close date?")
    assert "can't answer questions myself yet" in slack.answers()[0].text
    await slack.said("The search is slow", number=2)
    assert "answer questions" not in slack.answers(2)[0].text


async def test_deleting_nothing_says_so(slack: Workspace) -> None:
    await slack.said("delete that")
    assert "nothing of yours to delete" in slack.answers()[0].text


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("why did you write to me?", "Why this?"),
        ("what do you know about me?", "What I know about you"),
        ("thanks!", "Glad it helped"),
        ("help", "What you can tell me"),
        ("hi", "What you can tell me"),
        ("", "What you can tell me"),
    ],
)
async def test_free_chat_gets_an_answer_and_is_not_filed(slack: Workspace, text: str, answer: str) -> None:
    await slack.said(text)
    assert answer in slack.answers()[0].text
    assert said(slack) == []


async def test_a_question_is_passed_on_like_feedback(slack: Workspace) -> None:
    chose(slack, "named", 1)
    await slack.said("How do I change the close date?")
    assert [each.text for each in said(slack)] == ["How do I change the close date?"]


async def test_words_outside_of_our_dm_are_not_ours(slack: Workspace) -> None:
    report = await slack.said("The approval takes four days", channel_type="channel", channel="C1")
    assert (report.reasons, said(slack)) == ({"not-for-us": 1}, [])


# --- /fullsteam -------------------------------------------------------------------------------------------------------


async def test_the_command_pauses_resumes_and_stops(slack: Workspace) -> None:
    async def run(text: str) -> str:
        response = await slack.command(text)
        await slack.work()
        assert "ephemeral" in str(response.body)
        return str(response.body)

    assert "23 Nov" in await run("pause until monday")
    assert preferences(slack).paused_until == TUESDAY.replace(day=23, hour=0)
    assert "I go on" in await run("resume")
    assert preferences(slack).paused_until is None
    assert "Stopped" in await run("stop")
    assert preferences(slack).stopped_at == TUESDAY
    assert "What you can tell me" in await run("frobnicate")
    assert "What you can tell me" in await run("")
    assert slack.queued() == [], "the answer was in the acknowledgement"


async def test_feedback_by_command_asks_for_the_mode_in_the_dm(slack: Workspace) -> None:
    response = await slack.command("feedback The approval takes four days")
    await slack.work()
    assert "direct messages" in str(response.body)
    assert [(each.text, each.kind, each.state) for each in said(slack)] == [
        ("The approval takes four days", "command", "waiting")
    ]
    assert "who may see it" in slack.answers()[0].text
    await slack.command("feedback")
    assert (await slack.work()).refused == 1


async def test_me_shows_what_is_known_and_why_nothing_came(slack: Workspace) -> None:
    chose(slack, "confidential", 1)
    await slack.said("The approval takes four days")
    await slack.pressed("tip:blocked", delivery_id("tip|1"))
    body = str((await slack.command("me")).body)
    for part in (
        "Living Together",
        "work in the CRM in 5 of the last 8 weeks",
        "Two of your deals have a close date in the past",
        "The approval takes four days",
        "confidentially",
        "Silent because something is in the way",
    ):
        assert part in body


async def test_me_shows_what_the_gate_held_and_dropped_in_words(slack: Workspace) -> None:
    def seed(uow: UnitOfWork) -> None:
        rows = {name: posted_tip(uow, 1, key=name) for name in ("stale", "held", "dead")}
        states = {
            "stale": ("dropped", "stale"),
            "held": ("ready", "crm-silent"),
            "dead": ("dead", "is_archived"),
        }
        for name, (state, reason) in states.items():
            uow.execute(
                sa.update(outbox_table)
                .where(outbox_table.c.id == rows[name])
                .values(state=state, reason=reason, settled_at=TUESDAY)
            )
            for minutes in (0, 15) if name != "dead" else ():
                at = TUESDAY + timedelta(minutes=minutes)
                uow.execute(
                    sa.insert(hold).values(
                        outbox=rows[name], person="p0001", at=at, reason=reason, until=None
                    )
                )

    slack.database.write_now(seed)
    body = json.loads((await slack.command("me")).body)["text"]
    for words in ("it was no longer true when", "the CRM did not answer", "Slack did not take it"):
        assert body.count(words) == 1, body
    assert "17 Nov: " in body


async def test_me_in_german_has_german_words(slack: Workspace) -> None:
    slack.database.write_now(lambda uow: uow.execute(sa.update(person).values(language="de")))
    body = json.loads((await slack.command("ich")).body)["text"]
    assert "Zusammenleben" in body
    assert "Living Together" not in body
    assert "Mo, Di, Mi, Do und Fr, 09:30 bis 16:30 Uhr" in body


async def test_own_days_hours_and_limit_are_set_by_command_and_shown(slack: Workspace) -> None:
    said_back = str((await slack.command("days Mon Tue Thu")).body)
    assert "Mon, Tue and Thu" in said_back
    await slack.command("zeiten 9 bis 15 Uhr")
    await slack.command("weekly 1")
    assert (await slack.work()).done == 3
    own = preferences(slack)
    assert (own.working_days, own.window_start, own.window_end) == ((0, 1, 3), time(9), time(15))
    assert own.weekly_cap == 1
    body = json.loads((await slack.command("me")).body)["text"]
    assert "Mon, Tue and Thu, 09:00 to 15:00, at most one note a week" in body
    await slack.command("days usual")
    await slack.work()
    assert preferences(slack).working_days is None


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("days", "days Mon Tue Thu"),
        ("days whenever", "days Mon Tue Thu"),
        ("hours 06:00-09:00", "between 08:00 and 18:30"),
        ("hours 15-9", "hours 09:00-15:00"),
        ("weekly 0", "/fullsteam stop"),
        ("weekly 9", "from 1 to 5"),
    ],
)
async def test_times_that_cannot_be_meant_change_nothing_and_say_how_to_write_them(
    slack: Workspace, typed: str, hint: str
) -> None:
    before = preferences(slack)
    body = json.loads((await slack.command(typed)).body)["text"]
    assert "Nothing has changed" in body
    assert hint in body
    assert (await slack.work()).refused == 1
    assert preferences(slack) == before


async def test_a_stranger_gets_a_helpful_private_answer(slack: Workspace) -> None:
    response = await slack.command("me", number=77)
    assert "lead@example.com can help" in str(response.body)
    assert (await slack.work()).reasons == {"unknown-person": 1}


async def test_inspect_leaves_the_words_out(slack: Workspace) -> None:
    await slack.said("The approval takes four days")
    found = slack.database.read_now(inspect_person, "U00000001", TUESDAY)
    assert found is not None
    assert found["stage"]["stage"] == LIVING_TOGETHER
    assert "approval" not in repr(found)
    assert slack.database.read_now(inspect_person, "U00000077", TUESDAY) is None


# --- export and audit -------------------------------------------------------------------------------------------------


NEXT_MONDAY = TUESDAY + timedelta(days=6)


def exported(
    slack: Workspace, who: str = "lead@example.com", at: Any = LATER, **more: Any
) -> tuple[ExportedRow, ...]:
    programme = replace(PROGRAMME, behaviours=CONTENT.behaviours)
    return read_feedback(slack.database, who, programme, at, user="ops", **more)


async def confide(slack: Workspace, *numbers: int) -> None:
    chose(slack, "confidential", *numbers)
    for number in numbers:
        await slack.said(f"quiet words {number}", number=number)


async def test_an_export_follows_the_mode(slack: Workspace) -> None:
    slack.database.write_now(add_team, "p0009", 10, 16)
    slack.database.write_now(add_team, "p0008", 20, 23)
    chose(slack, "named", 1)
    await slack.said("named words")
    await confide(slack, 2, 3, 4, 5, 6)
    await slack.said("words that wait", number=16)
    rows = {row.text: row for row in exported(slack, at=NEXT_MONDAY)}
    assert set(rows) == {"named words", *(f"quiet words {number}" for number in range(2, 7))}
    named, quiet = rows["named words"], rows["quiet words 2"]
    assert (named.name, named.team, named.stage, named.day) == ("Person 1", "Manager 9", "", TUESDAY.date())
    assert (quiet.name, quiet.team, quiet.stage) == ("", "Manager 9", "")
    assert quiet.day == TUESDAY.date() - timedelta(days=1), "the Monday of the week"


def add_team(uow: UnitOfWork, /, team: str, first: int, last: int, **changes: Any) -> None:
    for number in range(first, last + 1):
        add_person(uow, number, team=team, **changes)


async def test_the_team_stands_there_only_if_k_of_those_who_could_speak_are_in_it(slack: Workspace) -> None:
    unheard = {"match": "unmatched", "pilot": False}
    slack.database.write_now(add_team, "p0008", 20, 30, **unheard)
    await confide(slack, 2, 3, 4, 5, 6, 7)
    rows = {row.text: row.team for row in exported(slack, at=NEXT_MONDAY)}
    assert set(rows.values()) == {""}, "with a team of one it would be known who is the one without a team"
    slack.database.write_now(add_team, "p0007", 31, 34)
    assert rows == {row.text: row.team for row in exported(slack, at=NEXT_MONDAY)}, (
        "what was told is not told anew"
    )


async def test_a_behaviour_stands_beside_a_team_only_where_ten_share_them(slack: Workspace) -> None:
    slack.database.write_now(add_team, "p0008", 20, 23)
    await confide(slack, 1, 2, 3, 4, 5)
    assert {row.team for row in exported(slack, at=NEXT_MONDAY)} == {"Manager 9"}
    assert {row.behaviour for row in exported(slack, at=NEXT_MONDAY)} == {""}
    slack.database.write_now(add_team, "p0009", 10, 16)
    slack.clock.move(timedelta(days=6))
    for number in (1, 2, 3, 4, 5):
        await slack.said(f"again {number}", thread=ts_of(number), number=number)
    rows = exported(slack, at=NEXT_MONDAY + timedelta(days=7))
    again = {row.text: (row.team, row.behaviour) for row in rows if row.text.startswith("again")}
    assert (again["again 1"], again["again 5"]) == (("Manager 9", BEHAVIOUR), ("Manager 9", ""))


async def test_confidential_words_never_come_alone_nor_in_their_week(slack: Workspace) -> None:
    await confide(slack, 2, 3, 4, 5)
    for at in (LATER, NEXT_MONDAY, NEXT_MONDAY + timedelta(days=70)):
        assert exported(slack, at=at) == ()
    await confide(slack, 6)
    assert exported(slack, at=NEXT_MONDAY - timedelta(hours=11)) == (), "the week is not over"
    assert len(exported(slack, at=NEXT_MONDAY)) == 5
    slack.clock.at = NEXT_MONDAY
    await slack.said("one more", number=2)
    assert len(exported(slack, at=NEXT_MONDAY + timedelta(days=7))) == 5, "one alone waits for others"


async def test_an_edit_takes_confidential_words_back_until_the_next_batch(slack: Workspace) -> None:
    await confide(slack, 2, 3, 4, 5, 6)
    assert len(exported(slack, at=NEXT_MONDAY)) == 5
    one = said(slack, 2)[0]
    slack.database.write_now(feedback.change_text, one.id, "better words", NEXT_MONDAY)
    assert len(exported(slack, at=NEXT_MONDAY + timedelta(days=7))) == 4


async def test_a_name_and_a_stage_together_are_for_the_privacy_officer(slack: Workspace) -> None:
    chose(slack, "named", 1)
    await confide(slack, 2, 3, 4, 5, 6)
    await slack.said("named words", number=1)
    with pytest.raises(Refused, match="privacy officer"):
        exported(slack, at=NEXT_MONDAY, stages=True)
    (row,) = exported(slack, "privacy@example.com", at=NEXT_MONDAY, stages=True)
    assert (row.name, row.stage) == ("Person 1", "Living Together"), "and no confidential words"


@pytest.mark.parametrize("who", ["sponsor@example.com", "person1@example.com", ""])
async def test_who_has_no_right_reads_nothing(slack: Workspace, who: str) -> None:
    with pytest.raises(Refused):
        exported(slack, who)
    (row,) = slack.database.read_now(audit.rows)
    assert (row.actor, row.action, row.detail["user"]) == (who, "feedback-export-refused", "ops")


async def test_an_owner_reads_what_is_theirs(slack: Workspace) -> None:
    chose(slack, "named", 1, 2)
    await slack.said("the search is slow", number=2)
    await slack.pressed("tip:blocked", delivery_id("tip|1"))
    await slack.pressed("blocked:process", delivery_id("tip|1"))
    assert [row.barrier for row in exported(slack, "process@example.com")] == ["process"]
    assert exported(slack, "data@example.com") == ()


async def test_every_export_leaves_a_row_in_the_audit_log(slack: Workspace) -> None:
    exported(slack)
    exported(slack, "Privacy@example.com", stages=True)
    rows = slack.database.read_now(audit.rows)
    assert [(row.actor, row.action, row.detail["stages"], row.detail["user"]) for row in rows] == [
        ("privacy@example.com", "feedback-exported", True, "ops"),
        ("lead@example.com", "feedback-exported", False, "ops"),
    ]
    assert slack.database.read_now(audit.verify) == 2


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_the_audit_log_can_only_grow(slack: Workspace, statement: str) -> None:
    exported(slack)
    with pytest.raises(Exception, match=r"(?i)audit|append"):
        slack.database.write_now(lambda uow: uow.execute(sa.text(statement)))
    assert slack.database.read_now(audit.verify) == 1


def test_a_row_smuggled_into_the_audit_log_is_found(slack: Workspace) -> None:
    exported(slack)
    forged = {
        "at": TUESDAY,
        "actor": "x",
        "action": "y",
        "subject": "z",
        "detail": {},
        "previous": "0" * 64,
        "hash": "1" * 64,
    }
    slack.database.write_now(lambda uow: uow.execute(sa.insert(audit_table).values(forged)))
    with pytest.raises(BrokenChain):
        slack.database.read_now(audit.verify)


def test_a_spreadsheet_runs_nothing_of_what_people_wrote() -> None:
    texts = ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\u200b=1", "plain, with comma", 'quo"te\nline']
    rows = [
        ExportedRow("reply", "named", text, "=cmd()", "", "", "", "", "", TUESDAY.date()) for text in texts
    ]
    read = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert [row["text"].lstrip("'") for row in read] == texts
    assert [row["text"][0] == "'" for row in read] == [True] * 7 + [False] * 2
    assert {row["name"] for row in read} == {"'=cmd()"}


async def test_answers_name_no_stranger_and_every_button_has_its_value(slack: Workspace) -> None:
    await slack.said("The approval takes four days")
    await slack.said("why?")
    answers: list[Message] = slack.answers()
    assert all(value for message in answers for value in buttons(message).values())
