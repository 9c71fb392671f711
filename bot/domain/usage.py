"""Usage facts, the metric vocabulary (one meaning in every CRM) and coverage.

A fact is one person's numbers on one day. The day is the finest grain: no time of day of anybody's CRM use is kept.
**Coverage** says, per metric and day, whether a number may be read at all: no data is never "no use".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

PERCENT = "percent"
"""The unit of what does not add up over people."""


class MetricKind(StrEnum):
    """How a metric adds up: ``event`` sums over days, ``snapshot`` is a state as of a day, ``presence`` is 0 or 1."""

    EVENT = "event"
    SNAPSHOT = "snapshot"
    PRESENCE = "presence"


@dataclass(frozen=True, slots=True)
class Metric:
    """``column``: the name in the wide usage table. ``meaningful``: it changes something, which makes a meaningful day."""

    key: str
    kind: MetricKind
    unit: str
    meaning: str
    meaningful: bool = False

    @property
    def column(self) -> str:
        """Column of the wide usage table."""
        return self.key.replace(".", "_")


def _vocabulary() -> dict[str, Metric]:
    event, snapshot, presence = MetricKind.EVENT, MetricKind.SNAPSHOT, MetricKind.PRESENCE
    rows = [
        Metric(
            "active_day", presence, "0 or 1", "at least one interactive login that day; never makes a stage"
        ),
    ]
    for thing in ("opportunity", "account", "contact", "lead", "case"):
        rows.append(Metric(f"records_created.{thing}", event, "records", f"{thing} records created", True))
        rows.append(Metric(f"records_updated.{thing}", event, "records", f"{thing} records changed", True))
    rows += [
        Metric(f"activities_completed.{thing}", event, "activities", f"{thing}s logged as done", True)
        for thing in ("call", "meeting", "email", "task")
    ]
    rows += [
        Metric("step_moves", event, "moves", "opportunities moved to another step, closing included", True),
        Metric("close_date_pushes", event, "changes", "close dates moved into the future", True),
        Metric("won_count", event, "opportunities", "opportunities won"),
        Metric("lost_count", event, "opportunities", "opportunities lost"),
        Metric("won_amount", event, "currency units", "amount of the opportunities won"),
        Metric("cycle_days", event, "days", "from creation to winning, added up over the opportunities won"),
    ]
    rows += [
        Metric(f"feature_use.{thing}", event, "uses", f"{thing}s opened")
        for thing in ("report", "dashboard", "list", "mobile")
    ]
    rows += [
        Metric("opps_open", snapshot, "opportunities", "open opportunities owned"),
        Metric("pipeline_amount", snapshot, "currency units", "amount of the open opportunities"),
        Metric("opps_past_close", snapshot, "opportunities", "open, expected close date in the past"),
        Metric(
            "opps_no_next_step", snapshot, "opportunities", "open for a week or longer, without a next step"
        ),
        Metric("opps_no_activity_30d", snapshot, "opportunities", "open, no activity for 30 days"),
        Metric("opps_stuck_step", snapshot, "opportunities", "open, in the same step for 60 days or longer"),
        Metric(
            "opps_missing_amount", snapshot, "opportunities", "open for a week or longer, without an amount"
        ),
        Metric(
            "opps_missing_account", snapshot, "opportunities", "open for a week or longer, without an account"
        ),
        Metric(
            "opps_open_long",
            snapshot,
            "opportunities",
            "open longer than the 75th percentile of the owner's own won opportunities (at least 5 won)",
        ),
        Metric("tasks_overdue", snapshot, "tasks", "open tasks past their due date"),
        Metric("quota_attainment", snapshot, PERCENT, "won in the running period, of that period's quota"),
        Metric("field_completeness", snapshot, PERCENT, "required fields filled on own open records"),
    ]
    return {row.key: row for row in rows}


METRICS: Mapping[str, Metric] = _vocabulary()
MEANINGFUL = tuple(key for key, metric in METRICS.items() if metric.meaningful)
"""Metrics that make a day a meaningful day M. Logins are not among them."""
STUCK_DAYS = 60
QUIET_DAYS = 30
GRACE_DAYS = 7
"""Days that a new record has before what it lacks is counted: nobody fills in everything on the first day."""


class CoverageStatus(StrEnum):
    """What a missing or present number means: no answer is no zero. Only ``ok`` may be read."""

    OK = "ok"
    PARTIAL = "partial"
    DENIED = "denied"
    UNSUPPORTED = "unsupported"
    THROTTLED = "throttled"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Coverage:
    """Status of one metric on one day from one source. ``detail``: what the admin has to change."""

    metric: str
    day: date
    status: CoverageStatus
    detail: str = ""


@dataclass(frozen=True, slots=True)
class UsageFact:
    """One person's numbers on one day: ``values`` maps metric keys to numbers; a metric that is absent is unknown."""

    crm_id: str
    day: date
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row that could not be used, and why. It is counted and named; the rest goes on.

    ``row``: line in the file, from 1 (the header is line 1). ``field``: the column's heading, or "" for the whole row.
    ``dropped``: the row is not used at all; else only what the field says is unknown. ``whole``: so is the rest of the file;
    ``row`` 0 means that there is no file.
    """

    file: str
    row: int
    field: str
    reason: str
    dropped: bool = True
    whole: bool = False

    def __str__(self) -> str:
        not_read = " was not read" if self.whole else ""
        line = f", line {self.row}" if self.row else ""
        column = f", column {self.field}" if self.field else ""
        return f"{self.file}{not_read}{line}{column}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Window:
    """Days that a poll asks for, both ends included. Nothing dated after ``through`` may be seen (no foresight)."""

    since: date
    through: date


@dataclass(frozen=True, slots=True)
class Collected:
    """A part of what a poll brought. Facts of one (person, day) come whole, never split over two parts.

    ``notes``: counted blemishes that are no faults, e.g. ``{"undated opportunities": 500}``.
    ``fingerprint``: of what was read, where the CRM is files: the same means that nothing has changed.
    """

    facts: tuple[UsageFact, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    faults: tuple[RowFault, ...] = ()
    notes: Mapping[str, int] = field(default_factory=dict)
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class RecordRef:
    """A CRM record that a message names. ``details`` are display values, e.g. ``{"days_open": "112"}``.

    Never stored by itself: it lives in the frozen message, which is blanked 7 days after settling.
    """

    id: str
    name: str
    link: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
