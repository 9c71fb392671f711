"""Why this? The rule, the data and its day, who can see it, whether a coin decided: under every message (promise 4)."""

from __future__ import annotations

from datetime import date

from bot.domain.feedback import DISPUTE, WAITING
from bot.domain.messages import ANSWER, REMINDER, TIP, Message
from bot.services.hearing import Heard, Outcome, answer, changed, clicked, refused, show_on, standing_in
from bot.services.record_feedback import ask_mode, noted, record
from store import decisions, outbox, people
from store.database import UnitOfWork
from store.outbox import OutboxRow

RULE = "why_rule_"
"""Messages named ``why_rule_<trigger>`` say the rule in a sentence."""


def explain(uow: UnitOfWork, heard: Heard) -> Outcome:
    """tip:why: the explanation stands in the message's thread, once a day however often it is asked for."""
    row = clicked(uow, heard) or standing_in(uow, heard)
    if row is None:
        return _explain_private(uow, heard)
    # Asking is a reaction: somebody read it.
    outbox.record_reaction(uow, row.id, heard.row.name, heard.now)
    key = f"why:{row.id}:{heard.today.isoformat()}"
    queued = answer(uow, heard, explanation(uow, heard, row), about=row, key=key)
    return Outcome("explained") if queued is not None else refused("explained-before")


def _explain_private(uow: UnitOfWork, heard: Heard) -> Outcome:
    """Under an answer that only they saw, which no row stands behind: it came because they asked."""
    place = f"{heard.body.get('channel')}:{heard.body.get('ts')}"
    key = f"why:{heard.person.id}:{place}:{heard.today.isoformat()}"
    queued = answer(uow, heard, heard.say("why_other", kind=ANSWER), key=key)
    return Outcome("explained") if queued is not None else refused("explained-before")


def explanation(uow: UnitOfWork, heard: Heard, row: OutboxRow | None) -> Message:
    """Why this message was sent, in words for its reader."""
    if row is None:
        return heard.say("why_nothing")
    decision = decisions.get(uow, row.decision) if row.decision else None
    if decision is None or decision.trigger is None:
        return heard.say("why_other", value=row.id, kind=row.kind)
    rule = f"{RULE}{decision.trigger}"
    return heard.say(
        "why",
        value=row.id,
        rule=heard.text(rule) if rule in heard.content.messages else decision.trigger.replace("_", " "),
        day=date.fromisoformat(decision.context.get("as_of") or decision.local_day.isoformat()),
        goal=decision.context.get("goal") or "",
        coin=decision.draw is not None,
        none_of_100=round(100 * decision.probabilities.get("none", 0.0)),
        cap=heard.programme.rules.weekly_cap,
        reminder=row.kind == REMINDER,
    )


def dispute(uow: UnitOfWork, heard: Heard) -> Outcome:
    """why:wrong: what the message says is not so. It reaches the adoption lead; words are asked for, not required."""
    row = clicked(uow, heard)
    if row is None:
        return refused("no-message")
    said = record(uow, heard, key=f"wrong:{row.id}", kind=DISPUTE, about=row)
    after = ask_mode(uow, heard, said, "after_wrong") if said.state == WAITING else noted(uow, heard, said)
    place = standing_in(uow, heard)
    original = place.message if place is not None else None
    return Outcome("disputed", (show_on(uow, heard, place, changed(original, after)),))


def stop_kind(uow: UnitOfWork, heard: Heard) -> Outcome:
    """why:stop_kind: no more messages of this kind."""
    row = clicked(uow, heard)
    if row is None:
        return refused("no-message")
    kind = TIP if row.kind in (REMINDER, ANSWER) else row.kind
    waiting = (TIP, REMINDER) if kind == TIP else (kind,)
    chosen = people.preferences(uow, [heard.person.id])[heard.person.id]
    people.change_preferences(uow, heard.person.id, kinds_off=chosen.kinds_off | {kind})
    outbox.withdraw(uow, heard.person.id, "kind-off", heard.now, kinds=waiting)
    place = standing_in(uow, heard)
    after = heard.say("after_stop_kind", kind=kind)
    original = place.message if place is not None else None
    return Outcome("kind-off", (show_on(uow, heard, place, changed(original, after)),))
