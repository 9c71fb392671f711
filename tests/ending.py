"""How a replay ended, for comparing two of them: what was decided, what became of it, what was heard. No times, no attempts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from store.database import UnitOfWork, open_database
from store.tables import barrier, decision, feedback, inbox, outbox, person, person_stage, preference

Rows = dict[str, list[Any]]


@dataclass(frozen=True)
class Ending:
    """``parts``: name -> key -> what it says. ``inbox``: key -> state of every envelope that was kept."""

    parts: Mapping[str, Mapping[str, Any]]
    inbox: Mapping[str, str]

    def differences(self, other: Ending) -> list[str]:
        """What is not the same, a line each: part, key, here, there."""
        return [
            f"{name} {key}: {mine.get(key)} != {other.parts[name].get(key)}"
            for name, mine in self.parts.items()
            for key in sorted(mine.keys() | other.parts[name].keys())
            if mine.get(key) != other.parts[name].get(key)
        ]


def ending(url: str) -> Ending:
    """Read how it ended."""
    database = open_database(url)
    try:
        return database.read_now(_ending)
    finally:
        database.close()


def _ending(uow: UnitOfWork) -> Ending:
    def rows(key: Sequence[sa.Column[Any]], *columns: sa.ColumnElement[Any]) -> dict[str, Any]:
        """By key; rows with the same key as a sorted list, so that two where there was one show."""
        found: dict[str, list[str]] = {}
        for row in uow.rows(sa.select(*key, *columns)):
            name = " ".join(str(part) for part in row[: len(key)])
            found.setdefault(name, []).append(json.dumps(row[len(key) :], default=str, sort_keys=True))
        return {name: sorted(values) for name, values in found.items()}

    d, o, f, p = decision.c, outbox.c, feedback.c, preference.c
    told = [d.person, d.local_day, d.point, d.action, d.kind, d.reason, d.trigger, d.behaviour, d.eligible]
    parts = {
        "decision": rows([d.id], *told, d.probabilities, d.draw, d.held_out, d.outbox, d.outcome_72h),
        "outbox": rows([o.dedupe_key], o.id, o.kind, o.person, o.template, o.state, o.reason, o.reaction),
        "feedback": rows(
            [f.person, f.kind, f.text],
            f.mode,
            f.state,
            f.stage,
            f.behaviour,
            f.outbox,
            f.barrier_type,
            f.owner,
        ),
        "barrier": rows(
            [barrier.c.person, barrier.c.behaviour], barrier.c.type, barrier.c.owner, barrier.c.closed_why
        ),
        "preference": rows(
            [p.person], p.goal, p.paused_until, p.stopped_at, p.kinds_off, p.tips_never, p.feedback_mode
        ),
        "person": rows([person.c.id], person.c.match, person.c.welcomed_at.is_not(None), person.c.active),
        "stage": rows(
            [person_stage.c.person, person_stage.c.week],
            *(person_stage.c.stage, person_stage.c.passes, person_stage.c.fails, person_stage.c.facts),
        ),
    }
    states = {row.key: row.state for row in uow.rows(sa.select(inbox.c.key, inbox.c.state))}
    return Ending(parts, states)


@dataclass(frozen=True)
class Account:
    """The sandbox's own account of a replay: ``posted`` delivery ids, and the keys that the bot ``acknowledged``."""

    posted: Counter[str]
    acknowledged: frozenset[str]
    said: int

    @classmethod
    def of(cls, record: Path) -> Account:
        """Read a record file."""
        entries = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
        return cls(
            Counter(_delivery_ids(entries)),
            frozenset(entry["key"] for entry in entries if entry["kind"] == "delivery" and entry["acked"]),
            sum(entry["kind"] == "said" for entry in entries),
        )


def _delivery_ids(entries: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for entry in entries:
        if entry["kind"] == "posted":
            yield entry["metadata"]["event_payload"]["id"]


def faults(seen: Account, end: Ending) -> list[str]:
    """What a crash must never do: lose a reply that was acknowledged, or post a message twice."""
    lost = [key for key in sorted(seen.acknowledged) if end.inbox.get(key) not in ("done", "refused")]
    doubled = [key for key, times in sorted(seen.posted.items()) if times > 1]
    return [
        *(f"acknowledged and lost: {key} ({end.inbox.get(key)})" for key in lost),
        *(f"posted twice: {key}" for key in doubled),
        *(f"never settled: {key} ({state})" for key, state in sorted(end.inbox.items()) if state == "new"),
    ]
