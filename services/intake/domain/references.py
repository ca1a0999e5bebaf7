"""How a sender names a person or a place."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from uuid import UUID

from shared.ids import derived_id


@dataclass(frozen=True, slots=True)
class PersonReference:
    """Our own `person_id`, or an identifier of some scheme; never both."""

    person_id: UUID | None = None
    scheme: str = ""
    value: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class PlaceReference:
    """Our own `place_id`, or the code on the sign at the door."""

    place_id: UUID | None = None
    code: str = ""

    @property
    def id(self) -> UUID:
        """A code gives its id before anybody has registered the place: no visit is lost."""
        return self.place_id or place_id_of(self.code)


@lru_cache(maxsize=10_000)
def place_id_of(code: str) -> UUID:
    """Derived from the code alone; remembered, because a gate names itself in every scan."""
    return derived_id("place", code.strip())


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """What intake knows of a person without opening the vault."""

    person_id: UUID
    placeholder: bool
    residence_area_id: str | None


@dataclass(frozen=True, slots=True)
class KnownPlace:
    """A place, or for one that nobody registered: kind `unknown` and no area.

    `ancestors` runs from its area upwards; `zone` is its area's, None when the area is unknown.
    """

    place_id: UUID
    kind: str = "unknown"
    area_id: str | None = None
    ancestors: tuple[str, ...] = ()
    zone: str | None = None
    registered: bool = False


@dataclass(frozen=True, slots=True)
class KnownSource:
    """Who sends: kind of point, its place, its zone, live or test."""

    source_id: UUID
    kind: str
    place_id: UUID | None
    area_id: str | None
    default_zone: str
    mode: str

    @property
    def is_test(self) -> bool:
        return self.mode == "test"
