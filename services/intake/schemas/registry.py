"""Registration of areas, places, persons and sources."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field

from services.intake.domain.facts import AreaFacts, PersonFacts, PlaceFacts, SourceFacts
from services.intake.domain.references import PersonReference, place_id_of
from services.intake.schemas.rows import Code, Shape, Word
from shared.areas import LEVELS

AreaId = Annotated[str, Field(pattern=r"^[a-z]{2,8}:[0-9A-Za-z._-]{1,40}$")]
Name = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]


def _check_zone(zone: str) -> str:
    if zone not in available_timezones():
        raise ValueError("an IANA time zone, such as Asia/Shanghai")
    return zone


def _check_level(level: str) -> str:
    if level not in LEVELS:
        raise ValueError(f"one of {', '.join(LEVELS)}")
    return level


Zone = Annotated[str, AfterValidator(_check_zone)]
Level = Annotated[str, AfterValidator(_check_level)]


class AreaIn(Shape):
    area_id: AreaId
    level: Level
    name: Name
    parent_id: AreaId | None = None
    name_en: Name = ""
    zone: Zone = "Asia/Shanghai"
    valid_from: date | None = None
    valid_to: date | None = None

    def read(self) -> AreaFacts:
        return AreaFacts(**self.model_dump())


class PlaceIn(Shape):
    code: Code
    kind: Word
    area_id: AreaId | None = None
    name_zh: Name = ""
    name_en: Name = ""
    test: bool = False

    def read(self) -> PlaceFacts:
        return PlaceFacts(**self.model_dump())


class SourceIn(Shape):
    """`place_code`: the source's own place. A facility is its name and universal id together."""

    source_id: UUID | None = None
    name: Code
    kind: Word
    facility_namespace: Name = ""
    facility_universal_id: Name = ""
    place_code: Code | None = None
    default_zone: Zone = "Asia/Shanghai"
    encoding: Code | None = None
    mode: Literal["live", "test"] = "live"

    def read(self) -> SourceFacts:
        content = self.model_dump(exclude={"place_code"})
        place_id = place_id_of(self.place_code) if self.place_code else None
        return SourceFacts(**content, place_id=place_id)


class IdentifierIn(Shape):
    scheme: Code
    value: Code = Field(repr=False)

    def read(self) -> PersonReference:
        return PersonReference(None, self.scheme, self.value)


class PersonIn(Shape):
    """Everything but the area is kept in the vault. `birth_date` and `sex` tell two patients apart
    who come under one identifier."""

    person_id: UUID | None = None
    residence_area_id: AreaId | None = None
    identifiers: tuple[IdentifierIn, ...] = Field(default=(), max_length=20)
    name: Code | None = Field(default=None, repr=False)
    phone: Code | None = Field(default=None, repr=False)
    address: Code | None = Field(default=None, repr=False)
    birth_date: date | None = Field(default=None, repr=False)
    sex: Literal["F", "M", "O", "U"] | None = None

    def read(self) -> PersonFacts:
        fields = {
            "name": self.name,
            "phone": self.phone,
            "address": self.address,
            "birth_date": self.birth_date.isoformat() if self.birth_date else None,
            "sex": self.sex,
        }
        return PersonFacts(
            self.person_id,
            self.residence_area_id,
            tuple(one.read() for one in self.identifiers),
            tuple((name, value) for name, value in fields.items() if value is not None),
        )
