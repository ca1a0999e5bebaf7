"""What the streams of areas say together, kept up as their days change.

A day's p-value rests on the area's own past, and its q-value on all areas of the level: a change
reckons its day anew for all of them, and later days whose past it is in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from services.alerts.domain.agreement import Streams, judged, scores_of, streams_of
from services.alerts.domain.consensus import against_all, calibrated, gathered
from services.alerts.domain.rules import ConsensusTerms, Rule
from services.alerts.repository.areas import lines_of
from services.alerts.repository.consensus import (
    Told,
    consents_on,
    forget_consents,
    judged_days,
    scores_between,
    store_consents,
)
from services.alerts.repository.excesses import series_on
from services.alerts.repository.rules import StoredRule
from services.alerts.repository.series import SeriesKey
from shared.database.work import Work

DAY = timedelta(days=1)
Cell = tuple[str, date]


async def agree_again(
    work: Work, versions: Sequence[StoredRule], changed: Sequence[SeriesKey]
) -> set[Cell]:
    """(area, day) of every day that is lit by another p-value now, or no longer."""
    found: set[Cell] = set()
    for stored in versions:
        # The zone of its days does not matter to what streams say.
        rule = stored.in_zone("UTC")
        days = {one.day for one in changed if one.point_kind in rule.excess_kinds}
        if rule.consensus is not None and days:
            told = Told(stored.id, stored.version)
            await work.lock(told.lock)
            found |= await _Reckoning(work, stored, rule, rule.consensus, told).run(days)
    return found


class _Reckoning:
    """One version of a rule, under its lock."""

    def __init__(
        self, work: Work, stored: StoredRule, rule: Rule, terms: ConsensusTerms, told: Told
    ) -> None:
        self._work, self._stored, self._rule = work, stored, rule
        self._terms, self._told = terms, told

    async def run(self, days: Collection[date]) -> set[Cell]:
        terms, told = self._terms, self._told
        reach = (terms.null_days + terms.null_gap_days + terms.days - 2) * DAY
        from_day, until_day = min(days) - reach, max(days)
        scores = await scores_between(self._work, told, from_day, until_day + reach)
        known = {day for of_area in scores.values() for day in of_area}
        kinds = sorted(self._rule.excess_kinds)
        # Days from before the rule was stored are a part of its past, and were never reckoned.
        missing = await judged_days(self._work, kinds, from_day, until_day) - known
        todo = sorted(set(days) | missing)
        streams, areas, new = await self._new_scores(kinds, todo)
        changed = _take_in(scores, todo, areas, new)
        later = {
            day
            for day in known - set(todo)
            if any(self._rests_on(day - one, reach) for one in changed)
        }
        return await self._store(scores, sorted({*todo, *later}), streams)

    def _rests_on(self, before: timedelta, reach: timedelta) -> bool:
        """Whether a day rests on the one so long before it."""
        together = timedelta() < before < self._terms.days * DAY
        return together or self._terms.null_gap_days * DAY <= before <= reach

    async def _new_scores(
        self, kinds: Sequence[str], days: Sequence[date]
    ) -> tuple[Mapping[Cell, tuple[str, ...]], Sequence[str], Any]:
        level = self._stored.document.area_level
        excesses = await series_on(self._work, kinds, days, level)
        if self._stored.area_id is not None:
            lines = await lines_of(self._work, {one.area_id for one in excesses})
            here = {a for a, line in lines.items() if self._stored.area_id in line.area_ids}
            excesses = [one for one in excesses if one.area_id in here]
        areas = sorted({one.area_id for one in excesses})
        streams = streams_of(self._rule, excesses, areas, days)
        return _spoken(streams, areas, days), areas, scores_of(self._terms, streams)

    async def _store(
        self,
        scores: Mapping[str, Mapping[date, float]],
        days: Sequence[date],
        spoken: Mapping[Cell, tuple[str, ...]],
    ) -> set[Cell]:
        areas = sorted(scores)
        before = {(row.area_id, row.day): row for row in await self._before(days)}
        p_value, null_days = self._calibrate(scores, areas, days)
        agreed = judged(self._told.version, self._terms, _NOTHING, p_value, null_days)
        rows, cells = [], set()
        for (area, place), score in np.ndenumerate(_matrix(scores, areas, days)):
            cell, old = (areas[area], days[place]), before.get((areas[area], days[place]))
            if np.isnan(score):
                continue
            now = {
                "rule_id": self._told.rule_id,
                "rule_version": self._told.version,
                "area_id": cell[0],
                "day": cell[1],
                "score": float(score),
                "p_value": float(p_value[area, place]),
                "q_value": float(agreed.q_value[area, place]),
                "lit": bool(agreed.lit[area, place]),
                "null_days": int(null_days[area, place]),
                "streams": list(spoken.get(cell, old.streams if old else ())),
            }
            if old is None or any(old._mapping[name] != value for name, value in now.items()):
                rows.append(now)
                if now["lit"] or (old is not None and old.lit):
                    cells.add(cell)
        gone = [cell for cell in before if cell[1] not in scores.get(cell[0], {})]
        cells |= {cell for cell in gone if before[cell].lit}
        await store_consents(self._work, rows)
        await forget_consents(self._work, self._told, gone)
        return cells

    async def _before(self, days: Sequence[date]) -> Sequence[Any]:
        return await consents_on(self._work, self._told, days)

    def _calibrate(
        self,
        scores: Mapping[str, Mapping[date, float]],
        areas: Sequence[str],
        days: Sequence[date],
    ) -> tuple[Any, Any]:
        """p-values and known days of the past, (area, day)."""
        terms = self._terms
        p_value = np.full((len(areas), len(days)), np.nan)
        null_days = np.zeros((len(areas), len(days)), dtype=np.int64)
        for place, day in enumerate(days):
            last = day - terms.null_gap_days * DAY
            past = [last - back * DAY for back in reversed(range(terms.null_days))]
            p_value[:, place], null_days[:, place] = calibrated(
                _together(scores, areas, [day], terms)[:, 0],
                _together(scores, areas, past, terms),
                terms,
            )
        return p_value, null_days


def _take_in(
    scores: dict[str, dict[date, float]], days: Sequence[date], areas: Sequence[str], new: Any
) -> set[date]:
    """Put the scores of these days in place of the old ones; the days on which one changed."""
    changed: set[date] = set()
    for place, day in enumerate(days):
        now = {
            area_id: float(new[area, place])
            for area, area_id in enumerate(areas)
            if not np.isnan(new[area, place])
        }
        for area_id in set(now) | {one for one, of_area in scores.items() if day in of_area}:
            of_area = scores.setdefault(area_id, {})
            if of_area.get(day) != now.get(area_id):
                changed.add(day)
            of_area.pop(day, None)
            if area_id in now:
                of_area[day] = now[area_id]
    return changed


def _together(
    scores: Mapping[str, Mapping[date, float]],
    areas: Sequence[str],
    days: Sequence[date],
    terms: ConsensusTerms,
) -> Any:
    """As `_matrix`, each day with those before it; the days follow one another."""
    before = [days[0] - back * DAY for back in reversed(range(1, terms.days))]
    matrix = _matrix(scores, areas, [*before, *days])
    if terms.against_city:
        matrix = against_all(matrix)
    return gathered(matrix, terms.days)[:, len(before) :]


def _matrix(
    scores: Mapping[str, Mapping[date, float]], areas: Sequence[str], days: Sequence[date]
) -> Any:
    return np.array(
        [[scores[area_id].get(day, np.nan) for day in days] for area_id in areas], dtype=np.float64
    ).reshape(len(areas), len(days))


def _spoken(
    streams: Streams, areas: Sequence[str], days: Sequence[date]
) -> dict[Cell, tuple[str, ...]]:
    """Which kinds said something in an area on a day."""
    known = ~np.isnan(streams.values)
    return {
        (area_id, day): streams.kinds(known[:, area, place])
        for area, area_id in enumerate(areas)
        for place, day in enumerate(days)
        if known[:, area, place].any()
    }


_NOTHING = Streams([], np.empty((0, 0, 0)), 0)
