"""The area tree: intake owns it, everybody copies it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.intake.domain.facts import AreaFacts
from services.intake.repository.areas import read_areas
from services.intake.tables import standard
from shared.areas import store_areas
from shared.database.work import Actor, AuditDetails, Database, Work
from shared.events.intake import AreaChanged
from shared.ids import derived_id

CHUNK = 1_000
_FIELDS = ("parent_id", "level", "name", "name_en", "zone", "valid_from", "valid_to")


async def register_areas(
    database: Database, areas: Sequence[AreaFacts], *, actor: Actor
) -> dict[str, int]:
    """Insert or change; a version grows only where something differs. Counts what changed."""
    changed = 0
    for start in range(0, len(areas), CHUNK):
        async with database.work(actor) as work:
            changed += await _register(work, areas[start : start + CHUNK])
    return {"received": len(areas), "changed": changed}


async def _register(work: Work, areas: Sequence[AreaFacts]) -> int:
    wanted = {area.area_id: area for area in areas}
    await work.lock("areas")
    stored = await read_areas(work, list(wanted))
    events = [
        _event(work, area, stored[area.area_id].version + 1 if area.area_id in stored else 1)
        for area in wanted.values()
        if area.area_id not in stored or _differs(stored[area.area_id], area)
    ]
    if not events:
        return 0
    await store_areas(work, standard, events)
    work.announce(*events)
    work.audit(
        "areas_registered",
        "area",
        f"{len(events)} areas",
        details=AuditDetails(area_id=events[0].area_id),
    )
    return len(events)


def _differs(row: Any, area: AreaFacts) -> bool:
    return any(getattr(row, name) != getattr(area, name) for name in _FIELDS)


def _event(work: Work, area: AreaFacts, version: int) -> AreaChanged:
    return AreaChanged(
        record_id=derived_id("area", area.area_id),
        record_version=version,
        occurred_at=work.now(),
        recorded_at=work.now(),
        area_id=area.area_id,
        **{name: getattr(area, name) for name in _FIELDS},
    )
