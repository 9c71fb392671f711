"""What the command line asks for once: import, look ahead, preview, export, stop. Opens what it needs, and closes it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bot.clock import SystemClock
from bot.config import Settings, read_settings
from bot.connectors.mapping import mapping_file
from bot.connectors.spreadsheet import open_spreadsheet
from bot.content.load import Content, load
from bot.content.preview import preview
from bot.delivery.blocks import to_blocks
from bot.delivery.console import readable
from bot.delivery.slack import connect
from bot.domain.attention import PERSONAL
from bot.domain.errors import FullsteamError
from bot.domain.messages import Message
from bot.domain.programme import Programme
from bot.services import export_feedback
from bot.services.list_unmatched import Standing, list_unmatched
from bot.services.match_people import match
from bot.services.plan_messages import Planned, plan
from bot.services.poll_crm import PollReport, import_files
from bot.services.stop_sending import start_sending, stop_sending
from bot.wiring import (
    all_sources,
    all_triggers,
    directory_of,
    let_go,
    programme_and_content,
)
from bot.workdays import PublicHolidays
from store import audit, inbox
from store.database import Database, migrate, open_database

COMMAND_LINE = "command line"
NOT_AVAILABLE = "not available"
"""What a plan says of a reason that is the person's own: who stopped, paused or is blocked is theirs to tell."""


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    migrate(settings.database_url)
    database = open_database(settings.database_url)
    try:
        yield database
    finally:
        database.close()


def switch_sending(*, stopped: bool, why: str = "") -> tuple[bool, str]:
    """``fullsteam stop`` and ``start``: whether anything changed, and in which database (without its password).

    Raises Permanent when there is no such database: a brake that pulls nothing must not say that it holds.
    """
    database = open_database(read_settings(crms=False).database_url)
    now = SystemClock().now()
    try:
        if stopped:
            changed = database.write_now(stop_sending, by=COMMAND_LINE, now=now, why=why)
        else:
            changed = database.write_now(start_sending, by=COMMAND_LINE, now=now)
    finally:
        database.close()
    return changed, database.shown


@dataclass(frozen=True, slots=True)
class Matched:
    """How the people of the CRM met those of Slack. ``why_not``: why Slack was not asked, None when it was.

    ``identities``: the name of the identity file, "" when there is none.
    """

    standing: Standing
    why_not: str | None = None
    identities: str = ""


def import_once(mapping: Path, data: Path | None) -> tuple[PollReport, Matched]:
    """``fullsteam import``: read everything, remember the source, and match people where a Slack token is set."""
    settings = read_settings(programme=True)
    programme, _ = programme_and_content(settings)
    mapping = mapping_file(mapping)
    folder = (data or mapping.parent).resolve()
    connector = open_spreadsheet(mapping, folder, settle=timedelta(0), record_link=programme.record_link)
    with _opened(settings) as database:
        report = asyncio.run(
            import_files(
                database,
                connector,
                programme,
                SystemClock().now(),
                kind="spreadsheet",
                settings={"mapping": str(mapping.resolve()), "data": str(folder)},
            )
        )
        why_not = asyncio.run(_match(settings, database, programme))
        standing = database.read_now(list_unmatched, programme)
    identities = settings.identities.name if settings.identities is not None else ""
    return report, Matched(standing, why_not, identities)


async def _match(settings: Settings, database: Database, programme: Programme) -> str | None:
    if settings.slack_bot_token is None:
        return "FULLSTEAM_SLACK_BOT_TOKEN is not set"
    token = settings.slack_bot_token.get_secret_value()
    async with connect(token, api_url=settings.slack_api_url) as connection:
        try:
            await match(database, directory_of(settings, connection), programme, SystemClock().now())
        except FullsteamError as error:
            return str(error)
    return None


def plan_ahead(days: int) -> list[dict[str, str]]:
    """``fullsteam plan``: who would get what, and why not. Reads only."""
    settings = read_settings("secret", programme=True)
    programme, content = programme_and_content(settings)
    database = open_database(settings.database_url)
    try:
        return asyncio.run(_plan_ahead(settings, programme, content, database, days))
    finally:
        database.close()


async def _plan_ahead(
    settings: Settings, programme: Programme, content: Content, database: Database, days: int
) -> list[dict[str, str]]:
    assert settings.secret is not None
    connectors = (await all_sources(settings, database, programme)).opened
    report = await plan(
        database,
        connectors=connectors,
        content=content,
        programme=programme,
        triggers=all_triggers(),
        holidays=PublicHolidays(),
        secret=settings.secret.get_secret_value().encode(),
        workspace="plan",  # no draw is shown
        now=SystemClock().now(),
        dry_run=True,
        days=days,
    )
    await let_go(connectors)
    return [told(each) for each in report.planned]


def told(planned: Planned) -> dict[str, str]:
    """One line of the plan, without what only the person may know."""
    why = planned.reason or (f"{planned.trigger}: {planned.count}" if planned.trigger else planned.kind or "")
    return {
        "day": planned.day.isoformat(),
        "name": planned.name,
        "gets": "" if planned.action == "none" else planned.action,
        "why": NOT_AVAILABLE if planned.reason in PERSONAL else why,
    }


def preview_tip(tip: str, *, language: str, role: str | None) -> tuple[list[dict[str, Any]], str]:
    """Block Kit, and the message as a reader sees it, with example records: the same code path as production."""
    shown: Message = preview(load(read_settings().content), tip, language, role)
    return to_blocks(shown), readable(shown)


def tips_listed() -> list[tuple[str, str, str, str]]:
    """Id, trigger, goal and roles of every tip."""
    tips = load(read_settings().content).tips
    return [(tip.id, tip.trigger, tip.goal, ", ".join(sorted(tip.roles))) for _, tip in sorted(tips.items())]


def export_feedback_text(actor: str, fmt: str, *, stages: bool) -> tuple[str, int]:
    """``fullsteam export feedback``: the text and how many items it has."""
    settings = read_settings(programme=True)
    programme, _ = programme_and_content(settings)
    with _opened(settings) as database:
        rows = export_feedback.read_feedback(
            database, actor, programme, SystemClock().now(), user=_user(), stages=stages
        )
    return (export_feedback.to_csv(rows) if fmt == "csv" else _as_json(rows)), len(rows)


def audit_rows_verified() -> int:
    """``fullsteam audit verify``: how many rows hold. Raises BrokenChain."""
    with _opened(read_settings()) as database:
        return database.read_now(audit.verify)


def dead_envelopes() -> list[dict[str, str]]:
    """``fullsteam inbox list``: without what anybody wrote, and without who."""
    with _opened(read_settings()) as database:
        return [
            {
                "received": f"{row.received_at:%Y-%m-%d %H:%M} UTC",
                "key": row.key,
                "what": f"{row.kind} {row.name}",
                "why": row.reason,
            }
            for row in database.read_now(inbox.dead)
        ]


def revive_envelopes(key: str | None) -> int:
    """``fullsteam inbox revive``: how many are worked again."""
    with _opened(read_settings()) as database:
        return database.write_now(inbox.revive, SystemClock().now(), key)


def _user() -> str:
    """Who runs this, as the operating system knows them: ``--as`` is only what they say."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _as_json(rows: Sequence[export_feedback.ExportedRow]) -> str:
    return json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False, default=str) + "\n"
