"""The area tree as every service copies it. Parents come from data, in any order of arrival."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, false, or_, select, text, true
from sqlalchemy.dialects.postgresql import insert

from shared.access import EVERYWHERE, Viewer
from shared.database.tables import StandardTables
from shared.database.work import Work
from shared.events.intake import AreaChanged
from shared.policy import Reader


async def store_areas(
    work: Work, tables: StandardTables, events: Sequence[AreaChanged]
) -> list[str]:
    """Keep the newest version of each; returns every area id whose line of ancestors may have
    changed.
    """
    area = tables.area
    newest = {
        event.area_id: event for event in sorted(events, key=lambda item: item.record_version)
    }
    rows = [
        {
            "area_id": event.area_id,
            "record_id": event.record_id,
            "version": event.record_version,
            "parent_id": event.parent_id,
            "level": event.level,
            "name": event.name,
            "name_en": event.name_en,
            "zone": event.zone,
            "valid_from": event.valid_from,
            "valid_to": event.valid_to,
            "ancestors": [event.area_id],
        }
        for event in newest.values()
    ]
    # One at a time: two batches that carry each other's parents must not overtake one another.
    await work.lock("areas")
    statement = insert(area)
    await work.execute(
        statement.on_conflict_do_update(
            index_elements=[area.c.area_id],
            set_={
                name: statement.excluded[name]
                for name in rows[0]
                if name not in ("area_id", "ancestors")
            },
            where=area.c.version < statement.excluded.version,
        ),
        rows,
    )
    return await _line_up(work, list(newest))


async def _line_up(work: Work, area_ids: list[str]) -> list[str]:
    """Recompute the ancestors of these areas and of everything below them."""
    schema = work.service
    changed = await work.execute(
        text(
            # The schema is a service's name from code, never input.
            f"""
            WITH RECURSIVE below AS (
                SELECT area_id FROM {schema}.area WHERE area_id = ANY(CAST(:ids AS text[]))
                UNION
                SELECT child.area_id FROM {schema}.area AS child
                JOIN below ON child.parent_id = below.area_id
            ), line AS (
                SELECT below.area_id, area.parent_id, ARRAY[below.area_id] AS ancestors
                FROM below JOIN {schema}.area AS area USING (area_id)
                UNION ALL
                SELECT line.area_id, parent.parent_id, line.ancestors || parent.area_id
                FROM line JOIN {schema}.area AS parent ON parent.area_id = line.parent_id
                WHERE NOT parent.area_id = ANY(line.ancestors)
            ), longest AS (
                SELECT DISTINCT ON (area_id) area_id, ancestors FROM line
                ORDER BY area_id, cardinality(ancestors) DESC
            )
            UPDATE {schema}.area AS area SET ancestors = longest.ancestors
            FROM longest WHERE area.area_id = longest.area_id
            RETURNING area.area_id
            """  # noqa: S608
        ),
        {"ids": area_ids},
    )
    return [row.area_id for row in changed]


def visible(
    tables: StandardTables, viewer: Viewer, area_id: ColumnElement[Any]
) -> ColumnElement[bool]:
    """The condition that a record's area lies in the viewer's. Without an area: only who sees
    everywhere.
    """
    if EVERYWHERE in viewer.area_ids:
        return true()
    if not viewer.area_ids:
        return false()
    area = tables.area
    inside = select(area.c.area_id).where(area.c.ancestors.overlap(list(viewer.area_ids)))
    return or_(area_id.in_(inside), area_id.in_(list(viewer.area_ids)))


async def ancestors_at_level(
    reader: Reader, tables: StandardTables, area_ids: Sequence[str], level: str
) -> dict[str, str]:
    """For each known area: itself or its ancestor at `level`, else the next higher that exists.

    A level may be absent (Dongguan has no counties): then the nearest ancestor above it is used.
    """
    order = LEVELS[: LEVELS.index(level) + 1]
    area = tables.area
    lines = {
        row.area_id: list(row.ancestors)
        for row in await reader.execute(
            select(area.c.area_id, area.c.ancestors).where(area.c.area_id.in_(list(area_ids)))
        )
    }
    wanted = {ancestor for line in lines.values() for ancestor in line}
    levels = {
        row.area_id: row.level
        for row in await reader.execute(
            select(area.c.area_id, area.c.level).where(area.c.area_id.in_(list(wanted)))
        )
    }
    found: dict[str, str] = {}
    for area_id, line in lines.items():
        # The line runs from the area itself upwards: the first one at or above the level is it.
        for ancestor in line:
            if levels.get(ancestor) in order:
                found[area_id] = ancestor
                break
    return found


LEVELS = ("country", "province", "prefecture", "county", "township", "village", "grid")
