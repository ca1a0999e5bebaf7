"""The event log kept in PostgreSQL (schema `bus`), written and read by `embedded.py` alone."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY

from shared.database.tables import instant, service_metadata

metadata = service_metadata("bus")

topic = Table(
    "topic",
    metadata,
    Column("name", Text, primary_key=True),
    Column("partitions", SmallInteger, nullable=False),
    Column("compacted", Boolean, nullable=False),
    Column("retention_hours", Integer),
)

# One short row per partition. Its row lock is what makes offsets dense and visible in order.
partition_head = Table(
    "partition_head",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("topic", Text, ForeignKey(topic.c.name), nullable=False),
    Column("partition", SmallInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False, server_default="0"),
    # The oldest offset that retention has left.
    Column("first_offset", BigInteger, nullable=False, server_default="0"),
    # Compaction has looked at every record below this offset.
    Column("compacted_offset", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("topic", "partition"),
    # Updated with every publish: room on the page keeps these updates out of the index.
    postgresql_with={"fillfactor": "50"},
)

record = Table(
    "record",
    metadata,
    Column("partition_id", Integer, primary_key=True),
    Column("record_offset", BigInteger, primary_key=True),
    Column("key", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False),
    # As `headers.py` packs them.
    Column("headers", LargeBinary, nullable=False),
    instant("written_at"),
)

consumer_group = Table(
    "consumer_group",
    metadata,
    Column("name", Text, primary_key=True),
    # Grows whenever somebody joins, leaves, or gives a partition up.
    Column("generation", BigInteger, nullable=False, server_default="0"),
)

group_member = Table(
    "group_member",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    # One life of this member: a process that was replaced under the same name cannot commit.
    Column("incarnation", Uuid, nullable=False),
    Column("topics", ARRAY(Text), nullable=False),
    instant("lease_until"),
    Index(None, "incarnation"),
)

group_position = Table(
    "group_position",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("partition_id", Integer, primary_key=True),
    # The offset of the next record to read; null until the group has committed for the first time.
    Column("position", BigInteger),
    # The incarnation that reads this partition at present.
    Column("owner", Uuid),
    postgresql_with={"fillfactor": "50"},
)
