"""Whatever is pressed and said, in whatever order: redelivered envelopes and double clicks change nothing twice."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.messages import delivery_id
from store.database import UnitOfWork, open_database
from store.tables import barrier, feedback, outbox, preference
from tests.hearing import Workspace, posted_tip, ts_of
from tests.sending import add_person

TIP = delivery_id("tip|1")
CLICKS = [
    "tip:do",
    "tip:remind",
    "remind:tomorrow",
    "remind:next_week",
    "remind:none",
    "tip:not_for_me",
    "tip:blocked",
    "blocked:process",
    "blocked:other",
    "tip:why",
    "why:wrong",
    "why:stop_kind",
    "tip:pause",
    "pause:tomorrow",
    "pause:month",
    "resume",
    "goal:personal",
    "goal:later",
]
ON_FEEDBACK = ("mode:named", "mode:confidential", "mode:drop", "feedback:delete", "feedback:change")
WORDS = (
    "The search is slow",
    "How do I log a call?",
    "stop",
    "pause until Monday",
    "delete that",
    "delete everything",
    "remind me tomorrow",
    "done",
    "thanks",
    "resume",
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("click"), st.sampled_from(CLICKS)),
        st.tuples(st.just("on_feedback"), st.sampled_from(ON_FEEDBACK)),
        st.tuples(st.just("words"), st.sampled_from(WORDS)),
    ),
    max_size=8,
)
TIMES = {"visible_at", "created_at", "closed_at", "opened_at", "goal_chosen_at", "stopped_at", "paused_until"}


def seed(uow: UnitOfWork) -> None:
    add_person(uow)
    posted_tip(uow)


async def play(slack: Workspace, steps: list[tuple[str, str]], *, again: bool) -> None:
    """Each step is worked before the next. ``again``: every envelope comes twice, every click is pressed twice."""
    keys = itertools.count()
    for what, name in steps:
        slack.clock.move(timedelta(minutes=1))
        key = f"k{next(keys)}"
        if what == "words":
            for _ in range(1 + again):
                await slack.words(name, key=key, ts=f"1.{key[1:]}")
                await slack.work()
            continue
        value = TIP if what == "click" else latest_feedback(slack)
        for press in range(1 + again):
            for _ in range(1 + again):
                await slack.click(name, value, trigger=f"{key}.{press}", ts=ts_of())
                await slack.work()


def latest_feedback(slack: Workspace) -> str:
    newest = sa.select(feedback.c.id).order_by(feedback.c.created_at.desc(), feedback.c.id).limit(1)
    row = slack.database.read_now(lambda uow: uow.one(newest))
    return row.id if row is not None else "none"


def state(slack: Workspace) -> dict[str, list[Any]]:
    """Everything that was written, without the envelopes and without texts that say at what minute something was done."""

    def read(uow: UnitOfWork) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for table in (feedback, barrier, preference):
            columns = [column for column in table.columns if column.name not in TIMES]
            found[table.name] = sorted(map(repr, uow.rows(sa.select(*columns))))
        sent = sa.select(
            outbox.c.dedupe_key,
            outbox.c.kind,
            outbox.c.template,
            outbox.c.state,
            outbox.c.reaction,
            outbox.c.due_at,
        ).where(outbox.c.kind != "answer")
        found["outbox"] = sorted(map(repr, uow.rows(sent)))
        answers = sa.select(outbox.c.template).where(outbox.c.kind == "answer")
        found["answers"] = sorted(map(repr, uow.rows(answers)))
        return found

    return slack.database.read_now(read)


def after(template: Path, steps: list[tuple[str, str]], *, again: bool) -> tuple[dict[str, list[Any]], Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hearing.db"
        shutil.copy(template, file)
        database = open_database(f"sqlite:///{file}", durable=False)
        try:
            database.write_now(seed)
            slack = Workspace(database)
            asyncio.run(play(slack, steps, again=again))
            shown = slack.messenger.responses[-1][1] if slack.messenger.responses else None
            assert all(row.state in {"done", "refused"} for row in slack.rows())
            return state(slack), None if shown is None else shown.parts
        finally:
            database.close()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_everything_twice_is_everything_once(sqlite_url: str, steps: list[tuple[str, str]]) -> None:
    template = Path(sqlite_url.removeprefix("sqlite:///"))
    assert after(template, steps, again=False) == after(template, steps, again=True)


def test_what_is_compared_tells_things_apart(sqlite_url: str) -> None:
    template = Path(sqlite_url.removeprefix("sqlite:///"))
    once = after(template, [("click", "tip:blocked")], again=False)
    other = after(template, [("click", "tip:blocked"), ("words", "The search is slow")], again=False)
    assert once != other
