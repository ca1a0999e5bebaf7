"""Sources."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from services.intake.domain.facts import SourceFacts
from services.intake.repository.sources import find_name_owner, read_source, write_source
from shared.database.work import Actor, Database
from shared.errors import Conflict
from shared.ids import new_id


async def register_source(
    database: Database, facts: SourceFacts, *, actor: Actor
) -> dict[str, Any]:
    """Register or change by id or name. `Conflict` when the facility is another's."""
    try:
        async with database.work(actor) as work:
            await work.lock("sources")
            owner = await find_name_owner(work, facts.name)
            source_id: UUID = facts.source_id or owner or new_id()
            if owner is not None and owner != source_id:
                raise Conflict("another source has this name", "choose another name")
            before = await read_source(work, source_id)
            version = before.version + 1 if before else 1
            await write_source(
                work,
                {
                    "source_id": source_id,
                    "version": version,
                    "name": facts.name,
                    "kind": facts.kind,
                    "facility_namespace": facts.facility_namespace,
                    "facility_universal_id": facts.facility_universal_id,
                    "place_id": facts.place_id,
                    "default_zone": facts.default_zone,
                    "encoding": facts.encoding,
                    "mode": facts.mode,
                    "recorded_at": work.now(),
                },
            )
            work.audit("source_registered", "source", source_id, version=version)
    except IntegrityError as error:
        raise Conflict(
            "another source has this facility", "a facility's name and id belong to one source"
        ) from error
    return {"source_id": source_id, "name": facts.name, "version": version}
