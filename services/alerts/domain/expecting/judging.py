"""Judges days: what was counted against what was to be expected. The live path and the back-test
call the same function; there is no loop over days, only one over weeks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.alerts.domain.counting.calendar import Calendar
from services.alerts.domain.counting.delays import Delays
from services.alerts.domain.counting.policy import Detection
from services.alerts.domain.counting.sizes import (
    MILLI,
    PROFILE_DAYS,
    WEEKDAYS,
    Learnt,
    Sizes,
    day_shares,
    day_types,
    measured,
    sizes,
)
from services.alerts.domain.counting.table import SeriesTable, summed
from services.alerts.domain.detection.verdict import (
    Abstention,
    BoolArray,
    CodeArray,
    FloatArray,
    IntArray,
)
from services.alerts.domain.excess import Excess
from services.alerts.domain.expecting.tail import METHOD_NAMES, Method, Tail
from services.alerts.domain.expecting.week import Week, expect


@dataclass(frozen=True)
class Judged:
    """(S, T) each, for the judged days in order. `observed` NaN where no site spoke; `p_value` NaN
    where `abstains` is not NONE; `limit` is the count that had to be exceeded. `tail`, `size` and
    `doubt` are what a further person is compared with (`tail.py`)."""

    table: SeriesTable
    policy: Detection
    days: IntArray
    observed: FloatArray
    expected: FloatArray
    limit: FloatArray
    p_value: FloatArray
    abstains: CodeArray
    sites: IntArray
    tail: Tail
    size: FloatArray
    doubt: FloatArray

    @property
    def method(self) -> CodeArray:
        return self.tail.method

    def excesses(self, where: BoolArray | None = None) -> list[Excess]:
        """As rules read them, all or those of a mask (S, T); a silent day is observed as 0."""
        keys = self.table.keys()
        rows, columns = np.nonzero(np.ones_like(self.sites, dtype=bool) if where is None else where)
        return [
            Excess(
                *keys[row],
                day=self.table.day(int(self.days[column])),
                observed=int(np.nan_to_num(self.observed[row, column])),
                expected=_told(self.expected[row, column]),
                limit=_told(self.limit[row, column]),
                p_value=_told(self.p_value[row, column]),
                method=method_name(int(self.tail.method[row, column]), self.policy),
                abstains=Abstention(int(self.abstains[row, column])),
                sites=int(self.sites[row, column]),
            )
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        ]


def method_name(method: int, policy: Detection) -> str:
    """The detector and the version of the settings that chose it."""
    return f"{METHOD_NAMES[Method(method)]} ({policy.name})"


def _told(value: float) -> float | None:
    return None if not np.isfinite(value) else float(value)


def judge_days(
    table: SeriesTable,
    policy: Detection,
    calendar: Calendar,
    days: Sequence[int],
    *,
    delays: Delays | None = None,
) -> Judged:
    """`days`: numbers of days, a run without gaps, of which each is judged by what lies before it.

    Learning goes week by week (from Monday): sizes of sites, shares of days and Farrington's
    forecast are those known on the Monday. Cost: about a tenth of a second a week for 2,000 series.
    """
    run = np.arange(days[0], days[-1] + 1)
    known = delays or Delays.none(len(table.kinds))
    learnt = Learnt.of(table, policy)
    types = day_types(table, policy, calendar)
    spoken = _spoken(learnt)
    pieces = []
    for first, offset, length in _weeks(table, run):
        shares, sized = _measures(learnt, types, max(first, 0), policy)
        week = Week(learnt, sized, shares, spoken, policy, first, offset, length)
        pieces.append(_judge(week, known))
    return _joined(table, policy, run, pieces)


def _weeks(table: SeriesTable, run: IntArray) -> list[tuple[int, int, int]]:
    """(Monday, first judged day after it, how many) of each week."""
    found, at = [], int(run[0])
    while at <= run[-1]:
        offset = table.day(at).weekday()
        length = min(WEEKDAYS - offset, int(run[-1]) - at + 1)
        found.append((at - offset, offset, length))
        at += length
    return found


def _spoken(learnt: Learnt) -> IntArray:
    """(S, D + 1): days before each day on which some site spoke."""
    anybody = summed(learnt.table.member, learnt.said.astype(np.float64)) > 0
    return np.concatenate(
        [np.zeros((len(anybody), 1), dtype=np.int64), np.cumsum(anybody, axis=1)], axis=1
    )


def _measures(
    learnt: Learnt, types: IntArray, before: int, policy: Detection
) -> tuple[FloatArray, Sizes]:
    """Shares (K, D) of the days and sizes (N,) of the sites, as known on day `before`."""
    table = learnt.table
    first = max(before - PROFILE_DAYS, 0)
    rough = sizes(learnt, np.ones(types.shape), before, policy)
    of_kind = (np.arange(len(table.kinds))[:, None] == table.sites.kind).astype(np.float64)
    pooled = of_kind @ learnt.persons[:, first:before]
    sized = (of_kind * rough.mean / MILLI) @ learnt.measure[:, first:before]
    shares = day_shares(pooled, sized, types[:, first:before], policy)
    per_day = np.take_along_axis(shares, types, axis=1)
    return per_day, sizes(learnt, per_day, before, policy)


def _judge(week: Week, delays: Delays) -> tuple[Tail, dict[str, FloatArray | IntArray]]:
    table, policy = week.learnt.table, week.policy
    begin, end = week.start, week.start + week.length
    counts = table.judged or table.counts
    reported = counts.reported[:, begin:end]
    observed = summed(table.member, np.where(reported, counts.persons[:, begin:end], 0.0))
    spoke = summed(table.member, reported.astype(np.float64))
    measure = measured(table, counts.seen[:, begin:end], reported, week.learnt.by_seen)
    share = week.shares[week.kind, begin:end] * _completeness(week, delays)
    size = week.learnt.denominator(measure, week.sizes.mean) * share
    doubt = summed(table.member, measure * week.sizes.doubt[:, None]) / MILLI * share**2
    tail = expect(week)
    p_value = tail.p_value(observed, size, doubt)
    limit = tail.limit(size, doubt, policy.alpha)
    open_ = summed(table.member, table.sites.open_on(begin, end).astype(np.float64)) > 0
    codes = abstentions(tail.method, p_value, spoke, open_)
    over = _part_days(week, observed, limit)
    codes = np.where((codes == Abstention.NONE) & over, Abstention.PART_DAY, codes)
    return tail, {
        "observed": np.where(spoke > 0, observed, np.nan),
        "expected": tail.expected(size),
        "limit": limit,
        "p_value": np.where(codes == Abstention.NONE, p_value, np.nan),
        "abstains": codes.astype(np.uint8),
        "sites": spoke.astype(np.int64),
        "size": size,
        "doubt": doubt,
    }


def abstentions(
    method: CodeArray, p_value: FloatArray, spoke: FloatArray, open_: BoolArray
) -> CodeArray:
    """Why nothing can be said; a source that is open and says nothing is silent, not zero."""
    codes = np.where(method == Method.NONE, Abstention.SHORT_HISTORY, Abstention.NONE)
    # A rare thing without any past has its number all the same.
    unclear = np.isnan(p_value) & (method != Method.FIXED)
    codes = np.where((codes == Abstention.NONE) & unclear, Abstention.NO_FIT, codes)
    codes = np.where(spoke > 0, codes, np.where(open_, Abstention.SILENT, Abstention.UNKNOWN))
    return codes.astype(np.uint8)


def _completeness(week: Week, delays: Delays) -> FloatArray:
    """(S, T): what is known by now of the persons whom each day will end up with."""
    table = week.learnt.table
    if table.judged is not None:
        ages = np.full(week.length, table.judged_age)
    elif table.last_day is None:
        return np.ones((len(week.kind), week.length))
    else:
        today = table.number(table.last_day)
        ages = today - np.arange(week.start, week.start + week.length)
    return delays.share(ages)[week.kind]


def _part_days(week: Week, observed: FloatArray, limit: FloatArray) -> BoolArray:
    """Today is not over: what is high already is high, what is low is not known to be. Shares of
    those seen so far (tests, visits) are as good at noon as in the evening."""
    table = week.learnt.table
    if table.last_day is None:
        return np.zeros(observed.shape, dtype=np.bool_)
    today = np.arange(week.start, week.start + week.length) >= table.number(table.last_day)
    by_seen = week.learnt.by_seen[week.kind]
    return np.asarray(today & ~by_seen[:, None] & ~(observed > limit))


def _joined(
    table: SeriesTable,
    policy: Detection,
    run: IntArray,
    pieces: Sequence[tuple[Tail, dict[str, FloatArray | IntArray]]],
) -> Judged:
    tails = [tail for tail, _ in pieces]
    tail = Tail(
        *(
            np.concatenate([getattr(one, name) for one in tails], axis=1)
            for name in Tail.__dataclass_fields__
        )
    )
    parts = {
        name: np.concatenate([piece[name] for _, piece in pieces], axis=1) for name in pieces[0][1]
    }
    return Judged(table=table, policy=policy, days=run, tail=tail, **parts)  # type: ignore[arg-type]
