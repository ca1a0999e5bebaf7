"""Walk 1: NIST's syndromic messages, as they are, in any order, and once more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from tests.journey.harness import Outpost
from tests.journey.stage import Area, Place, Source, register

COUNTRY = Area("us:00", "country", "United States")
COUNTIES = (
    Area("us:25025", "county", "Suffolk, Massachusetts", "us:00"),
    Area("us:17031", "county", "Cook, Illinois", "us:00", "America/Chicago"),
    Area("us:40125", "county", "Pottawatomie, Oklahoma", "us:00", "America/Chicago"),
    Area("us:39049", "county", "Franklin, Ohio", "us:00"),
)
PLACES = (
    Place("urgent care", "fever_clinic", "us:25025"),
    Place("western", "hospital", "us:17031"),
    Place("southern", "hospital", "us:40125"),
    Place("mountainview", "hospital", "us:39049"),
)
SENDERS = (
    Source("urgent care", "fever_clinic", ("ChildHospBigCity", "1331231234"), "urgent care"),
    Source(
        "western", "emergency", ("WstrnRgnlMedCntr", "1231231235"), "western", "America/Chicago"
    ),
    # One universal id, two hospitals: the name is part of who they are.
    Source(
        "southern", "emergency", ("SthrnMdwstMedCntr", "1231231236"), "southern", "America/Chicago"
    ),
    Source("mountainview", "inpatient", ("MountainviewGeneral", "1231231236"), "mountainview"),
)


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of posting was answered, by file name."""

    replies: Mapping[str, bytes]


async def register_senders(outpost: Outpost) -> None:
    await register(outpost, COUNTRY, *COUNTIES, *PLACES, *SENDERS)


async def post_files(outpost: Outpost, files: Mapping[str, bytes], order: Iterable[str]) -> Round:
    """One after the other, in this order; every answer is an acknowledgement with status 200."""
    replies = {}
    for name in order:
        response = await outpost.hl7(files[name])
        assert response.status_code == 200, f"{name}: {response.status_code} {response.text}"
        replies[name] = response.content
    await outpost.settled()
    return Round(replies)


async def read_visits(outpost: Outpost) -> dict[str, dict[str, Any]]:
    """The clinic visits by the code of their place, without ids, versions and sealed columns.

    Read from the table: people see a visit only as the report and the signal that it makes.
    """
    columns = "place.code, visit.kind, visit.patient_class, visit.occurred_at, visit.event_at"
    columns += ", visit.discharged_at, visit.died, visit.fever, visit.messages"
    async with outpost.databases["intake"].read() as session:
        rows = await session.execute(
            text(
                f"SELECT {columns} FROM intake.clinic_encounter AS visit"
                " LEFT JOIN intake.place AS place USING (place_id) ORDER BY place.code"
            )
        )
        found = [dict(row._mapping) for row in rows]
    visits = {str(row.pop("code")): row for row in found}
    assert len(visits) == len(found), "no place has two visits in these messages"
    return visits
