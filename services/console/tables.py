"""The console keeps the standard tables alone: its copy of the areas is one of them."""

from __future__ import annotations

from shared.database.tables import service_metadata, standard_tables

metadata = service_metadata("console")
standard = standard_tables(metadata)
