"""Names and zones of areas, from the console's own copy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from sqlalchemy import select

from services.console.domain.times import zone_named
from services.console.tables import standard
from shared.policy import Reader


@dataclass(frozen=True, slots=True)
class AreaName:
    """An area as people call it; an English name may be missing."""

    area_id: str
    name_zh: str
    name_en: str
    zone: tzinfo

    def name(self, language: str) -> str:
        first, second = self.name_zh, self.name_en
        if language == "en":
            first, second = second, first
        return first or second or self.area_id


async def names_of(reader: Reader, area_ids: Iterable[str | None]) -> dict[str, AreaName]:
    """The known ones among these."""
    wanted = sorted({area_id for area_id in area_ids if area_id and area_id != "*"})
    if not wanted:
        return {}
    area = standard.area
    rows = await reader.execute(
        select(area.c.area_id, area.c.name, area.c.name_en, area.c.zone).where(
            area.c.area_id.in_(wanted)
        )
    )
    return {
        row.area_id: AreaName(row.area_id, row.name, row.name_en, zone_named(row.zone))
        for row in rows
    }
