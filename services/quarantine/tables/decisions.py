"""What this service decides: orders, check-ins owed and done, breaches."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, ForeignKey, Index, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.quarantine.tables.schema import metadata
from shared.database.tables import instant

# "order" is a reserved word of SQL.
order = Table(
    "quarantine_order",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    instant("from_at"),
    instant("until_at"),
    Column("terms", JSONB, nullable=False),
    Column("area_id", Text),
    Column("supports", JSONB, nullable=False),
    # All contacts and cases that it ever rested on: by these it comes back under its id.
    Column("support_ids", ARRAY(Uuid), nullable=False),
    Column("allowed_place_ids", ARRAY(Uuid), nullable=False),
    Column("reason", Text, nullable=False),
    Column("cause_id", Uuid),
    instant("checks_after_at"),
    instant("changed_at"),
    Index(None, "person_id"),
    Index(None, "area_id"),
    Index(
        "uq_quarantine_order_open",
        "person_id",
        "kind",
        unique=True,
        postgresql_where=text("status = 'open'"),
    ),
)

check = Table(
    "check_owed",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("order_id", Uuid, ForeignKey(order.c.id), nullable=False),
    Column("person_id", Uuid, nullable=False),
    instant("due_at"),
    instant("deadline_at"),
    Column("status", Text, nullable=False),
    instant("done_at", nullable=True),
    Column("symptomatic", Boolean, nullable=False),
    Index(None, "order_id"),
    Index(None, "status", "due_at"),
)

# Insert-only: who did a check-in when, and what was measured (temperature in °C).
check_in = Table(
    "check_in",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("check_id", Uuid, nullable=False),
    Column("order_id", Uuid, ForeignKey(order.c.id), nullable=False),
    instant("done_at"),
    Column("temperature_c", Double),
    Column("symptoms", ARRAY(Text), nullable=False),
    Column("symptomatic", Boolean, nullable=False),
    Column("author", Text, nullable=False),
    instant("recorded_at"),
    Index(None, "order_id"),
)

breach = Table(
    "breach",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("order_id", Uuid, ForeignKey(order.c.id), nullable=False),
    Column("scan_id", Uuid, nullable=False),
    Column("scan_version", Integer, nullable=False),
    Column("place_id", Uuid, nullable=False),
    Column("area_id", Text),
    instant("occurred_at"),
    Column("standing", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("cause_id", Uuid),
    instant("changed_at"),
    Index(None, "person_id"),
    Index(None, "scan_id"),
    Index(None, "order_id"),
    Index(None, "occurred_at"),
)
