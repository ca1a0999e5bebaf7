"""The plan's rows as the doors want them: JSON, and which door."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.demo.plan import (
    CARD_SCHEME,
    DISEASE,
    Encounter,
    Membership,
    Report,
    Result,
    Row,
    Scan,
    Town,
    id_of,
)

DOORS: dict[type[Row], str] = {
    Scan: "scans",
    Report: "reports",
    Result: "results",
    Encounter: "encounters",
    Membership: "memberships",
}


def door_of(row: Row) -> str:
    return DOORS[type(row)]


def body_of(row: Row) -> dict[str, Any]:
    """The row as JSON; what is not known is left out."""
    told = {"external_id": row.external_id, "occurred_at": row.occurred_at, **_content(row)}
    return {name: _plain(value) for name, value in told.items() if value is not None}


def _content(row: Row) -> dict[str, Any]:
    match row:
        case Scan():
            return {
                "person": _person(row.person), "place": _place(row.place), "left_at": row.left_at,
                "temperature_c": row.temperature_c, "permit": row.permit,
            }  # fmt: skip
        case Report():
            return {
                "kind": row.kind, "place": _place(row.place),
                "person": _person(row.person) if row.person else None,
                "person_count": None if row.person else row.person_count,
                "temperature_c": row.temperature_c, "fever": row.fever,
            }  # fmt: skip
        case Result():
            return {
                "person": _person(row.person), "specimen": row.specimen, "disease": DISEASE,
                "outcome": row.outcome, "reported_at": row.reported_at,
                "onset_date": row.onset_date.isoformat() if row.onset_date else None,
                "place": _place(row.place),
            }  # fmt: skip
        case Encounter():
            return {
                "person": _person(row.person), "other_person": _person(row.other_person),
                "duration_seconds": row.seconds, "place": _place(row.place),
            }  # fmt: skip
        case Membership():
            group = {"kind": row.group_kind, "code": row.group}
            return {"person": _person(row.person), "group": group}
    raise TypeError(f"no door for {type(row).__name__}")


def areas_body(town: Town) -> list[dict[str, Any]]:
    return [
        {
            "area_id": area.code, "parent_id": area.parent, "level": area.level, "name": area.zh,
            "name_en": area.en, "zone": "Asia/Shanghai",
        }
        for area in town.areas
    ]  # fmt: skip


def places_body(town: Town) -> list[dict[str, Any]]:
    return [
        {
            "code": place.code, "kind": place.kind, "area_id": place.area, "name_zh": place.zh,
            "name_en": place.en,
        }
        for place in town.places.values()
    ]  # fmt: skip


def sources_body(town: Town) -> list[dict[str, Any]]:
    return [
        {
            "source_id": str(id_of("source", source.code)), "name": source.code,
            "kind": source.kind, "place_code": source.place, "default_zone": "Asia/Shanghai",
        }
        for source in town.sources.values()
    ]  # fmt: skip


def persons_body(town: Town) -> list[dict[str, Any]]:
    return [
        {
            "person_id": str(person.id), "residence_area_id": person.area, "name": person.name,
            "identifiers": [{"scheme": CARD_SCHEME, "value": person.code}],
        }
        for person in town.persons.values()
    ]  # fmt: skip


def _person(code: str) -> dict[str, str]:
    return {"scheme": CARD_SCHEME, "value": code}


def _place(code: str) -> dict[str, str]:
    return {"code": code}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
