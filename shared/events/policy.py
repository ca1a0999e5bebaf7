"""A policy document came into being or changed state, at one of the owners."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar

from shared.events.base import Event


class PolicyChanged(Event):
    """`topic` is the owner's own (`<owner>.policy.v1`), chosen by `owner`."""

    type: ClassVar[str] = "outpost.policy.changed"
    topic: ClassVar[str] = "policy.v1"

    owner: str
    policy_id: str
    version: int
    kind: str
    disease: str | None = None
    area_id: str | None = None
    valid_from: date
    valid_to: date | None = None
    document: dict[str, Any]
    state: str

    @property
    def log_topic(self) -> str:
        return f"{self.owner}.policy.v1"
