"""The tables that every service has in its own schema: delivery, audit, policy, area copy."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def service_metadata(schema: str) -> MetaData:
    """The metadata of one service: its schema and the naming of constraints."""
    return MetaData(schema=schema, naming_convention=NAMING)


def instant(name: str, *, nullable: bool = False) -> Column[object]:
    """An instant column; all of them are `timestamptz`."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


@dataclass(frozen=True, slots=True)
class StandardTables:
    """What `Work` and `shared.delivery` write to."""

    outbox: Table
    inbox: Table
    due: Table
    timer: Table
    dead_letter: Table
    audit: Table
    policy: Table
    area: Table


def standard_tables(metadata: MetaData) -> StandardTables:
    """Define them in `metadata`; called once by each service's `tables`."""
    return StandardTables(
        outbox=_outbox(metadata),
        inbox=_inbox(metadata),
        due=_due(metadata),
        timer=_timer(metadata),
        dead_letter=_dead_letter(metadata),
        audit=audit_table(metadata),
        policy=_policy(metadata),
        area=_area(metadata),
    )


def _outbox(metadata: MetaData) -> Table:
    return Table(
        "outbox",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("topic", Text, nullable=False),
        Column("partition", SmallInteger, nullable=False),
        Column("key", LargeBinary, nullable=False),
        Column("headers", Text, nullable=False),
        Column("value", LargeBinary, nullable=False),
        instant("written_at"),
    )


def _inbox(metadata: MetaData) -> Table:
    return Table(
        "inbox",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("event_id", Uuid, primary_key=True),
        instant("applied_at"),
        Index(None, "applied_at"),
    )


def _due(metadata: MetaData) -> Table:
    return Table(
        "due",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("kind", Text, nullable=False),
        Column("keys", ARRAY(Text), nullable=False),
        Column("attempts", Integer, nullable=False, server_default="0"),
        # Back-off is real time: a fast business clock must not hammer a failing key.
        instant("not_before", nullable=True),
    )


def _timer(metadata: MetaData) -> Table:
    return Table(
        "timer",
        metadata,
        Column("kind", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        instant("due_at"),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Index(None, "due_at"),
    )


def _dead_letter(metadata: MetaData) -> Table:
    return Table(
        "dead_letter",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("consumer_group", Text, nullable=False),
        Column("topic", Text, nullable=False),
        Column("partition", SmallInteger, nullable=False),
        Column("record_offset", BigInteger, nullable=False),
        Column("key", LargeBinary, nullable=False),
        Column("headers", Text, nullable=False),
        Column("value", LargeBinary, nullable=False),
        Column("reason", Text, nullable=False),
        instant("put_aside_at"),
        instant("replayed_at", nullable=True),
    )


def audit_table(metadata: MetaData) -> Table:
    """The insert-only trail; one per schema."""
    return Table(
        "audit",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        instant("at"),
        Column("actor", Text, nullable=False),
        Column("action", Text, nullable=False),
        Column("record_kind", Text, nullable=False),
        Column("record_id", Text, nullable=False),
        Column("record_version", Integer),
        Column("area_id", Text),
        Column("reason", Text, nullable=False, server_default=""),
        Column("policy", Text),
        Column("cause_id", Uuid),
        Index(None, "record_id"),
    )


def _policy(metadata: MetaData) -> Table:
    return Table(
        "policy",
        metadata,
        Column("id", Text, primary_key=True),
        Column("version", Integer, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("disease", Text),
        Column("area_id", Text),
        Column("valid_from", Date, nullable=False),
        Column("valid_to", Date),
        Column("document", JSONB, nullable=False),
        Column("hash", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("author", Text, nullable=False),
        Column("approver", Text),
        Column("state", Text, nullable=False),
        Index(None, "kind"),
    )


def _area(metadata: MetaData) -> Table:
    return Table(
        "area",
        metadata,
        Column("area_id", Text, primary_key=True),
        Column("record_id", Uuid, nullable=False),
        Column("version", Integer, nullable=False),
        Column("parent_id", Text),
        Column("level", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("name_en", Text, nullable=False, server_default=""),
        Column("zone", Text, nullable=False),
        Column("valid_from", Date),
        Column("valid_to", Date),
        # Self first, then every known ancestor up to the root.
        Column("ancestors", ARRAY(Text), nullable=False),
        Index(None, "parent_id"),
        # Written at once: areas change seldom, and a list of pending entries is read by every look.
        Index(None, "ancestors", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
    )
