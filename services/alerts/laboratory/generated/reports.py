"""The facts of a generated city as a hospital, a pharmacy or a school would send them to intake."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from services.alerts.laboratory.generated.city import City
from services.alerts.laboratory.generated.parameters import KINDS, LABORATORY
from shared.ids import derived_id


def areas(city: City) -> list[dict[str, Any]]:
    """Rows for intake's door of areas, parents first."""
    world = city.world
    above = [{"area_id": "lab:city", "level": "prefecture", "name": "lab:city", "parent_id": None}]
    counties = [world.county_id(one) for one in range(world.extent.counties)]
    above += [_area(one, "county", "lab:city") for one in counties]
    return above + [
        _area(world.township_id(one), "township", counties[int(world.county[one])])
        for one in range(world.extent.townships)
    ]


def _area(area_id: str, level: str, parent_id: str) -> dict[str, Any]:
    return {"area_id": area_id, "level": level, "name": area_id, "parent_id": parent_id}


def places(city: City) -> list[dict[str, Any]]:
    """Rows for intake's door of places: every site but those of the laboratory."""
    world = city.world
    return [
        {
            "code": f"lab-{site}",
            "kind": KINDS[kind],
            "area_id": world.township_id(int(world.site_township[site])),
        }
        for site, kind in enumerate(world.site_kind.tolist())
        if KINDS[kind] != LABORATORY
    ]


def reports(city: City, first_at: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """(kind, row) in order of recording, corrections among them. `first_at`: the instant that the
    first local midnight of the kept facts is moved to. Every syndrome is told as fever: the words
    of the syndromes are the city's own."""
    for fact in np.sort(city.facts, order=["recorded", "record", "version"]):
        kind = KINDS[fact["kind"]]
        if kind == LABORATORY:
            continue
        row: dict[str, Any] = {
            "external_id": f"lab-{fact['record']}",
            "revision": int(fact["version"]),
            "occurred_at": _moment(first_at, float(fact["at"]) - city.facts_from).isoformat(),
            "kind": kind,
            "place": {"code": f"lab-{fact['site']}"},
            "fever": True,
            "withdrawn": bool(fact["syndrome"] < 0),
        }
        if fact["person"] >= 0:
            person = derived_id("city person", city.seed, int(fact["person"]))
            row["person"] = {"person_id": str(person)}
        yield kind, row


def _moment(first_at: datetime, days: float) -> datetime:
    return first_at + timedelta(seconds=round(days * 86_400))
