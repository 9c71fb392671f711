"""How long deals took, and what share of a quota is reached"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("usage_day", sa.Column("cycle_days", sa.Float(), nullable=True))
    op.add_column("usage_day", sa.Column("quota_attainment", sa.Float(), nullable=True))
    op.add_column("person_week", sa.Column("cycle_days", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("person_week", "cycle_days")
    op.drop_column("usage_day", "quota_attainment")
    op.drop_column("usage_day", "cycle_days")
