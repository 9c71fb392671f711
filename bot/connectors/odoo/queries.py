"""What Odoo is asked: every grouped query that a poll sends, and what its groups mean.

One grouped query for each number, whatever the count of people. Days are UTC days: groups of a datetime are cut in the
context's time zone, which is always sent as UTC, and read by their range, never by their label, which is in words.
Lost opportunities are archived, so closings are asked for with ``active_test`` off, and open ones with it on.

Sources: Odoo's own models at github.com/odoo/odoo: addons/crm/models/crm_lead.py, addons/mail/models/mail_message.py,
mail_activity.py and mail_tracking_value.py, addons/calendar/models/calendar_event.py, odoo/addons/base/models/res_users.py;
addons/web/models/models.py (formatted_read_group), odoo/models.py (read_group).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from bot.connectors.open_records import grace_day, quiet_day, stuck_day
from bot.domain.usage import METRICS

GROUPS = 20_000
"""Groups in one answer; more are asked for by their offset. About 5 MB."""
ROWS = 2_000
"""Records in one answer where records are read; more are asked for by their id."""

_LARGEST = int(sys.float_info.max)
"""Beyond it there is no number that could be added up: infinity, and integers of 400 digits."""
CREATED_ON = "create_date:day"
Row = Mapping[str, Any]
Domain = list[Any]
Number = tuple[str, date | None, float]
"""(metric, day of an event or None for a snapshot, how much)."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """``name``: what it is called in a group; ``function`` of ``field``: ``sum``, ``count`` (of what is set), ``max``."""

    name: str
    field: str
    function: str

    @property
    def spec(self) -> str:
        """As formatted_read_group wants it, and calls it in its groups."""
        return f"{self.field}:{self.function}"


@dataclass(frozen=True, slots=True)
class Question:
    """One grouped query. ``where``: a domain with ``{a}``, ``{b}`` (instants), ``{today}`` … for what is asked about.

    ``key``: the field of the person that groups are counted for; an ``author_id`` is a contact, and somebody's only where a
    user has that contact. ``group``: what else they are grouped by. ``read``: a group -> its numbers; raises ValueError.
    ``archived``: records that are archived count as well. ``fields``: what is read of each record where a grouped read is
    refused, () where there is no such way. ``since``: the first version that can be asked so.
    """

    metrics: tuple[str, ...]
    model: str
    key: str
    where: Domain
    read: Callable[[Row], Sequence[Number]]
    group: tuple[str, ...] = ()
    aggregates: tuple[Aggregate, ...] = ()
    archived: bool = True
    fields: tuple[str, ...] = ()
    since: int = 16

    @property
    def groupby(self) -> list[str]:
        """The person, then the rest."""
        return [self.key, *self.group]

    def domain(self, named: Mapping[str, str]) -> Domain:
        """The domain for a span or a day."""
        found: Domain = filled(self.where, named)
        return found


def filled(domain: Any, named: Mapping[str, str]) -> Any:
    """A domain with its placeholders filled in."""
    if isinstance(domain, list):
        return [filled(part, named) for part in domain]
    return domain.format_map(named) if isinstance(domain, str) and domain.startswith("{") else domain


def number_of(row: Row, key: str) -> float:
    """A number. Raises ValueError for what is none, a text that looks like one and what is too large included."""
    value = row.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST:
        return float(value)
    raise ValueError(f"{str(value)[:40]!r} is no number")


def _sum(row: Row, key: str) -> float:
    """A sum: ``false`` or null when there was nothing to add."""
    return 0.0 if row.get(key) is None or row.get(key) is False else number_of(row, key)


def day_of(value: object) -> date:
    """The day of a date, or of a naive UTC instant, as Odoo writes them. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no day")  # noqa: TRY004 - of a row, not of the program
    try:
        return date.fromisoformat(value[:10])
    except ValueError as error:
        raise ValueError(f"{value!r} is no day") from error


def _event(metric: str, day: str) -> Callable[[Row], Sequence[Number]]:
    def read(row: Row) -> Sequence[Number]:
        return ((metric, day_of(row.get(day)), number_of(row, "n")),)

    return read


def _state(metric: str) -> Callable[[Row], Sequence[Number]]:
    def read(row: Row) -> Sequence[Number]:
        return ((metric, None, number_of(row, "n")),)

    return read


def _by_type(stem: str, day: str) -> Callable[[Row], Sequence[Number]]:
    """Leads and opportunities are one model."""

    def read(row: Row) -> Sequence[Number]:
        kind = row.get("type")
        if kind not in {"lead", "opportunity"}:
            raise ValueError(f"{kind!r} is no type of lead")
        return ((f"{stem}.{kind}", day_of(row.get(day)), number_of(row, "n")),)

    return read


def _by_company(stem: str, day: str) -> Callable[[Row], Sequence[Number]]:
    """Companies and people are one model."""

    def read(row: Row) -> Sequence[Number]:
        thing = "account" if row.get("is_company") is True else "contact"
        return ((f"{stem}.{thing}", day_of(row.get(day)), number_of(row, "n")),)

    return read


def _closing(row: Row) -> Sequence[Number]:
    day = day_of(row.get("date_closed:day"))
    return (
        ("won_count", day, number_of(row, "n")),
        ("won_amount", day, _sum(row, "amount")),
        ("cycle_days", day, _sum(row, "days")),
    )


def _records(stem: str, key: str, moment: str) -> tuple[Question, ...]:
    """One question for each model whose records are counted."""
    day = f"{moment}:day"
    where: Domain = [[moment, ">=", "{a}"], [moment, "<", "{b}"]]
    return (
        Question(
            (f"{stem}.opportunity", f"{stem}.lead"),
            "crm.lead",
            key,
            where,
            _by_type(stem, day),
            (day, "type"),
        ),
        Question(
            (f"{stem}.account", f"{stem}.contact"),
            "res.partner",
            key,
            [*where, ["partner_share", "=", True]],
            _by_company(stem, day),
            (day, "is_company"),
        ),
        Question((f"{stem}.case",), "helpdesk.ticket", key, where, _event(f"{stem}.case", day), (day,)),
    )


def _not_when_created(question: Question) -> Question:
    """The same without what was created on the day itself: two fields cannot be compared in a domain, so groups have both days."""
    day, *rest = question.group

    def read(row: Row) -> Sequence[Number]:
        return question.read(row) if _is_older(row, day) else ()

    where = [*question.where, ["create_date", "!=", False]]
    return replace(question, where=where, read=read, group=(day, CREATED_ON, *rest))


def _is_older(row: Row, day: str) -> bool:
    """Whether the records of a group were created before ``day``. Raises ValueError."""
    return day_of(row.get(CREATED_ON)) < day_of(row.get(day))


CRM_MODELS = ["crm.lead", "res.partner"]
"""What activities and mails are counted on: what an integration user of sales may read."""
_IN_SPAN = [["date", ">=", "{a}"], ["date", "<", "{b}"]]
_WON = [["type", "=", "opportunity"], ["stage_id.is_won", "=", True], ["probability", "=", 100]]
_LOST = [["type", "=", "opportunity"], ["active", "=", False], ["probability", "=", 0]]
_CLOSED_IN_SPAN = [["date_closed", ">=", "{a}"], ["date_closed", "<", "{b}"]]

CREATED = _records("records_created", "create_uid", "create_date")
UPDATED = tuple(map(_not_when_created, _records("records_updated", "write_uid", "write_date")))
"""What was created on the day itself is no change. Odoo keeps a record's last change only: asked of fresh days."""
CHANGES = frozenset(metric for question in UPDATED for metric in question.metrics)
FRESH = timedelta(hours=12)
"""How long a day's changes can be read once it is over: later, most of what was changed on it has been changed again."""
EVENTS: tuple[Question, ...] = (
    *CREATED,
    *UPDATED,
    Question(
        ("activities_completed.meeting",),
        "calendar.event",
        "user_id",
        [["start", ">=", "{a}"], ["start", "<", "{until}"]],
        _event("activities_completed.meeting", "start:day"),
        ("start:day",),
        archived=False,
    ),
    Question(
        ("won_count", "won_amount", "cycle_days"),
        "crm.lead",
        "user_id",
        [*_WON, *_CLOSED_IN_SPAN],
        _closing,
        ("date_closed:day",),
        (Aggregate("amount", "expected_revenue", "sum"), Aggregate("days", "day_close", "sum")),
    ),
    Question(
        ("lost_count",),
        "crm.lead",
        "user_id",
        [*_LOST, *_CLOSED_IN_SPAN],
        _event("lost_count", "date_closed:day"),
        ("date_closed:day",),
    ),
)
"""Events of a span of days, one question each. A meeting counts once it has begun: its span ends now at the latest."""

MAILS = Question(
    ("activities_completed.email",),
    "mail.message",
    "author_id",
    [
        *_IN_SPAN,
        ["model", "in", CRM_MODELS],
        ["message_type", "=", "comment"],
        ["subtype_id.internal", "=", False],
        ["mail_activity_type_id", "=", False],
    ],
    _event("activities_completed.email", "date:day"),
    ("date:day",),
    fields=("author_id", "date"),
)
"""Mails that somebody sent from a record: a comment under a subtype that is not internal, which followers get as mail."""
DONE = ("call", "email", "task")


def done(kinds: Mapping[int, str]) -> Question:
    """Activities that were marked as done: each leaves a message on its record. ``kinds``: activity type -> call, email, task.

    Types of meetings are left out: their meetings are read from the calendar.
    """

    def read(row: Row) -> Sequence[Number]:
        kind = kinds.get(int(number_of(row, "mail_activity_type_id")), "task")
        day, count = day_of(row.get("date:day")), number_of(row, "n")
        return ((f"activities_completed.{kind}", day, count),) if kind in DONE else ()

    return Question(
        tuple(f"activities_completed.{kind}" for kind in DONE),
        "mail.message",
        "author_id",
        [*_IN_SPAN, ["model", "in", CRM_MODELS], ["mail_activity_type_id", "!=", False]],
        read,
        ("date:day", "mail_activity_type_id"),
        fields=("author_id", "date", "mail_activity_type_id"),
    )


STEP_SUBTYPES = frozenset({"crm.mt_lead_stage", "crm.mt_lead_won", "crm.mt_lead_lost"})
"""What a lead's own thread says when it moves to another stage, is won or is lost."""


def step_moves(subtypes: Iterable[int]) -> Question:
    """Moves to another stage, by who moved it. ``subtypes``: the ids that STEP_SUBTYPES have in this database."""
    return Question(
        ("step_moves",),
        "mail.message",
        "author_id",
        [*_IN_SPAN, ["model", "=", "crm.lead"], ["subtype_id", "in", sorted(subtypes)]],
        _event("step_moves", "date:day"),
        ("date:day",),
        fields=("author_id", "date"),
    )


OPEN: Domain = [
    ["type", "=", "opportunity"],
    ["active", "=", True],
    ["user_id", "!=", False],
    "|",
    ["stage_id", "=", False],
    ["stage_id.is_won", "=", False],
]
RECENT: Domain = [
    ["date", ">=", "{quiet}"],
    "|",
    ["mail_activity_type_id", "!=", False],
    ["message_type", "in", ["email", "comment"]],
]
"""Activity on a record: a mail, a note, or an activity that was marked as done; not what Odoo writes by itself."""
FLAWS: Mapping[str, tuple[str, Domain]] = {
    "opps_open": ("crm.lead", OPEN),
    "opps_past_close": ("crm.lead", [*OPEN, ["date_deadline", "<", "{today}"]]),
    "opps_no_next_step": (
        "crm.lead",
        [*OPEN, ["activity_ids", "=", False], ["create_date", "<", "{grace}"]],
    ),
    "opps_no_activity_30d": (
        "crm.lead",
        [*OPEN, ["create_date", "<", "{quiet}"], ["message_ids", "not any", RECENT]],
    ),
    "opps_stuck_step": (
        "crm.lead",
        [
            *OPEN,
            "|",
            ["date_last_stage_update", "<", "{stuck}"],
            "&",
            ["date_last_stage_update", "=", False],
            ["create_date", "<", "{stuck}"],
        ],
    ),
    "opps_missing_amount": (
        "crm.lead",
        [
            *OPEN,
            "|",
            ["expected_revenue", "=", False],
            ["expected_revenue", "=", 0],
            ["create_date", "<", "{grace}"],
        ],
    ),
    "opps_missing_account": (
        "crm.lead",
        [*OPEN, ["partner_id", "=", False], ["create_date", "<", "{grace}"]],
    ),
    "tasks_overdue": (
        "mail.activity",
        [["res_model", "in", CRM_MODELS], ["user_id", "!=", False], ["date_deadline", "<", "{today}"]],
    ),
}
"""Snapshot metrics with records behind them: model, and which of its records are counted."""
SINCE = {"opps_no_activity_30d": 17}
"""The first version that can be asked: a domain has ``not any`` from Odoo 17 on."""
STATES: tuple[Question, ...] = tuple(
    Question((metric,), model, "user_id", where, _state(metric), archived=False, since=SINCE.get(metric, 16))
    for metric, (model, where) in FLAWS.items()
    if metric != "opps_open"
)


def _open(row: Row) -> Sequence[Number]:
    return (("opps_open", None, number_of(row, "n")), ("pipeline_amount", None, _sum(row, "amount")))


PIPELINE = Question(
    ("opps_open", "pipeline_amount", "field_completeness"),
    "crm.lead",
    "user_id",
    OPEN,
    _open,
    aggregates=(
        Aggregate("amount", "expected_revenue", "sum"),
        Aggregate("accounts", "partner_id", "count"),
        Aggregate("dates", "date_deadline", "count"),
    ),
    archived=False,
)
"""Open opportunities of everybody, with how many have a customer and an expected closing date."""
VALUED = Question(
    ("field_completeness",),
    "crm.lead",
    "user_id",
    [*OPEN, ["expected_revenue", ">", 0]],
    lambda _row: (),
    archived=False,
)
"""How many of them have an amount: Odoo knows no amount that is not set, it is 0."""
REQUIRED = 3
"""Fields that every open opportunity should have: customer, expected closing date, expected revenue."""

USER_FIELDS = (
    "id",
    "name",
    "login",
    "email",
    "active",
    "share",
    "tz",
    "lang",
    "partner_id",
    "login_date",
    "create_date",
    "sale_team_id",
    "function",
    "oauth_uid",
)
USERS: Domain = [["share", "=", False]]
DEAL = (
    "name",
    "user_id",
    "create_date",
    "date_deadline",
    "expected_revenue",
    "partner_id",
    "stage_id",
    "date_last_stage_update",
    "activity_ids",
)
TASK = ("summary", "activity_type_id", "user_id", "date_deadline", "res_model", "res_id", "res_name")
TRACKED = ("create_uid", "create_date", "old_value_datetime", "new_value_datetime")
"""Of ``mail.tracking.value``: who changed a date, when, from what, to what."""


def pushes(version: int) -> Domain:
    """Changes of the expected closing date. The field that was changed is called ``field`` before Odoo 17."""
    name = "field_id" if version >= 17 else "field"
    return [
        ["create_date", ">=", "{a}"],
        ["create_date", "<", "{b}"],
        [f"{name}.model", "=", "crm.lead"],
        [f"{name}.name", "=", "date_deadline"],
    ]


ON_LEADS = frozenset(
    {
        metric
        for question in (*EVENTS, *STATES, PIPELINE)
        for metric in question.metrics
        if question.model == "crm.lead"
    }
    | {*done({}).metrics, *MAILS.metrics, "step_moves", "tasks_overdue"}
)
"""What is counted on leads and opportunities, messages and planned activities on them included: they are hidden with them."""
READ = frozenset(
    {"active_day", "opps_open", "pipeline_amount", "field_completeness", "step_moves", "close_date_pushes"}
    | {metric for question in (*EVENTS, *STATES) for metric in question.metrics}
    | {f"activities_completed.{kind}" for kind in DONE}
)
"""The metrics that this connector reads; the others are ``unsupported``."""
_WHY = {
    "quota_attainment": "Odoo has targets for teams only, not for people",
    "opps_open_long": "Odoo gives no percentile of the days that somebody's own deals took",
}
UNSUPPORTED = {
    metric: _WHY.get(metric, f"{metric} is not said by Odoo's models")
    for metric in METRICS
    if metric not in READ
}


def instant(day: date) -> str:
    """The beginning of a UTC day as Odoo writes it: naive."""
    return f"{day.isoformat()} 00:00:00"


def written(moment: datetime) -> str:
    """An instant as Odoo writes it: naive UTC, whole seconds."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def is_fresh(day: date, now: datetime) -> bool:
    """Whether most changes of a day are a record's last one still: it is not over for long, by UTC."""
    return now < datetime.combine(day + timedelta(days=1), time(), UTC) + FRESH


def span(first: date, last: date, now: datetime) -> dict[str, str]:
    """What a question's ``where`` names for these days. ``until``: nothing after ``now``."""
    end = datetime.combine(last + timedelta(days=1), time(), UTC)
    return {
        "a": instant(first),
        "b": written(end),
        "until": written(max(min(end, now), datetime.combine(first, time(), UTC))),
    }


def thresholds(today: date) -> dict[str, str]:
    """What the flaws are measured by on a day: the same ages as bot/domain/usage.py says them, in whole days."""
    return {
        "today": today.isoformat(),
        "grace": instant(grace_day(today)),
        "quiet": instant(quiet_day(today)),
        "stuck": instant(stuck_day(today)),
    }
