"""The ledger as it is told over HTTP."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class DeliveryView(BaseModel):
    """One version of an alert, sent to one subject."""

    model_config = ConfigDict(from_attributes=True)

    alert_id: UUID
    alert_version: int
    subject: str
    channel: str
    log_offset: int
    delivered_at: datetime


class DeliveryList(BaseModel):
    deliveries: list[DeliveryView]
