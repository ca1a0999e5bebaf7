"""Judges days of series: every alert that they may make or unmake."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from services.alerts.domain.areas import Line, stands_in
from services.alerts.domain.signals import last_instant_of
from services.alerts.handlers.alerts import judge_pairs
from services.alerts.handlers.consensus import agree_again
from services.alerts.handlers.reach import widened
from services.alerts.handlers.settling import Touched
from services.alerts.repository.alerts import Pair
from services.alerts.repository.areas import children_at, lines_of
from services.alerts.repository.excesses import child_levels_of, that_light_or_did
from services.alerts.repository.rules import StoredRule, active_rules, versions_by_id
from services.alerts.repository.series import SeriesKey
from shared.database.work import Work


async def judge_excesses(work: Work, keys: Sequence[str]) -> None:
    """Evaluator of `excess`; a key is a series on a day whose counts or judgement changed.

    What the streams of an area say together comes first: it may light or put out days of other
    areas too.
    """
    rules = await active_rules(work)
    changed = [SeriesKey.of_key(key) for key in sorted(keys)]
    stored = versions_by_id(rules)
    concerned = await that_light_or_did(work, changed, _most(rules))
    lines: dict[str, Line] = {}
    touched: dict[Pair, Touched] = {}
    for rule_id, versions in stored.items():
        level = versions[-1].document.area_level
        kinds = frozenset[str]().union(*(one.document.excess_kinds for one in versions))
        # What the streams say together rests on every day, on quiet ones too.
        agree = any(one.document.consensus is not None for one in versions)
        mine = [one for one in changed if one.point_kind in kinds and (agree or one in concerned)]
        if not mine:
            continue
        cells = {(one.area_id, one.day) for one in mine}
        cells |= await agree_again(work, versions, mine)
        lines |= await lines_of(work, {area_id for area_id, _ in cells} - set(lines))
        children = await child_levels_of(work, sorted(lines))
        known = sorted(cell for cell in cells if cell[0] in lines)
        for area_id, day in known:
            line = lines[area_id]
            if stands_in(line.level, level, children.get(area_id, ())):
                pair = touched.setdefault((rule_id, area_id), Touched(line))
                pair.times.append(last_instant_of(day, line.zone))
        if versions[-1].document.reach == "parent":
            await _touch_below(work, touched, (rule_id, level), [(lines[a], d) for a, d in known])
    await judge_pairs(work, await widened(work, touched, stored), rules)


def _most(rules: Sequence[StoredRule]) -> dict[str, float]:
    """The largest p-value that some rule asks of a kind."""
    most: dict[str, float] = {}
    for rule in rules:
        for kind in rule.document.excess_kinds:
            most[kind] = max(most.get(kind, 0.0), rule.document.terms_of(kind).p_below or 0.0)
    return most


async def _touch_below(
    work: Work,
    touched: dict[Pair, Touched],
    rule: tuple[str, str],
    changed: Sequence[tuple[Line, date]],
) -> None:
    """Areas of the rule's level look at the sums of their parent; `rule` is its id and level."""
    for line, day in changed:
        below = await lines_of(work, await children_at(work, [line.area_id], rule[1]))
        for area_id, child in sorted(below.items()):
            pair = touched.setdefault((rule[0], area_id), Touched(child))
            pair.times.append(last_instant_of(day, line.zone))
