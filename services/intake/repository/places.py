"""Places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from services.intake.domain.references import KnownPlace
from services.intake.tables import place, standard
from shared.access import Viewer
from shared.areas import visible
from shared.database.work import ReadSession, Work

_KNOWN = text(
    "SELECT place.place_id, place.kind, place.area_id, area.ancestors, area.zone"
    " FROM intake.place LEFT JOIN intake.area USING (area_id)"
    " WHERE place.place_id = ANY(CAST(:ids AS uuid[]))"
)


async def find_places(session: ReadSession, ids: Iterable[UUID]) -> dict[UUID, KnownPlace]:
    """Each place with its area's line upwards; one that nobody registered is of kind `unknown`."""
    wanted = list(ids)
    if not wanted:
        return {}
    found = {
        row.place_id: KnownPlace(
            row.place_id, row.kind, row.area_id, tuple(row.ancestors or ()), row.zone, True
        )
        for row in await session.execute(_KNOWN, {"ids": wanted})
    }
    return {place_id: found.get(place_id) or KnownPlace(place_id) for place_id in wanted}


async def read_places(session: ReadSession, ids: Sequence[UUID]) -> dict[UUID, Any]:
    query = select(place).where(place.c.place_id.in_(ids))
    return {row.place_id: row for row in await session.execute(query)}


async def list_places(
    session: ReadSession, viewer: Viewer, *, ids: Sequence[UUID], after: str, limit: int
) -> list[Any]:
    query = select(place).where(visible(standard, viewer, place.c.area_id), place.c.code > after)
    if ids:
        query = query.where(place.c.place_id.in_(ids))
    return list((await session.execute(query.order_by(place.c.code).limit(limit))).all())


async def write_places(work: Work, rows: Sequence[Mapping[str, Any]]) -> None:
    statement = insert(place)
    await work.execute(
        statement.on_conflict_do_update(
            index_elements=[place.c.place_id],
            set_={name: statement.excluded[name] for name in rows[0] if name != "place_id"},
            where=place.c.version < statement.excluded.version,
        ),
        rows,
    )
