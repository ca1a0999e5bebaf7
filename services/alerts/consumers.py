"""The event door."""

from __future__ import annotations

from services.alerts.handlers.copies import (
    hear_areas,
    hear_cases,
    hear_memberships,
    hear_persons,
    hear_places,
    hear_rules,
)
from services.alerts.handlers.facts import (
    store_breaches,
    store_co_locations,
    store_reports,
    store_results,
    store_scans,
)
from shared.events.intake import (
    AreaChanged,
    MembershipDeclared,
    PersonChanged,
    PlaceChanged,
    ReportRecorded,
    ResultReported,
    ScanRecorded,
)
from shared.events.policy import PolicyChanged
from shared.events.quarantine import BreachChanged
from shared.events.tracing import CaseChanged, CoLocationChanged
from shared.service import ConsumerGroup

consumers = (
    ConsumerGroup(
        "facts",
        {
            ReportRecorded: store_reports,
            ResultReported: store_results,
            BreachChanged: store_breaches,
        },
    ),
    ConsumerGroup("scans", {ScanRecorded: store_scans}, gives_way_seconds=2.0),
    # A case in a crowd makes thousands at once: results and breaches do not wait behind them.
    ConsumerGroup("co_locations", {CoLocationChanged: store_co_locations}),
    ConsumerGroup(
        "copies",
        {
            AreaChanged: hear_areas,
            PlaceChanged: hear_places,
            PersonChanged: hear_persons,
            CaseChanged: hear_cases,
            MembershipDeclared: hear_memberships,
            PolicyChanged: hear_rules,
        },
    ),
)
