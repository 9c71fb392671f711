"""How the CRM's people and Slack's users belong together: judged by bot/domain/matching.py, kept here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bot.domain.matching import Candidate, Matching, Override
from bot.domain.matching import match as judge_all
from bot.domain.people import (
    AMBIGUOUS,
    BOT,
    DEACTIVATED,
    EXCLUDED,
    GUEST,
    MATCHED,
    SECOND,
    UNMATCHED,
    SlackUser,
)
from store import people
from store.database import UnitOfWork
from store.statements import chunks, of_ids
from store.tables import person, preference


@dataclass(frozen=True, slots=True)
class MatchReport:
    """Active people by what matching says of them: person ids, sorted. Only ``matched`` is ever written to.

    ``by``: how many were matched by each step. ``faults``: lines of the identity file that hold nothing, in words.
    """

    matched: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    guests: tuple[str, ...] = ()
    bots: tuple[str, ...] = ()
    deactivated: tuple[str, ...] = ()
    second: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    by: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def judge(
    uow: UnitOfWork, overrides: Sequence[Override], accounts: Iterable[SlackUser] | None = None
) -> Matching:
    """What matching says of everybody. ``accounts``: of Slack; None: as they were read last. Reads only."""
    there = people.slack_users(uow).values() if accounts is None else accounts
    return judge_all(map(_candidate, uow.rows(_PEOPLE)), there, overrides)


def match(uow: UnitOfWork, overrides: Sequence[Override], now: datetime) -> MatchReport:
    """Tie people to Slack users and keep the result. Safe to repeat at any time.

    Who left keeps their account, so that what they still write is recognised, unless somebody else has it now. Whoever comes
    into an account that was tied to another record takes over what its owner chose there: a stop is a person's, not a row's.
    """
    rows = uow.rows(_PEOPLE)
    found = judge_all(map(_candidate, rows), people.slack_users(uow).values(), overrides)
    taken = _taken(found)
    changes = _changes(rows, found, taken)
    if changes:
        tying = sa.update(person).where(person.c.id == sa.bindparam("who"))
        # Two steps: an account that moves from one person to another must be free in between (it is unique).
        uow.execute(tying.values(slack_id=None), [{"who": change["who"]} for change in changes])
        uow.execute(
            tying.values(
                match=sa.bindparam("state"),
                slack_id=sa.bindparam("account"),
                matched_by=sa.bindparam("step"),
                seen_at=now,
            ),
            changes,
        )
        _hand_over_choices(uow, {row.id: taken[row.slack_id] for row in rows if row.slack_id in taken})
    return _report(found)


def settled(uow: UnitOfWork, overrides: Sequence[Override]) -> MatchReport | None:
    """The report of :func:`match`, where it would change nothing; None where it would. Reads only."""
    rows = uow.rows(_PEOPLE)
    found = judge_all(map(_candidate, rows), people.slack_users(uow).values(), overrides)
    return None if _changes(rows, found, _taken(found)) else _report(found)


def _taken(found: Matching) -> dict[str, str]:
    """Account -> who is tied to it."""
    return {tie.account: who for who, tie in found.ties.items() if tie.account is not None}


def _changes(
    rows: Sequence[sa.Row[Any]], found: Matching, taken: Mapping[str, str]
) -> list[dict[str, str | None]]:
    """What is to be written of whom: of everybody active, and of leavers whose account somebody else has now."""
    changes: list[dict[str, str | None]] = []
    for row in rows:
        if row.active:
            tie = found.ties[row.id]
            wanted = (tie.state, tie.account, tie.by)
        elif row.slack_id in taken:
            wanted = (UNMATCHED, None, None)
        else:
            continue
        if wanted != (row.match, row.slack_id, row.matched_by):
            changes.append(dict(zip(("who", "state", "account", "step"), (row.id, *wanted), strict=True)))
    return changes


def _hand_over_choices(uow: UnitOfWork, heirs: Mapping[str, str]) -> None:
    """``heirs``: who had an account -> who has it now. Whoever chose something themselves keeps that."""
    moved = {before: now for before, now in heirs.items() if before != now}
    theirs = _choices(uow, {*moved, *moved.values()})
    given = [
        {**theirs[before], "person": now}
        for before, now in sorted(moved.items())
        if before in theirs and now not in theirs
    ]
    if given:
        uow.execute(sa.insert(preference), given)


def _choices(uow: UnitOfWork, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    return {
        row.person: dict(row._mapping)  # noqa: SLF001 - how a row is read as a mapping
        for chunk in chunks(ids)
        for row in uow.rows(of_ids(_PREFERENCE, preference.c.person), {"ids": chunk})
    }


def _report(found: Matching) -> MatchReport:
    ties = sorted(found.ties.items())

    def those(state: str) -> tuple[str, ...]:
        return tuple(who for who, tie in ties if tie.state == state)

    return MatchReport(
        matched=those(MATCHED),
        unmatched=those(UNMATCHED),
        ambiguous=those(AMBIGUOUS),
        guests=those(GUEST),
        bots=those(BOT),
        deactivated=those(DEACTIVATED),
        second=those(SECOND),
        excluded=those(EXCLUDED),
        by=dict(Counter(tie.by for _, tie in ties if tie.state == MATCHED and tie.by is not None)),
        faults=found.faults,
    )


_PREFERENCE = sa.select(preference)
_PEOPLE = sa.select(
    person.c.id,
    person.c.source,
    person.c.crm_id,
    person.c.email,
    person.c.active,
    person.c.sso_ids,
    person.c.match,
    person.c.matched_by,
    person.c.slack_id,
)


def _candidate(row: sa.Row[Any]) -> Candidate:
    return Candidate(
        id=row.id,
        source=row.source,
        crm_id=row.crm_id,
        email=row.email,
        active=row.active,
        sso_ids=tuple(row.sso_ids or ()),
        account=row.slack_id,
    )
