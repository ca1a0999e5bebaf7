"""Reports that are near one another in days and kilometres, and enough of them: the rule of Nyss.

Nyss is the Red Cross platform for community-based surveillance (github.com/nyss-platform-norcross/
nyss); the rule is told from what its report labelling does: two reports belong together when less
than `days` lie between them and less than twice `kilometres` (each report covers a circle of that
radius), groups are what hangs together, and a group of `count` reports is an alert.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from services.alerts.domain.detection.verdict import BoolArray, FloatArray, IntArray

EARTH_RADIUS_KILOMETRES = 6371.0088


@dataclass(frozen=True, slots=True)
class Proximity:
    """A `count` of 1 alerts on every report. Both distances are strict: exactly `days` apart is
    apart."""

    count: int
    days: float
    kilometres: float


@dataclass(frozen=True, slots=True)
class Groups:
    """Per report: its group's number, the group's size, and whether that is an alert."""

    group: IntArray
    size: IntArray
    alarm: BoolArray


def groups(
    at_days: FloatArray, latitude: FloatArray, longitude: FloatArray, rule: Proximity
) -> Groups:
    """`at_days`: instants in days from anywhere; degrees. All arrays (report,).

    A report without a place or a time hangs together with none.
    """
    total = len(at_days)
    placed = np.flatnonzero(~np.isnan(at_days + latitude + longitude))
    pairs = _near(at_days[placed], latitude[placed], longitude[placed], rule)
    first, second = placed[pairs[:, 0]], placed[pairs[:, 1]]
    graph = coo_array((np.ones(len(first), dtype=np.bool_), (first, second)), shape=(total, total))
    _, labels = connected_components(graph, directed=False)
    group = np.asarray(labels, dtype=np.int64)
    size = np.bincount(group, minlength=1)[group]
    return Groups(group, size, np.asarray(size >= rule.count))


def _near(
    at_days: FloatArray, latitude: FloatArray, longitude: FloatArray, rule: Proximity
) -> IntArray:
    """(pair, 2). Chords through the earth find candidates; great circles decide."""
    reach = 2.0 * rule.kilometres
    phi, lam = np.radians(latitude), np.radians(longitude)
    points = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=1)
    angle = min(reach / EARTH_RADIUS_KILOMETRES, np.pi)
    tree = cKDTree(points)
    pairs = tree.query_pairs(2.0 * np.sin(angle / 2.0) * (1.0 + 1e-9), output_type="ndarray")
    one, other = pairs[:, 0], pairs[:, 1]
    chord = np.linalg.norm(points[one] - points[other], axis=1)
    apart = 2.0 * EARTH_RADIUS_KILOMETRES * np.arcsin(np.minimum(chord / 2.0, 1.0))
    near = (apart < reach) & (np.abs(at_days[one] - at_days[other]) < rule.days)
    return np.asarray(pairs[near], dtype=np.int64)
