"""The parameters of the generated city, and how a small one is cut out of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("city.yaml")
# Points that the city has; the order is that of the numbers in arrays.
KINDS = ("pharmacy", "school", "kindergarten", "outpatient", "emergency", "positive_result")
SCHOOLS = frozenset({"school", "kindergarten"})
LABORATORY = "positive_result"


@dataclass(frozen=True)
class Extent:
    """How large a city and how long a time; a test takes less of both."""

    counties: int
    townships_per_county: int
    history_days: int
    judged_days: int

    @property
    def townships(self) -> int:
        return self.counties * self.townships_per_county

    @property
    def days(self) -> int:
        return self.history_days + self.judged_days


@cache
def parameters() -> Mapping[str, Any]:
    content: Mapping[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return content


def whole_extent() -> Extent:
    content = parameters()
    return Extent(
        content["places"]["counties"],
        content["places"]["townships_per_county"],
        content["calendar"]["history_days"],
        content["calendar"]["judged_days"],
    )


def syndromes() -> tuple[str, ...]:
    return tuple(parameters()["syndromes"])


def diseases() -> tuple[str, ...]:
    return tuple(parameters()["diseases"])


def first_day(extent: Extent) -> date:
    """A shorter history begins later: the judged days are the same."""
    calendar = parameters()["calendar"]
    first: date = calendar["first_day"]
    return first + timedelta(days=calendar["history_days"] - extent.history_days)


def days_between(pairs: list[list[date]]) -> frozenset[date]:
    """Both ends included."""
    return frozenset(
        first + timedelta(days=step)
        for first, last in pairs
        for step in range((last - first).days + 1)
    )
