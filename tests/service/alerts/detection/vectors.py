"""The reference vectors of `../shared/data/detectors`, read as its README says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from services.alerts.domain.detection.verdict import BoolArray, FloatArray, Verdicts

WORDS = {"NA": np.nan, "NaN": np.nan, "Inf": np.inf, "-Inf": -np.inf}


@dataclass(frozen=True)
class Vector:
    """One method on one file: (areas, time) or (time,) arrays from `first` on."""

    file: str
    name: str
    series: dict[str, Any]
    method: dict[str, Any]

    @property
    def title(self) -> str:
        return f"{self.file}/{self.name}"

    @property
    def first(self) -> int:
        return int(self.method["first_index0"])

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.method.get("params") or {})

    @property
    def counts(self) -> FloatArray:
        return numbers(self.series["counts"])

    def wants(self, field: str) -> FloatArray:
        return numbers(self.method[field])

    @property
    def alarms(self) -> BoolArray:
        """R's NA (no bound, no alarm) is no alarm."""
        return np.nan_to_num(self.wants("alarm")) > 0


def numbers(values: list[Any]) -> FloatArray:
    """R's words become numbers; [time][area] becomes (areas, time)."""
    if values and isinstance(values[0], list):
        return np.array([numbers(row) for row in values]).T
    return np.array([WORDS.get(one, one) if isinstance(one, str) else one for one in values], float)


def load(folder: Path, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "detectors" / f"{name}.json").read_text("utf-8"))
    return loaded


def vectors(folder: Path, *prefixes: str, needs: str = "alarm") -> Iterator[Vector]:
    """Every vector whose method's name begins with one of the prefixes, over all the files."""
    for path in sorted((folder / "detectors").glob("*.json")):
        content = json.loads(path.read_text("utf-8"))
        methods = content.get("methods")
        if not isinstance(methods, dict):
            continue
        for name, method in methods.items():
            if name.startswith(prefixes) and needs in method:
                yield Vector(path.stem, name, content["series"], method)


def difference(got: FloatArray, want: FloatArray, *, floor: float = 1e-3) -> float:
    """The largest relative difference; infinite where one is NaN and the other is not.

    Below `floor` it is absolute, in units of the floor: sums that cancel leave 1e-16, not zero.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.abs(got - want) / np.maximum(np.abs(want), floor)
    relative = np.where((got == want) | (np.isnan(got) & np.isnan(want)), 0.0, relative)
    return float(np.nan_to_num(relative, nan=np.inf).max(initial=0.0))


def same_alarms(got: Verdicts, vector: Vector) -> bool:
    return bool((got.alarm[..., vector.first :] == vector.alarms).all())


def dates_of(vector: Vector) -> list[date] | None:
    if not vector.series.get("epoch_as_date"):
        return None
    return [date.fromisoformat(one) for one in vector.series["epochs"]]
