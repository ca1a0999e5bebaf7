"""Who and what there is: persons and their vault, places, sources (areas: `standard.area`)."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Table, Text, Uuid, text

from services.intake.tables.schema import metadata
from shared.database.tables import instant

person = Table(
    "person",
    metadata,
    Column("person_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("residence_area_id", Text),
    # Known only by a reference so far: nobody has registered this person.
    Column("placeholder", Boolean, nullable=False),
    instant("recorded_at"),
)

identifier = Table(
    "identifier",
    metadata,
    Column("scheme", Text, primary_key=True),
    # HMAC of the value: the way in. The value itself is sealed beside it.
    Column("blind_index", LargeBinary, primary_key=True),
    Column("person_id", Uuid, nullable=False),
    Column("sealed_value", LargeBinary, nullable=False),
    instant("recorded_at"),
    Index(None, "person_id"),
)

vault = Table(
    "vault",
    metadata,
    Column("person_id", Uuid, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("ciphertext", LargeBinary, nullable=False),
    instant("recorded_at"),
)

place = Table(
    "place",
    metadata,
    # Derived from the code, so a scan with the code finds it before and after registration.
    Column("place_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("code", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("area_id", Text),
    Column("name_zh", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("test", Boolean, nullable=False),
    instant("recorded_at"),
    Index(None, "area_id"),
)

source = Table(
    "source",
    metadata,
    Column("source_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False, unique=True),
    # The kind of point it reports from: fever_clinic, pharmacy, school, checkpoint, laboratory, …
    Column("kind", Text, nullable=False),
    Column("facility_namespace", Text, nullable=False),
    Column("facility_universal_id", Text, nullable=False),
    Column("place_id", Uuid),
    Column("default_zone", Text, nullable=False),
    Column("encoding", Text),
    Column("mode", Text, nullable=False),
    instant("recorded_at"),
    Index(
        "uq_source_facility",
        "facility_namespace",
        "facility_universal_id",
        unique=True,
        postgresql_where=text("facility_namespace <> '' OR facility_universal_id <> ''"),
    ),
)
