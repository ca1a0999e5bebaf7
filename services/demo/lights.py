"""Which points light up, and which alerts that makes: the truth about signals and alerts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.demo.exposure import Together
from services.demo.figures import Figures
from services.demo.measures import Breach
from services.demo.plan import Report, Town
from services.demo.told import Facts


@dataclass(frozen=True, slots=True)
class Signal:
    """`point` is the code of the place that lit up (of the source, for a laboratory's result)."""

    kind: str
    point: str
    area: str
    occurred_at: datetime
    record: str
    person: str | None
    unlinked: int


@dataclass(frozen=True, slots=True)
class Reason:
    """One point of an alert, and what was seen there."""

    kind: str
    point: str
    signals: int
    persons: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Alert:
    rule: str
    version: int
    title_zh: str
    title_en: str
    level: str
    area: str
    persons: int
    unlinked: int
    reasons: tuple[Reason, ...]


def signals_of(
    facts: Facts, standing: frozenset[str], breaches: Sequence[Breach],
    together: Sequence[Together], world: tuple[Town, Figures],
) -> list[Signal]:  # fmt: skip
    """Every signal that stands while these persons' cases stand."""
    town, figures = world
    area = {code: place.area for code, place in town.places.items()}
    found = [
        Signal(
            report.kind, report.place, area[report.place], report.occurred_at, report.external_id,
            report.person, 0 if report.person else report.person_count,
        )
        for _, report in facts.reports
        if _is_fever(report, figures)
    ]  # fmt: skip
    found += [
        Signal(
            "positive_result", source, area[result.place], result.occurred_at, result.external_id,
            result.person, 0,
        )
        for source, result in facts.results
        if result.outcome == "positive" and result.person in standing
    ]  # fmt: skip
    found += [
        Signal(
            "checkpoint_fever", scan.place, area[scan.place], scan.occurred_at, scan.external_id,
            scan.person, 0,
        )
        for scan in facts.scans
        if scan.temperature_c is not None and scan.temperature_c >= figures.checkpoint_fever_c
    ]  # fmt: skip
    found += [
        Signal("breach", one.place, area[one.place], one.occurred_at, one.scan, one.person, 0)
        for one in breaches
    ]
    return found + [
        Signal(
            "co_location", one.place, area[one.place], one.from_at,
            f"{one.case}/{one.place}/{one.number}", one.person, 0,
        )
        for one in together
    ]  # fmt: skip


def alerts_of(signals: Sequence[Signal], town: Town, figures: Figures) -> list[Alert]:
    """One alert per rule and county in which some window of time satisfies the rule."""
    counties: dict[str, list[Signal]] = defaultdict(list)
    for signal in signals:
        county = town.county_of(signal.area)
        if county is not None:
            counties[county].append(signal)
    found = []
    for rule in figures.rules:
        for county, lit in sorted(counties.items()):
            evidence = _evidence(rule, [one for one in lit if one.kind in rule["point_kinds"]])
            if evidence:
                found.append(_alert(rule, county, evidence))
    return found


def _evidence(rule: dict[str, Any], signals: Sequence[Signal]) -> list[Signal]:
    """All that lies in a window, closed at both ends, in which the rule is satisfied."""
    window = timedelta(hours=rule["window_hours"])
    counting: set[tuple[str, str]] = set()
    for last in signals:
        inside = [
            one
            for one in signals
            if last.occurred_at - window <= one.occurred_at <= last.occurred_at
        ]
        if _holds(rule, inside):
            counting |= {(one.kind, one.record) for one in inside}
    return sorted(
        (one for one in signals if (one.kind, one.record) in counting),
        key=lambda one: one.occurred_at,
    )


def _holds(rule: dict[str, Any], inside: Sequence[Signal]) -> bool:
    named, unlinked = _persons(inside)
    persons = named + (unlinked if rule["count_unlinked"] else 0)
    return bool(
        len({(one.kind, one.point) for one in inside}) >= rule["min_points"]
        and len({one.kind for one in inside}) >= rule["min_kinds"]
        and persons >= rule["min_persons"]
    )


def _alert(rule: dict[str, Any], county: str, evidence: Sequence[Signal]) -> Alert:
    points: dict[tuple[str, str], list[Signal]] = defaultdict(list)
    for signal in evidence:
        points[signal.kind, signal.point].append(signal)
    named, unlinked = _persons(evidence)
    reasons = tuple(
        Reason(kind, point, len(lit), sum(_persons(lit)), lit[0].occurred_at, lit[-1].occurred_at)
        for (kind, point), lit in sorted(points.items())
    )
    return Alert(
        rule["id"], rule["version"], rule["title_zh"], rule["title_en"], rule["level"], county,
        named, unlinked, reasons,
    )  # fmt: skip


def _persons(signals: Sequence[Signal]) -> tuple[int, int]:
    """(different persons known by name, others of whom nobody knows who they are)."""
    return len({one.person for one in signals if one.person}), sum(one.unlinked for one in signals)


def _is_fever(report: Report, figures: Figures) -> bool:
    if report.fever is not None:
        return report.fever
    return report.temperature_c is not None and report.temperature_c >= figures.report_fever_c
