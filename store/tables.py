"""The whole schema on one page. One workspace per database. All times are UTC instants; days are dates.

Rows are the queue: what is due is a row with a time, claimed in a short transaction (docs/decisions/0001).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

from bot.domain.usage import METRICS, MetricKind


class Utc(TypeDecorator[datetime]):
    """Aware UTC datetimes on both databases (SQLite drops the offset without it). Microseconds are kept."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        """Text on SQLite, TIMESTAMPTZ on PostgreSQL."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.String(32))
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        """To the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime must not reach the database")
        value = value.astimezone(UTC)
        if dialect.name != "sqlite":
            return value
        return value.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        if isinstance(value, str):
            return datetime.fromisoformat(value)
        instant: datetime = value
        return instant.astimezone(UTC)


_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))


class Json(TypeDecorator[Any]):
    """JSON as text with sorted keys: the same value gives the same bytes on both databases."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        """To the database."""
        if value is None:
            return None
        return _ENCODER.encode(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        """From the database."""
        return None if value is None else json.loads(value)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
Column, Table, Text, Integer, Boolean, Date, Float = (
    sa.Column,
    sa.Table,
    sa.Text,
    sa.Integer,
    sa.Boolean,
    sa.Date,
    sa.Float,
)
Serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _metric_columns(*kinds: MetricKind) -> list[sa.Column[Any]]:
    return [Column(m.column, Float) for m in METRICS.values() if m.kind in kinds]


# --- people ------------------------------------------------------------------------------------------------------

person = Table(
    "person",
    metadata,
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("crm_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("email", Text),  # folded to lower case
    Column("role", Text, nullable=False),
    Column("team", Text),  # person id of the manager
    Column("active", Boolean, nullable=False),
    Column("zone", Text),
    Column("country", Text),
    Column("language", Text),
    Column("access_since", Date),
    Column("working_days", Text, nullable=False, default="01234"),
    Column("office", Text),
    Column("pilot", Boolean, nullable=False, default=False),
    Column("sso_ids", Json),  # folded; null: the CRM says none
    Column("match", Text, nullable=False),
    Column("matched_by", Text),  # override sso email; null: nothing was found
    Column("slack_id", Text),
    Column("welcomed_at", Utc),  # the welcome was delivered
    Column("notice_read_at", Utc),
    Column("seen_at", Utc, nullable=False),
    sa.UniqueConstraint("source", "crm_id"),
)
sa.Index("ix_person_slack_id", person.c.slack_id, unique=True)
sa.Index("ix_person_email", person.c.email)
sa.Index("ix_person_team", person.c.team)

preference = Table(
    "preference",
    metadata,
    Column("person", Text, sa.ForeignKey("person.id"), primary_key=True),
    Column("goal", Text),
    Column("goal_chosen_at", Utc),
    Column("paused_until", Utc),
    Column("stopped_at", Utc),
    Column("kinds_off", Json, nullable=False),
    Column("tips_never", Json, nullable=False),
    Column("working_days", Text),
    Column("window_start", Text),
    Column("window_end", Text),
    Column("weekly_cap", Integer),
    Column("feedback_mode", Text),
)

slack_user = Table(  # only those whom the CRM, the programme or the identity file names
    "slack_user",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text),
    Column("sso_ids", Json),  # folded; null: Slack says none
    Column("name", Text, nullable=False),
    Column("zone", Text),
    Column("language", Text),
    Column("is_bot", Boolean, nullable=False),
    Column("is_guest", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("away", Boolean, nullable=False, default=False),  # as the status says, which itself is not kept
    Column("away_until", Utc),
    Column("dnd_start", Utc),
    Column("dnd_end", Utc),
    Column("read_at", Utc, nullable=False),
)
sa.Index("ix_slack_user_email", slack_user.c.email)

# --- what the CRM says -------------------------------------------------------------------------------------------

source = Table(
    "source",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # spreadsheet, salesforce …
    Column("settings", Json, nullable=False),  # how to open it again: paths; a CRM's are sealed
    Column("watermark", Date),  # last day that was read
    Column("fingerprint", Text),  # of the files behind the last import
    Column("polled_at", Utc),
    Column("error", Text),
)

usage_day = Table(
    "usage_day",
    metadata,
    Column("person", Text, sa.ForeignKey("person.id"), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("source", Text, nullable=False),
    Column("meaningful", Boolean, nullable=False, default=False),
    *_metric_columns(MetricKind.PRESENCE, MetricKind.EVENT, MetricKind.SNAPSHOT),
)
sa.Index("ix_usage_day_day", usage_day.c.day)

coverage = Table(
    "coverage",
    metadata,
    Column("source", Text, primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("status", Text, nullable=False),
    Column("detail", Text, nullable=False, default=""),
    Column("polled_at", Utc, nullable=False),
)

person_week = Table(
    "person_week",
    metadata,
    Column("person", Text, sa.ForeignKey("person.id"), primary_key=True),
    Column("week", Date, primary_key=True),  # Monday
    Column("meaningful_days", Integer, nullable=False),
    *_metric_columns(MetricKind.EVENT),
)

person_stage = Table(
    "person_stage",
    metadata,
    Column("person", Text, sa.ForeignKey("person.id"), primary_key=True),
    Column("week", Date, primary_key=True),
    Column("stage", Text, nullable=False),
    Column("since", Date, nullable=False),
    Column("passes", Integer, nullable=False),
    Column("fails", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("confidence", Text, nullable=False),
    Column("facts", Json, nullable=False),
    Column("features", Json, nullable=False),
    Column("version", Integer, nullable=False),
    Column("decided_at", Utc, nullable=False),
)

# --- deciding ----------------------------------------------------------------------------------------------------

slot = Table(  # the next decision point of a person
    "slot",
    metadata,
    Column("person", Text, sa.ForeignKey("person.id"), primary_key=True),
    Column("next_at", Utc, nullable=False),
    Column("point", Text, nullable=False, default="slot"),
)
sa.Index("ix_slot_next_at", slot.c.next_at)

decision = Table(
    "decision",
    metadata,
    Column("id", Text, primary_key=True),
    Column("person", Text, sa.ForeignKey("person.id"), nullable=False),
    Column("at", Utc, nullable=False),
    Column("local_day", Date, nullable=False),
    Column("local_weekday_hour", Text, nullable=False),
    Column("point", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("team", Text),
    Column("role", Text, nullable=False),
    Column("available", Boolean, nullable=False),
    Column("action", Text, nullable=False),
    Column("kind", Text),
    Column("reason", Text),
    Column("until", Utc),
    Column("trigger", Text),
    Column("trigger_version", Integer),
    Column("behaviour", Text),
    Column("metric", Text),
    Column("record_hash", Text),
    Column("content_version", Integer),
    Column("eligible", Json, nullable=False),
    Column("declined", Json, nullable=False),
    Column("probabilities", Json, nullable=False),
    Column("draw", Float),
    Column("held_out", Boolean, nullable=False),
    Column(
        "context", Json, nullable=False
    ),  # stage, weeks_since_access, l20, breadth, yield, lag4, nudges_7d/28d …
    Column("outbox", Text),
    # outcomes of the target metric after the decision; coverage < 0.95 leaves the outcome empty, never 0
    Column("outcome_72h", Float),
    Column("outcome_7d", Float),
    Column("outcome_28d", Float),
    Column("coverage_72h", Float),
    Column("coverage_7d", Float),
    Column("coverage_28d", Float),
    Column("outcome_due", Utc),  # when the next outcome can be measured; null when all are
    Column("stale_at_send", Boolean),
)
sa.Index("ix_decision_person_at", decision.c.person, decision.c.at)
sa.Index("ix_decision_at", decision.c.at)
sa.Index(
    "ix_decision_outcome_due",
    decision.c.outcome_due,
    sqlite_where=decision.c.outcome_due.is_not(None),
    postgresql_where=decision.c.outcome_due.is_not(None),
)

# --- sending -----------------------------------------------------------------------------------------------------

outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),  # travels in the message's metadata
    Column("dedupe_key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("person", Text, sa.ForeignKey("person.id")),
    Column("address", Text, nullable=False),  # Slack user or channel id
    Column("thread", Text),
    Column("behaviour", Text),
    Column("decision", Text),
    Column("template", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("language", Text, nullable=False),
    Column("message", Json),  # blanked 7 days after settling
    Column("recheck", Json),  # metric, owner, record ids, count: what has to be still true at the gate
    Column("state", Text, nullable=False),  # ready sending sent dropped uncertain dead
    Column("reason", Text),  # why held, dropped or dead
    Column("created_at", Utc, nullable=False),
    Column("due_at", Utc, nullable=False),
    Column("expires_at", Utc),  # not worth sending afterwards
    Column("attempts", Integer, nullable=False, default=0),
    Column("claimed_at", Utc),
    Column("settled_at", Utc),
    Column("channel", Text),
    Column("ts", Text),
    Column(
        "reaction", Text
    ),  # first thing the person did with it: an action id, "reply"; null: nothing (yet)
    Column("reacted_at", Utc),
    Column("updated_message", Json),  # what it shows after a click; blanked with message
)
_live = outbox.c.state.in_(("ready", "sending", "uncertain"))
sa.Index("ix_outbox_due", outbox.c.due_at, sqlite_where=_live, postgresql_where=_live)
sa.Index("ix_outbox_person", outbox.c.person, outbox.c.created_at)
sa.Index("ix_outbox_message", outbox.c.channel, outbox.c.ts)

hold = Table(  # every time the gate held or dropped a message: counted and shown like a send
    "hold",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("outbox", Text, nullable=False),
    Column("person", Text),
    Column("at", Utc, nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", Utc),
)
sa.Index("ix_hold_outbox", hold.c.outbox)

control = Table(  # switches: "sending" -> stopped by whom, since when
    "control",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Json, nullable=False),
    Column("at", Utc, nullable=False),
)

# --- hearing -----------------------------------------------------------------------------------------------------

inbox = Table(
    "inbox",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("user", Text),
    Column("body", Json),  # blanked on settle
    Column("received_at", Utc, nullable=False),
    Column("state", Text, nullable=False),  # new done refused dead
    Column("reason", Text),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", Utc, nullable=False),
    Column("settled_at", Utc),
)
_new = inbox.c.state == "new"
sa.Index("ix_inbox_new", inbox.c.next_at, sqlite_where=_new, postgresql_where=_new)
sa.Index("ix_inbox_new_of_user", inbox.c.user, inbox.c.id, sqlite_where=_new, postgresql_where=_new)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("person", Text, sa.ForeignKey("person.id"), nullable=False),
    Column("team", Text),
    Column("kind", Text, nullable=False),
    Column("mode", Text),
    Column("state", Text, nullable=False),  # waiting kept deleted
    Column("text", Text, nullable=False),
    Column("outbox", Text),
    Column("decision", Text),
    Column("behaviour", Text),
    Column("trigger", Text),
    Column("stage", Text),
    Column("barrier_type", Text),
    Column("owner", Text),
    Column("created_at", Utc, nullable=False),
    Column("visible_at", Utc, nullable=False),
    Column("channel", Text),  # where it was said, so that "delete that" finds it
    Column("ts", Text),
    Column("released_at", Utc),  # confidential only: passed on, together with the words of others
    Column("with_team", Boolean, nullable=False, default=False),
    Column("with_behaviour", Boolean, nullable=False, default=False),
)
sa.Index("ix_feedback_person", feedback.c.person, feedback.c.created_at)
sa.Index("ix_feedback_words", feedback.c.channel, feedback.c.ts)

barrier = Table(  # open: messages on that behaviour are silent for this person
    "barrier",
    metadata,
    Column("id", Text, primary_key=True),
    Column("person", Text, sa.ForeignKey("person.id"), nullable=False),
    Column("behaviour", Text, nullable=False),
    Column("type", Text),
    Column("owner", Text),
    Column("feedback", Text, nullable=False),
    Column("opened_at", Utc, nullable=False),
    Column("closed_at", Utc),
    Column("closed_why", Text),
)
sa.Index("ix_barrier_open", barrier.c.person, barrier.c.behaviour)
sa.Index("ix_barrier_feedback", barrier.c.feedback)

audit = Table(  # append-only: triggers refuse UPDATE and DELETE; each row holds the hash of the one before
    "audit",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("at", Utc, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Json, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
)

job = Table(  # when each job of the clock is due again
    "job",
    metadata,
    Column("name", Text, primary_key=True),
    Column("next_at", Utc, nullable=False),
    Column("last_at", Utc),
    Column("last_error", Text),
    Column("failures", Integer, nullable=False, default=0),
    Column("claimed_at", Utc),  # while it runs; next_at is when the claim ends by itself
)
