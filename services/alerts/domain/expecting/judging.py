"""Judges days: what was counted against what was to be expected. The live path and the back-test
call the same function; there is no loop over days, only one over weeks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
from services.alerts.domain.expecting.tail import METHOD_NAMES, Method, Tail, joined
from services.alerts.domain.expecting.week import Week, expect

# The tail, its judgement, sizes and doubts (S, T), and shares (K, T) of one week.
_Piece = tuple[Tail, "Judgement", dict[str, FloatArray], FloatArray]


@dataclass(frozen=True)
class Judged:
    """(S, T) each, for the judged days in order. `observed` NaN where no site spoke; `p_value` NaN
    where `abstains` is not NONE; `limit` is the count that had to be exceeded. `tail`, `size` and
    `doubt` are what a further person is compared with (`tail.py`). `shares` (K, T): of a mean day,
    what each day brings by now; `sizes`: of the sites, by the number of the Monday from which they
    hold."""

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
    shares: FloatArray
    sizes: tuple[tuple[int, Sizes], ...]

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
                method=method_name(int(self.tail.method[row, column]), self.policy.name),
                abstains=Abstention(int(self.abstains[row, column])),
                sites=int(self.sites[row, column]),
            )
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        ]


def method_name(method: int, policy: str) -> str:
    """The detector and the version of the settings that chose it."""
    return f"{METHOD_NAMES[Method(method)]} ({policy})"


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
    pieces, sized = [], []
    for first, offset, length in _weeks(table, run):
        shares, site_sizes = _measures(learnt, types, max(first, 0), policy)
        week = Week(learnt, site_sizes, shares, spoken, policy, first, offset, length)
        pieces.append(_judge(week, known))
        sized.append((first, site_sizes))
    return _joined(table, policy, run, pieces, sized)


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


def _judge(week: Week, delays: Delays) -> _Piece:
    table, policy = week.learnt.table, week.policy
    begin, end = week.start, week.start + week.length
    counts = table.judged or table.counts
    reported = counts.reported[:, begin:end]
    observed = summed(table.member, np.where(reported, counts.persons[:, begin:end], 0.0))
    spoke = summed(table.member, reported.astype(np.float64))
    measure = measured(table, counts.seen[:, begin:end], reported, week.learnt.by_seen)
    share = week.shares[:, begin:end] * _completeness(week, delays)
    size = week.learnt.denominator(measure, week.sizes.mean) * share[week.kind]
    doubt = summed(table.member, measure * week.sizes.doubt[:, None]) / MILLI
    counted = Counted(
        observed=observed,
        sites=spoke.astype(np.int64),
        size=size,
        doubt=doubt * share[week.kind] ** 2,
        expected_to_speak=summed(table.member, table.sites.open_on(begin, end).astype(np.float64))
        > 0,
        part_day=_part_days(week),
    )
    tail = expect(week)
    return tail, judge(tail, counted, policy.alpha), {"size": size, "doubt": counted.doubt}, share


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted, arrays of one shape. `size` and `doubt`: the day's denominator and its
    variance (tail.py). `expected_to_speak`: some site is open; `part_day`: what is low is not known
    to be."""

    observed: FloatArray
    sites: IntArray
    size: FloatArray
    doubt: FloatArray
    expected_to_speak: BoolArray
    part_day: BoolArray


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer to one `Counted`, in its shape; NaN where there is none."""

    observed: FloatArray
    expected: FloatArray
    limit: FloatArray
    p_value: FloatArray
    abstains: CodeArray
    sites: IntArray


def judge(tail: Tail, counted: Counted, alpha: float) -> Judgement:
    """Holds counts against what was expected, and says why where it says nothing: a source that is
    open and says nothing is silent, which is no zero. Of a day that is not over, what is high
    already is high."""
    p_value = tail.p_value(counted.observed, counted.size, counted.doubt)
    nothing = tail.method == Method.NONE
    limit = np.where(nothing, np.nan, tail.limit(counted.size, counted.doubt, alpha))
    codes = np.where(nothing, Abstention.SHORT_HISTORY, Abstention.NONE)
    # A rare thing without any past has its number all the same.
    unclear = np.isnan(p_value) & (tail.method != Method.FIXED)
    codes = np.where((codes == Abstention.NONE) & unclear, Abstention.NO_FIT, codes)
    nobody = np.where(counted.expected_to_speak, Abstention.SILENT, Abstention.UNKNOWN)
    codes = np.where(counted.sites > 0, codes, nobody)
    early = counted.part_day & ~(counted.observed > limit)
    codes = np.where((codes == Abstention.NONE) & early, Abstention.PART_DAY, codes)
    return Judgement(
        observed=np.where(counted.sites > 0, counted.observed, np.nan),
        expected=np.where(nothing, np.nan, tail.expected(counted.size)),
        limit=limit,
        p_value=np.where(codes == Abstention.NONE, p_value, np.nan),
        abstains=codes.astype(np.uint8),
        sites=counted.sites,
    )


def _completeness(week: Week, delays: Delays) -> FloatArray:
    """(K, T): what is known by now of the persons whom each day will end up with."""
    table = week.learnt.table
    if table.judged is not None:
        ages = np.full(week.length, table.judged_age)
    elif table.last_day is None:
        return np.ones((len(table.kinds), week.length))
    else:
        today = table.number(table.last_day)
        ages = today - np.arange(week.start, week.start + week.length)
    return delays.share(ages)


def _part_days(week: Week) -> BoolArray:
    """(S, T): today, unless its denominator is as unfinished as its count: of those tested by noon
    as many are positive as in the evening."""
    table = week.learnt.table
    if table.last_day is None:
        return np.zeros((len(week.kind), week.length), dtype=np.bool_)
    today = np.arange(week.start, week.start + week.length) >= table.number(table.last_day)
    return np.asarray(today & ~week.learnt.by_seen[week.kind][:, None])


def _joined(
    table: SeriesTable,
    policy: Detection,
    run: IntArray,
    pieces: Sequence[_Piece],
    sized: Sequence[tuple[int, Sizes]],
) -> Judged:
    parts: dict[str, Any] = {
        name: np.concatenate([getattr(piece[1], name) for piece in pieces], axis=1)
        for name in Judgement.__dataclass_fields__
    }
    for name in ("size", "doubt"):
        parts[name] = np.concatenate([piece[2][name] for piece in pieces], axis=1)
    return Judged(
        table=table,
        policy=policy,
        days=run,
        tail=joined([piece[0] for piece in pieces]),
        shares=np.concatenate([piece[3] for piece in pieces], axis=1),
        sizes=tuple(sized),
        **parts,
    )
