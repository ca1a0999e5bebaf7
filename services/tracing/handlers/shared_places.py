"""Where do these cases overlap: places that several of them visited, popular ones counting less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.tracing.domain.exposure import ExposureRule, Source, unite
from services.tracing.domain.surprise import SharedPlace, surprise
from services.tracing.repository.shared_places import (
    count_persons,
    kinds_of,
    places_of_several,
    visitors_of,
)
from shared.database.work import ReadSession

# So many places are compared by how popular they are; the others are counted.
COMPARED_MOST = 500


@dataclass(frozen=True, slots=True)
class SharedPlaces:
    """The most surprising first. `total` places have enough cases, `not_compared` of them were too
    many to look at."""

    total: int
    not_compared: int
    places: Sequence[SharedPlace]


async def find_shared_places(
    session: ReadSession, sources: Sequence[Source], rule: ExposureRule, *, at_least: int
) -> SharedPlaces:
    """Places that at least so many of the sources' persons visited in their times."""
    united = unite(sources)
    rows = await places_of_several(session, united, rule, at_least=at_least)
    compared = rows[:COMPARED_MOST]
    place_ids = [row.place_id for row in compared]
    visitors = await visitors_of(
        session,
        place_ids,
        min(source.from_at for source in united),
        max(source.until_at for source in united),
    )
    kinds = await kinds_of(session, place_ids)
    persons = await count_persons(session)
    cases = len({source.person_id for source in united})
    found = [
        SharedPlace(
            row.place_id,
            kinds[row.place_id].kind,
            kinds[row.place_id].area_id,
            sorted(row.person_ids),
            row.first_at,
            row.last_at,
            max(visitors.get(row.place_id, 0), row.persons),
            surprise(
                row.persons,
                cases=cases,
                visitors=visitors.get(row.place_id, 0),
                persons=persons,
            ),
        )
        for row in compared
    ]
    found.sort(key=lambda place: (-place.surprise, -len(place.person_ids), place.place_id))
    return SharedPlaces(len(rows), len(rows) - len(compared), found)
