"""say who was where a case was"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "8e31f0a7c5d4"
down_revision = "5d0c7a41be92"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # No stay has version 0: every case judged anew finds its stays changed.
    op.add_column(
        "presence",
        sa.Column("visit_version", sa.Integer(), nullable=False, server_default="0"),
        schema="tracing",
    )
    op.add_column(
        "presence",
        sa.Column("place_kind", sa.Text(), nullable=False, server_default=""),
        schema="tracing",
    )
    for column in ("visit_version", "place_kind"):
        op.alter_column("presence", column, server_default=None, schema="tracing")
    op.create_table(
        "presence_change",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("transaction_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("written_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("case_id", "transaction_id", name=op.f("pk_presence_change")),
        schema="tracing",
    )
    for column in ("transaction_id", "written_at"):
        label = op.f(f"ix_presence_change_{column}")
        op.create_index(label, "presence_change", [column], schema="tracing")
    op.create_table(
        "co_location",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("place_kind", sa.Text()),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("from_at", INSTANT, nullable=False),
        sa.Column("until_at", INSTANT, nullable=False),
        sa.Column("minutes", sa.Float(), nullable=False),
        sa.Column("evidence", postgresql.JSONB(), nullable=False),
        sa.Column("standing", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("cause_id", sa.Uuid()),
        sa.Column("policy", sa.Text()),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_co_location")),
        schema="tracing",
    )
    for columns in (
        ("case_id", "place_id"),
        ("case_id", "from_at", "id"),
        ("visit_id",),
        ("person_id",),
    ):
        label = op.f(f"ix_co_location_{'_'.join(columns)}")
        op.create_index(label, "co_location", list(columns), schema="tracing")
    # Cases that stand already have co-locations too.
    op.execute(
        "INSERT INTO tracing.due (kind, keys)"
        " SELECT 'case', ARRAY[person_id || '/' || disease] FROM tracing.\"case\" WHERE standing"
    )


def downgrade() -> None:
    op.drop_table("co_location", schema="tracing")
    op.drop_table("presence_change", schema="tracing")
    for column in ("place_kind", "visit_version"):
        op.drop_column("presence", column, schema="tracing")
