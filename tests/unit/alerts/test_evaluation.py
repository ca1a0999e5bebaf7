"""The evaluation of a whole city is that of its areas, one by one; and what rule documents say."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from pydantic import ValidationError

from services.alerts.domain.areas import LEVELS, AreaTree
from services.alerts.domain.city_log import CityLog, EventArrays, city_log
from services.alerts.domain.columns import micros
from services.alerts.domain.evaluation import evaluate
from services.alerts.domain.excess import Excess
from services.alerts.domain.judgement import episodes
from services.alerts.domain.rules import KindTerms
from services.alerts.domain.signals import Signal, signal_of_excess
from services.alerts.repository.rules import RuleDocument, StoredRule, book_of
from shared.areas import LEVELS as TREE_LEVELS
from tests.unit.alerts.samples import MULTI_POINT, START

ZONE = "Asia/Shanghai"
AREAS = [("p", None, "prefecture"), ("c", "p", "county"), ("d", "p", "county")]
AREAS += [(f"{county}{number}", county, "township") for county in "cd" for number in range(3)]
TREE = AreaTree.of([(*one, ZONE) for one in AREAS], [("c0", "d0"), ("c0", "c1")])
KINDS = ["fever_clinic", "pharmacy", "school"]
DOCUMENT: dict[str, Any] = {
    "title_zh": "多点", "title_en": "Points", "level": "yellow", "point_kinds": KINDS,
    "min_points": 2, "min_kinds": 2, "min_persons": 2, "count_unlinked": True,
    "window_hours": 24, "area_level": "township", "area_of": "place",
}  # fmt: skip


def stored(*, version: int = 1, valid_from: date = date(2009, 1, 1), **changes: Any) -> StoredRule:
    document = RuleDocument.model_validate({**DOCUMENT, **changes})
    return StoredRule("rule", version, document, valid_from, None, None, "test", "test")


def drawn(seed: int, count: int = 400) -> tuple[EventArrays, list[Excess]]:
    chance = np.random.default_rng(seed)
    household = chance.integers(-1, 12, 60)
    person = chance.integers(-1, 60, count)
    events = EventArrays(
        at=micros(START) + chance.integers(0, 60 * 24, count) * 3_600_000_000,
        kind=chance.integers(0, 3, count),
        point=chance.integers(0, 20, count),
        area=chance.integers(3, 9, count),
        home=chance.integers(3, 9, count),
        person=person,
        household=np.where(person >= 0, household[person], -1),
        persons=chance.integers(1, 3, count),
        ids=lambda place: UUID(int=place),
        person_ids=lambda place: UUID(int=10_000 + place),
        household_ids=lambda place: UUID(int=20_000 + place),
    )
    excesses = [
        Excess(area_id, kind, "fever", START.date() + timedelta(days=day), n, 5.0, 8.0, 0.1, "t")
        for area_id, _, _ in AREAS
        for kind in KINDS
        for day in range(60)
        if (n := int(chance.poisson(5))) > 3
    ]
    return events, excesses


LISTS = (KINDS, [f"point {number}" for number in range(20)], [one[0] for one in AREAS])


def as_signals(events: EventArrays, excesses: list[Excess]) -> list[tuple[Signal, str | None]]:
    """The same things one by one."""
    log = city_log(events, LISTS, [], TREE)
    found: list[tuple[Signal, str | None]] = [
        (log.log.signal(row), LISTS[2][home])
        for row, home in zip(log.log.columns.row, log.home_area, strict=True)
    ]
    days = [signal_of_excess(one, ZONE, point_area_id=one.area_id) for one in excesses]
    return found + [(one, None) for one in days]


def summary(book: Any, city: CityLog) -> list[Any]:
    return sorted(
        (
            (one.area_id, one.held_at, one.decision, one.silence, one.closed_at)
            for one in evaluate(book, city, TREE)
        ),
        key=lambda one: one[:2],
    )


@pytest.mark.parametrize("area_of", ["place", "residence"])
def test_every_area_alone_and_the_city_at_once_make_the_same_alerts(area_of: Any) -> None:
    events, excesses = drawn(1)
    versions = [
        stored(area_of=area_of, quiet_hours=36, kinds={"school": {"lit_by": "excess"}}),
        stored(
            version=2, valid_from=date(2020, 3, 10), min_points=3, min_households=3,
            area_of=area_of, quiet_hours=36,
        ),
    ]  # fmt: skip
    rules = [one.in_zone(ZONE) for one in versions]
    signals = as_signals(events, excesses)
    alone = [
        (area_id, decision.held_at, decision)
        for area_id in sorted(set(LISTS[2][3:]))
        for decision in episodes(
            rules,
            [
                one
                for one, home in signals
                if (one.area_id if area_of == "place" or one.excess else home) == area_id
            ],
        )
    ]
    found = summary(book_of(versions), city_log(events, LISTS, excesses, TREE))
    assert [one[:3] for one in found] == alone
    assert {decision.rule.version for _, _, decision in alone} == {1, 2}
    assert all(closed == d.last_at + timedelta(hours=36) for _, _, d, _, closed in found)


@pytest.mark.parametrize("reach", ["area", "neighbours", "parent"])
def test_columns_and_signals_one_by_one_are_the_same_city(reach: str) -> None:
    events, excesses = drawn(2)
    terms: dict[str, Any] = {"quiet_hours": 24, "min_points": 4}
    terms |= {"kinds": {"pharmacy": {"lit_by": "excess"}}}
    book = book_of([stored(reach=reach, **terms)])
    by_columns = summary(book, city_log(events, LISTS, excesses, TREE))
    shuffled = as_signals(events, excesses)
    random.Random(1).shuffle(shuffled)
    assert by_columns
    assert by_columns == summary(book, CityLog.of(shuffled))


def test_a_county_reads_its_own_sums_and_never_those_of_its_townships() -> None:
    _, excesses = drawn(3)
    own = [one for one in excesses if one.area_id in ("c", "d", "p")]
    book = book_of([stored(area_level="county", lit_by="excess", quiet_hours=24)])
    nothing = drawn(3, count=0)[0]
    assert summary(book, city_log(nothing, LISTS, excesses, TREE)) == summary(
        book, city_log(nothing, LISTS, own, TREE)
    )


def test_a_document_of_before_means_what_it_always_meant() -> None:
    document = {**DOCUMENT, "point_kinds": sorted(MULTI_POINT.point_kinds), "window_hours": 72}
    document |= {"min_points": 3, "min_persons": 3}
    rule = StoredRule(
        "multi_point", 1, RuleDocument.model_validate(document), START.date(), None, None, "", ""
    ).in_zone(ZONE)
    same = replace(
        MULTI_POINT, title_zh="多点", title_en="Points", from_at=rule.from_at,
        kinds=dict.fromkeys(document["point_kinds"], KindTerms()),
    )  # fmt: skip
    assert rule == same
    assert rule.excess_kinds == frozenset()


@pytest.mark.parametrize(
    "changes",
    [
        {"quiet_hours": 23},
        {"kinds": {"breach": {}}},
        {"consensus": {"method": "fisher", "p_below": 0.05}},
        {"p_below": 0},
        {"min_own_points": 0},
        {"kinds": {"school": {"lit_by": "rumour"}}},
    ],
)
def test_a_document_that_does_not_fit_together_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stored(**changes)


def test_the_levels_are_those_of_the_tree() -> None:
    assert LEVELS == TREE_LEVELS
