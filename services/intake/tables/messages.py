"""HL7 messages as they came, what was odd about them, and the visits and results they add up to."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY

from services.intake.tables.schema import metadata
from shared.database.tables import instant

message = Table(
    "message",
    metadata,
    Column("message_id", Uuid, primary_key=True),
    # How the sender names itself (MSH-4), else the client; stays the same after registration.
    Column("sender", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("control_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # applied, refused, waiting_for_registration, test_without_effect, without_effect, failed
    Column("state", Text, nullable=False),
    Column("client", Text, nullable=False),
    # The client's own source, if its key is bound to one.
    Column("bound_source_id", Uuid),
    Column("facility_namespace", Text, nullable=False),
    Column("facility_universal_id", Text, nullable=False),
    Column("treating_namespace", Text, nullable=False),
    Column("treating_universal_id", Text, nullable=False),
    Column("source_id", Uuid),
    # The source it was counted for on its day, which a later registration does not change.
    Column("counted_source_id", Uuid),
    Column("day", Date, nullable=False),
    Column("area_id", Text),
    Column("sealed_body", LargeBinary, nullable=False),
    Column("reply", LargeBinary, nullable=False),
    instant("received_at"),
    instant("applied_at", nullable=True),
    Index(None, "sender", "fingerprint", unique=True),
    Index(None, "sender", "control_id"),
    Index(None, "state", "received_at"),
)

message_subject = Table(
    "message_subject",
    metadata,
    # The visit or specimen a message tells about; what it adds up to is folded from all of them.
    Column("subject_id", Uuid, primary_key=True),
    Column("message_id", Uuid, primary_key=True),
)

finding = Table(
    "finding",
    metadata,
    Column("finding_id", BigInteger, Identity(always=True), primary_key=True),
    Column("message_id", Uuid, nullable=False),
    Column("area_id", Text),
    Column("code", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("text", Text, nullable=False),
    instant("found_at"),
    Index(None, "message_id", "code", "field", "text", unique=True),
    Index(None, "code"),
)

clinic_encounter = Table(
    "clinic_encounter",
    metadata,
    Column("encounter_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("source_id", Uuid, nullable=False),
    Column("person_id", Uuid),
    Column("place_id", Uuid),
    Column("area_id", Text),
    Column("residence_area_id", Text),
    Column("kind", Text, nullable=False),
    Column("patient_class", Text, nullable=False),
    Column("visit_type", Text, nullable=False),
    instant("occurred_at"),
    instant("event_at"),
    instant("discharged_at", nullable=True),
    Column("died", Boolean, nullable=False),
    Column("temperature_c", Double),
    Column("fever", Boolean, nullable=False),
    Column("reading", Text),
    # The list's own words that matched, never the patient's.
    Column("reasons", ARRAY(Text), nullable=False),
    Column("sealed_complaints", LargeBinary),
    Column("messages", Integer, nullable=False),
    Column("test", Boolean, nullable=False),
    # What was announced last: a later message that changes nothing announces nothing.
    Column("announced", LargeBinary, nullable=False),
    instant("recorded_at"),
)

specimen_result = Table(
    "specimen_result",
    metadata,
    Column("result_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("specimen_id", Uuid, nullable=False),
    Column("disease", Text, nullable=False),
    Column("source_id", Uuid, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("area_id", Text),
    Column("outcome", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("onset_date", Date),
    instant("collected_at"),
    instant("reported_at"),
    Column("analytes", ARRAY(Text), nullable=False),
    Column("policy", Text, nullable=False),
    Column("test", Boolean, nullable=False),
    Column("announced", LargeBinary, nullable=False),
    instant("recorded_at"),
    Index(None, "specimen_id"),
)
