"""Read Slack's users and tie them to the CRM's people, by e-mail address only."""

from __future__ import annotations

import logging
from datetime import datetime

from bot.domain.ports import Directory
from bot.domain.programme import Programme
from store import people
from store.database import Database

log = logging.getLogger(__name__)


async def match(
    database: Database, directory: Directory, programme: Programme, now: datetime
) -> people.MatchReport:
    """Read every Slack user, page by page, keep those whom the CRM or the programme names, and match. Raises Retryable or Permanent when Slack does not answer:

    what earlier readings matched stays. Whoever is not ``matched`` is listed in the report and never written to.
    """
    async for page in directory.users():
        await database.write(people.keep_slack_users, list(page), now, roles=programme.roles())
    report = await database.write(people.match_by_email, now)
    log.info(
        "people.matched",
        extra={
            "matched": len(report.matched),
            "unmatched": len(report.unmatched),
            "ambiguous": len(report.ambiguous),
            "guests": len(report.guests),
            "bots": len(report.bots),
            "deactivated": len(report.deactivated),
        },
    )
    return report
