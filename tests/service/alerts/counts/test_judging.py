"""What stands in the table is what one evaluation of all facts says, whenever they came."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from services.alerts.domain.counting.table import DayCounts, SeriesTable, Sites, tree_of
from services.alerts.domain.detection.verdict import Abstention
from services.alerts.domain.excess import Excess
from services.alerts.domain.expecting.judging import judge_days
from services.alerts.repository.detection import counting_in_force
from tests.service.alerts.counts.city import SITES, City, Told, usual_days

TODAY = date(2020, 2, 20)
DAYS = 66
FIRST = TODAY - timedelta(days=DAYS)
TREE = [
    ("cn:34", None),
    ("cn:3401", "cn:34"),
    ("cn:340102", "cn:3401"),
    ("cn:340102001", "cn:340102"),
    ("cn:340103", "cn:3401"),
]


async def from_scratch(city: City, told: Sequence[Told]) -> dict[tuple[str, str, date], Excess]:
    """All facts at once, through the pure functions alone."""
    async with city.database.read() as session:
        counting = await counting_in_force(session)
    assert counting is not None
    persons, seen = (np.zeros((len(SITES), DAYS + 1), dtype=np.int32) for _ in range(2))
    reported = np.zeros((len(SITES), DAYS + 1), dtype=np.bool_)
    newest = {one.code: one for one in sorted(told, key=lambda one: one.version)}
    for one in newest.values():
        if one.status == "recorded":
            at = list(SITES).index(one.site), (one.day - FIRST).days
            persons[at] += one.persons if one.fever else 0
            seen[at] += one.persons
            reported[at] = True
    tree = tree_of(TREE)
    area = np.array([tree.area_ids.index(leaf) for leaf in SITES.values()], dtype=np.int64)
    table = SeriesTable(
        first_day=FIRST,
        tree=tree,
        kinds=(("pharmacy", "fever"),),
        sites=Sites.always_open(area, np.zeros_like(area)),
        counts=DayCounts(persons, seen, reported),
        last_day=TODAY,
    )
    judged = judge_days(table, counting.policy, counting.calendar, range(DAYS - 35, DAYS + 1))
    return {(one.area_id, one.point_kind, one.day): one for one in judged.excesses()}


async def same_as_from_scratch(city: City, told: Sequence[Told]) -> None:
    """Of the pharmacies, every day that is judged again."""
    expected = await from_scratch(city, told)
    found = {key: one for key, one in (await city.judged()).items() if key[1] == "pharmacy"}
    assert found.keys() == {key for key, one in expected.items() if one.day < TODAY or one.sites}, (
        "all series, and today those that spoke"
    )
    for key, one in found.items():
        other = expected[key]
        assert replace(one, expected=None, p_value=None) == replace(
            other, expected=None, p_value=None
        )
        assert number(one.expected) == pytest.approx(number(other.expected), rel=1e-9), key
        assert number(one.p_value) == pytest.approx(number(other.p_value), rel=1e-9), key


def number(value: float | None) -> float:
    return -1.0 if value is None else value


async def test_a_shuffled_past_is_judged_as_from_scratch(city: City) -> None:
    await city.go_to(TODAY)
    told = usual_days(FIRST, DAYS + 1, seed=1)
    random.Random(1).shuffle(told)
    for part in range(0, len(told), 200):
        await city.tell(told[part : part + 200])
        await city.come_to_rest()
    await city.go_to(TODAY, hour=13)
    await same_as_from_scratch(city, told)


async def test_a_corrected_past_is_judged_again_and_nothing_else_is(city: City) -> None:
    await city.go_to(TODAY)
    told = usual_days(FIRST, DAYS + 1, seed=2)
    other = [replace(one, code=f"x{one.code}", kind="fever_clinic") for one in told[-200:]]
    await city.tell(told + other)
    await city.come_to_rest()
    before = await city.judged()
    when = TODAY - timedelta(days=9)
    wave = [
        replace(one, version=2, persons=40)
        for one in told
        if one.day == when and one.fever and one.site == "east"
    ]
    gone = [
        replace(one, version=2, status="withdrawn")
        for one in told
        if one.day == when - timedelta(days=3) and one.site == "east"
    ]
    await city.tell(wave)
    await city.settle()
    at_once = await city.judged()
    assert (excess := at_once["cn:340103", "pharmacy", when]).limit is not None
    assert excess.observed > excess.limit, "the corrected day is judged at once"
    await city.tell(gone)
    await city.go_to(TODAY, hour=13)
    await same_as_from_scratch(city, told + wave + gone)
    after = await city.judged()
    assert all(after[key] == before[key] for key in before if key[1] == "fever_clinic")
    silent = after["cn:340103", "pharmacy", when - timedelta(days=3)]
    assert silent.abstains is Abstention.SILENT
    assert silent.p_value is None


async def test_today_speaks_only_when_it_is_high_already_and_in_full_tomorrow(city: City) -> None:
    await city.go_to(TODAY)
    told = usual_days(FIRST, DAYS, seed=3)
    morning = [
        Told("a", "north", TODAY, 2),
        Told("b", "east", TODAY, 40),
    ]
    await city.tell(told + morning)
    await city.come_to_rest()
    judged = await city.judged()
    low, high = (judged[area, "pharmacy", TODAY] for area in ("cn:340102001", "cn:340103"))
    assert low.abstains is Abstention.PART_DAY
    assert high.abstains is Abstention.NONE
    assert high.p_value is not None
    assert high.p_value < 1e-6
    await city.go_to(TODAY + timedelta(days=1))
    low = (await city.judged())["cn:340102001", "pharmacy", TODAY]
    assert low.abstains is Abstention.NONE
    assert low.p_value is not None
    assert low.p_value > 0.9


async def test_a_source_that_says_nothing_is_silent_the_next_day(city: City) -> None:
    await city.go_to(TODAY)
    told = [
        one
        for one in usual_days(FIRST, DAYS, seed=4)
        if (one.site, one.day) != ("east", TODAY - timedelta(days=1))
    ]
    await city.tell(told)
    await city.come_to_rest()
    judged = await city.judged()
    silent = judged["cn:340103", "pharmacy", TODAY - timedelta(days=1)]
    assert (silent.abstains, silent.p_value, silent.sites) == (Abstention.SILENT, None, 0)
    above = judged["cn:3401", "pharmacy", TODAY - timedelta(days=1)]
    assert above.abstains is Abstention.NONE
    assert above.sites == 2
    assert above.expected is not None
    assert 9 < above.expected < 15, "two of three sites"
