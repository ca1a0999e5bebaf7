"""Every fact is counted once, whatever comes first, twice, late or corrected."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from services.alerts.domain.detection.verdict import Abstention
from shared.events.intake import PersonChanged, PlaceChanged
from tests.service.alerts.counts.city import City, Told, added_up, site_id
from tests.service.alerts.town import COUNTY, area, id_of, result
from tests.unit.alerts.samples import START

TODAY = date(2020, 2, 15)


def eventful(seed: int, first: date) -> list[Told]:
    """Reports with later versions: another number, day, site, area or kind, withdrawn, put back."""
    draw = random.Random(seed)
    told = []
    for number in range(40):
        code = f"{seed}-{number}"
        site = draw.choice(["north", "south", "east"])
        one = Told(code, site, first + timedelta(days=draw.randrange(4)), draw.randrange(5))
        told.append(one)
        for version in range(2, 2 + draw.randrange(4)):
            changes: list[dict[str, Any]] = [
                {"persons": draw.randrange(9)},
                {"day": first + timedelta(days=draw.randrange(4))},
                {"site": draw.choice(["north", "south", "east"])},
                {"area_id": "cn:441900003"},
                {"kind": "fever_clinic"},
                {"fever": not one.fever},
                {"status": "withdrawn" if one.status == "recorded" else "recorded"},
            ]
            change = draw.choice(changes)
            one = replace(one, version=version, **change)
            told.append(one)
    return told


async def test_any_order_any_batches_and_repeats_end_in_the_same_counts(city: City) -> None:
    for seed in range(2):
        told = eventful(seed, TODAY - timedelta(days=10 * seed + 4))
        draw = random.Random(seed)
        shuffled = told + draw.sample(told, 30)
        draw.shuffle(shuffled)
        for start in range(0, len(shuffled), 40):
            await city.tell(shuffled[start : start + 40], at_once=draw.choice([3, 40]))
            if draw.random() < 0.5:
                await city.settle()
    await city.come_to_rest()
    every = [one for seed in range(2) for one in eventful(seed, TODAY - timedelta(10 * seed + 4))]
    assert await city.counts() == added_up(every)


async def test_a_withdrawn_report_leaves_silence_and_no_zero(city: City) -> None:
    one = Told("only", "east", TODAY - timedelta(days=1), 3)
    await city.tell([one, replace(one, version=2, status="withdrawn")])
    await city.come_to_rest()
    assert await city.counts() == {}


async def test_a_drill_and_a_test_source_are_not_counted(city: City) -> None:
    event = Told("one", "east", TODAY, 3).event()
    await city.hear(event.model_copy(update={"exercise": True}))
    await city.hear(Told("two", "east", TODAY, 3).event().model_copy(update={"test": True}))
    await city.settle()
    assert await city.counts() == {}


async def test_a_place_registered_elsewhere_takes_its_counts_with_it(city: City) -> None:
    told = [Told("one", "north", TODAY, 3), Told("two", "north", TODAY, 2, fever=False)]
    await city.tell(told)
    await city.settle()
    await city.hear(
        PlaceChanged(
            record_id=site_id("north"),
            record_version=1,
            occurred_at=START,
            recorded_at=START,
            kind="pharmacy",
            area_id="cn:441900003",
        )
    )
    await city.settle()
    moved = [replace(one, area_id="cn:441900003") for one in told]
    assert await city.counts() == added_up(moved)


async def test_an_area_that_moves_takes_its_counts_with_it(city: City) -> None:
    await city.tell([Told("one", "north", TODAY, 3)])
    await city.settle()
    await city.hear(area("cn:340102001", "cn:340103", "township", version=2))
    await city.settle()
    assert {key[0] for key in await city.counts()} == {
        "cn:340102001",
        "cn:340103",
        "cn:3401",
        "cn:34",
    }
    # What it was taken from stands at nothing, which is silence.
    judged = await city.judged()
    assert judged[COUNTY, "pharmacy", TODAY].abstains is Abstention.SILENT


async def test_a_result_counts_where_its_person_lives_whenever_that_is_told(city: City) -> None:
    home = PersonChanged(
        record_id=id_of("person", "p"),
        record_version=1,
        occurred_at=START,
        recorded_at=START,
        person_id=id_of("person", "p"),
        residence_area_id="cn:340103",
    )
    negative = result("q").model_copy(update={"outcome": "negative"})
    await city.hear(result("p"), negative)
    await city.settle()
    await city.hear(home)
    await city.settle()
    await city.hear(result("p", version=2))
    await city.settle()
    counts = {key[0]: value for key, value in (await city.counts()).items()}
    assert counts["cn:340103"] == (1, 1, 1, 1), "one test, positive, at home"
    assert counts[COUNTY] == (0, 1, 1, 1), "one test, negative"
    assert counts["cn:3401"] == (1, 2, 2, 2)
