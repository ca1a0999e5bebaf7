"""Copies of what others said. A row holds the highest version heard; `standing` is false once
withdrawn.

`replaced_*` hold the values that the last revision overwrote: whoever was judged by them must be
judged again. `batch_id` names the transaction that wrote the row, so that one due key says
"judge these five hundred"; `recorded_at` is when this version came to be known. The versions
before it stand in `tables/past.py`.
"""

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
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.tracing.tables import metadata
from shared.database.tables import instant

STANDING = text("standing")

# Version 0: known by its scans alone. `longest_seconds` is the longest stay with a known departure;
# it bounds how far back a range scan by arrival must reach.
place = Table(
    "place",
    metadata,
    Column("place_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("area_id", Text),
    Column("longest_seconds", Float, nullable=False, server_default="0"),
    # The transaction that last changed the kind or made the row.
    Column("batch_id", Uuid),
    Index(None, "longest_seconds"),
    Index(None, "batch_id"),
)

person = Table(
    "person",
    metadata,
    Column("person_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("residence_area_id", Text),
)

visit = Table(
    "visit",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person_id", Uuid),
    Column("place_id", Uuid, nullable=False),
    instant("arrived_at"),
    # Null where nobody saw the person leave: the policy's dwell for the kind of place is assumed.
    instant("left_at", nullable=True),
    Column("standing", Boolean, nullable=False),
    instant("recorded_at"),
    Column("batch_id", Uuid, nullable=False),
    Column("replaced_person_id", Uuid),
    Column("replaced_place_id", Uuid),
    Index(
        None,
        "place_id",
        "arrived_at",
        postgresql_include=["left_at", "person_id"],
        postgresql_where=STANDING,
    ),
    Index(
        None,
        "person_id",
        "arrived_at",
        postgresql_include=["left_at", "place_id"],
        postgresql_where=STANDING,
    ),
    Index(None, "batch_id"),
)

encounter = Table(
    "encounter",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("other_person_id", Uuid, nullable=False),
    instant("started_at"),
    Column("seconds", BigInteger, nullable=False),
    Column("standing", Boolean, nullable=False),
    instant("recorded_at"),
    Column("batch_id", Uuid, nullable=False),
    Column("replaced_person_id", Uuid),
    Column("replaced_other_person_id", Uuid),
    Index(
        None,
        "person_id",
        "started_at",
        postgresql_include=["other_person_id", "seconds"],
        postgresql_where=STANDING,
    ),
    Index(
        None,
        "other_person_id",
        "started_at",
        postgresql_include=["person_id", "seconds"],
        postgresql_where=STANDING,
    ),
    Index(None, "batch_id"),
)

membership = Table(
    "membership",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("group_id", Uuid, nullable=False),
    Column("group_kind", Text, nullable=False),
    instant("from_at"),
    instant("until_at", nullable=True),
    Column("standing", Boolean, nullable=False),
    instant("recorded_at"),
    Column("batch_id", Uuid, nullable=False),
    Column("replaced_person_id", Uuid),
    Column("replaced_group_id", Uuid),
    Index(None, "person_id", postgresql_where=STANDING),
    Index(None, "group_id", postgresql_where=STANDING),
    Index(None, "batch_id"),
)

link = Table(
    "link",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("other_person_id", Uuid, nullable=False),
    Column("disease", Text, nullable=False),
    Column("setting", Text),
    instant("exposed_at", nullable=True),
    Column("standing", Boolean, nullable=False),
    instant("recorded_at"),
    Column("replaced_person_id", Uuid),
    Column("replaced_disease", Text),
    Index(None, "person_id"),
    Index(None, "other_person_id"),
)

result = Table(
    "result",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("disease", Text, nullable=False),
    Column("specimen_id", Uuid, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("stage", Text, nullable=False),
    instant("collected_at"),
    instant("reported_at"),
    Column("onset_date", Date),
    Column("area_id", Text),
    Column("standing", Boolean, nullable=False),
    Column("exercise", Boolean, nullable=False),
    instant("recorded_at"),
    Column("replaced_person_id", Uuid),
    Column("replaced_disease", Text),
    Index(None, "person_id", "disease"),
)

declaration = Table(
    "declaration",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("disease", Text, nullable=False),
    Column("classification", Text, nullable=False),
    instant("occurred_at"),
    Column("onset_date", Date),
    Column("reported_date", Date),
    Column("diagnosed_date", Date),
    Column("area_id", Text),
    Column("standing", Boolean, nullable=False),
    Column("exercise", Boolean, nullable=False),
    instant("recorded_at"),
    Column("replaced_person_id", Uuid),
    Column("replaced_disease", Text),
    Index(None, "person_id", "disease"),
)

# A case opened by a person here. `reason` is the author's own words: they stay in this table.
opening = Table(
    "opening",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("person_id", Uuid, nullable=False),
    Column("disease", Text, nullable=False),
    Column("classification", Text, nullable=False),
    Column("onset_date", Date),
    instant("reported_at"),
    Column("area_id", Text),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    instant("opened_at"),
    Index(None, "person_id", "disease"),
)

# A person discarded the case or opened it again; the last act counts.
verdict = Table(
    "verdict",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("case_id", Uuid, nullable=False),
    Column("action", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    # The evidence that a discard covers; what comes later is not covered.
    Column("covered", ARRAY(Uuid), nullable=False, server_default="{}"),
    instant("at"),
    Index(None, "case_id"),
)

# Quarantine's orders; tracing asks them only when a close contact was put apart.
order = Table(
    "order",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    Column("supports", JSONB, nullable=False),
    Index(None, "person_id"),
)
