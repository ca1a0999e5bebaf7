"""On which days the streams of an area agree, for all areas of a level at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.alerts.domain.consensus import (
    adjusted,
    against_all,
    calibrated,
    combined,
    gathered,
    mid_p,
    past_windows,
    score,
)
from services.alerts.domain.excess import Excess
from services.alerts.domain.rules import ConsensusTerms, Rule
from services.alerts.domain.signals import Consent

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Streams:
    """The mid-p-values of some days: `values` (stream, area, day), NaN where a stream says nothing.

    A stream is a kind of point and what it counts; days follow one another from `first_day`
    (ordinal).
    """

    names: Sequence[tuple[str, str]]
    values: Array
    first_day: int

    def kinds(self, known: Array) -> tuple[str, ...]:
        """The kinds of those streams that said something."""
        return tuple(
            sorted({kind for (kind, _), one in zip(self.names, known, strict=True) if one})
        )


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the streams of each area say together on each day, by one version of a rule; arrays
    (area, day)."""

    version: int
    p_value: Array
    q_value: Array
    lit: Array
    null_days: Array
    told: Streams

    def consent(self, area: int, day: date | int) -> Consent | None:
        """None where no stream says anything."""
        ordinal = day if isinstance(day, int) else day.toordinal()
        place = ordinal - self.told.first_day
        if not 0 <= place < self.p_value.shape[1] or np.isnan(self.p_value[area, place]):
            return None
        known = ~np.isnan(self.told.values[:, area, place])
        return Consent(
            self.version,
            float(self.p_value[area, place]),
            float(self.q_value[area, place]),
            bool(self.lit[area, place]),
            int(self.null_days[area, place]),
            self.told.kinds(known),
        )


def streams_of(
    rule: Rule, excesses: Sequence[Excess], areas: Sequence[str], days: Sequence[date]
) -> Streams:
    """The mid-p-values of these areas and days, in the order of the streams' names; `first_day` is
    that of the days only where they follow one another."""
    mine = [
        one
        for one in excesses
        if one.p is not None
        and one.point_kind in rule.excess_kinds
        and one.syndrome in (rule.terms_of(one.point_kind).syndromes or {one.syndrome})
    ]
    names = sorted({(one.point_kind, one.syndrome) for one in mine})
    values = np.full((len(names), len(areas), len(days)), np.nan)
    if mine:
        stream_at = {name: place for place, name in enumerate(names)}
        area_at = {area_id: place for place, area_id in enumerate(areas)}
        day_at = {day: place for place, day in enumerate(days)}
        where = [
            (stream_at[one.point_kind, one.syndrome], area_at[one.area_id], day_at[one.day])
            for one in mine
        ]
        values[tuple(np.array(where).T)] = mid_p(
            np.array([one.p for one in mine], dtype=np.float64),
            np.array([one.observed for one in mine], dtype=np.float64),
            np.array(
                [np.nan if one.expected is None else one.expected for one in mine],
                dtype=np.float64,
            ),
        )
    return Streams(names, values, days[0].toordinal() if days else 0)


def scores_of(terms: ConsensusTerms, streams: Streams) -> Array:
    """The normal score of the combined p-value per area and day."""
    weights = np.array([terms.weights.get(kind, 1.0) for kind, _ in streams.names])
    return score(combined(streams.values, terms.method, weights))


def agreement_of(version: int, terms: ConsensusTerms, streams: Streams) -> Agreement:
    """Each day against the past that the streams hold, then across all areas of the day."""
    scores = scores_of(terms, streams)
    scores = gathered(against_all(scores) if terms.against_city else scores, terms.days)
    p_value = np.full(scores.shape, np.nan)
    null_days = np.zeros(scores.shape, dtype=np.int64)
    # One area at a time: a year of past for each of its days is as much as memory should hold.
    for area in range(len(scores)):
        p_value[area], null_days[area] = calibrated(
            scores[area], past_windows(scores[area], terms), terms
        )
    return judged(version, terms, streams, p_value, null_days)


def judged(
    version: int, terms: ConsensusTerms, streams: Streams, p_value: Array, null_days: Array
) -> Agreement:
    """The last step, once every area of each day has its own p-value."""
    q_value = p_value
    if terms.across_areas:
        q_value = np.full(p_value.shape, np.nan)
        for day in range(p_value.shape[1]):
            q_value[:, day] = adjusted(p_value[:, day])
    lit = ~np.isnan(q_value) & (q_value <= terms.p_below)
    return Agreement(version, p_value, q_value, lit, null_days, streams)
