"""Read Slack's users and tie them to the CRM's people: the identity file, single sign-on, e-mail address, in this order."""

from __future__ import annotations

import logging
from datetime import datetime

from bot.domain.ports import Directory
from bot.domain.programme import Programme
from store import matching, people
from store.database import Database

log = logging.getLogger(__name__)


async def match(
    database: Database, directory: Directory, programme: Programme, now: datetime
) -> matching.MatchReport:
    """Read every Slack user, page by page, keep those whom the CRM, the programme or the identity file names, and match.

    Raises Retryable or Permanent when Slack does not answer: what earlier readings matched stays. Whoever is not ``matched``
    is listed in the report and never written to.
    """
    named = programme.accounts()
    sought = await database.read(people.sso_ids_sought)
    async for page in directory.users():
        await database.write(people.keep_slack_users, list(page), now, named=named, sought=sought)
    # Nearly always nothing changed: then whoever waits to write does not wait for this.
    report = await database.read(matching.settled, programme.identities)
    if report is None:
        report = await database.write(matching.match, programme.identities, now)
    log.info(
        "people.matched",
        extra={
            "matched": len(report.matched),
            "unmatched": len(report.unmatched),
            "ambiguous": len(report.ambiguous),
            "guests": len(report.guests),
            "bots": len(report.bots),
            "deactivated": len(report.deactivated),
            "second": len(report.second),
            "excluded": len(report.excluded),
            "by": dict(report.by),
            "faults": len(report.faults),
        },
    )
    return report
