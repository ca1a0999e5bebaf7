"""Places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.intake.domain.facts import PlaceFacts
from services.intake.domain.references import place_id_of
from services.intake.repository.places import read_places, write_places
from shared.database.work import Actor, AuditDetails, Database, Work
from shared.events.intake import PlaceChanged

CHUNK = 1_000


async def register_places(
    database: Database, places: Sequence[PlaceFacts], *, actor: Actor
) -> list[dict[str, Any]]:
    """Insert or change; the id follows from the code, so visits before registration count too."""
    told: list[dict[str, Any]] = []
    for start in range(0, len(places), CHUNK):
        async with database.work(actor) as work:
            told += await _register(work, places[start : start + CHUNK])
    return told


async def _register(work: Work, places: Sequence[PlaceFacts]) -> list[dict[str, Any]]:
    wanted = {place_id_of(place.code): place for place in places}
    await work.lock("places")
    stored = await read_places(work, list(wanted))
    rows = []
    told = []
    for place_id, place in wanted.items():
        before = stored.get(place_id)
        facts = {
            "code": place.code.strip(),
            "kind": place.kind,
            "area_id": place.area_id,
            "name_zh": place.name_zh,
            "name_en": place.name_en,
            "test": place.test,
        }
        same = before is not None and all(getattr(before, name) == facts[name] for name in facts)
        version = (before.version if before is not None else 0) + (0 if same else 1)
        told.append({"place_id": place_id, "code": place.code, "version": version})
        if not same:
            rows.append(
                {"place_id": place_id, "version": version, **facts, "recorded_at": work.now()}
            )
    if rows:
        await write_places(work, rows)
    for row in rows:
        _announce(work, row)
    return told


def _announce(work: Work, row: dict[str, Any]) -> None:
    work.announce(
        PlaceChanged(
            record_id=row["place_id"],
            record_version=row["version"],
            occurred_at=work.now(),
            recorded_at=work.now(),
            kind=row["kind"],
            area_id=row["area_id"],
            test=row["test"],
        )
    )
    work.audit(
        "place_registered",
        "place",
        row["place_id"],
        version=row["version"],
        details=AuditDetails(area_id=row["area_id"]),
    )
