"""Forget what was kept long enough. Runs daily; running it twice forgets nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.programme import Programme
from bot.services.assess_stages import stages_wait
from bot.services.poll_crm import last_day
from store import outbox, people, retention, usage
from store.database import UnitOfWork

MESSAGES = timedelta(days=7)
"""Texts with CRM values, after a message is settled."""
RAW_USAGE = timedelta(days=35)
PERSON_WEEKS = timedelta(days=13 * 31)
"""13 months, the longest there are."""
TEXT = timedelta(days=731)
"""24 months: what people said, what they were sent and why, their stages, and those who left."""
ENVELOPES = timedelta(days=35)
"""Slack repeats an envelope for a day at most; the keys stay for a month in which somebody may ask."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows of each were blanked or deleted."""

    messages: int
    usage_days: int
    person_weeks: int
    words: int
    decisions: int
    envelopes: int
    stages: int
    sent: int
    accounts: int
    leavers: int


def forget_expired(uow: UnitOfWork, programme: Programme, now: datetime) -> Forgotten:
    """Blank and delete everything that has had its time.

    Raw usage stays until the stages are assessed from it: a poll that broke off before that would leave a first import,
    which brings more than 35 days, without the coverage that its weeks are judged by.
    """
    today = last_day(programme, 0, now)
    return Forgotten(
        messages=outbox.blank_old(uow, now - MESSAGES),
        usage_days=0 if stages_wait(uow) else usage.forget_raw(uow, today - RAW_USAGE),
        person_weeks=retention.forget_weeks(uow, today - PERSON_WEEKS),
        words=retention.forget_words(uow, now - TEXT),
        decisions=retention.forget_decisions(uow, now - TEXT),
        envelopes=retention.forget_envelopes(uow, now - ENVELOPES, now - TEXT),
        stages=retention.forget_features(uow, today - PERSON_WEEKS)
        + retention.forget_stages(uow, today - TEXT),
        sent=retention.forget_sent(uow, now - TEXT),
        accounts=people.forget_slack_users(uow, programme.accounts()),
        leavers=retention.forget_leavers(uow, now - TEXT),
    )
