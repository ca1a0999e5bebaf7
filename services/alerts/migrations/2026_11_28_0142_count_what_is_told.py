"""count what is told"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "5c1e4d0b7f92"
down_revision = "3f6f0c3d8a15"
branch_labels = None
depends_on = None

TOPIC = ("point_kind", "syndrome", "day")


def upgrade() -> None:
    _create_facts()
    _create_series()
    _create_fits()


def _create_facts() -> None:
    op.create_table(
        "count_fact",
        sa.Column("record_id", sa.Uuid(), primary_key=True),
        *_required(sa.Integer(), "version"),
        *_required(sa.Text(), "point_kind"),
        *_required(sa.Uuid(), "site_id"),
        *_required(sa.Text(), "area_id"),
        *_required(sa.Date(), "day"),
        *_required(sa.SmallInteger(), "lag"),
        *_required(ARRAY(sa.Text()), "syndromes", "hits"),
        *_required(sa.Integer(), "persons"),
        sa.Column("person_id", sa.Uuid()),
        schema="alerts",
    )
    op.create_index(
        "ix_count_fact_person_id",
        "count_fact",
        ["person_id"],
        schema="alerts",
        postgresql_where=sa.text("person_id IS NOT NULL"),
    )
    op.create_table(
        "site_day",
        *_cell(),
        *_required(sa.SmallInteger(), "lag"),
        *_required(sa.Integer(), "persons", "seen", "records"),
        sa.PrimaryKeyConstraint(*TOPIC, "site_id", "area_id", "lag", name="pk_site_day"),
        schema="alerts",
    )
    op.create_table(
        "site_counted",
        *_cell(),
        *_required(ARRAY(sa.Text()), "line"),
        *_required(sa.Integer(), "persons", "seen", "records"),
        *_required(sa.BigInteger(), "size_milli", "doubt_milli"),
        sa.PrimaryKeyConstraint(*TOPIC, "site_id", "area_id", name="pk_site_counted"),
        schema="alerts",
    )
    op.create_index("ix_site_counted_site_id", "site_counted", ["site_id"], schema="alerts")
    op.create_index("ix_site_counted_leaf", "site_counted", [sa.text("(line[1])")], schema="alerts")


def _create_series() -> None:
    op.create_table(
        "series_day",
        *_required(sa.Text(), "point_kind", "syndrome"),
        *_required(sa.Date(), "day"),
        *_required(sa.Text(), "area_id"),
        *_required(sa.Integer(), "persons", "seen", "records", "sites"),
        *_required(sa.BigInteger(), "size_milli", "doubt_milli"),
        sa.Column("judged_persons", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("expected", sa.Float()),
        sa.Column("limit_count", sa.Float()),
        sa.Column("p_value", sa.Float()),
        sa.Column("method", sa.Text(), nullable=False, server_default=""),
        sa.Column("abstains", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("version", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("judged_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint(*TOPIC, "area_id", name="pk_series_day"),
        schema="alerts",
    )
    op.create_index("ix_series_day_area_id_day", "series_day", ["area_id", "day"], schema="alerts")


def _create_fits() -> None:
    op.create_table(
        "fit",
        *_required(sa.Text(), "point_kind", "syndrome"),
        *_required(sa.Date(), "day"),
        *_required(sa.Uuid(), "fit_id"),
        *_required(sa.Date(), "today"),
        *_required(sa.Float(), "share"),
        *_required(sa.Text(), "policy"),
        *_required(sa.DateTime(timezone=True), "fitted_at"),
        sa.PrimaryKeyConstraint(*TOPIC, name="pk_fit"),
        schema="alerts",
    )
    op.create_table(
        "expectation",
        *_required(sa.Text(), "point_kind", "syndrome"),
        *_required(sa.Date(), "day"),
        *_required(sa.Text(), "area_id"),
        *_required(sa.SmallInteger(), "method"),
        *_required(ARRAY(sa.Float()), "tail"),
        sa.PrimaryKeyConstraint(*TOPIC, "area_id", name="pk_expectation"),
        schema="alerts",
    )
    op.create_table(
        "site_size",
        *_required(sa.Text(), "point_kind", "syndrome"),
        *_required(sa.Date(), "monday"),
        *_required(sa.Uuid(), "site_id"),
        *_required(sa.Text(), "area_id"),
        *_required(sa.BigInteger(), "size_milli", "doubt_milli"),
        sa.PrimaryKeyConstraint(
            "point_kind", "syndrome", "monday", "site_id", "area_id", name="pk_site_size"
        ),
        schema="alerts",
    )


def _cell() -> list[sa.Column[object]]:
    return [
        *_required(sa.Text(), "point_kind", "syndrome"),
        *_required(sa.Date(), "day"),
        *_required(sa.Uuid(), "site_id"),
        *_required(sa.Text(), "area_id"),
    ]


def _required(kind: sa.types.TypeEngine[Any], *names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def downgrade() -> None:
    for name in (
        "site_size",
        "expectation",
        "fit",
        "series_day",
        "site_counted",
        "site_day",
        "count_fact",
    ):
        op.drop_table(name, schema="alerts")
