"""light points by excess"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "5d0e7a41c2b8"
down_revision = "5c1e4d0b7f92"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "alert",
        sa.Column("households", sa.Integer(), server_default="0", nullable=False),
        schema="alerts",
    )
    op.add_column(
        "alert",
        sa.Column("consents", postgresql.JSONB(), server_default="[]", nullable=False),
        schema="alerts",
    )
    for name in ("held_at", "quiet_at"):
        op.add_column(
            "alert", sa.Column(name, sa.DateTime(timezone=True), nullable=True), schema="alerts"
        )
    op.drop_index("uq_alert_live", table_name="alert", schema="alerts")
    op.create_index(
        "uq_alert_live",
        "alert",
        ["rule_id", "area_id"],
        unique=True,
        schema="alerts",
        postgresql_where=sa.text("state NOT IN ('closed', 'dismissed', 'withdrawn')"),
    )
    op.create_index(
        "ix_alert_rule_area_last", "alert", ["rule_id", "area_id", "last_at"], schema="alerts"
    )
    _create_alert_excess()
    _create_consensus()
    op.create_table(
        "household",
        sa.Column("membership_id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True)),
        sa.Column("standing", sa.Boolean(), nullable=False),
        schema="alerts",
    )
    op.create_index("ix_household_person_id", "household", ["person_id"], schema="alerts")


def _create_alert_excess() -> None:
    op.create_table(
        "alert_excess",
        sa.Column("alert_id", sa.Uuid(), sa.ForeignKey("alerts.alert.id"), primary_key=True),
        sa.Column("excess_id", sa.Uuid(), primary_key=True),
        sa.Column("area_id", sa.Text(), nullable=False),
        sa.Column("point_kind", sa.Text(), nullable=False),
        sa.Column("syndrome", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        schema="alerts",
    )
    op.create_index(
        "ix_alert_excess_series",
        "alert_excess",
        ["area_id", "point_kind", "syndrome", "day"],
        schema="alerts",
    )


def _create_consensus() -> None:
    op.create_table(
        "consensus",
        sa.Column("rule_id", sa.Text(), primary_key=True),
        sa.Column("rule_version", sa.Integer(), primary_key=True),
        sa.Column("area_id", sa.Text(), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("p_value", sa.Double(), nullable=False),
        sa.Column("q_value", sa.Double(), nullable=False),
        sa.Column("lit", sa.Boolean(), nullable=False),
        sa.Column("null_days", sa.Integer(), nullable=False),
        sa.Column("streams", postgresql.ARRAY(sa.Text()), nullable=False),
        schema="alerts",
    )
    op.create_index(
        "ix_consensus_day", "consensus", ["rule_id", "rule_version", "day"], schema="alerts"
    )


def downgrade() -> None:
    for table in ("household", "consensus", "alert_excess"):
        op.drop_table(table, schema="alerts")
    op.drop_index("ix_alert_rule_area_last", table_name="alert", schema="alerts")
    op.drop_index("uq_alert_live", table_name="alert", schema="alerts")
    op.create_index(
        "uq_alert_live",
        "alert",
        ["rule_id", "area_id"],
        unique=True,
        schema="alerts",
        postgresql_where=sa.text("state NOT IN ('closed', 'dismissed')"),
    )
    for name in ("quiet_at", "held_at", "consents", "households"):
        op.drop_column("alert", name, schema="alerts")
