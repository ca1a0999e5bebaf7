"""What would have kept an alert silent: the nearest change, found greedily and verified by judging
again."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import floor

import numpy as np

from services.alerts.domain.excess import Excess
from services.alerts.domain.judgement import Decision, Remainder, judge
from services.alerts.domain.rules import Rule
from services.alerts.domain.signals import Signal, surplus

# A longer list is not read by anyone; then the smallest prefix is good enough and nothing is put
# back.
PRUNED_MOST = 12
NAMED_MOST = 3
UUID_LENGTH = 36
POINT_NAMES_ZH = {
    "fever_clinic": "发热门诊",
    "emergency": "急诊",
    "outpatient": "门诊",
    "inpatient": "住院",
    "pharmacy": "药店",
    "school": "学校",
    "nursing_home": "养老机构",
    "checkpoint_fever": "卡口测温",
    "positive_result": "阳性结果",
    "breach": "违反隔离",
    "co_location": "时空伴随",
}


@dataclass(frozen=True, slots=True)
class CountChange:
    """A day of a series at the largest count that keeps the alert silent."""

    excess: Excess
    count: int

    @property
    def entry(self) -> str:
        one = self.excess
        return (
            f"count:{one.point_kind}:{one.area_id}:{one.syndrome}:{one.day.isoformat()}"
            f":{self.count}"
        )


@dataclass(frozen=True, slots=True)
class Silence:
    """Without `removed` the alert would not exist. Entries read `point:<kind>:<id>`, `person:<id>`,
    `signal:<id>` for a report that names no person, `day:<kind>:<area>:<syndrome>:<day>` for a day
    of a series, and `count:<kind>:<area>:<syndrome>:<day>:<count>` for a day that would have had to
    stay at this count: with one more there is an alert, all other changes made."""

    of: str
    removed: tuple[str, ...]
    total: int
    counts: tuple[CountChange, ...] = ()

    @property
    def text_en(self) -> str:
        if self.counts:
            return f"Silent with {self._listed_counts(_count_en)}{self._others(_name_en)}"
        noun = {"point": "point", "person": "person or unnamed report"}[self.of]
        plural = {"point": "points", "person": "persons or unnamed reports"}[self.of]
        count = len(self.removed)
        many = noun if count == 1 else plural
        return f"Silent without {count} {many} of {self.total}: {_listed(self.removed, _name_en)}"

    @property
    def text_zh(self) -> str:
        if self.counts:
            return f"若{self._listed_counts(_count_zh)}{self._others(_name_zh)}，即不会预警"
        noun = {"point": "监测点", "person": "人（或未实名报告）"}[self.of]
        return (
            f"{self.total}个{noun}中少了以下{len(self.removed)}个即不会预警："
            f"{_listed(self.removed, _name_zh)}"
        )

    def _listed_counts(self, name: Callable[[CountChange], str]) -> str:
        named = ", ".join(name(one) for one in self.counts[:NAMED_MOST])
        rest = len(self.counts) - NAMED_MOST
        return f"{named} (+{rest})" if rest > 0 else named

    def _others(self, name: Callable[[str], str]) -> str:
        others = [entry for entry in self.removed if not entry.startswith("count:")]
        return f"; - {_listed(others, name)}" if others else ""


def explain(versions: Sequence[Rule], decision: Decision) -> Silence:
    """The shorter of two lists: points to leave out, or persons to leave out.

    The evidence alone is judged again: a window that holds without the removed signals held with
    them too, so every signal in it is evidence.
    """
    points = _without(versions, decision, point_of)
    if decision.rule.single_event or len(points.removed) == 1:
        return with_counts(versions, decision, points)
    persons = _without(versions, decision, person_of)
    shorter = persons if len(persons.removed) < len(points.removed) else points
    return with_counts(versions, decision, shorter)


def with_counts(versions: Sequence[Rule], decision: Decision, silence: Silence) -> Silence:
    """The same change, with lower counts in place of days left out, where a rule holds counts
    against their limits.

    Where it asks for a p-value the days stay left out: what the p-value of a lower count would have
    been, a day does not tell.
    """
    unit_of = point_of if silence.of == "point" else person_of
    gone = _by_limit(versions, decision, unit_of) & set(silence.removed)
    days = [one for one in decision.evidence if unit_of(one) in gone]
    kept = [one for one in decision.evidence if unit_of(one) not in silence.removed]
    counts = {one.id: most_unlit(one) for one in days}

    def silent() -> bool:
        lower = [lowered(one, counts[one.id]) for one in days]
        return judge(versions, [*kept, *lower]) is None

    if not days or not silent():
        return silence
    changes = []
    for one in days:
        assert one.excess is not None
        # The largest count that keeps silent: more persons can only add.
        least, most = counts[one.id], one.excess.observed
        while least + 1 < most:
            counts[one.id] = (least + most) // 2
            least, most = (counts[one.id], most) if silent() else (least, counts[one.id])
        counts[one.id] = least
        changes.append(CountChange(one.excess, least))
    entries = [*(set(silence.removed) - gone), *(one.entry for one in changes)]
    return replace(silence, removed=tuple(sorted(entries)), counts=tuple(changes))


def _by_limit(
    versions: Sequence[Rule], decision: Decision, unit_of: Callable[[Signal], str]
) -> set[str]:
    """The units that are nothing but days of series that every version holds against their
    limits."""

    def held(one: Signal) -> bool:
        return (
            one.excess is not None
            and one.excess.limit is not None
            and all(version.terms_of(one.point_kind).p_below is None for version in versions)
        )

    days = [one for one in decision.evidence if held(one)]
    if not days:
        return set()
    others = {unit_of(one) for one in decision.evidence if not held(one)}
    return {unit_of(one) for one in days} - others


def most_unlit(signal: Signal) -> int:
    """The largest count of a day at or under its limit."""
    limit = signal.excess.limit if signal.excess else None
    return max(floor(limit or 0.0), 0)


def lowered(signal: Signal, count: int) -> Signal:
    """The same day of a series with another count; its p-value is not known then."""
    assert signal.excess is not None
    excess = replace(signal.excess, observed=count, p_value=None)
    return replace(signal, excess=excess, person_count=surplus(count, excess.expected))


def point_of(signal: Signal) -> str:
    return f"point:{signal.point_kind}:{signal.point_id}"


def person_of(signal: Signal) -> str:
    if (one := signal.excess) is not None:
        return f"day:{one.point_kind}:{one.area_id}:{one.syndrome}:{one.day.isoformat()}"
    return f"person:{signal.person_id}" if signal.person_id else f"signal:{signal.id}"


def _without(
    versions: Sequence[Rule], decision: Decision, unit_of: Callable[[Signal], str]
) -> Silence:
    counts = Counter(unit_of(signal) for signal in decision.evidence)
    # What occurs most stands in most windows: leave it out first.
    units = sorted(counts, key=lambda unit: (-counts[unit], unit))
    of = "point" if unit_of is point_of else "person"

    if decision.rule.single_event:
        return Silence(of, tuple(sorted(units)), len(units))
    number = {unit: place for place, unit in enumerate(units)}
    unit_at = np.array([number[unit_of(signal)] for signal in decision.evidence])
    remainder = Remainder(versions, decision.evidence)

    def silent(removed: Sequence[str]) -> bool:
        kept = np.ones(len(units), dtype=np.bool_)
        kept[[number[unit] for unit in removed]] = False
        return remainder.silent(kept[unit_at])

    needed = bisect_left(range(len(units)), True, key=lambda count: silent(units[:count]))
    removed = units[:needed]
    if needed <= PRUNED_MOST:
        for unit in list(removed):
            fewer = [other for other in removed if other != unit]
            if silent(fewer):
                removed = fewer
    return Silence(of, tuple(sorted(removed)), len(units))


def _listed(entries: Sequence[str], name: Callable[[str], str]) -> str:
    named = ", ".join(name(entry) for entry in entries[:NAMED_MOST])
    rest = len(entries) - NAMED_MOST
    return f"{named} (+{rest})" if rest > 0 else named


def _count_en(change: CountChange) -> str:
    one = change.excess
    where = f"{one.point_kind} {one.area_id} on {one.day.isoformat()}"
    return f"{change.count} instead of {one.observed} at {where}"


def _count_zh(change: CountChange) -> str:
    one = change.excess
    kind = POINT_NAMES_ZH.get(one.point_kind, one.point_kind)
    return f"{one.day.isoformat()} {one.area_id} {kind}为{change.count}（实际{one.observed}）"


def _name_en(entry: str) -> str:
    what, _, rest = entry.partition(":")
    if what == "point":
        kind, _, point_id = rest.partition(":")
        return f"{kind} {_short(point_id)}"
    if what == "day":
        return " ".join(rest.rsplit(":", 1))
    return f"{what} {rest[:8]}"


def _name_zh(entry: str) -> str:
    what, _, rest = entry.partition(":")
    if what == "point":
        kind, _, point_id = rest.partition(":")
        return f"{POINT_NAMES_ZH.get(kind, kind)}{_short(point_id)}"
    if what == "day":
        kind, _, where = rest.partition(":")
        return f"{POINT_NAMES_ZH.get(kind, kind)}{' '.join(where.rsplit(':', 1))}"
    return f"{'人员' if what == 'person' else '报告'}{rest[:8]}"


def _short(point_id: str) -> str:
    """The first part of an id is enough to find it; a code of an area is short and stays whole."""
    return point_id[:8] if len(point_id) == UUID_LENGTH else point_id
