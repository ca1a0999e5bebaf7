"""Trigger rules as they are told over HTTP."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict


class RuleView(BaseModel):
    """One active version of a rule, with who wrote it and where it is from."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    version: int
    valid_from: date
    valid_to: date | None
    area_id: str | None
    source: str
    author: str
    document: dict[str, Any]


class RuleList(BaseModel):
    rules: list[RuleView]
