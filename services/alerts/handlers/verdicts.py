"""Holds counted series against what was expected of them, thousands of rows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from services.alerts.domain.counting.sizes import MILLI
from services.alerts.domain.detection.verdict import FloatArray
from services.alerts.domain.expecting.judging import Counted, Judgement, judge, method_name
from services.alerts.domain.expecting.tail import Tail
from services.alerts.repository.detection import Counting
from services.alerts.repository.fits import StoredFit, Topic
from services.alerts.repository.series import SeriesRow
from shared.database.work import Work

Fits = Mapping[tuple[Topic, date], StoredFit]


@dataclass(frozen=True, slots=True)
class Held:
    """Rows of one topic and day with their fit; `places`: where each stands in the fit's tail."""

    rows: Sequence[SeriesRow]
    stored: StoredFit
    places: Sequence[int]
    denominator: str
    unfinished: bool


async def judge_series(
    work: Work, counting: Counting, rows: Sequence[SeriesRow], fits: Fits, today: date
) -> list[SeriesRow]:
    """Those of `rows` that are judged otherwise than before, as they are judged now; the rules are
    told of them. A day without a fit waits for one."""
    held = _held(counting, rows, fits, today)
    if not held:
        return []
    flat = [row for one in held for row in one.rows]
    tail = Tail(
        *(
            np.concatenate([getattr(one.stored.tail, name)[one.places] for one in held])
            for name in Tail.__dataclass_fields__
        )
    )
    judgement = judge(tail, _counted(held, flat), counting.policy.alpha)
    policies = [one.stored.fit.policy for one in held for _ in one.rows]
    methods = [
        method_name(code, policy)
        for code, policy in zip(tail.method.tolist(), policies, strict=True)
    ]
    changed = _changed(flat, judgement, methods, work.now())
    work.due("excess", {one.series.key for one in changed})
    return changed


def _held(counting: Counting, rows: Sequence[SeriesRow], fits: Fits, today: date) -> list[Held]:
    by_day: dict[tuple[Topic, date], list[SeriesRow]] = {}
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


def _counted(held: Sequence[Held], flat: Sequence[SeriesRow]) -> Counted:
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


def _changed(
    flat: Sequence[SeriesRow], judgement: Judgement, methods: Sequence[str], now: datetime
) -> list[SeriesRow]:
    """Against what was stored last; what was never judged is always new."""
    expected, limits = _told(judgement.expected), _told(judgement.limit)
    p_values, abstains = _told(judgement.p_value), judgement.abstains.tolist()
    found = []
    for at, row in enumerate(flat):
        judged = (row.persons, expected[at], limits[at], p_values[at], methods[at], abstains[at])
        if row.version == 0 or judged != row[10:16]:
            found.append(SeriesRow(*row[:10], *judged, row.version + 1, now))
    return found


def _told(values: FloatArray) -> list[float | None]:
    known = np.isfinite(values).tolist()
    return [one if is_known else None for one, is_known in zip(values.tolist(), known, strict=True)]
