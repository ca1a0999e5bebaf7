"""What the generator hands on: a town, and parcels of rows with the moment each is sent.

Plain data. Everybody and everything is named by a code of the generator's own, never by an id.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")
DISEASE = "covid19"
# A Monday.
START_AT = datetime(2026, 3, 2, tzinfo=ZONE)
IDS = UUID("6f757470-6f73-7400-8000-00000000d390")
CARD_SCHEME = "town-card"


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A local moment of the story; day 1 is the first."""
    return START_AT + timedelta(days=day - 1, hours=hour, minutes=minute)


def id_of(kind: str, code: str) -> UUID:
    """The id under which the town registers something: the same in every play."""
    return uuid5(IDS, f"{kind}/{code}")


@dataclass(frozen=True, slots=True)
class Area:
    code: str
    parent: str | None
    level: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Place:
    code: str
    kind: str
    area: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Source:
    """Who sends. `place` for one that sits somewhere."""

    code: str
    kind: str
    place: str | None
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Person:
    """`daily` is where the person spends working days: a firm, a classroom, or nothing."""

    code: str
    name: str
    household: str
    area: str
    role: str
    daily: str | None

    @property
    def id(self) -> UUID:
        return id_of("person", self.code)


@dataclass(frozen=True, slots=True)
class Row:
    """One row as a source tells it. `broken` is a deliberate mistake that the door must refuse."""

    external_id: str
    occurred_at: datetime
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Scan(Row):
    person: str = ""
    place: str = ""
    left_at: datetime | None = None
    temperature_c: float | None = None
    permit: str | None = None


@dataclass(frozen=True, slots=True)
class Report(Row):
    """A sentinel report: of a person with a temperature, or of a number of persons with fever."""

    kind: str = ""
    place: str = ""
    person: str | None = None
    person_count: int = 1
    temperature_c: float | None = None
    fever: bool | None = None


@dataclass(frozen=True, slots=True)
class Result(Row):
    person: str = ""
    specimen: str = ""
    place: str = ""
    outcome: str = "positive"
    reported_at: datetime = START_AT
    onset_date: date | None = None


@dataclass(frozen=True, slots=True)
class Encounter(Row):
    person: str = ""
    other_person: str = ""
    seconds: int = 0
    place: str = ""


@dataclass(frozen=True, slots=True)
class Membership(Row):
    person: str = ""
    group_kind: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Discard:
    """A person of the health office takes a case back."""

    person: str
    reason: str


@dataclass(frozen=True, slots=True)
class Told:
    """A line of the story in both languages."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """Rows that one source sends at one moment, or an act of a person.

    `wait`: everything said before has been heard and judged when this one is sent.
    """

    sent_at: datetime
    source: str
    rows: tuple[Row, ...] = ()
    discard: Discard | None = None
    told: Told | None = None
    wait: bool = False

    def without(self, external_id: str) -> Parcel:
        """The same parcel with that row lost on the way."""
        return replace(self, rows=tuple(row for row in self.rows if row.external_id != external_id))


@dataclass(frozen=True, slots=True)
class Town:
    areas: tuple[Area, ...]
    places: dict[str, Place]
    sources: dict[str, Source]
    persons: dict[str, Person]

    def county_of(self, area: str | None) -> str | None:
        """The area itself or the ancestor that is a county."""
        known = {one.code: one for one in self.areas}
        while area is not None and known[area].level != "county":
            area = known[area].parent
        return area


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole play: what is sent before the first case falls, and after."""

    seed: int
    town: Town
    parcels: tuple[Parcel, ...]
    roles: dict[str, str] = field(default_factory=dict)
