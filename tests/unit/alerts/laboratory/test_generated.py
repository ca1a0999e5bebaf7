"""The generated city keeps what its parameters promise; small cities, some seconds of days."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from services.alerts.laboratory.generated.city import City, generate
from services.alerts.laboratory.generated.parameters import (
    KINDS,
    SCHOOLS,
    Extent,
    parameters,
    syndromes,
)

SMALL = Extent(counties=2, townships_per_county=4, history_days=150, judged_days=60)


@pytest.fixture(scope="module")
def city() -> City:
    return generate(7, SMALL, facts_from=0)


def test_a_seed_gives_the_same_city_again_and_another_seed_another(city: City) -> None:
    again = generate(7, SMALL, facts_from=0)
    assert np.array_equal(city.facts, again.facts)
    assert np.array_equal(city.counts.early, again.counts.early)
    assert not np.array_equal(city.counts.final, generate(8, SMALL).counts.final)


def test_tuning_and_scoring_seeds_are_apart() -> None:
    content = parameters()
    assert not set(content["tuning_seeds"]) & set(content["scoring_seeds"])


def test_final_counts_are_the_facts_with_their_corrections(city: City) -> None:
    last: dict[int, tuple[int, int, int, int]] = {}
    for fact in np.sort(city.facts, order=["record", "version"]):
        place = int(fact["site"]), int(fact["syndrome"]), int(fact["at"])
        last[int(fact["record"])] = (int(fact["version"]), *place)
    counted = np.zeros_like(city.counts.final)
    for _, site, syndrome, day in last.values():
        if syndrome >= 0:
            counted[site, syndrome, day] += 1
    assert np.array_equal(counted, city.counts.final)
    assert any(version == 2 for version, *_ in last.values())


def test_what_is_known_early_is_less_than_in_the_end_and_least_for_the_laboratory(
    city: City,
) -> None:
    kinds = city.world.site_kind
    share = {
        name: city.counts.early[kinds == kind].sum() / city.counts.final[kinds == kind].sum()
        for kind, name in enumerate(KINDS)
    }
    assert share["positive_result"] < 0.8
    assert all(0.95 < one < 1.0 for name, one in share.items() if name != "positive_result")


def test_nothing_is_told_where_a_point_is_closed_or_silent_and_holes_exist(city: City) -> None:
    world = city.world
    assert not city.counts.final.sum(axis=1)[~world.speaks].any()
    assert 0.005 < world.silent.mean() < 0.03
    for kind, name in enumerate(KINDS):
        if name in SCHOOLS:
            told = city.counts.final[world.site_kind == kind].sum(axis=(0, 1)) > 0
            days = [world.first + timedelta(days=number) for number in range(SMALL.days)]
            assert not any(told[n] and day.weekday() == 6 for n, day in enumerate(days[:20]))


def test_points_see_an_outbreak_in_the_order_of_their_delays(city: City) -> None:
    of_outbreaks = city.facts[(city.facts["outbreak"] >= 0) & (city.facts["version"] == 1)]
    began = np.array([one.first_day for one in city.outbreaks])
    after = of_outbreaks["recorded"] - began[of_outbreaks["outbreak"]]
    mean = {
        name: float(after[of_outbreaks["kind"] == kind].mean()) for kind, name in enumerate(KINDS)
    }
    assert mean["pharmacy"] < mean["outpatient"] < mean["positive_result"]


def test_one_sick_child_is_one_person_at_several_points(city: City) -> None:
    facts = city.facts[(city.facts["person"] >= 0) & (city.facts["version"] == 1)]
    seen: dict[int, set[int]] = {}
    for person, kind in zip(facts["person"].tolist(), facts["kind"].tolist(), strict=True):
        seen.setdefault(person, set()).add(kind)
    assert sum(len(kinds) >= 2 for kinds in seen.values()) > 100
    households = {person: set[int]() for person in seen}
    for person, household in zip(
        facts["person"].tolist(), facts["household"].tolist(), strict=True
    ):
        households[person].add(household)
    assert all(len(one) == 1 for one in households.values())


def test_outbreaks_of_one_township_do_not_overlap(city: City) -> None:
    assert len(city.outbreaks) >= 3
    for one in city.outbreaks:
        assert one.size >= 5
        assert 0 <= one.first_day <= one.last_day
        assert one.syndrome in syndromes()
    begun: dict[int, list[int]] = {}
    for one in city.outbreaks:
        begun.setdefault(one.townships[0], []).append(one.first_day)
    gaps = [np.diff(sorted(days)) for days in begun.values()]
    assert all((gap >= parameters()["outbreak_gap_days"] - 1).all() for gap in gaps)
