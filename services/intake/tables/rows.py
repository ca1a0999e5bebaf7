"""One table per door of rows. Every revision is a row of its own; none is ever rewritten."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Double,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.schema import SchemaItem

from services.intake.tables.schema import metadata
from shared.database.tables import instant


def _row_columns() -> Iterator[SchemaItem]:
    """What the rows of all doors have in common."""
    yield Column("record_id", Uuid, primary_key=True)
    yield Column("revision", Integer, primary_key=True)
    yield Column("source_id", Uuid, nullable=False)
    yield Column("external_id", Text, nullable=False)
    # The source's day of receipt, by which received = stored + duplicate + rejected is checked.
    yield Column("day", Date, nullable=False)
    yield Column("fingerprint", LargeBinary, nullable=False)
    yield Column("status", Text, nullable=False)
    yield instant("occurred_at")
    yield instant("recorded_at")
    yield Column("flags", Text, nullable=False)
    yield Index(None, "source_id", "day")


scan = Table(
    "scan",
    metadata,
    *_row_columns(),
    Column("person_id", Uuid),
    Column("place_id", Uuid, nullable=False),
    instant("left_at", nullable=True),
    Column("temperature_c", Double),
    Column("fever", Boolean, nullable=False),
    Column("permit", Text),
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("policy", Text),
)

report = Table(
    "report",
    metadata,
    *_row_columns(),
    Column("kind", Text, nullable=False),
    Column("person_id", Uuid),
    Column("person_count", Integer, nullable=False),
    Column("place_id", Uuid),
    instant("until_at", nullable=True),
    Column("temperature_c", Double),
    Column("fever", Boolean, nullable=False),
    Column("reading", Text),
    Column("sealed_symptoms", LargeBinary),
)

encounter = Table(
    "encounter",
    metadata,
    *_row_columns(),
    Column("person_id", Uuid, nullable=False),
    Column("other_person_id", Uuid, nullable=False),
    Column("duration_seconds", Integer, nullable=False),
    Column("place_id", Uuid),
)

membership = Table(
    "membership",
    metadata,
    *_row_columns(),
    Column("person_id", Uuid, nullable=False),
    Column("group_id", Uuid, nullable=False),
    Column("group_kind", Text, nullable=False),
    instant("until_at", nullable=True),
)

result = Table(
    "result",
    metadata,
    *_row_columns(),
    Column("person_id", Uuid, nullable=False),
    Column("specimen_id", Uuid, nullable=False),
    Column("disease", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("stage", Text, nullable=False),
    instant("reported_at"),
    Column("onset_date", Date),
    Column("analytes", Text, nullable=False),
    Column("place_id", Uuid),
)

declaration = Table(
    "declaration",
    metadata,
    *_row_columns(),
    Column("person_id", Uuid, nullable=False),
    Column("disease", Text, nullable=False),
    Column("classification", Text, nullable=False),
    Column("onset_date", Date),
    Column("reported_date", Date),
    Column("diagnosed_date", Date),
    Column("area_id", Text),
)

link = Table(
    "link",
    metadata,
    *_row_columns(),
    Column("person_id", Uuid, nullable=False),
    Column("other_person_id", Uuid, nullable=False),
    Column("disease", Text, nullable=False),
    Column("setting", Text),
    instant("exposed_at", nullable=True),
)

imported_list = Table(
    "imported_list",
    metadata,
    Column("list_id", Uuid, primary_key=True),
    Column("source_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("disease", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    # The file unedited, sealed: lists carry names.
    Column("sealed_body", LargeBinary, nullable=False),
    instant("received_at"),
)
