"""What people said, for those who may read it, in the mode that its author chose. Every export is in the audit log.

So is every export that was refused. What stands beside confidential words was settled when they were released.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime

from bot.domain.adoption import STAGE_NAMES
from bot.domain.errors import Refused
from bot.domain.feedback import NAMED, Feedback
from bot.domain.people import Person
from bot.domain.programme import SEE_CONFIDENTIAL_TEXT, SEE_NAME_WITH_STAGE, SEE_NAMED_FEEDBACK, Programme
from bot.services.release_confidential import release_confidential
from store import audit, feedback, people
from store.database import Database, UnitOfWork

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
"""Beginnings that a spreadsheet runs instead of showing (owasp.org/www-community/attacks/CSV_Injection)."""


@dataclass(frozen=True, slots=True)
class ExportedRow:
    """One thing that somebody said, as the reader may see it. Empty: not for this reader, or not known.

    ``day``: the day of named feedback; of confidential feedback only the Monday of its week. ``team``: the manager's name.
    """

    kind: str
    mode: str
    text: str
    name: str
    team: str
    stage: str
    behaviour: str
    barrier: str
    owner: str
    day: date


def read_feedback(
    database: Database,
    actor_email: str,
    programme: Programme,
    now: datetime,
    *,
    user: str,
    stages: bool = False,
) -> tuple[ExportedRow, ...]:
    """:func:`export`, with a row in the audit log also when it is refused. ``user``: the operating system's name for the actor."""
    try:
        return database.write_now(export, actor_email, programme, now, user=user, stages=stages)
    except Refused:
        detail = {"user": user, "stages": stages}
        database.write_now(
            audit.append, now, _fold(actor_email), "feedback-export-refused", "feedback", detail
        )
        raise


def export(
    uow: UnitOfWork, actor_email: str, programme: Programme, now: datetime, *, user: str, stages: bool = False
) -> tuple[ExportedRow, ...]:
    """Visible feedback, oldest first. ``stages``: names with stages, for the privacy officer only.

    The adoption lead reads all of it, the owner of a barrier type what is theirs, named or confidential; the privacy officer
    what is named, and nobody else anything. Confidential words that are due are released first, whoever reads. ``user``: who
    the operating system says is asking. Raises Refused with words for the actor; then nothing is written or read.
    """
    actor = _fold(actor_email)
    rights = programme.rights(actor)
    if not may_read(actor, programme):
        raise Refused(
            f"{actor_email} may not read feedback. The adoption lead, the privacy officer and the owners of barriers may."
        )
    if stages and not _may_see_name_with_stage(rights):
        raise Refused(
            f"A name together with a stage is for the privacy officer only ({programme.privacy_officer})."
        )
    released = release_confidential(uow, programme, now)
    rows = readable(uow, actor, programme, now, stages=stages)
    detail = {
        "user": user,
        "rows": len(rows),
        "stages": stages,
        "named": sum(row.mode == NAMED for row in rows),
        "released": released,
    }
    audit.append(uow, now, actor, "feedback-exported", "feedback", detail)
    return tuple(rows)


def may_read(actor_email: str, programme: Programme) -> bool:
    """Whether somebody may read feedback at all: by a role, or as the owner of a kind of barrier."""
    actor = _fold(actor_email)
    owns = actor in {owner.casefold() for owner in programme.owners.values()}
    return owns or SEE_NAMED_FEEDBACK in programme.rights(actor)


def readable(
    uow: UnitOfWork, actor_email: str, programme: Programme, now: datetime, *, stages: bool = False
) -> list[ExportedRow]:
    """What this reader may see of what is visible at ``now``, oldest first; writes nothing. ``stages`` was allowed before."""
    actor = _fold(actor_email)
    rights = programme.rights(actor)
    everybody = people.get(uow)
    rows = []
    for said in feedback.visible(uow, now):
        mine = (said.owner or "").casefold() == actor
        named = _is_named(said)
        if not mine and (SEE_NAMED_FEEDBACK if named else SEE_CONFIDENTIAL_TEXT) not in rights:
            continue
        author = everybody.get(said.person)
        rows.append(
            ExportedRow(
                kind=said.kind,
                mode=str(said.mode),
                text=said.text,
                name=author.name if named and author is not None else "",
                team=_team(everybody.get(said.team or "")) if named or said.with_team else "",
                stage=STAGE_NAMES.get(said.stage or "", "") if named and stages else "",
                behaviour=said.behaviour or "" if named or said.with_behaviour else "",
                barrier=said.barrier_type or "",
                owner=said.owner or "",
                day=said.created_at.date() if named else _monday(said.created_at.date()),
            )
        )
    if not all(row.mode == NAMED for row in rows):
        # In the order in which it was said, a confidential line between two named ones has a day, or an author.
        rows.sort(key=lambda row: (_monday(row.day), row.mode, row.text, row.day))
    return rows


def _fold(email: str) -> str:
    return email.strip().casefold()


def _is_named(said: Feedback) -> bool:
    """Whether its author wants to be named."""
    return said.mode == NAMED


def _may_see_name_with_stage(rights: frozenset[str]) -> bool:
    return SEE_NAME_WITH_STAGE in rights


def to_csv(rows: Sequence[ExportedRow]) -> str:
    """CSV with a header. What a spreadsheet would run as a formula starts with an apostrophe, so that it is text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    names = [each.name for each in fields(ExportedRow)]
    writer.writerow(names)
    for row in rows:
        values = asdict(row)
        writer.writerow([_harmless(str(values[name])) for name in names])
    return out.getvalue()


def _harmless(text: str) -> str:
    first = text.lstrip(" \u00a0\ufeff\u200b")[:1]
    return f"'{text}" if first and first in _FORMULA else text


def _team(manager: Person | None) -> str:
    return manager.name if manager is not None else ""


def _monday(day: date) -> date:
    return date.fromordinal(day.toordinal() - day.weekday())
