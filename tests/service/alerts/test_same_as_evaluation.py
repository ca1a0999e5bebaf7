"""What live ends with, whatever the order of arrival, is what the evaluation finds in all facts at
once: the same alerts with the same explanations."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from scipy.stats import poisson
from sqlalchemy import select

from services.alerts.domain.areas import AreaTree
from services.alerts.domain.city_log import CityLog
from services.alerts.domain.evaluation import Found, evaluate
from services.alerts.domain.excess import Excess
from services.alerts.domain.signals import Signal, signal_of_excess
from services.alerts.handlers.telling import content_of
from services.alerts.repository.rules import active_rules, book_of, versions_by_id
from services.alerts.tables import signal
from tests.service.alerts.series import count_nothing, high, judge_days, write_rule
from tests.service.alerts.test_excess import lives_with
from tests.service.alerts.town import COUNTY, NEIGHBOUR, TOWNSHIP, Town, areas, id_of, report

KINDS = ("fever_clinic", "pharmacy", "school")
DAYS = 40
EVENTS: dict[str, Any] = {
    "lit_by": "event", "min_points": 3, "min_kinds": 2, "min_persons": 3, "window_hours": 48,
    "quiet_hours": 60,
}  # fmt: skip
RULES: dict[str, dict[str, Any]] = {
    "families": {**EVENTS, "min_households": 3, "area_level": "township"},
    "around": {**EVENTS, "reach": "neighbours", "min_points": 4},
    "above": {**EVENTS, "reach": "parent", "min_points": 5, "kinds": {"pharmacy": {"weight": 2}},
              "min_weight": 6},
    "limits": {"quiet_hours": 72, "min_persons": 1, "reach": "neighbours"},
    "mixed": {"quiet_hours": None, "kinds": {"school": {"lit_by": "event"}}, "p_below": 0.1},
    "agreed": {
        "p_below": 0.3, "min_persons": 0, "reach": "parent",
        "consensus": {"method": "fisher", "p_below": 0.3, "days": 3, "null_days": 14,
                      "null_min_days": 14,
                      "null_gap_days": 1},
    },
}  # fmt: skip


def series(chance: random.Random) -> list[Excess]:
    found = []
    for area_id in (COUNTY, NEIGHBOUR, TOWNSHIP, "cn:3401"):
        for kind in KINDS:
            for number in range(DAYS):
                if chance.random() < 0.1:
                    continue
                observed = chance.choices(range(12), poisson.pmf(range(12), 3))[0]
                found.append(
                    high(
                        kind,
                        number,
                        area_id=area_id,
                        observed=observed,
                        expected=3.0,
                        limit=5.0,
                        p_value=float(poisson.sf(observed - 1, 3)),
                    )
                )
    return found


def reports(chance: random.Random) -> list[Any]:
    return [
        report(
            f"{number}",
            chance.choice(KINDS),
            hour=chance.randrange(DAYS * 24 * 4) / 4,
            place_id=id_of("place", chance.randrange(9)),
            place_area_id=chance.choice([TOWNSHIP, TOWNSHIP, COUNTY, NEIGHBOUR, "cn:3401"]),
            person_id=id_of("person", chance.randrange(40)) if chance.random() < 0.8 else None,
            person_count=chance.randrange(1, 3),
        )
        for number in range(90)
    ]


def tree() -> AreaTree:
    told = [(one.area_id, one.parent_id, one.level, one.zone) for one in areas()]
    return AreaTree.of(told, [(COUNTY, NEIGHBOUR)])


async def city(town: Town, excesses: list[Excess], homes: dict[Any, Any]) -> CityLog:
    async with town.database.read() as session:
        rows = (await session.execute(select(signal).where(signal.c.standing))).all()
    events = [
        (
            Signal(
                row.id,
                row.point_kind,
                row.point_id,
                row.occurred_at,
                row.person_id,
                row.person_count,
                row.place_id,
                row.area_id,
                household_id=homes.get(row.person_id),
            ),
            row.home_area_id,
        )
        for row in rows
    ]
    zones = {area_id: line.zone for area_id, line in tree().lines.items()}
    days = [
        (signal_of_excess(one, zones[one.area_id], point_area_id=one.area_id), None)
        for one in excesses
    ]
    return CityLog.of([*events, *days])


def told(rule_id: str, found: Found) -> dict[str, Any]:
    silence = found.silence
    return {
        "rule_id": rule_id,
        "area_id": found.area_id,
        **content_of(found.decision),
        "silent_if": list(silence.removed),
        "silent_if_text_en": silence.text_en,
        "silent_if_text_zh": silence.text_zh,
    }


@pytest.mark.parametrize("seed", [1, 2])
async def test_live_in_any_order_and_the_evaluation_of_everything_are_the_same(
    town: Town, seed: int
) -> None:
    chance = random.Random(seed)
    await count_nothing(town)
    await write_rule(town, "border", kind="alerts.adjacency", pairs=[[COUNTY, NEIGHBOUR]])
    for rule_id, changes in RULES.items():
        await write_rule(town, rule_id, **changes)
    excesses, events = series(chance), reports(chance)
    families = [lives_with(f"{number}", f"{number % 4}") for number in range(0, 40, 3)]
    families = [
        one.model_copy(update={"person_id": id_of("person", number)})
        for number, one in zip(range(0, 40, 3), families, strict=True)
    ]
    waiting: list[Any] = [*events, *families, *excesses, *chance.sample(excesses, 60)]
    # Some days have another count first.
    first = [replace(one, observed=9, p_value=0.004) for one in chance.sample(excesses, 40)]
    chance.shuffle(waiting)
    waiting = [*first, *waiting]
    while waiting:
        batch, waiting = waiting[:60], waiting[60:]
        await town.hear(*(one for one in batch if not isinstance(one, Excess)))
        await judge_days(town, *(one for one in batch if isinstance(one, Excess)))
        if chance.random() < 0.7:
            await town.settle()
    await town.settle()
    homes = {one.person_id: one.group_id for one in families}
    log = await city(town, excesses, homes)
    async with town.database.read() as session:
        stored = versions_by_id(await active_rules(session))
    expected = [
        told(rule_id, found)
        for rule_id, versions in stored.items()
        for found in evaluate(book_of(versions), log, tree())
    ]
    assert {one["rule_id"] for one in expected} >= set(RULES)
    standing = [row for row in await town.alerts() if row.state != "withdrawn"]
    live = [{name: row._mapping[name] for name in expected[0]} for row in standing]
    assert in_order(live) == in_order(expected)
    # All but the newest of a rule and area have ended by themselves.
    ended = {(row.rule_id, row.area_id, row.first_at) for row in standing if row.state == "closed"}
    newest: dict[Any, datetime] = {}
    for row in standing:
        key = (row.rule_id, row.area_id)
        newest[key] = max(newest.get(key, row.last_at), row.last_at)
    assert ended == {
        (row.rule_id, row.area_id, row.first_at)
        for row in standing
        if row.last_at < newest[row.rule_id, row.area_id]
    }


def in_order(alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(alerts, key=lambda one: (one["rule_id"], one["area_id"], one["first_at"]))
