"""The whole wiring of intake."""

from __future__ import annotations

from pathlib import Path

from services.intake.api import ROUTERS
from services.intake.api.body import open_desk
from services.intake.consumers import CONSUMERS
from services.intake.handlers.policies import KINDS
from services.intake.tables import metadata, standard
from services.intake.timers import EVALUATORS, TIMERS
from shared.service import Service

service = Service(
    name="intake",
    metadata=metadata,
    tables=standard,
    folder=Path(__file__).parent,
    routers=ROUTERS,
    consumers=CONSUMERS,
    evaluators=EVALUATORS,
    timers=TIMERS,
    policies=KINDS,
    prepare=open_desk,
)
