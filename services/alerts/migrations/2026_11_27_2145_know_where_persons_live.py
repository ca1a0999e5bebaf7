"""know where persons live"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3f6f0c3d8a15"
down_revision = "b98930fcd695"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "person",
        sa.Column("person_id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("residence_area_id", sa.Text()),
        schema="alerts",
    )
    op.create_index(
        "ix_signal_person_id",
        "signal",
        ["person_id"],
        schema="alerts",
        postgresql_where=sa.text("person_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_signal_person_id", table_name="signal", schema="alerts")
    op.drop_table("person", schema="alerts")
