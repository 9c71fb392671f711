"""The first schema"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.tables import Json, Utc

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", Json(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_hash")),
    )
    op.create_table(
        "control",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", Json(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_control")),
    )
    op.create_table(
        "coverage",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("polled_at", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("source", "metric", "day", name=op.f("pk_coverage")),
    )
    op.create_table(
        "hold",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("outbox", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", Utc(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
    )
    with op.batch_alter_table("hold", schema=None) as batch_op:
        batch_op.create_index("ix_hold_outbox", ["outbox"], unique=False)

    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=True),
        sa.Column("body", Json(), nullable=True),
        sa.Column("received_at", Utc(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", Utc(), nullable=False),
        sa.Column("settled_at", Utc(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("key", name=op.f("uq_inbox_key")),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_inbox_new",
            ["next_at"],
            unique=False,
            sqlite_where=sa.text("state = 'new'"),
            postgresql_where=sa.text("state = 'new'"),
        )
        batch_op.create_index(
            "ix_inbox_new_of_user",
            ["user", "id"],
            unique=False,
            sqlite_where=sa.text("state = 'new'"),
            postgresql_where=sa.text("state = 'new'"),
        )

    op.create_table(
        "job",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next_at", Utc(), nullable=False),
        sa.Column("last_at", Utc(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("claimed_at", Utc(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job")),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("crm_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("access_since", sa.Date(), nullable=True),
        sa.Column("working_days", sa.Text(), nullable=False),
        sa.Column("office", sa.Text(), nullable=True),
        sa.Column("pilot", sa.Boolean(), nullable=False),
        sa.Column("match", sa.Text(), nullable=False),
        sa.Column("slack_id", sa.Text(), nullable=True),
        sa.Column("welcomed_at", Utc(), nullable=True),
        sa.Column("notice_read_at", Utc(), nullable=True),
        sa.Column("seen_at", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("source", "crm_id", name=op.f("uq_person_source_crm_id")),
    )
    with op.batch_alter_table("person", schema=None) as batch_op:
        batch_op.create_index("ix_person_email", ["email"], unique=False)
        batch_op.create_index("ix_person_slack_id", ["slack_id"], unique=True)
        batch_op.create_index("ix_person_team", ["team"], unique=False)

    op.create_table(
        "slack_user",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("is_bot", sa.Boolean(), nullable=False),
        sa.Column("is_guest", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("away", sa.Boolean(), nullable=False),
        sa.Column("away_until", Utc(), nullable=True),
        sa.Column("dnd_start", Utc(), nullable=True),
        sa.Column("dnd_end", Utc(), nullable=True),
        sa.Column("read_at", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slack_user")),
    )
    with op.batch_alter_table("slack_user", schema=None) as batch_op:
        batch_op.create_index("ix_slack_user_email", ["email"], unique=False)

    op.create_table(
        "source",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("settings", Json(), nullable=False),
        sa.Column("watermark", sa.Date(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("polled_at", Utc(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_source")),
    )
    op.create_table(
        "barrier",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("behaviour", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("feedback", sa.Text(), nullable=False),
        sa.Column("opened_at", Utc(), nullable=False),
        sa.Column("closed_at", Utc(), nullable=True),
        sa.Column("closed_why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_barrier_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_barrier")),
    )
    with op.batch_alter_table("barrier", schema=None) as batch_op:
        batch_op.create_index("ix_barrier_feedback", ["feedback"], unique=False)
        batch_op.create_index("ix_barrier_open", ["person", "behaviour"], unique=False)

    op.create_table(
        "decision",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("local_day", sa.Date(), nullable=False),
        sa.Column("local_weekday_hour", sa.Text(), nullable=False),
        sa.Column("point", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("available", sa.Boolean(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("until", Utc(), nullable=True),
        sa.Column("trigger", sa.Text(), nullable=True),
        sa.Column("trigger_version", sa.Integer(), nullable=True),
        sa.Column("behaviour", sa.Text(), nullable=True),
        sa.Column("metric", sa.Text(), nullable=True),
        sa.Column("record_hash", sa.Text(), nullable=True),
        sa.Column("content_version", sa.Integer(), nullable=True),
        sa.Column("eligible", Json(), nullable=False),
        sa.Column("declined", Json(), nullable=False),
        sa.Column("probabilities", Json(), nullable=False),
        sa.Column("draw", sa.Float(), nullable=True),
        sa.Column("held_out", sa.Boolean(), nullable=False),
        sa.Column("context", Json(), nullable=False),
        sa.Column("outbox", sa.Text(), nullable=True),
        sa.Column("outcome_72h", sa.Float(), nullable=True),
        sa.Column("outcome_7d", sa.Float(), nullable=True),
        sa.Column("outcome_28d", sa.Float(), nullable=True),
        sa.Column("coverage_72h", sa.Float(), nullable=True),
        sa.Column("coverage_7d", sa.Float(), nullable=True),
        sa.Column("coverage_28d", sa.Float(), nullable=True),
        sa.Column("outcome_due", Utc(), nullable=True),
        sa.Column("stale_at_send", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_decision_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
    )
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.create_index("ix_decision_at", ["at"], unique=False)
        batch_op.create_index(
            "ix_decision_outcome_due",
            ["outcome_due"],
            unique=False,
            sqlite_where=sa.text("outcome_due IS NOT NULL"),
            postgresql_where=sa.text("outcome_due IS NOT NULL"),
        )
        batch_op.create_index("ix_decision_person_at", ["person", "at"], unique=False)

    op.create_table(
        "feedback",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("outbox", sa.Text(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("behaviour", sa.Text(), nullable=True),
        sa.Column("trigger", sa.Text(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("barrier_type", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("created_at", Utc(), nullable=False),
        sa.Column("visible_at", Utc(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("ts", sa.Text(), nullable=True),
        sa.Column("released_at", Utc(), nullable=True),
        sa.Column("with_team", sa.Boolean(), nullable=False),
        sa.Column("with_behaviour", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_feedback_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
        sa.UniqueConstraint("key", name=op.f("uq_feedback_key")),
    )
    with op.batch_alter_table("feedback", schema=None) as batch_op:
        batch_op.create_index("ix_feedback_person", ["person", "created_at"], unique=False)
        batch_op.create_index("ix_feedback_words", ["channel", "ts"], unique=False)

    op.create_table(
        "outbox",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("dedupe_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("thread", sa.Text(), nullable=True),
        sa.Column("behaviour", sa.Text(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("message", Json(), nullable=True),
        sa.Column("recheck", Json(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", Utc(), nullable=False),
        sa.Column("due_at", Utc(), nullable=False),
        sa.Column("expires_at", Utc(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_at", Utc(), nullable=True),
        sa.Column("settled_at", Utc(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("ts", sa.Text(), nullable=True),
        sa.Column("reaction", sa.Text(), nullable=True),
        sa.Column("reacted_at", Utc(), nullable=True),
        sa.Column("updated_message", Json(), nullable=True),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_outbox_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_outbox_dedupe_key")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_due",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("state IN ('ready', 'sending', 'uncertain')"),
            postgresql_where=sa.text("state IN ('ready', 'sending', 'uncertain')"),
        )
        batch_op.create_index("ix_outbox_message", ["channel", "ts"], unique=False)
        batch_op.create_index("ix_outbox_person", ["person", "created_at"], unique=False)

    op.create_table(
        "person_stage",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("passes", sa.Integer(), nullable=False),
        sa.Column("fails", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.Text(), nullable=False),
        sa.Column("facts", Json(), nullable=False),
        sa.Column("features", Json(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("decided_at", Utc(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_person_stage_person")),
        sa.PrimaryKeyConstraint("person", "week", name=op.f("pk_person_stage")),
    )
    op.create_table(
        "person_week",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("meaningful_days", sa.Integer(), nullable=False),
        sa.Column("records_created_opportunity", sa.Float(), nullable=True),
        sa.Column("records_updated_opportunity", sa.Float(), nullable=True),
        sa.Column("records_created_account", sa.Float(), nullable=True),
        sa.Column("records_updated_account", sa.Float(), nullable=True),
        sa.Column("records_created_contact", sa.Float(), nullable=True),
        sa.Column("records_updated_contact", sa.Float(), nullable=True),
        sa.Column("records_created_lead", sa.Float(), nullable=True),
        sa.Column("records_updated_lead", sa.Float(), nullable=True),
        sa.Column("records_created_case", sa.Float(), nullable=True),
        sa.Column("records_updated_case", sa.Float(), nullable=True),
        sa.Column("activities_completed_call", sa.Float(), nullable=True),
        sa.Column("activities_completed_meeting", sa.Float(), nullable=True),
        sa.Column("activities_completed_email", sa.Float(), nullable=True),
        sa.Column("activities_completed_task", sa.Float(), nullable=True),
        sa.Column("step_moves", sa.Float(), nullable=True),
        sa.Column("close_date_pushes", sa.Float(), nullable=True),
        sa.Column("won_count", sa.Float(), nullable=True),
        sa.Column("lost_count", sa.Float(), nullable=True),
        sa.Column("won_amount", sa.Float(), nullable=True),
        sa.Column("feature_use_report", sa.Float(), nullable=True),
        sa.Column("feature_use_dashboard", sa.Float(), nullable=True),
        sa.Column("feature_use_list", sa.Float(), nullable=True),
        sa.Column("feature_use_mobile", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_person_week_person")),
        sa.PrimaryKeyConstraint("person", "week", name=op.f("pk_person_week")),
    )
    op.create_table(
        "preference",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("goal", sa.Text(), nullable=True),
        sa.Column("goal_chosen_at", Utc(), nullable=True),
        sa.Column("paused_until", Utc(), nullable=True),
        sa.Column("stopped_at", Utc(), nullable=True),
        sa.Column("kinds_off", Json(), nullable=False),
        sa.Column("tips_never", Json(), nullable=False),
        sa.Column("working_days", sa.Text(), nullable=True),
        sa.Column("window_start", sa.Text(), nullable=True),
        sa.Column("window_end", sa.Text(), nullable=True),
        sa.Column("weekly_cap", sa.Integer(), nullable=True),
        sa.Column("feedback_mode", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_preference_person")),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_preference")),
    )
    op.create_table(
        "slot",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("next_at", Utc(), nullable=False),
        sa.Column("point", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_slot_person")),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_slot")),
    )
    with op.batch_alter_table("slot", schema=None) as batch_op:
        batch_op.create_index("ix_slot_next_at", ["next_at"], unique=False)

    op.create_table(
        "usage_day",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("meaningful", sa.Boolean(), nullable=False),
        sa.Column("active_day", sa.Float(), nullable=True),
        sa.Column("records_created_opportunity", sa.Float(), nullable=True),
        sa.Column("records_updated_opportunity", sa.Float(), nullable=True),
        sa.Column("records_created_account", sa.Float(), nullable=True),
        sa.Column("records_updated_account", sa.Float(), nullable=True),
        sa.Column("records_created_contact", sa.Float(), nullable=True),
        sa.Column("records_updated_contact", sa.Float(), nullable=True),
        sa.Column("records_created_lead", sa.Float(), nullable=True),
        sa.Column("records_updated_lead", sa.Float(), nullable=True),
        sa.Column("records_created_case", sa.Float(), nullable=True),
        sa.Column("records_updated_case", sa.Float(), nullable=True),
        sa.Column("activities_completed_call", sa.Float(), nullable=True),
        sa.Column("activities_completed_meeting", sa.Float(), nullable=True),
        sa.Column("activities_completed_email", sa.Float(), nullable=True),
        sa.Column("activities_completed_task", sa.Float(), nullable=True),
        sa.Column("step_moves", sa.Float(), nullable=True),
        sa.Column("close_date_pushes", sa.Float(), nullable=True),
        sa.Column("won_count", sa.Float(), nullable=True),
        sa.Column("lost_count", sa.Float(), nullable=True),
        sa.Column("won_amount", sa.Float(), nullable=True),
        sa.Column("feature_use_report", sa.Float(), nullable=True),
        sa.Column("feature_use_dashboard", sa.Float(), nullable=True),
        sa.Column("feature_use_list", sa.Float(), nullable=True),
        sa.Column("feature_use_mobile", sa.Float(), nullable=True),
        sa.Column("opps_open", sa.Float(), nullable=True),
        sa.Column("pipeline_amount", sa.Float(), nullable=True),
        sa.Column("opps_past_close", sa.Float(), nullable=True),
        sa.Column("opps_no_next_step", sa.Float(), nullable=True),
        sa.Column("opps_no_activity_30d", sa.Float(), nullable=True),
        sa.Column("opps_stuck_step", sa.Float(), nullable=True),
        sa.Column("opps_missing_amount", sa.Float(), nullable=True),
        sa.Column("opps_missing_account", sa.Float(), nullable=True),
        sa.Column("opps_open_long", sa.Float(), nullable=True),
        sa.Column("tasks_overdue", sa.Float(), nullable=True),
        sa.Column("field_completeness", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_usage_day_person")),
        sa.PrimaryKeyConstraint("person", "day", name=op.f("pk_usage_day")),
    )
    with op.batch_alter_table("usage_day", schema=None) as batch_op:
        batch_op.create_index("ix_usage_day_day", ["day"], unique=False)
    _audit_is_append_only()


def _audit_is_append_only() -> None:
    """The database itself refuses to change or remove audit rows."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
    )


def downgrade() -> None:
    with op.batch_alter_table("usage_day", schema=None) as batch_op:
        batch_op.drop_index("ix_usage_day_day")

    op.drop_table("usage_day")
    with op.batch_alter_table("slot", schema=None) as batch_op:
        batch_op.drop_index("ix_slot_next_at")

    op.drop_table("slot")
    op.drop_table("preference")
    op.drop_table("person_week")
    op.drop_table("person_stage")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index("ix_outbox_person")
        batch_op.drop_index("ix_outbox_message")
        batch_op.drop_index(
            "ix_outbox_due",
            sqlite_where=sa.text("state IN ('ready', 'sending', 'uncertain')"),
            postgresql_where=sa.text("state IN ('ready', 'sending', 'uncertain')"),
        )

    op.drop_table("outbox")
    with op.batch_alter_table("feedback", schema=None) as batch_op:
        batch_op.drop_index("ix_feedback_words")
        batch_op.drop_index("ix_feedback_person")

    op.drop_table("feedback")
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.drop_index("ix_decision_person_at")
        batch_op.drop_index(
            "ix_decision_outcome_due",
            sqlite_where=sa.text("outcome_due IS NOT NULL"),
            postgresql_where=sa.text("outcome_due IS NOT NULL"),
        )
        batch_op.drop_index("ix_decision_at")

    op.drop_table("decision")
    with op.batch_alter_table("barrier", schema=None) as batch_op:
        batch_op.drop_index("ix_barrier_open")
        batch_op.drop_index("ix_barrier_feedback")

    op.drop_table("barrier")
    op.drop_table("source")
    with op.batch_alter_table("slack_user", schema=None) as batch_op:
        batch_op.drop_index("ix_slack_user_email")

    op.drop_table("slack_user")
    with op.batch_alter_table("person", schema=None) as batch_op:
        batch_op.drop_index("ix_person_team")
        batch_op.drop_index("ix_person_slack_id")
        batch_op.drop_index("ix_person_email")

    op.drop_table("person")
    op.drop_table("job")
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_inbox_new_of_user",
            sqlite_where=sa.text("state = 'new'"),
            postgresql_where=sa.text("state = 'new'"),
        )
        batch_op.drop_index(
            "ix_inbox_new", sqlite_where=sa.text("state = 'new'"), postgresql_where=sa.text("state = 'new'")
        )

    op.drop_table("inbox")
    with op.batch_alter_table("hold", schema=None) as batch_op:
        batch_op.drop_index("ix_hold_outbox")

    op.drop_table("hold")
    op.drop_table("coverage")
    op.drop_table("control")
    op.drop_table("audit")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_append_only()")
