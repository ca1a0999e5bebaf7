"""Areas as the rules need them: a line of ancestors with levels, in one statement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select, text

from services.alerts.domain.areas import LEVELS, Line, Step
from services.alerts.tables import standard
from shared.policy import Reader


async def lines_of(reader: Reader, area_ids: Iterable[str]) -> dict[str, Line]:
    """The lines of those areas that are known; an unknown one is absent from the answer."""
    wanted = sorted(set(area_ids))
    if not wanted:
        return {}
    rows = await reader.execute(
        text(
            """
            SELECT area.area_id, upper.area_id AS upper_id, upper.level, upper.zone
            FROM alerts.area AS area
            CROSS JOIN unnest(area.ancestors) WITH ORDINALITY AS step(area_id, height)
            JOIN alerts.area AS upper ON upper.area_id = step.area_id
            WHERE area.area_id = ANY(CAST(:wanted AS text[]))
            ORDER BY area.area_id, step.height
            """
        ).bindparams(wanted=wanted)
    )
    steps: dict[str, list[Step]] = {}
    for row in rows:
        steps.setdefault(row.area_id, []).append(Step(row.upper_id, row.level, row.zone))
    return {area_id: Line(tuple(found)) for area_id, found in steps.items()}


async def children_at(reader: Reader, area_ids: Iterable[str], level: str) -> list[str]:
    """The areas of a level that lie directly below one of these; also higher ones, which stand in
    where the level is absent."""
    area = standard.area
    high_enough = LEVELS[: LEVELS.index(level) + 1]
    rows = await reader.execute(
        select(area.c.area_id).where(
            area.c.parent_id.in_(sorted(area_ids)), area.c.level.in_(high_enough)
        )
    )
    return [row.area_id for row in rows]


@dataclass(frozen=True, slots=True)
class NamedLine:
    """An area with everything above it, and its name."""

    area_ids: frozenset[str]
    name: str
    name_en: str


async def named_lines_of(reader: Reader, area_ids: Iterable[str]) -> dict[str, NamedLine]:
    """For whom an alert there is to be seen, and what to call the place."""
    wanted = sorted(set(area_ids))
    if not wanted:
        return {}
    area = standard.area
    rows = await reader.execute(
        select(area.c.area_id, area.c.ancestors, area.c.name, area.c.name_en).where(
            area.c.area_id.in_(wanted)
        )
    )
    return {row.area_id: NamedLine(frozenset(row.ancestors), row.name, row.name_en) for row in rows}
