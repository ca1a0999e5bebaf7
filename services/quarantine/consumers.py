"""The event door. Scans have a group of their own: they never hold up a case or a contact."""

from __future__ import annotations

from services.quarantine.handlers.copies import (
    hear_areas,
    hear_cases,
    hear_contacts,
    hear_persons,
    hear_policies,
    hear_scans,
)
from shared.events.intake import AreaChanged, PersonChanged, ScanRecorded
from shared.events.policy import PolicyChanged
from shared.events.tracing import CaseChanged, ContactChanged
from shared.service import ConsumerGroup

consumers = (
    ConsumerGroup("facts", {ContactChanged: hear_contacts, CaseChanged: hear_cases}),
    ConsumerGroup("scans", {ScanRecorded: hear_scans}, gives_way_seconds=2.0),
    ConsumerGroup(
        "copies",
        {PersonChanged: hear_persons, AreaChanged: hear_areas, PolicyChanged: hear_policies},
    ),
)
