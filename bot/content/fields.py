"""What a template may name: the contract between triggers, connectors and those who write tips.

A trigger (``bot/nudges/<trigger>.py``) says that something is timely; the planner then reads the records behind it
(``Connector.evidence``). Their ``RecordRef.details`` hold the keys below: a ``day`` as an ISO date (``"2026-11-03"``),
a ``number`` as digits (``"112"``), ``text`` as it is. A key that a CRM does not know is left out, never filled by a guess:
the line about the record is then shorter, and a tip whose own words name it is not sent (rendering.MissingField).

Names in every tip: ``count`` (how many records, or the trigger's own number), ``crm`` (its name here), ``first_name``,
``records`` (a list; each has ``name``, ``link`` and the details of the trigger), ``today``, ``language``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from bot.rendering import Schema

DAY = "day"
NUMBER = "number"
TEXT = "text"


@dataclass(frozen=True, slots=True)
class TriggerFields:
    """What a trigger offers. ``metric``: the snapshot behind it, None when it names no records.

    ``behaviour``: the behaviour it is about, "" when each of its tips says so (then the planner takes the tips whose
    behaviour the person's role has and does not show yet). ``details``: key of RecordRef.details -> DAY, NUMBER or TEXT.
    ``meaning``: what makes it timely, for those who write tips. ``example``: details of the records in a preview.
    """

    meaning: str
    behaviour: str = ""
    metric: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    example: tuple[Mapping[str, str], ...] = ()

    @property
    def records(self) -> bool:
        return self.metric is not None


TRIGGERS: Mapping[str, TriggerFields] = {
    "past_close_date": TriggerFields(
        "open deals whose expected close date is in the past",
        "close_dates_in_future",
        "opps_past_close",
        {"close_date": DAY},
        ({"close_date": "2026-11-03"}, {"close_date": "2026-11-09"}),
    ),
    "no_next_step": TriggerFields(
        "open deals without a next step, a week after they began",
        "next_step_set",
        "opps_no_next_step",
        {"step": TEXT, "days_open": NUMBER},
        ({"step": "Proposal", "days_open": "34"}, {"step": "Discovery", "days_open": "12"}),
    ),
    "no_activity": TriggerFields(
        "open deals without any activity for 30 days",
        "recent_activity",
        "opps_no_activity_30d",
        {"last_activity": DAY, "days_quiet": NUMBER},
        ({"last_activity": "2026-10-02", "days_quiet": "38"}, {"days_quiet": "33"}),
    ),
    "stuck_step": TriggerFields(
        "open deals in the same step for 60 days or longer",
        "deals_move",
        "opps_stuck_step",
        {"step": TEXT, "days_in_step": NUMBER},
        ({"step": "Proposal", "days_in_step": "74"}, {"step": "Discovery", "days_in_step": "61"}),
    ),
    "missing_amount": TriggerFields(
        "open deals without an amount, a week after they began",
        "amount_filled",
        "opps_missing_amount",
        {"step": TEXT, "days_open": NUMBER},
        ({"step": "Proposal", "days_open": "21"}, {"days_open": "15"}),
    ),
    "missing_account": TriggerFields(
        "open deals without an account, a week after they began",
        "account_filled",
        "opps_missing_account",
        {"step": TEXT, "days_open": NUMBER, "product": TEXT},
        ({"product": "GTX Pro", "days_open": "41"}, {"product": "MG Special", "days_open": "17"}),
    ),
    "open_long": TriggerFields(
        "deals open longer than three quarters of the person's own won deals took",
        "deals_closed_in_time",
        "opps_open_long",
        {"days_open": NUMBER, "usual_days": NUMBER, "step": TEXT},
        (
            {"days_open": "112", "usual_days": "78", "step": "Proposal"},
            {"days_open": "97", "step": "Discovery"},
        ),
    ),
    "first_weeks": TriggerFields(
        "a person in their first weeks with the CRM who does not show a behaviour of their role yet; count: the week",
    ),
}
COMMON: Schema = {"count": None, "crm": None, "first_name": None}
RECORD = frozenset({"name", "link"})


def tip_schema(trigger: str) -> Schema:
    """Names that the words of a tip on this trigger may use."""
    fields = TRIGGERS.get(trigger)
    if fields is None or not fields.records:
        return COMMON
    return {**COMMON, "records": RECORD | frozenset(fields.details)}


def detail_schema(trigger: str) -> Schema:
    """Names that the line about one record may use: the record's details, each a value of its own."""
    return dict.fromkeys(TRIGGERS[trigger].details)


def typed(trigger: str, details: Mapping[str, str]) -> dict[str, object]:
    """Details as values: those the trigger does not declare, that are empty or not of their type, are left out."""
    values: dict[str, object] = {}
    for key, kind in TRIGGERS[trigger].details.items() if trigger in TRIGGERS else ():
        raw = str(details.get(key) or "").strip()
        if not raw:
            continue
        try:
            values[key] = _typed(kind, raw)
        except ValueError:
            continue
    return values


def _typed(kind: str, raw: str) -> object:
    if kind == DAY:
        return date.fromisoformat(raw[:10])
    if kind == TEXT:
        return raw
    number = float(raw)
    if not math.isfinite(number):
        raise ValueError(raw)
    return int(number) if number.is_integer() else round(number, 1)
