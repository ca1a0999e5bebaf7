"""Every table of intake, in its own schema and under its own role."""

from __future__ import annotations

from services.intake.tables.copies import case_copy, order_copy
from services.intake.tables.messages import (
    clinic_encounter,
    finding,
    message,
    message_subject,
    specimen_result,
)
from services.intake.tables.receipts import receipt, rejected_row, tally
from services.intake.tables.registry import identifier, person, place, source, vault
from services.intake.tables.rows import (
    declaration,
    encounter,
    imported_list,
    link,
    membership,
    report,
    result,
    scan,
)
from services.intake.tables.schema import metadata, standard

__all__ = [
    "case_copy",
    "clinic_encounter",
    "declaration",
    "encounter",
    "finding",
    "identifier",
    "imported_list",
    "link",
    "membership",
    "message",
    "message_subject",
    "metadata",
    "order_copy",
    "person",
    "place",
    "receipt",
    "rejected_row",
    "report",
    "result",
    "scan",
    "source",
    "specimen_result",
    "standard",
    "tally",
    "vault",
]
