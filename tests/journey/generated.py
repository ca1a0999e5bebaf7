"""A generated city as it is told to the alerts service over the log: areas, and reports in order of
their recording, corrections among them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np

from services.alerts.laboratory.generated.city import City, generate
from services.alerts.laboratory.generated.facts import FACT, Facts
from services.alerts.laboratory.generated.parameters import KINDS, LABORATORY, Extent
from services.alerts.laboratory.generated.world import PREFECTURE_ID
from shared.events.intake import AreaChanged, ReportRecorded
from shared.ids import derived_id

ZONE = "Asia/Shanghai"


def city_of(seed: int, extent: Extent) -> City:
    """All its facts but those of laboratories, which tell no fever."""
    city = generate(seed, extent, facts_from=0)
    facts = city.facts[city.facts["at"] < extent.history_days]
    facts = facts[facts["kind"] != KINDS.index(LABORATORY)]
    return City(city.seed, city.world, city.outbreaks, city.counts, facts, 0)


def struck(city: City, township: int, day: int, *, persons: int) -> Facts:
    """So many more persons seen at each of the township's kinds of point on a day."""
    site_kind = city.world.site_kind[city.facts["site"]]
    parts = []
    for kind, _ in enumerate(KINDS):
        here = city.facts[(city.facts["township"] == township) & (site_kind == kind)]
        if len(here):
            more = np.resize(here, persons).astype(FACT)
            more["version"], more["syndrome"], more["person"] = 1, 0, -1
            more["at"] = day + 0.4 + np.arange(persons) / persons / 10
            more["recorded"] = more["at"] + 0.1
            parts.append(more)
    facts: Facts = np.concatenate(parts)
    facts["record"] = city.facts["record"].max() + 1 + np.arange(len(facts))
    return facts


def areas(city: City) -> list[AreaChanged]:
    world = city.world
    counties = [world.county_id(one) for one in range(world.extent.counties)]
    found = [_area(PREFECTURE_ID, "prefecture", None)]
    found += [_area(one, "county", PREFECTURE_ID) for one in counties]
    return found + [
        _area(world.township_id(one), "township", counties[int(world.county[one])])
        for one in range(world.extent.townships)
    ]


def _area(area_id: str, level: str, parent_id: str | None) -> AreaChanged:
    at = datetime.fromisoformat("2020-01-01T00:00:00Z")
    return AreaChanged(
        record_id=derived_id("city area", area_id),
        record_version=1,
        occurred_at=at,
        recorded_at=at,
        area_id=area_id,
        parent_id=parent_id,
        level=level,
        name=area_id,
        zone=ZONE,
    )


def reports(city: City, facts: Facts, first_at: datetime) -> Iterator[ReportRecorded]:
    """`first_at`: the instant that the city's first local midnight is moved to. Every syndrome is
    told as fever: the words of the syndromes are the city's own."""
    for fact in np.sort(facts, order=["recorded", "record", "version"]):
        named = fact["person"] >= 0
        site = int(fact["site"])
        yield ReportRecorded(
            record_id=derived_id("city report", city.seed, int(fact["record"])),
            record_version=int(fact["version"]),
            occurred_at=first_at + timedelta(seconds=round(float(fact["at"]) * 86_400)),
            recorded_at=first_at + timedelta(seconds=round(float(fact["recorded"]) * 86_400)),
            kind=KINDS[fact["kind"]],
            place_id=derived_id("city site", site),
            place_area_id=city.world.township_id(int(fact["township"])),
            person_id=derived_id("city person", int(fact["person"])) if named else None,
            fever=True,
            source_id=derived_id("city source", site),
            status="withdrawn" if fact["syndrome"] < 0 else "recorded",
        )
