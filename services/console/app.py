"""The whole wiring of the console."""

from __future__ import annotations

from pathlib import Path

from services.console.api import alerts, cases, files, pages, session, stream
from services.console.consumers import CONSUMERS
from services.console.repository.owners import close_at_end
from services.console.tables import metadata, standard
from services.console.timers import EVALUATORS, TIMERS
from shared.service import Service

service = Service(
    name="console",
    metadata=metadata,
    tables=standard,
    folder=Path(__file__).parent,
    routers=(pages.door, alerts.door, cases.door, stream.door, session.door, files.door),
    consumers=CONSUMERS,
    timers=TIMERS,
    evaluators=EVALUATORS,
    background={"owners": close_at_end},
)
