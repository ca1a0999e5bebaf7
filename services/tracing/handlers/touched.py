"""Evaluators of new facts: find the cases that a committed fact may change, and have them judged.

They run after the commit of the fact, so a case judged meanwhile either saw the fact or asks to be
judged once more (see `case_judgement`). So it is with co-locations: whoever changes where a case's
person stayed makes its (case, place) due in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.tracing.handlers.watch import meetings_of
from services.tracing.repository import flagged
from services.tracing.repository.co_locations import co_location_key
from shared.database.work import Work


async def judge_visits(work: Work, batch_ids: Sequence[str]) -> None:
    """Keys are batches of visits as they were stored. The live decision comes first: what it makes
    due is judged before the cases, which take longer."""
    met = await meetings_of(work, _ids(batch_ids))
    work.due("co_location", (co_location_key(*one) for one in met))
    work.due("case", await flagged.touched_by_visits(work, _ids(batch_ids)))


async def judge_encounters(work: Work, batch_ids: Sequence[str]) -> None:
    """Keys are batches of encounters as they were stored."""
    work.due("case", await flagged.touched_by_encounters(work, _ids(batch_ids)))


async def judge_persons(work: Work, person_ids: Sequence[str]) -> None:
    """Something about these persons changed: an order, their residence, their own case."""
    work.due("case", await flagged.touched_by_persons(work, _ids(person_ids)))


async def judge_places(work: Work, place_ids: Sequence[str]) -> None:
    """The kind of these places changed, or a visit there was revised."""
    work.due("case", await flagged.touched_by_places(work, _ids(place_ids)))


async def judge_groups(work: Work, group_ids: Sequence[str]) -> None:
    """The members of these groups changed."""
    work.due("case", await flagged.touched_by_groups(work, _ids(group_ids)))


async def judge_areas(work: Work, area_ids: Sequence[str]) -> None:
    """These areas, or the line above them, changed: zone and policy may be others."""
    work.due("case", await flagged.touched_by_areas(work, area_ids))


async def judge_diseases(work: Work, diseases: Sequence[str]) -> None:
    """A policy for these diseases (`*`: any) came into force or left it."""
    work.due("case", await flagged.touched_by_diseases(work, diseases))


def _ids(keys: Sequence[str]) -> list[UUID]:
    return [UUID(key) for key in keys]
