"""Ids of single sign-on, and by which step somebody was matched"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.tables import Json

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("person", sa.Column("sso_ids", Json(), nullable=True))
    op.add_column("person", sa.Column("matched_by", sa.Text(), nullable=True))
    op.add_column("slack_user", sa.Column("sso_ids", Json(), nullable=True))
    op.execute("UPDATE person SET matched_by = 'email' WHERE \"match\" = 'matched'")


def downgrade() -> None:
    op.drop_column("slack_user", "sso_ids")
    op.drop_column("person", "matched_by")
    op.drop_column("person", "sso_ids")
