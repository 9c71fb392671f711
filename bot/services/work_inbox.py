"""Works what Slack told us, each row once: a table from envelope to use case, and one transaction for work and settling.

Why nothing is lost and nothing doubles, whenever the process dies:

* An envelope was committed before Slack was answered. What is not settled is found again by query.
* The work of a row, the messages it causes (outbox rows) and its settling are **one** transaction: either all of it
  happened or none of it. A second worker skips a row that is locked (PostgreSQL) or finds it settled.
* New words to a person are always outbox rows, never a call from here, so they go out exactly once, as every message does.
* What a click changes in place cannot be part of a transaction. So the row stays ``new``, with the work's result in its
  body instead of the envelope, until the change has been shown: response_url first (five uses, 30 minutes), chat.update
  after that. Dying in between shows the same content again, and replacing a message by itself is not visible.
* The keys of what is written come from the message and the button (``blocked:<outbox id>``), not from the click: a double
  click is two envelopes with one effect.
* One row that cannot be worked is pushed on with a growing pause, and is dead after eight attempts; the rest goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.content.load import Content
from bot.domain.errors import Permanent, Retryable, Uncertain
from bot.domain.ports import Holidays, Messenger, Outgoing, Receipt
from bot.domain.programme import Programme
from bot.services import (
    choose_goal,
    choose_mode,
    explain_decision,
    hear_words,
    keep_directory,
    lift_barrier,
    never_again,
    note_done,
    obey_command,
    pause,
    remind,
    report_block,
)
from bot.services.answer_stranger import answer_stranger
from bot.services.hearing import Heard, Outcome, Show, refused
from bot.services.show_desk import asks_for_desk, note_desk, note_refused, reader_of
from bot.services.stop_sending import stop_sending
from store import inbox, people
from store.database import Database, UnitOfWork
from store.inbox import DONE, InboxRow

log = logging.getLogger(__name__)

UseCase = Callable[[UnitOfWork, Heard], Outcome]
SHOW_LEASE = timedelta(seconds=60)
"""How long a worker has for showing what it did, before another one takes that over."""
RESPONSE_URL_LASTS = timedelta(minutes=29)
BATCH = 200


def _seen(_uow: UnitOfWork, _heard: Heard) -> Outcome:
    """Kept and answered; there is nothing to do."""
    return Outcome("seen")


TABLE: tuple[tuple[str, str, UseCase], ...] = (
    ("action", "goal:", choose_goal.choose_goal),
    ("action", "tip:do", note_done.note_done),
    ("action", "tip:remind", remind.ask_when),
    ("action", "remind:none", remind.cancel),
    ("action", "remind:", remind.remind),
    ("action", "tip:not_for_me", never_again.never_again),
    ("action", "tip:blocked", report_block.ask_what),
    ("action", "blocked:", report_block.say_what),
    ("action", "tip:why", explain_decision.explain),
    ("action", "why:wrong", explain_decision.dispute),
    ("action", "why:stop_kind", explain_decision.stop_kind),
    ("action", "tip:pause", pause.ask_how_long),
    ("action", "pause:", pause.pause_by_button),
    ("action", "resume", pause.resume_by_button),
    ("action", "mode:", choose_mode.choose_mode),
    ("action", "feedback:delete_all", choose_mode.delete_all),
    ("action", "feedback:delete", choose_mode.delete_feedback),
    ("action", "feedback:change", choose_mode.ask_again),
    ("action", lift_barrier.ACTION, lift_barrier.lift_barrier),
    ("event", "message_changed", hear_words.change_words),
    ("event", "message_deleted", hear_words.delete_words),
    ("event", "message", hear_words.hear_words),
    ("event", "app_home_opened", _seen),
    ("command", "/fullsteam", obey_command.obey_command),
)
"""(kind, beginning of the name) -> use case, for what a known person did; the first that fits."""
DIRECTORY: dict[str, Callable[[UnitOfWork, InboxRow, Programme, datetime], str]] = {
    "user_change": keep_directory.keep_profile,
    "team_join": keep_directory.keep_profile,
    "dnd_updated_user": keep_directory.keep_dnd,
}
"""Events about anybody in the workspace."""
GONE = frozenset({"app_uninstalled", "tokens_revoked"})


@dataclass(frozen=True, slots=True)
class WorkReport:
    """What was worked. ``reasons``: reason -> rows; ``next_due``: when a row is due again, None when nothing waits."""

    done: int = 0
    refused: int = 0
    failed: int = 0
    dead: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    next_due: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Worked:
    row: InboxRow
    state: str
    reason: str
    show: tuple[Show, ...]


@dataclass(frozen=True, slots=True)
class _House:
    """What every row needs."""

    content: Content
    programme: Programme
    holidays: Holidays


async def work(
    database: Database,
    *,
    messenger: Messenger,
    content: Content,
    programme: Programme,
    holidays: Holidays,
    now: datetime,
    only: str | None = None,
) -> WorkReport:
    """Work the rows that are due, or the one with the key ``only``; what one person said in the order they said it.

    Raises Retryable when the database is away: nothing was settled that did not happen.
    """
    house = _House(content, programme, holidays)
    tally = _Tally()
    while True:
        found = await database.read(inbox.due, now, limit=BATCH, only=only)
        chains: dict[str, list[int]] = {}
        for row_id, user in found:
            chains.setdefault(user or f"row {row_id}", []).append(row_id)
        before = tally.count
        await asyncio.gather(
            *(_chain(database, messenger, house, ids, now, tally) for ids in chains.values())
        )
        if only is not None or len(found) < BATCH or tally.count == before:
            break
    due = await database.read(inbox.next_due)
    return WorkReport(tally.done, tally.refused, tally.failed, tally.dead, tally.reasons, due)


class _Tally:
    """Counts of a run."""

    def __init__(self) -> None:
        self.done = self.refused = self.failed = self.dead = self.count = 0
        self.reasons: dict[str, int] = {}

    def add(self, worked: _Worked) -> None:
        self.count += 1
        self.reasons[worked.reason] = self.reasons.get(worked.reason, 0) + 1
        if worked.state == DONE:
            self.done += 1
        else:
            self.refused += 1


async def _chain(
    database: Database,
    messenger: Messenger,
    house: _House,
    ids: Sequence[int],
    now: datetime,
    tally: _Tally,
) -> None:
    """The rows of one person, one after the other."""
    for row_id in ids:
        (result,) = await asyncio.gather(
            _row(database, messenger, house, row_id, now), return_exceptions=True
        )
        if isinstance(result, _Worked):
            tally.add(result)
        elif isinstance(result, Retryable) and result.code.startswith("database"):
            raise result
        elif isinstance(result, Exception):
            tally.count += 1
            tally.failed += 1
            dead = await database.write(
                inbox.push_on,
                row_id,
                type(result).__name__,
                now,
                result.after if isinstance(result, Retryable) else None,
            )
            tally.dead += dead
            log.error("inbox.row_failed", extra={"row": row_id, "error": type(result).__name__, "dead": dead})
        elif isinstance(result, BaseException):
            raise result


async def _row(
    database: Database, messenger: Messenger, house: _House, row_id: int, now: datetime
) -> _Worked | None:
    worked = await database.write(_work, house, row_id, now)
    if worked is None or not worked.show:
        return worked
    shown = [await _show(messenger, each, worked.row, now) for each in worked.show]
    reason = worked.reason if all(shown) else f"{worked.reason} (not shown)"
    await database.write(inbox.settle, row_id, worked.state, reason, now)
    return worked


def _work(uow: UnitOfWork, house: _House, row_id: int, now: datetime) -> _Worked | None:
    """The transaction: take the row, do its work, settle it, or keep what is still to show."""
    row = inbox.take(uow, row_id, now)
    if row is None:
        return None
    if row.to_show is not None:
        inbox.lease(uow, row_id, now + SHOW_LEASE)
        kept = row.body["state"], row.body["reason"]
        return _Worked(row, kept[0], kept[1], tuple(Show.from_json(one) for one in row.to_show))
    outcome = _do(uow, house, row, now)
    if outcome.show:
        inbox.worked(
            uow,
            row_id,
            [one.to_json() for one in outcome.show],
            outcome.reason,
            now + SHOW_LEASE,
            state=outcome.state,
        )
    else:
        inbox.settle(uow, row_id, outcome.state, outcome.reason, now)
    return _Worked(row, outcome.state, outcome.reason, outcome.show)


def _do(uow: UnitOfWork, house: _House, row: InboxRow, now: datetime) -> Outcome:
    if row.kind == "event" and row.name in DIRECTORY:
        return Outcome(DIRECTORY[row.name](uow, row, house.programme, now))
    if row.kind == "event" and row.name in GONE:
        if stop_sending(uow, by="slack", now=now, why=row.name):
            log.error("slack.gone", extra={"event": row.name, "advice": "install the app again, then start"})
        return Outcome("sending-stopped")
    if row.kind == "command" and asks_for_desk(str(row.body.get("text") or "")):
        reader = reader_of(uow, row.user, house.programme)
        if reader is not None:
            return note_desk(uow, row, reader, house.programme, now)
        note_refused(uow, row, now)
    person = people.by_slack(uow, row.user) if row.user else None
    if person is None or not person.active:
        answered = answer_stranger(uow, row, house.content, house.programme, now)
        reason = "unknown-person" if person is None else "left"
        return refused(f"{reason}-answered" if answered else reason)
    for kind, name, use_case in TABLE:
        if row.kind == kind and row.name.startswith(name):
            return use_case(uow, Heard(row, person, house.content, house.programme, house.holidays, now))
    return refused("nothing-to-do")


async def _show(messenger: Messenger, show: Show, row: InboxRow, now: datetime) -> bool:
    """Show it in place. False when Slack will never take it; raises Retryable when it may later."""
    # What only its reader sees has no other address: a late answer is tried, and Slack says when it is too late.
    if show.response_url and (now < row.received_at + RESPONSE_URL_LASTS or not show.channel):
        try:
            await messenger.respond(show.response_url, show.message, replace=True)
        except Permanent as error:
            log.warning("inbox.response_url_failed", extra={"row": row.id, "code": error.code})
        except Uncertain:
            pass  # replacing by the same content again is not visible
        else:
            return True
    if not (show.channel and show.ts):
        return False
    outgoing = Outgoing(show.delivery, show.address, show.message)
    try:
        await messenger.update(Receipt(show.channel, show.ts), outgoing)
    except Permanent as error:
        log.warning("inbox.update_failed", extra={"row": row.id, "code": error.code})
        return False
    except Uncertain as error:
        raise Retryable("It is not known whether the message changed.", code=error.code) from error
    return True
