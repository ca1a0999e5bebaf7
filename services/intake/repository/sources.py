"""Sources, and in the same look the answer that was given to a body before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from services.intake.domain.references import KnownSource
from services.intake.tables import place, source, standard
from shared.access import Viewer
from shared.areas import visible
from shared.database.work import ReadSession, Work

_SOURCE = (
    "SELECT source.source_id, source.kind, source.place_id, place.area_id, source.default_zone,"
    " source.mode FROM intake.source LEFT JOIN intake.place USING (place_id)"
)
_WITH_RECEIPTS = text(
    "SELECT source.source_id, source.kind, source.place_id, place.area_id, source.default_zone,"
    " source.mode, receipt.received, receipt.reply"
    " FROM unnest(CAST(:source_ids AS uuid[]), CAST(:fingerprints AS bytea[]))"
    " WITH ORDINALITY AS asked (source_id, fingerprint, number)"
    " LEFT JOIN intake.source ON source.source_id = asked.source_id"
    " LEFT JOIN intake.place ON place.place_id = source.place_id"
    # By the key, whatever the planner thought of the table when it was empty.
    " LEFT JOIN LATERAL (SELECT received, reply FROM intake.receipt"
    " WHERE sender = CAST(asked.source_id AS text) AND door = :door"
    " AND fingerprint = asked.fingerprint LIMIT 1) AS receipt ON true"
    " ORDER BY asked.number"
)


@dataclass(frozen=True, slots=True)
class StoredReply:
    """What a body was answered the first time; `reply` is deflated and sealed."""

    received: int
    reply: bytes


async def find_sources_and_replies(
    work: Work, door: str, asked: Sequence[tuple[UUID, bytes]]
) -> list[tuple[KnownSource | None, StoredReply | None]]:
    """For each (source, fingerprint of a body), in their order."""
    rows = await work.execute(
        _WITH_RECEIPTS,
        {
            "door": door,
            "source_ids": [source_id for source_id, _ in asked],
            "fingerprints": [fingerprint for _, fingerprint in asked],
        },
    )
    return [
        (
            _known(row) if row.source_id is not None else None,
            StoredReply(row.received, bytes(row.reply)) if row.reply is not None else None,
        )
        for row in rows
    ]


async def find_source(session: ReadSession, source_id: UUID) -> KnownSource | None:
    row = (
        await session.execute(text(_SOURCE + " WHERE source_id = :id"), {"id": source_id})
    ).first()
    return _known(row) if row else None


async def find_by_facility(
    session: ReadSession, namespace: str, universal_id: str
) -> KnownSource | None:
    """Both parts count: two hospitals may share one universal id under two names."""
    if not (namespace or universal_id):
        return None
    row = (
        await session.execute(
            text(
                _SOURCE
                + " WHERE facility_namespace = :namespace AND facility_universal_id = :universal_id"
            ),
            {"namespace": namespace, "universal_id": universal_id},
        )
    ).first()
    return _known(row) if row else None


def _known(row: Any) -> KnownSource:
    return KnownSource(
        row.source_id, row.kind, row.place_id, row.area_id, row.default_zone, row.mode
    )


async def read_source(session: ReadSession, source_id: UUID) -> Any:
    query = select(source).where(source.c.source_id == source_id).with_for_update()
    return (await session.execute(query)).first()


async def find_name_owner(session: ReadSession, name: str) -> UUID | None:
    query = select(source.c.source_id).where(source.c.name == name)
    return (await session.execute(query)).scalar_one_or_none()


async def write_source(work: Work, values: Mapping[str, Any]) -> None:
    statement = insert(source).values(values)
    await work.execute(
        statement.on_conflict_do_update(
            index_elements=[source.c.source_id],
            set_={name: statement.excluded[name] for name in values if name != "source_id"},
        )
    )


async def sees_source(session: ReadSession, viewer: Viewer, source_id: UUID) -> bool:
    """Whether `list_sources` would show it to the viewer."""
    query = (
        select(source.c.source_id)
        .select_from(source.outerjoin(place, source.c.place_id == place.c.place_id))
        .where(source.c.source_id == source_id, visible(standard, viewer, place.c.area_id))
    )
    return (await session.execute(query)).first() is not None


async def list_sources(session: ReadSession, viewer: Viewer) -> list[Any]:
    query = (
        select(source, place.c.area_id, place.c.code.label("place_code"))
        .select_from(source.outerjoin(place, source.c.place_id == place.c.place_id))
        .where(visible(standard, viewer, place.c.area_id))
        .order_by(source.c.name)
    )
    return list((await session.execute(query)).all())
