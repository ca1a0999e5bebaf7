"""The figures of the policies, read from the presets as the YAML files that they are.

The truth owes nothing to the services' code, so it opens their data files and no module of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

SERVICES = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Figures:
    """One document of each kind as in force on a day, and every trigger rule."""

    windows: dict[str, Any]
    measures: dict[str, Any]
    rules: tuple[dict[str, Any], ...]
    checkpoint_fever_c: float
    report_fever_c: float


def read_figures(disease: str, day: date) -> Figures:
    """`LookupError` when a kind has no document in force that day."""
    checkpoint = _in_force("intake", "intake.checkpoint", disease, day)
    syndromes = _in_force("intake", "intake.syndromes", disease, day)
    return Figures(
        windows=_in_force("tracing", "tracing.windows", disease, day),
        measures=_in_force("quarantine", "quarantine.measures", disease, day),
        rules=tuple(
            {"id": file["id"], "version": file["version"], **file["document"]}
            for file in _newest("alerts", "alerts.rule", disease, day)
        ),
        checkpoint_fever_c=float(checkpoint["fever_from_c"]),
        report_fever_c=float(syndromes["temperature_c"]),
    )


def _in_force(service: str, kind: str, disease: str, day: date) -> dict[str, Any]:
    files = _newest(service, kind, disease, day)
    if not files:
        raise LookupError(f"no {kind} in force on {day} in services/{service}/presets")
    # A document of the disease goes before one for any disease.
    chosen = min(files, key=lambda file: (file.get("disease") is None, file["id"]))
    document: dict[str, Any] = chosen["document"]
    return document


def _newest(service: str, kind: str, disease: str, day: date) -> list[dict[str, Any]]:
    newest: dict[str, dict[str, Any]] = {}
    for file in _files(service):
        if file.get("kind") != kind or file.get("disease") not in (None, disease):
            continue
        # The town lies in no area that a preset names.
        if file.get("area_id") is not None or not _covers(file, day):
            continue
        if file["id"] not in newest or newest[file["id"]]["version"] < file["version"]:
            newest[file["id"]] = file
    return [newest[name] for name in sorted(newest)]


def _covers(file: dict[str, Any], day: date) -> bool:
    until = file.get("valid_to")
    return bool(file["valid_from"] <= day and (until is None or day <= until))


def _files(service: str) -> Iterator[dict[str, Any]]:
    for path in sorted((SERVICES / service / "presets").glob("*.yaml")):
        yield yaml.safe_load(path.read_text(encoding="utf-8"))
