"""The schema itself and the tables that every service has."""

from __future__ import annotations

from shared.database.tables import service_metadata, standard_tables

metadata = service_metadata("intake")
standard = standard_tables(metadata)
