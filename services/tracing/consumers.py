"""Event door: what tracing hears, and who takes it."""

from __future__ import annotations

from services.tracing.handlers.copies import (
    hear_policies,
    store_area_copies,
    store_orders,
    store_persons,
)
from services.tracing.handlers.evidence import store_declarations, store_links, store_results
from services.tracing.handlers.movements import (
    store_encounters,
    store_memberships,
    store_place_copies,
    store_scans,
)
from shared.events.intake import (
    AreaChanged,
    CaseDeclared,
    EncounterMeasured,
    LinkDeclared,
    MembershipDeclared,
    PersonChanged,
    PlaceChanged,
    ResultReported,
    ScanRecorded,
)
from shared.events.policy import PolicyChanged
from shared.events.quarantine import OrderChanged
from shared.service import ConsumerGroup

CONSUMERS = (
    # Scans are the flood: nothing else waits behind them.
    # Under any load two thousand scans a second: who asks whom somebody met should miss none.
    ConsumerGroup("scans", {ScanRecorded: store_scans}, batch_max=2_500, gives_way_seconds=0.5),
    ConsumerGroup(
        "copies",
        {
            PlaceChanged: store_place_copies,
            AreaChanged: store_area_copies,
            PersonChanged: store_persons,
            PolicyChanged: hear_policies,
            OrderChanged: store_orders,
        },
    ),
    ConsumerGroup(
        "facts",
        {
            EncounterMeasured: store_encounters,
            MembershipDeclared: store_memberships,
            ResultReported: store_results,
            CaseDeclared: store_declarations,
            LinkDeclared: store_links,
        },
    ),
)
