"""Holds counted series against what was expected of them, thousands of rows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from sqlalchemy.engine import Row

from services.alerts.domain.counting.sizes import MILLI
from services.alerts.domain.detection.verdict import BoolArray, FloatArray
from services.alerts.domain.expecting.judging import Counted, Judgement, judge, method_name
from services.alerts.domain.expecting.tail import Method, Tail
from services.alerts.repository.detection import Counting
from services.alerts.repository.fits import StoredFit, Topic
from services.alerts.repository.series import SeriesKey, Verdicts, write_verdicts
from shared.database.work import Work

Fits = Mapping[tuple[Topic, date], StoredFit]


@dataclass(frozen=True, slots=True)
class Held:
    """Rows of one topic and day with their fit; `places`: where each stands in the fit's tail."""

    rows: Sequence[Row[Any]]
    stored: StoredFit
    places: Sequence[int]
    denominator: str
    unfinished: bool


async def judge_rows(
    work: Work, counting: Counting, rows: Sequence[Row[Any]], fits: Fits, today: date
) -> None:
    """Rows of `series_day`: write, and pass on to the rules, what is judged otherwise than before.
    A day without a fit waits for one."""
    held = _held(counting, rows, fits, today)
    if not held:
        return
    flat = [row for one in held for row in one.rows]
    tail = Tail(
        *(
            np.concatenate([getattr(one.stored.tail, name)[one.places] for one in held])
            for name in Tail.__dataclass_fields__
        )
    )
    judgement = judge(tail, _counted(held, flat), counting.policy.alpha)
    names = {method: method_name(method, counting.policy.name) for method in Method}
    policies = [one.stored.fit.policy for one in held for _ in one.rows]
    methods = [
        names[Method(code)] if policy == counting.policy.name else method_name(code, policy)
        for code, policy in zip(tail.method.tolist(), policies, strict=True)
    ]
    changed = np.flatnonzero(_changed(flat, judgement, methods)).tolist()
    verdicts = _verdicts(flat, judgement, methods, changed)
    await write_verdicts(work, verdicts)
    work.due("excess", {excess_key(*key) for key in verdicts.keys})


def excess_key(area_id: str, point_kind: str, syndrome: str, day: date) -> str:
    return f"{area_id}/{point_kind}/{syndrome}/{day.isoformat()}"


def _held(counting: Counting, rows: Sequence[Row[Any]], fits: Fits, today: date) -> list[Held]:
    by_day: dict[tuple[Topic, date], list[Row[Any]]] = {}
    for row in rows:
        by_day.setdefault((Topic(row.point_kind, row.syndrome), row.day), []).append(row)
    found = []
    for (topic, day), mine in by_day.items():
        stored, kind = fits.get((topic, day)), counting.policy.kinds.get(topic.point_kind)
        if stored is None or kind is None:
            continue
        # The last place is that of an area for which nothing could be fitted.
        last = len(stored.tail.method) - 1
        places = [stored.series.get(row.area_id, last) for row in mine]
        unfinished = day >= today and kind.denominator != "seen"
        found.append(Held(mine, stored, places, kind.denominator, unfinished))
    return found


def _counted(held: Sequence[Held], flat: Sequence[Row[Any]]) -> Counted:
    lengths = [len(one.rows) for one in held]
    share = np.repeat([one.stored.fit.share for one in held], lengths)
    unmeasured = np.repeat([one.denominator == "none" for one in held], lengths)
    size = np.array([row.size_milli for row in flat], dtype=np.float64) / MILLI
    doubt = np.array([row.doubt_milli for row in flat], dtype=np.float64) / MILLI
    return Counted(
        observed=np.array([row.persons for row in flat], dtype=np.float64),
        sites=np.array([row.sites for row in flat], dtype=np.int64),
        size=np.where(unmeasured, np.minimum(np.ceil(size), 1.0), size) * share,
        doubt=doubt * share**2,
        expected_to_speak=np.ones(len(flat), dtype=np.bool_),
        part_day=np.repeat([one.unfinished for one in held], lengths),
    )


def _changed(flat: Sequence[Row[Any]], judgement: Judgement, methods: Sequence[str]) -> BoolArray:
    """Against what was stored last; what was never judged is always new."""
    same = np.array([row.version > 0 and row.persons == row.judged_persons for row in flat])
    same &= np.array([row.abstains for row in flat]) == judgement.abstains
    same &= np.array([row.method for row in flat]) == np.array(methods)
    for name, now in (
        ("expected", judgement.expected),
        ("limit_count", judgement.limit),
        ("p_value", judgement.p_value),
    ):
        before = np.array([getattr(row, name) for row in flat], dtype=np.float64)
        told = np.where(np.isfinite(now), now, np.nan)
        same &= (before == told) | (np.isnan(before) & np.isnan(told))
    return ~same


def _verdicts(
    flat: Sequence[Row[Any]], judgement: Judgement, methods: Sequence[str], places: Sequence[int]
) -> Verdicts:
    return Verdicts(
        keys=[
            SeriesKey(flat[at].area_id, flat[at].point_kind, flat[at].syndrome, flat[at].day)
            for at in places
        ],
        observed=[flat[at].persons for at in places],
        expected=_told(judgement.expected, places),
        limits=_told(judgement.limit, places),
        p_values=_told(judgement.p_value, places),
        methods=[methods[at] for at in places],
        abstains=judgement.abstains[places].tolist() if places else [],
    )


def _told(values: FloatArray, places: Sequence[int]) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values[list(places)].tolist()]
