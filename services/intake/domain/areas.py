"""Area trees as their publishers write them, turned into our own shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.intake.domain.facts import AreaFacts

SCHEME = "cn"
COUNTRY = f"{SCHEME}:000000"


def read_area_file(content: Mapping[str, Any]) -> list[AreaFacts]:
    """A tree of China: divisions (`provinces`) or townships (by county code). ValueError otherwise.

    Parents come before their children. Area ids: `cn:` and 6 digits down to the county, 12 below.
    """
    if isinstance(content.get("provinces"), Mapping):
        return list(_read_divisions(content["provinces"]))
    if content and all(isinstance(one, Mapping) and "townships" in one for one in content.values()):
        return list(_read_townships(content))
    raise ValueError("not an area file: neither `provinces` nor counties with `townships`")


def _read_divisions(provinces: Mapping[str, Any]) -> Iterator[AreaFacts]:
    yield AreaFacts(COUNTRY, "country", "中国", name_en="China")
    for name, province in provinces.items():
        province_id = _short(province["code"])
        yield AreaFacts(province_id, "province", name, parent_id=COUNTRY)
        for city_name, city in province.get("cities", {}).items():
            # A county may stand right under its province; the publisher then leaves the city blank.
            parent = _short(city["code"]) if city.get("code") else province_id
            if parent != province_id:
                yield AreaFacts(parent, "prefecture", city_name, parent_id=province_id)
            for county_name, code in city.get("counties", {}).items():
                yield AreaFacts(_short(code), "county", county_name, parent_id=parent)


def _read_townships(counties: Mapping[str, Any]) -> Iterator[AreaFacts]:
    for county, content in counties.items():
        for name, code in content["townships"].items():
            yield AreaFacts(f"{SCHEME}:{code}", "township", name, parent_id=_short(county))


def _short(code: str) -> str:
    """The first six of twelve digits name everything from the province to the county."""
    return f"{SCHEME}:{code[:6]}"
