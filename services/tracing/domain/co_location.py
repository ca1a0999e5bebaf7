"""A co-location (时空伴随): somebody was where a case was, at the same time, long enough to count.

What counts is the first paragraph of the rule of exposure (`domain/exposure.py`): the case's stay
is cut to its infectious window, each pair of stays is judged alone, and the overlap must reach the
minimum of that kind of place. One co-location is one visit of the other person; where it meets
several stays of the case, it lasts from the first meeting to the end of the last, and its minutes
are those of all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.events.base import Evidence
from shared.ids import derived_id

VISIT = "visit"


@dataclass(frozen=True, slots=True)
class Meeting:
    """One stay of a case and one visit of somebody else that overlap for long enough."""

    case_id: UUID
    place_id: UUID
    place_kind: str | None
    person_id: UUID
    visit_id: UUID
    visit_version: int
    own_id: UUID
    own_version: int
    from_at: datetime
    until_at: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class CoLocation:
    """One visit of a person to a place while a case was there."""

    id: UUID
    case_id: UUID
    place_id: UUID
    place_kind: str | None
    person_id: UUID
    visit_id: UUID
    from_at: datetime
    until_at: datetime
    minutes: float
    evidence: tuple[Evidence, ...]

    @property
    def reason(self) -> str:
        """One line with codes and figures only."""
        where = f" at {self.place_kind}" if self.place_kind else ""
        return f"co_location: visit{where} {self.minutes:g} min"

    def digest(self, policy: str | None, *, exercise: bool) -> str:
        """Equal for equal co-locations; changes when anything that is announced changes."""
        parts = [
            self.place_kind, self.from_at.timestamp(), self.until_at.timestamp(), self.minutes,
            policy, exercise,
            *(f"{item.kind}/{item.id}/{item.version}" for item in self.evidence),
        ]  # fmt: skip
        return hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=16).hexdigest()


def co_location_id(meeting: Meeting) -> UUID:
    """A visit that goes to another place or person by a correction is another co-location: each is
    judged under the lock of its own case and place."""
    return derived_id(
        "co_location", meeting.case_id, meeting.place_id, meeting.visit_id, meeting.person_id
    )


def co_locations(meetings: Iterable[Meeting]) -> dict[UUID, CoLocation]:
    """By id; the order of the meetings does not matter."""
    found: dict[UUID, list[Meeting]] = {}
    for meeting in meetings:
        found.setdefault(co_location_id(meeting), []).append(meeting)
    return {record_id: _united(record_id, together) for record_id, together in found.items()}


def _united(record_id: UUID, meetings: Sequence[Meeting]) -> CoLocation:
    first = meetings[0]
    versions = {first.visit_id: first.visit_version}
    versions |= {meeting.own_id: meeting.own_version for meeting in meetings}
    return CoLocation(
        id=record_id,
        case_id=first.case_id,
        place_id=first.place_id,
        place_kind=first.place_kind,
        person_id=first.person_id,
        visit_id=first.visit_id,
        from_at=min(meeting.from_at for meeting in meetings),
        until_at=max(meeting.until_at for meeting in meetings),
        minutes=round(sum(meeting.seconds for meeting in meetings) / 60, 3),
        evidence=tuple(
            Evidence(kind=VISIT, id=visit_id, version=version)
            for visit_id, version in sorted(versions.items())
        ),
    )
