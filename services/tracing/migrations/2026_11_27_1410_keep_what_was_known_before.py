"""keep what was known before"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from services.tracing.tables.past import keeping

revision = "5d0c7a41be92"
down_revision = "2570548d032d"
branch_labels = None
depends_on = None

# Rows from before this migration were always known, and no batch is waiting for them.
ALWAYS, NO_BATCH = "-infinity", "00000000-0000-0000-0000-000000000000"
FACTS = {
    "visit": ("id", "person_id", "place_id", "arrived_at", "left_at", "standing"),
    "encounter": ("id", "person_id", "other_person_id", "started_at", "seconds", "standing"),
    "membership": ("id", "person_id", "group_id", "group_kind", "from_at", "until_at", "standing"),
}
INDEXES = {
    "visit": (("person_id", "arrived_at"), ("place_id", "arrived_at")),
    "encounter": (("person_id", "started_at"), ("other_person_id", "started_at")),
    "membership": (("person_id",), ("group_id",)),
}
INSTANT = sa.DateTime(timezone=True)
TYPES: dict[str, Any] = {
    "id": sa.Uuid(), "person_id": sa.Uuid(), "other_person_id": sa.Uuid(), "place_id": sa.Uuid(),
    "group_id": sa.Uuid(), "group_kind": sa.Text(), "arrived_at": INSTANT, "left_at": INSTANT,
    "started_at": INSTANT, "from_at": INSTANT, "until_at": INSTANT, "seconds": sa.BigInteger(),
    "standing": sa.Boolean(), "recorded_at": INSTANT, "batch_id": sa.Uuid(),
}  # fmt: skip
NULLABLE = {"left_at", "until_at"}


def upgrade() -> None:
    for name, columns in FACTS.items():
        op.add_column(
            name,
            sa.Column("recorded_at", INSTANT, nullable=False, server_default=ALWAYS),
            schema="tracing",
        )
        op.alter_column(name, "recorded_at", server_default=None, schema="tracing")
        if name == "membership":
            _add_batch(nullable=False)
        _create_past(name, (*columns, "recorded_at", "batch_id"))
    op.add_column("place", sa.Column("batch_id", sa.Uuid()), schema="tracing")
    op.create_index(op.f("ix_place_batch_id"), "place", ["batch_id"], schema="tracing")
    op.create_table(
        "journal",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False),
        sa.Column("written_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "what", name=op.f("pk_journal")),
        schema="tracing",
    )
    for column in ("transaction_id", "written_at"):
        op.create_index(op.f(f"ix_journal_{column}"), "journal", [column], schema="tracing")


def _add_batch(*, nullable: bool) -> None:
    op.add_column(
        "membership",
        sa.Column("batch_id", sa.Uuid(), nullable=nullable, server_default=NO_BATCH),
        schema="tracing",
    )
    op.alter_column("membership", "batch_id", server_default=None, schema="tracing")
    op.create_index(op.f("ix_membership_batch_id"), "membership", ["batch_id"], schema="tracing")


def _create_past(name: str, columns: tuple[str, ...]) -> None:
    nullable = NULLABLE | ({"person_id"} if name == "visit" else set())
    op.create_table(
        f"{name}_past",
        *(sa.Column(column, TYPES[column], nullable=column in nullable) for column in columns),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("replaced_by", sa.Uuid(), nullable=False),
        sa.Column("replaced_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", "version", name=op.f(f"pk_{name}_past")),
        schema="tracing",
    )
    for index in (*INDEXES[name], ("replaced_by",)):
        label = op.f(f"ix_{name}_past_{'_'.join(index)}")
        op.create_index(label, f"{name}_past", list(index), schema="tracing")
    for statement in keeping(name, list(columns)):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("journal", schema="tracing")
    op.drop_column("place", "batch_id", schema="tracing")
    op.drop_column("membership", "batch_id", schema="tracing")
    for name in FACTS:
        op.execute(f"DROP TRIGGER keep_past ON tracing.{name}")
        op.execute(f"DROP FUNCTION tracing.keep_{name}()")
        op.drop_table(f"{name}_past", schema="tracing")
        op.drop_column(name, "recorded_at", schema="tracing")
