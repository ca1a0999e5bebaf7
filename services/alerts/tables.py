"""Signals, alerts and what they rest on, deliveries, and this service's copies."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Double,
    Float,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shared.database.tables import instant, service_metadata, standard_tables

metadata = service_metadata("alerts")
standard = standard_tables(metadata)

# The first block is the newest version of the fact, written by consumers; the second is what it
# amounts to, written by the evaluator alone. Rules read the second.
signal = Table(
    "signal",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("record_kind", Text, nullable=False),
    Column("record_id", Uuid, nullable=False),
    Column("fact_version", Integer, nullable=False),
    Column("fact_event_id", Uuid, nullable=False),
    instant("occurred_at"),
    Column("point_kind", Text, nullable=False),
    Column("point_id", Text, nullable=False),
    Column("lit", Boolean, nullable=False),
    Column("person_id", Uuid),
    Column("person_count", Integer, nullable=False),
    Column("place_id", Uuid),
    Column("place_area_id", Text),
    Column("residence_area_id", Text),
    Column("case_id", Uuid),
    Column("test", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("standing", Boolean, nullable=False, server_default="false"),
    Column("area_id", Text),
    Column("home_area_id", Text),
    Column("judged_fact_version", Integer, nullable=False, server_default="0"),
    # 0: never announced.
    Column("record_version", Integer, nullable=False, server_default="0"),
    instant("judged_at", nullable=True),
    Index(None, "record_id"),
    Index("ix_signal_case_id", "case_id", postgresql_where=text("case_id IS NOT NULL")),
    Index("ix_signal_place_id", "place_id", postgresql_where=text("place_id IS NOT NULL")),
    Index("ix_signal_person_id", "person_id", postgresql_where=text("person_id IS NOT NULL")),
    # The column is named in the condition, so that no plan takes the one for the other.
    Index(
        "ix_signal_area_time",
        "area_id",
        "occurred_at",
        postgresql_where=text("standing AND area_id IS NOT NULL"),
    ),
    Index(
        "ix_signal_home_time",
        "home_area_id",
        "occurred_at",
        postgresql_where=text("standing AND home_area_id IS NOT NULL"),
    ),
)

alert = Table(
    "alert",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("record_version", Integer, nullable=False),
    Column("rule_id", Text, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("area_id", Text, nullable=False),
    Column("title_zh", Text, nullable=False),
    Column("title_en", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("state", Text, nullable=False),
    instant("first_at"),
    instant("last_at"),
    Column("points", Integer, nullable=False),
    Column("persons", Integer, nullable=False),
    Column("unlinked_persons", Integer, nullable=False),
    Column("reasons", JSONB, nullable=False),
    Column("silent_if", JSONB, nullable=False),
    Column("silent_if_text_zh", Text, nullable=False),
    Column("silent_if_text_en", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("cause_id", Uuid),
    instant("opened_at"),
    instant("changed_at"),
    Column("households", Integer, nullable=False, server_default="0"),
    # The days on which the streams of the area agreed.
    Column("consents", JSONB, nullable=False, server_default="[]"),
    # Event time at which the first window that holds ended. In the history of before: unknown.
    instant("held_at", nullable=True),
    # When it ended because nothing more was seen: what it rests on is not used up.
    instant("quiet_at", nullable=True),
    # One live alert per rule and area; a withdrawn one is kept to come back under its id.
    Index(
        "uq_alert_live",
        "rule_id",
        "area_id",
        unique=True,
        postgresql_where=text("state NOT IN ('closed', 'dismissed', 'withdrawn')"),
    ),
    Index("ix_alert_rule_area_last", "rule_id", "area_id", "last_at"),
    Index(None, "area_id"),
)

# What an alert rests on; of an ended or withdrawn one, what it rested on last.
alert_signal = Table(
    "alert_signal",
    metadata,
    Column("alert_id", Uuid, ForeignKey(alert.c.id), primary_key=True),
    Column("signal_id", Uuid, ForeignKey(signal.c.id), primary_key=True),
    Index(None, "signal_id"),
)

# The days of series that an alert rests on, by the id that is derived from their names.
alert_excess = Table(
    "alert_excess",
    metadata,
    Column("alert_id", Uuid, ForeignKey(alert.c.id), primary_key=True),
    Column("excess_id", Uuid, primary_key=True),
    Column("area_id", Text, nullable=False),
    Column("point_kind", Text, nullable=False),
    Column("syndrome", Text, nullable=False),
    Column("day", Date, nullable=False),
    Index("ix_alert_excess_series", "area_id", "point_kind", "syndrome", "day"),
)

# What the streams of an area say together on a day, by one version of a rule. `score` is of that
# day alone, `p_value` against the area's own past, `q_value` across the areas of the level.
consensus = Table(
    "consensus",
    metadata,
    Column("rule_id", Text, primary_key=True),
    Column("rule_version", Integer, primary_key=True),
    Column("area_id", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("score", Double, nullable=False),
    Column("p_value", Double, nullable=False),
    Column("q_value", Double, nullable=False),
    Column("lit", Boolean, nullable=False),
    Column("null_days", Integer, nullable=False),
    Column("streams", ARRAY(Text), nullable=False),
    Index("ix_consensus_day", "rule_id", "rule_version", "day"),
)

# Who lives with whom, as lists declare it: from and, where it is known, until an instant.
household = Table(
    "household",
    metadata,
    Column("membership_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("group_id", Uuid, nullable=False),
    instant("from_at"),
    instant("until_at", nullable=True),
    Column("standing", Boolean, nullable=False),
    Index(None, "person_id"),
)

# One row per version of an alert and person or machine that it was sent to.
delivery = Table(
    "delivery",
    metadata,
    Column("alert_id", Uuid, primary_key=True),
    Column("alert_version", Integer, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    instant("delivered_at"),
)

place = Table(
    "place",
    metadata,
    Column("place_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("area_id", Text),
)

person = Table(
    "person",
    metadata,
    Column("person_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("residence_area_id", Text),
)

case = Table(
    "tracing_case",
    metadata,
    Column("case_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("standing", Boolean, nullable=False),
    # The results that a person's discard covers: their signals fall with it, later ones do not.
    Column("set_aside", ARRAY(Uuid), nullable=False, server_default="{}"),
    Column("reason", Text, nullable=False),
)

# The newest version of each record that is counted, to take back what it counted when it changes.
# Without syndromes it counts nothing. `area_id` is '' where none was told.
count_fact = Table(
    "count_fact",
    metadata,
    Column("record_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("point_kind", Text, nullable=False),
    Column("site_id", Uuid, nullable=False),
    Column("area_id", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("lag", SmallInteger, nullable=False),
    Column("syndromes", ARRAY(Text), nullable=False),
    Column("hits", ARRAY(Text), nullable=False),
    Column("persons", Integer, nullable=False),
    Column("person_id", Uuid),
    Index("ix_count_fact_person_id", "person_id", postgresql_where=text("person_id IS NOT NULL")),
)

# Sums of these by site and day, kept by the consumers: each adds what its facts changed.
site_day = Table(
    "site_day",
    metadata,
    Column("point_kind", Text, primary_key=True),
    Column("syndrome", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("site_id", Uuid, primary_key=True),
    Column("area_id", Text, primary_key=True),
    Column("lag", SmallInteger, primary_key=True),
    Column("persons", Integer, nullable=False),
    Column("seen", Integer, nullable=False),
    Column("records", Integer, nullable=False),
)

# What the evaluator has carried from a site and day into the series, and where to: it carries the
# difference. Sizes are in thousandths.
site_counted = Table(
    "site_counted",
    metadata,
    Column("point_kind", Text, primary_key=True),
    Column("syndrome", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("site_id", Uuid, primary_key=True),
    Column("area_id", Text, primary_key=True),
    Column("line", ARRAY(Text), nullable=False),
    Column("persons", Integer, nullable=False),
    Column("seen", Integer, nullable=False),
    Column("records", Integer, nullable=False),
    Column("size_milli", BigInteger, nullable=False),
    Column("doubt_milli", BigInteger, nullable=False),
    Index("ix_site_counted_site_id", "site_id"),
    Index("ix_site_counted_leaf", text("(line[1])")),
)

# A series on a day: its counts, and the judgement of them. `version` 0: never judged.
series_day = Table(
    "series_day",
    metadata,
    Column("point_kind", Text, primary_key=True),
    Column("syndrome", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("area_id", Text, primary_key=True),
    Column("persons", Integer, nullable=False),
    Column("seen", Integer, nullable=False),
    Column("records", Integer, nullable=False),
    Column("sites", Integer, nullable=False),
    Column("size_milli", BigInteger, nullable=False),
    Column("doubt_milli", BigInteger, nullable=False),
    Column("judged_persons", Integer, nullable=False, server_default="0"),
    Column("expected", Float),
    Column("limit_count", Float),
    Column("p_value", Float),
    Column("method", Text, nullable=False, server_default=""),
    Column("abstains", SmallInteger, nullable=False, server_default="0"),
    Column("version", Integer, nullable=False, server_default="0"),
    instant("judged_at", nullable=True),
    # By area for the door and the rules. A plan made while the table was empty may take it for the
    # primary key: it must never hold many rows of one area and day.
    Index(None, "area_id", "day"),
)

# One fit of all series of a kind for a day; the numbers that a count is compared with.
fit = Table(
    "fit",
    metadata,
    Column("point_kind", Text, primary_key=True),
    Column("syndrome", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("fit_id", Uuid, nullable=False),
    Column("today", Date, nullable=False),
    Column("share", Float, nullable=False),
    Column("policy", Text, nullable=False),
    instant("fitted_at"),
)

expectation = Table(
    "expectation",
    metadata,
    Column("point_kind", Text, primary_key=True),
    Column("syndrome", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("area_id", Text, primary_key=True),
    Column("method", SmallInteger, nullable=False),
    Column("tail", ARRAY(Float), nullable=False),
)

# The size of each site in the week from this Monday on; the nil site's is that of an unknown one.
site_size = Table(
    "site_size",
    metadata,
    Column("point_kind", Text, primary_key=True),
    Column("syndrome", Text, primary_key=True),
    Column("monday", Date, primary_key=True),
    Column("site_id", Uuid, primary_key=True),
    Column("area_id", Text, primary_key=True),
    Column("size_milli", BigInteger, nullable=False),
    Column("doubt_milli", BigInteger, nullable=False),
)
