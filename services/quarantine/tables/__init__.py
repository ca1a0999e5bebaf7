"""The tables of quarantine: copies of what others own, and its own decisions."""

from __future__ import annotations

from services.quarantine.tables.copies import case_copy, contact_copy, person_copy, scan_copy
from services.quarantine.tables.decisions import breach, check, check_in, order
from services.quarantine.tables.schema import metadata, standard

__all__ = [
    "breach",
    "case_copy",
    "check",
    "check_in",
    "contact_copy",
    "metadata",
    "order",
    "person_copy",
    "scan_copy",
    "standard",
]
