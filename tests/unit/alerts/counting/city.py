"""Made-up counts of which the truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from services.alerts import app
from services.alerts.domain.counting.calendar import Calendar
from services.alerts.domain.counting.policy import Detection
from services.alerts.domain.counting.table import DayCounts, SeriesTable, Sites, tree_of
from services.alerts.domain.detection.verdict import BoolArray, IntArray
from services.alerts.domain.expecting.judging import Judged, judge_days
from services.alerts.repository.detection import CalendarDocument, DetectionDocument
from shared.policy import read_presets

FIRST = date(2021, 1, 4)
PRESETS = {
    file.id: file.document
    for file in read_presets(Path(app.__file__).parent / "presets", app.service.policies)
}
POLICY: Detection = DetectionDocument.model_validate(PRESETS["detection"]).detection("detection@1")
CALENDAR: Calendar = CalendarDocument.model_validate(PRESETS["calendar_cn"]).calendar()
WEEK = np.array([1.3, 1.1, 1.0, 1.0, 1.0, 0.9, 0.7])


@dataclass(frozen=True)
class Made:
    """One county with `sites` of one kind; change the arrays, then judge."""

    persons: IntArray
    seen: IntArray
    reported: BoolArray
    kind: str = "pharmacy"
    syndrome: str = "fever"

    @classmethod
    def usual(
        cls, days: int, *, sites: int = 4, mean: float = 6.0, seed: int = 0, kind: str = "pharmacy"
    ) -> Made:
        draw = np.random.default_rng(seed)
        level = mean * WEEK[(FIRST.weekday() + np.arange(days)) % 7]
        persons = draw.poisson(np.broadcast_to(level, (sites, days)))
        seen = persons + draw.poisson(20.0, (sites, days))
        return cls(persons, seen, np.ones((sites, days), dtype=np.bool_), kind)

    def table(self, **more: Any) -> SeriesTable:
        tree = tree_of([("county", None), ("town", "county")])
        area = np.ones(len(self.persons), dtype=np.int64)
        counts = DayCounts(self.persons.astype(np.int32), self.seen.astype(np.int32), self.reported)
        known: dict[str, Any] = {
            "first_day": FIRST,
            "tree": tree,
            "kinds": ((self.kind, self.syndrome),),
            "sites": Sites.always_open(area, np.zeros_like(area)),
            "counts": counts,
        }
        return SeriesTable(**(known | more))

    def judge(
        self, days: Sequence[int], *, policy: Detection = POLICY, delays: Any = None, **more: Any
    ) -> Judged:
        return judge_days(self.table(**more), policy, CALENDAR, days, delays=delays)

    def risen(self, days: slice, by: float, *, mean: float = 6.0) -> Made:
        """As many times as many persons on these days as are usual there, exactly."""
        persons = self.persons.copy()
        level = mean * WEEK[(FIRST.weekday() + np.arange(persons.shape[1])) % 7]
        persons[:, days] = np.ceil(by * level[days]).astype(np.int64)
        return replace(self, persons=persons)


def number(day: date) -> int:
    return (day - FIRST).days
