"""A signal: one point lit up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from services.alerts.domain.excess import Excess
from shared.ids import derived_id

# (kind, id): a clinic and a pharmacy behind one door are two points, because they see different
# things.
Point = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Consent:
    """What all streams of an area say together on one day, by the terms of one rule version.

    `p_value` is calibrated on the area's own past (`null_days` known days; 0: too few, it is the
    bare combination), `q_value` adjusted across the areas of the level; `lit`: at most the rule's
    limit. `streams` are the kinds that had a p-value.
    """

    version: int
    p_value: float
    q_value: float
    lit: bool
    null_days: int
    streams: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signal:
    """A standing signal as a rule looks at it; `occurred_at` is event time.

    `person_count` counts where no person is named. `spent`: it already belongs to an alert of the
    same rule and area that a person has closed or dismissed. `own` False: it lies in a neighbour or
    elsewhere in the parent. With `excess` it is a day of a series: what lay above the expected
    count are its persons, and `consents` what its area's streams said together on that day.
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
    household_id: UUID | None = None
    own: bool = True
    excess: Excess | None = None
    consents: tuple[Consent, ...] = ()

    @property
    def point(self) -> Point:
        return (self.point_kind, self.point_id)

    @property
    def household(self) -> UUID | None:
        """The household behind it; a person of none that is known makes one alone."""
        return self.household_id or self.person_id

    @property
    def unlinked_count(self) -> int:
        """Persons behind it of whom nobody knows whether they are others than the ones named
        elsewhere."""
        return 0 if self.person_id else self.person_count

    def consent_of(self, version: int) -> Consent | None:
        return next((one for one in self.consents if one.version == version), None)


def signal_of_excess(
    excess: Excess,
    zone: str,
    *,
    point_area_id: str,
    own: bool = True,
    spent: bool = False,
    consents: tuple[Consent, ...] = (),
) -> Signal:
    """A day of a series as a point; `zone` is the series' area's.

    Its instant is the last of its local day: nobody can know it before, and the midnight after it
    is another day's. `point_area_id` names the point: the series' own area, or, of a parent, the
    area that is judged, whose persons the parent's series holds too: both are one point.
    """
    return Signal(
        id=excess_id(excess.area_id, excess.point_kind, excess.syndrome, excess.day),
        point_kind=excess.point_kind,
        point_id=point_area_id,
        occurred_at=last_instant_of(excess.day, zone),
        person_count=surplus(excess.observed, excess.expected),
        area_id=excess.area_id,
        spent=spent,
        own=own,
        excess=excess,
        consents=consents,
    )


@lru_cache(maxsize=10_000)
def excess_id(area_id: str, point_kind: str, syndrome: str, day: date) -> UUID:
    return derived_id("excess", area_id, point_kind, syndrome, day.isoformat())


def surplus(observed: int, expected: float | None) -> int:
    """The persons above the expected count, at least the one without whom there is no point."""
    return max(1, round(observed - (expected or 0.0)))


@lru_cache(maxsize=10_000)
def last_instant_of(day: date, zone: str) -> datetime:
    tomorrow = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone))
    return tomorrow.astimezone(ZoneInfo("UTC")) - timedelta(microseconds=1)
