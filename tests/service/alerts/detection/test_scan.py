"""The space-time scan against SaTScan and scanstatistics."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.alerts.domain.detection.scan import Cluster, Model, Scan, circles, scan
from services.alerts.domain.detection.verdict import FloatArray
from tests.service.alerts.detection.vectors import load, numbers

MODELS: dict[str, Model] = {"space-time permutation": "permutation", "discrete Poisson": "poisson"}
SIMULATIONS = 999
EARTH_RADIUS_KILOMETRES = 6371.0


def _berlin(content: dict[str, Any]) -> tuple[list[str], FloatArray, FloatArray]:
    places = content["input"]["geo_[location,x,y]"]
    names = [place[0] for place in places]
    at = np.array([[place[1], place[2]] for place in places], float)
    distance = np.linalg.norm(at[:, None] - at[None], axis=-1)
    counts = np.zeros((len(names), 290))
    for name, number, week in content["input"]["cases_[location,count,time]"]:
        counts[names.index(name), week - 1] += number
    return names, distance, counts


def _new_york(content: dict[str, Any]) -> tuple[list[str], FloatArray]:
    places = content["input"]["geo_[location,lat,long]"]
    names = [place[0] for place in places]
    latitude, longitude = np.radians([[place[1], place[2]] for place in places]).T
    point = np.stack(
        [
            np.cos(latitude) * np.cos(longitude),
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude),
        ],
        axis=1,
    )
    chord = np.linalg.norm(point[:, None] - point[None], axis=-1)
    return names, 2.0 * EARTH_RADIUS_KILOMETRES * np.arcsin(np.minimum(chord / 2.0, 1.0))


def _day(text: str) -> date:
    year, month, day = text.split("/")
    return date(int(year), int(month), int(day))


def _agree(ours: Cluster, theirs: dict[str, Any], title: str) -> None:
    assert ours.ratio == pytest.approx(theirs["llr"], abs=1e-6), title
    assert ours.observed == theirs["observed"], title
    # SaTScan rounds to two decimals, or to three significant digits.
    assert ours.expected == pytest.approx(theirs["expected"], rel=6e-3, abs=5.1e-3), title
    # Two Monte Carlo estimates: four deviations of their difference.
    p = theirs["p_value"]
    apart = 4.0 * np.sqrt(2.0 * max(p * (1.0 - p), 0.001) / SIMULATIONS)
    assert abs(ours.p_value - p) < apart, f"{title} {ours.p_value} {p}"


def test_berlin_equals_satscan(outside_data: Path) -> None:
    """Both models in twelve windows. SaTScan keeps one cluster per centre and so lists fewer."""
    content = load(outside_data, "scan_ha")
    names, distance, counts = _berlin(content)
    people = np.full(len(names), 1000.0)
    compared = 0
    for run in content["satscan"]:
        model = MODELS[run["model"]]
        window = counts[:, run["start"] - 1 : run["end"]]
        weight = window.sum(axis=1) if model == "permutation" else people
        zones = circles(distance, weight, share_most=run["max_spatial_pct"] / 100)
        rule = Scan(model=model, longest=run["max_temporal"], simulations=SIMULATIONS)
        got = scan(window, zones, rule, seed=1, weight=people if model == "poisson" else None)
        assert len(got.clusters) >= len(run["clusters"]), run["name"]
        for ours, theirs in zip(got.clusters, run["clusters"], strict=False):
            _agree(ours, theirs, run["name"])
            assert {names[one] for one in ours.locations} == set(theirs["locations"])
            assert run["start"] + ours.since == int(theirs["start"])
            compared += 1
    assert compared == 29


def test_new_york_equals_satscan(outside_data: Path) -> None:
    content = load(outside_data, "scan_nycfever")
    names, distance = _new_york(content)
    compared = 0
    for run in content["satscan"]:
        first, last = _day(run["start"]), _day(run["end"])
        counts = np.zeros((len(names), (last - first).days + 1))
        for name, number, day in content["input"]["cases_[location,count,date]"]:
            if first <= _day(day) <= last:
                counts[names.index(name), (_day(day) - first).days] += number
        zones = circles(distance, counts.sum(axis=1), share_most=0.5, radius_most=run["max_radius"])
        got = scan(counts, zones, Scan(longest=run["max_temporal"]), seed=1)
        for ours, theirs in zip(got.clusters, run["clusters"], strict=False):
            title = f"{run['name']} {theirs['rank']}"
            _agree(ours, theirs, title)
            assert ours.since == (_day(theirs["start"]) - first).days, title
            # Zones with the same cases tie; the locations without cases may differ.
            busy = {names[one] for one in np.flatnonzero(counts.sum(axis=1))}
            mine = {names[one] for one in ours.locations}
            assert mine & busy == set(theirs["locations"]) & busy, title
            compared += 1
    assert compared == 16


def test_expectation_and_population_equal_scanstatistics(outside_data: Path) -> None:
    content = load(outside_data, "scan_ha")
    names, _, counts = _berlin(content)
    told = content["scanstatistics"]
    counts = counts[[names.index(area) for area in told["areas"]]]
    zones: dict[frozenset[int], tuple[int, ...]] = {}
    for row in told["knn_1based"]:
        for size in range(1, len(row) + 1):
            members = tuple(one - 1 for one in row[:size])
            zones.setdefault(frozenset(members), members)
    assert len(zones) == 65
    for run in told["runs"]:
        expecting = run["model"] == "scan_eb_poisson"
        window = counts[:, run["end"] - 4 : run["end"]]
        weight = np.full(len(counts), 1000.0)
        if expecting:
            weight = np.repeat(numbers(run["baselines_row"])[:, None], 4, axis=1)
        rule = Scan("expectation" if expecting else "poisson", 4, 1, simulations=199)
        got = scan(window, tuple(zones.values()), rule, seed=1, weight=weight)
        best = got.clusters[0].ratio if got.clusters else 0.0
        assert best == pytest.approx(run["MLC"]["score"], abs=1e-9), run["end"]
        if got.clusters:
            p = run["MC_pvalue"]
            apart = 4.0 * np.sqrt(2.0 * max(p * (1.0 - p), 0.01) / 199)
            assert abs(got.clusters[0].p_value - p) < apart
