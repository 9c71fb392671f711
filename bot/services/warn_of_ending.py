"""Tells the adoption lead that the key of a CRM is about to end: two weeks, one week, three days and a day before."""

from __future__ import annotations

import logging
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from bot.content.load import Content
from bot.content.wording import message as word
from bot.domain.errors import Permanent, Retryable
from bot.domain.ports import Expiring
from bot.domain.programme import Programme
from store import outbox, people
from store.database import Database, UnitOfWork
from store.outbox import NewMessage

log = logging.getLogger(__name__)

STEPS = (1, 3, 7, 14)
"""Days before the end at which it is said, once each."""


async def warn_of_ending(
    database: Database, connector: Expiring, *, content: Content, programme: Programme, now: datetime
) -> bool:
    """Queue a message when a step is reached that was not said yet. True when one was queued.

    A CRM that does not tell is asked again at the next poll.
    """
    try:
        ends = await connector.expires_on()
    except (Retryable, Permanent) as error:
        log.info("key.end_unknown", extra={"source": connector.name, "code": error.code})
        return False
    if ends is None:
        return False
    left = (ends - now.astimezone(ZoneInfo(programme.zone or "UTC")).date()).days
    step = next((each for each in STEPS if 0 <= left <= each), None)
    if step is None:
        return False
    return await database.write(_warn, connector, ends, left, step, content, programme, now)


def _warn(
    uow: UnitOfWork,
    connector: Expiring,
    ends: date,
    left: int,
    step: int,
    content: Content,
    programme: Programme,
    now: datetime,
) -> bool:
    lead = people.by_email(uow, programme.adoption_lead)
    if lead is not None and lead.slack_id is None:
        lead = None  # in the CRM, but not found in Slack as that person
    account = lead.slack_id if lead is not None else people.slack_account(uow, programme.adoption_lead)
    if account is None:
        log.warning("key.nobody_to_tell", extra={"source": connector.name})
        return False
    values = {
        "source": connector.name,
        "ends": ends,
        "days": left,
        "variable": connector.key_setting,
    }
    language = lead.language if lead is not None else programme.language
    queued = outbox.add(
        uow,
        NewMessage(
            dedupe_key=f"key-ends:{connector.name}:{ends.isoformat()}:{step}",
            message=word(content, "key_ends", values, language=language),
            address=account,
            created_at=now,
            due_at=now,
            expires_at=now + timedelta(days=max(left, 1)),
            person=lead.id if lead is not None else None,
        ),
    )
    if queued is not None:
        log.warning("key.ends_soon", extra={"source": connector.name, "days": left})
    return queued is not None
