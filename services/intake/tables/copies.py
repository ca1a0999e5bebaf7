"""Intake's own copy of orders and cases: what a checkpoint may tell without asking anybody."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY

from services.intake.tables.schema import metadata
from shared.database.tables import instant

order_copy = Table(
    "order_copy",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    instant("from_at"),
    instant("until_at"),
    Column("allowed_place_ids", ARRAY(Uuid), nullable=False),
    Index(None, "person_id"),
)

case_copy = Table(
    "case_copy",
    metadata,
    Column("case_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("standing", Boolean, nullable=False),
    instant("from_at"),
    instant("until_at", nullable=True),
    Index(None, "person_id"),
)
