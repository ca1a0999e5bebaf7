"""write area index at once"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "b98930fcd695"
down_revision = "d09d1014a331"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Probing its pending list cost a third of a millisecond an area after a tree was loaded.
    op.execute("ALTER INDEX alerts.ix_area_ancestors SET (fastupdate = off)")
    op.execute("SELECT gin_clean_pending_list('alerts.ix_area_ancestors')")
    # Each index says of which column it is, so that a plan made while the table was empty cannot
    # pick the other one and then look through every signal of the window.
    for column, index in (
        ("area_id", "ix_signal_area_time"),
        ("home_area_id", "ix_signal_home_time"),
    ):
        op.drop_index(index, table_name="signal", schema="alerts")
        op.create_index(
            index,
            "signal",
            [column, "occurred_at"],
            schema="alerts",
            postgresql_where=sa.text(f"standing AND {column} IS NOT NULL"),
        )


def downgrade() -> None:
    op.execute("ALTER INDEX alerts.ix_area_ancestors RESET (fastupdate)")
    for column, index in (
        ("area_id", "ix_signal_area_time"),
        ("home_area_id", "ix_signal_home_time"),
    ):
        op.drop_index(index, table_name="signal", schema="alerts")
        op.create_index(
            index,
            "signal",
            [column, "occurred_at"],
            schema="alerts",
            postgresql_where=sa.text("standing"),
        )
