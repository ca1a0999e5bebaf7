"""The whole wiring of tracing."""

from __future__ import annotations

from pathlib import Path

from services.tracing.api import ROUTERS
from services.tracing.consumers import CONSUMERS
from services.tracing.handlers.city import follow_city
from services.tracing.handlers.memories import open_memories
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
    background={"city": follow_city},
    prepare=open_memories,
)
