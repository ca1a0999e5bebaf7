"""What tracing decided: cases, contacts, co-locations, and whom a new fact could touch."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Float,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.tracing.tables import metadata
from shared.database.tables import instant

STANDING = text("standing")

case = Table(
    "case",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("disease", Text, nullable=False),
    Column("classification", Text, nullable=False),
    Column("standing", Boolean, nullable=False),
    # Stays null when nobody knows it; `window_basis` names the date that was used instead.
    Column("onset_date", Date),
    Column("diagnosed_date", Date),
    instant("specimen_collected_at", nullable=True),
    instant("reported_at", nullable=True),
    instant("occurred_at"),
    instant("infectious_from", nullable=True),
    instant("infectious_until", nullable=True),
    Column("window_basis", Text),
    Column("window_date", Date),
    Column("area_id", Text),
    Column("reason", Text, nullable=False),
    Column("cause_id", Uuid),
    Column("evidence", JSONB, nullable=False),
    # What a person's discard covers.
    Column("set_aside", JSONB, nullable=False, server_default="[]"),
    Column("policy", Text),
    Column("exercise", Boolean, nullable=False),
    Column("digest", Text, nullable=False),
    instant("recorded_at"),
    Index(None, "person_id", "disease"),
    Index(None, "area_id"),
    Index(None, "occurred_at", "id"),
)

contact = Table(
    "contact",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("case_id", Uuid, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("via_person_id", Uuid),
    Column("degree", Text, nullable=False),
    instant("first_exposure_at"),
    instant("last_exposure_at"),
    Column("minutes", Float, nullable=False),
    Column("reasons", JSONB, nullable=False),
    Column("evidence", JSONB, nullable=False),
    Column("standing", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("cause_id", Uuid),
    Column("policy", Text),
    # Of everything that is announced: two evaluations that agree compare one text.
    Column("digest", Text, nullable=False),
    instant("recorded_at"),
    Index(None, "case_id", "degree", "first_exposure_at", "id"),
    Index(None, "person_id"),
)

# One visit of somebody else to a place where a case was: written by the evaluator of (case, place).
co_location = Table(
    "co_location",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("case_id", Uuid, nullable=False),
    Column("place_id", Uuid, nullable=False),
    Column("place_kind", Text),
    Column("person_id", Uuid, nullable=False),
    Column("visit_id", Uuid, nullable=False),
    instant("from_at"),
    instant("until_at"),
    Column("minutes", Float, nullable=False),
    Column("evidence", JSONB, nullable=False),
    Column("standing", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("cause_id", Uuid),
    Column("policy", Text),
    # Of everything that is announced: two evaluations that agree compare one text.
    Column("digest", Text, nullable=False),
    instant("recorded_at"),
    Index(None, "case_id", "place_id"),
    Index(None, "case_id", "from_at", "id"),
    Index(None, "visit_id"),
    Index(None, "person_id"),
)

# Whose new facts touch which case: the case's person and its standing close contacts, each with
# the time in which an exposure to them would count.
flagged = Table(
    "flagged",
    metadata,
    Column("case_id", Uuid, primary_key=True),
    Column("person_id", Uuid, primary_key=True),
    instant("from_at"),
    instant("until_at"),
    Index(None, "person_id"),
)

# Where flagged persons stayed long enough to expose others: what a new scan is held against.
presence = Table(
    "presence",
    metadata,
    Column("case_id", Uuid, primary_key=True),
    Column("visit_id", Uuid, primary_key=True),
    # Version and kind as they were judged by: another visit or kind of place is another row to
    # whoever rests on it, also where the times stay as they were.
    Column("visit_version", Integer, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("place_id", Uuid, nullable=False),
    Column("place_kind", Text, nullable=False),
    instant("from_at"),
    instant("until_at"),
    Column("minimum_seconds", Float, nullable=False),
    Column("dwell_seconds", Float, nullable=False),
    Index(None, "place_id", "until_at"),
)

# One row per transaction that changed where a case's own person stayed. Whoever holds these stays
# in memory asks for the transactions that it may not have seen, by their ids, as the city does.
presence_change = Table(
    "presence_change",
    metadata,
    Column("case_id", Uuid, primary_key=True),
    Column("transaction_id", BigInteger, primary_key=True, autoincrement=False),
    instant("written_at"),
    Index(None, "transaction_id"),
    Index(None, "written_at"),
)
