"""What was answered, and the counts that must add up."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.intake.tables.schema import metadata
from shared.database.tables import instant

receipt = Table(
    "receipt",
    metadata,
    # A source, or for messages the sender as it names itself.
    Column("sender", Text, primary_key=True),
    Column("door", Text, primary_key=True),
    Column("fingerprint", LargeBinary, primary_key=True),
    Column("received", Integer, nullable=False),
    # Deflated and sealed: the very bytes that were answered, for every repeat.
    Column("reply", LargeBinary, nullable=False),
    instant("received_at"),
)

tally = Table(
    "tally",
    metadata,
    # One row per request and never an update, so that a source's requests do not queue on one row.
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("source_id", Uuid),
    Column("day", Date, nullable=False),
    Column("door", Text, nullable=False),
    Column("received", Integer, nullable=False),
    Column("stored", Integer, nullable=False),
    Column("duplicate", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Index(None, "day", "source_id"),
)

rejected_row = Table(
    "rejected_row",
    metadata,
    Column("rejection_id", Uuid, primary_key=True),
    Column("source_id", Uuid, nullable=False),
    Column("area_id", Text),
    Column("door", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("position", Integer, nullable=False),
    Column("external_id", Text),
    Column("revision", Integer, nullable=False),
    Column("problems", JSONB, nullable=False),
    Column("sealed_body", LargeBinary, nullable=False),
    instant("received_at"),
    Index(None, "source_id", "day"),
)
