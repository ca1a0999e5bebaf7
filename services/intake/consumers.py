"""The event door: what intake hears."""

from __future__ import annotations

from services.intake.handlers.copies import copy_cases, copy_orders
from shared.events.quarantine import OrderChanged
from shared.events.tracing import CaseChanged
from shared.service import ConsumerGroup

CONSUMERS = (ConsumerGroup("copies", {OrderChanged: copy_orders, CaseChanged: copy_cases}),)
