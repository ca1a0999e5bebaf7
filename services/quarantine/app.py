"""The whole wiring of quarantine."""

from __future__ import annotations

from pathlib import Path

from services.quarantine.api import breaches, checks, orders
from services.quarantine.consumers import consumers
from services.quarantine.repository.policies import MEASURES
from services.quarantine.tables import metadata, standard
from services.quarantine.timers import evaluators, timers
from shared.service import Service

service = Service(
    name="quarantine",
    metadata=metadata,
    tables=standard,
    folder=Path(__file__).parent,
    routers=(orders.door, checks.door, breaches.door),
    consumers=consumers,
    evaluators=evaluators,
    timers=timers,
    policies=(MEASURES,),
)
