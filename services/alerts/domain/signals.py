"""A signal: one point lit up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

# (kind, id): a clinic and a pharmacy behind one door are two points, because they see different
# things.
Point = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Signal:
    """A standing signal as a rule looks at it; `occurred_at` is event time.

    `person_count` counts where no person is named. `spent`: it already belongs to an alert of the
    same rule and area that a person has closed or dismissed.
    """

    id: UUID
    point_kind: str
    point_id: str
    occurred_at: datetime
    person_id: UUID | None = None
    person_count: int = 1
    place_id: UUID | None = None
    area_id: str | None = None
    spent: bool = False

    @property
    def point(self) -> Point:
        return (self.point_kind, self.point_id)

    @property
    def unlinked_count(self) -> int:
        """Persons behind it of whom nobody knows whether they are others than the ones named
        elsewhere."""
        return 0 if self.person_id else self.person_count
