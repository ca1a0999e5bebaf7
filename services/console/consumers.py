"""Event door: the area tree."""

from __future__ import annotations

from services.console.handlers.areas import hear_areas
from shared.events.intake import AreaChanged
from shared.service import ConsumerGroup

CONSUMERS = (ConsumerGroup("copies", {AreaChanged: hear_areas}),)
