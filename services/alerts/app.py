"""The wiring of alerts."""

from __future__ import annotations

from pathlib import Path

from services.alerts.api.acts import door as acts_door
from services.alerts.api.alerts import door as alerts_door
from services.alerts.api.deliveries import door as deliveries_door
from services.alerts.api.rules import door as rules_door
from services.alerts.api.series import door as series_door
from services.alerts.api.signals import door as signals_door
from services.alerts.api.stream import door as stream_door
from services.alerts.consumers import consumers
from services.alerts.handlers.deliveries import write_deliveries
from services.alerts.handlers.stream import follow_alerts
from services.alerts.handlers.warm import compile_loops
from services.alerts.repository.adjacency import ADJACENCY
from services.alerts.repository.detection import CALENDAR, DETECTION, OUTBREAK
from services.alerts.repository.rules import RULE
from services.alerts.tables import metadata, standard
from services.alerts.timers import evaluators, timers
from shared.service import Service

service = Service(
    name="alerts",
    metadata=metadata,
    tables=standard,
    folder=Path(__file__).parent,
    routers=(
        stream_door,
        alerts_door,
        acts_door,
        signals_door,
        series_door,
        deliveries_door,
        rules_door,
    ),
    consumers=consumers,
    evaluators=evaluators,
    timers=timers,
    prepare=compile_loops,
    policies=(RULE, ADJACENCY, DETECTION, CALENDAR, OUTBREAK),
    background={"stream": follow_alerts, "deliveries": write_deliveries},
)
