"""write area index at once"""

from __future__ import annotations

from alembic import op

revision = "bc14126849a8"
down_revision = "7ea566477ebb"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Probing its pending list cost a third of a millisecond an area after a tree was loaded.
    op.execute("ALTER INDEX console.ix_area_ancestors SET (fastupdate = off)")
    op.execute("SELECT gin_clean_pending_list('console.ix_area_ancestors')")


def downgrade() -> None:
    op.execute("ALTER INDEX console.ix_area_ancestors RESET (fastupdate)")
