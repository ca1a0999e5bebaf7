"""What would have kept an alert silent: the nearest change, found greedily and verified by judging
again."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.alerts.domain.judgement import Decision, judge
from services.alerts.domain.rules import Rule
from services.alerts.domain.signals import Signal

# A longer list is not read by anyone; then the smallest prefix is good enough and nothing is put
# back.
PRUNED_MOST = 12
NAMED_MOST = 3
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
class Silence:
    """Without `removed` the alert would not exist. Entries read `point:<kind>:<id>`, `person:<id>`,
    or `signal:<id>` for a report that names no person."""

    of: str
    removed: tuple[str, ...]
    total: int

    @property
    def text_en(self) -> str:
        noun = {"point": "point", "person": "person or unnamed report"}[self.of]
        plural = {"point": "points", "person": "persons or unnamed reports"}[self.of]
        count = len(self.removed)
        many = noun if count == 1 else plural
        return f"Silent without {count} {many} of {self.total}: {_listed(self.removed, _name_en)}"

    @property
    def text_zh(self) -> str:
        noun = {"point": "监测点", "person": "人（或未实名报告）"}[self.of]
        return (
            f"{self.total}个{noun}中少了以下{len(self.removed)}个即不会预警："
            f"{_listed(self.removed, _name_zh)}"
        )


def explain(versions: Sequence[Rule], decision: Decision) -> Silence:
    """The shorter of two lists: points to leave out, or persons to leave out.

    The evidence alone is judged again: a window that holds without the removed signals held with
    them too, so every signal in it is evidence.
    """
    points = _without(versions, decision, point_of)
    if decision.rule.single_event or len(points.removed) == 1:
        return points
    persons = _without(versions, decision, person_of)
    return persons if len(persons.removed) < len(points.removed) else points


def point_of(signal: Signal) -> str:
    return f"point:{signal.point_kind}:{signal.point_id}"


def person_of(signal: Signal) -> str:
    return f"person:{signal.person_id}" if signal.person_id else f"signal:{signal.id}"


def _without(
    versions: Sequence[Rule], decision: Decision, unit_of: Callable[[Signal], str]
) -> Silence:
    counts = Counter(unit_of(signal) for signal in decision.evidence)
    # What occurs most stands in most windows: leave it out first.
    units = sorted(counts, key=lambda unit: (-counts[unit], unit))
    of = "point" if unit_of is point_of else "person"

    def silent(removed: Sequence[str]) -> bool:
        gone = set(removed)
        rest = [signal for signal in decision.evidence if unit_of(signal) not in gone]
        return judge(versions, rest) is None

    if decision.rule.single_event:
        return Silence(of, tuple(sorted(units)), len(units))
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


def _name_en(entry: str) -> str:
    what, _, rest = entry.partition(":")
    if what == "point":
        kind, _, point_id = rest.partition(":")
        return f"{kind} {point_id[:8]}"
    return f"{what} {rest[:8]}"


def _name_zh(entry: str) -> str:
    what, _, rest = entry.partition(":")
    if what == "point":
        kind, _, point_id = rest.partition(":")
        return f"{POINT_NAMES_ZH.get(kind, kind)}{point_id[:8]}"
    return f"{'人员' if what == 'person' else '报告'}{rest[:8]}"
