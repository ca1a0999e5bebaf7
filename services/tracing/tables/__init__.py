"""Tracing's own tables, in its own PostgreSQL schema: copies of facts, and what was decided."""

from __future__ import annotations

from shared.database.tables import service_metadata, standard_tables

SCHEMA = "tracing"

metadata = service_metadata(SCHEMA)
standard = standard_tables(metadata)

# The tables register themselves in `metadata`; whoever imports it must see all of them.
from services.tracing.tables import decisions, facts, past  # noqa: E402

__all__ = ["SCHEMA", "decisions", "facts", "metadata", "past", "standard"]
