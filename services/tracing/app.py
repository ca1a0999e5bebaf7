"""The whole wiring of tracing."""

from __future__ import annotations

from pathlib import Path

from services.tracing.api import ROUTERS
from services.tracing.consumers import CONSUMERS
from services.tracing.repository.policies import KINDS
from services.tracing.tables import metadata, standard
from services.tracing.timers import EVALUATORS, TIMERS
from shared.service import Service

service = Service(
    name="tracing",
    metadata=metadata,
    tables=standard,
    folder=Path(__file__).parent,
    routers=ROUTERS,
    consumers=CONSUMERS,
    evaluators=EVALUATORS,
    timers=TIMERS,
    policies=KINDS,
)
