"""What others own, as far as orders and breaches need it; the highest version heard of each."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, Table, Text, Uuid

from services.quarantine.tables.schema import metadata
from shared.database.tables import instant

contact_copy = Table(
    "contact_copy",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("case_id", Uuid, nullable=False),
    Column("degree", Text, nullable=False),
    Column("disease", Text, nullable=False),
    instant("last_exposure_at"),
    Column("standing", Boolean, nullable=False),
    Index(None, "person_id"),
    Index(None, "case_id"),
)

case_copy = Table(
    "case_copy",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("disease", Text, nullable=False),
    Column("classification", Text, nullable=False),
    Column("standing", Boolean, nullable=False),
    instant("reported_at"),
    Column("area_id", Text),
    Index(None, "person_id"),
    Index(None, "area_id"),
)

person_copy = Table(
    "person_copy",
    metadata,
    Column("person_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("residence_area_id", Text),
    Index(None, "residence_area_id"),
)

# Every scan of a person, because a late order judges scans that came long before it. Lean: at
# 5,000 scans a second each column and index counts.
scan_copy = Table(
    "scan_copy",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person_id", Uuid),
    Column("place_id", Uuid, nullable=False),
    Column("place_kind", Text, nullable=False),
    Column("area_id", Text),
    instant("occurred_at"),
    Column("permitted", Boolean, nullable=False),
    Column("recorded", Boolean, nullable=False),
    Index(None, "person_id", "occurred_at"),
)
