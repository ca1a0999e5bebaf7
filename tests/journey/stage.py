"""Who and what a walk registers before and while it goes: areas, places, sources, persons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.credentials import Grant, issue_key
from tests.journey.harness import Outpost, all_permissions


def id_of(kind: str, name: str) -> UUID:
    """The id of a source, so that it can have a key before it is registered."""
    return uuid5(NAMESPACE_OID, f"outpost walk {kind} {name}")


@dataclass(frozen=True, slots=True)
class Area:
    """One area of the tree."""

    area_id: str
    level: str
    name: str
    parent_id: str | None = None
    zone: str = "America/New_York"

    def body(self) -> dict[str, Any]:
        return {
            "area_id": self.area_id, "level": self.level, "name": self.name,
            "name_en": self.name, "parent_id": self.parent_id, "zone": self.zone,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A place with the code on its door."""

    code: str
    kind: str
    area_id: str

    def body(self) -> dict[str, Any]:
        return {
            "code": self.code, "kind": self.kind, "area_id": self.area_id,
            "name_zh": self.code, "name_en": self.code,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """A sender: by facility for HL7, by key for our own JSON."""

    name: str
    kind: str
    facility: tuple[str, str] | None = None
    place_code: str | None = None
    default_zone: str = "America/New_York"
    mode: str = "live"

    @property
    def id(self) -> UUID:
        return id_of("source", self.name)

    def body(self) -> dict[str, Any]:
        namespace, universal_id = self.facility or ("", "")
        told: dict[str, Any] = {
            "source_id": str(self.id), "name": self.name, "kind": self.kind,
            "default_zone": self.default_zone, "mode": self.mode,
        }  # fmt: skip
        if self.facility:
            told |= {"facility_namespace": namespace, "facility_universal_id": universal_id}
        if self.place_code:
            told["place_code"] = self.place_code
        return told


@dataclass(frozen=True, slots=True)
class Person:
    """A person, known by one identifier, so that a scan may come before the registration."""

    name: str
    area_id: str | None = None
    scheme: str = "walk"
    value: str = ""

    @property
    def reference(self) -> dict[str, str]:
        return {"scheme": self.scheme, "value": self.value or self.name}

    def body(self) -> dict[str, Any]:
        return {"residence_area_id": self.area_id, "identifiers": [self.reference]}


async def speak_as(outpost: Outpost, source: Source) -> dict[str, str]:
    """The header with which this source speaks; its key is made when it is first needed."""
    if source.name not in outpost.keys:
        engine = create_async_engine(outpost.admin_url, poolclass=NullPool)
        grant = Grant(all_permissions(outpost.services), ["*"], source_id=source.id)
        outpost.keys[source.name] = await issue_key(engine, source.name, grant)
        await engine.dispose()
    return {"authorization": f"Bearer {outpost.keys[source.name]}"}


async def tell(
    outpost: Outpost, source: Source, door: str, *rows: dict[str, Any]
) -> list[dict[str, Any]]:
    """Post rows to `/intake/<door>` as this source; the answers, each of a row that was taken."""
    headers = await speak_as(outpost, source)
    response = await outpost.ask("POST", f"/intake/{door}", json=list(rows), headers=headers)
    assert response.status_code == 202, f"{door}: {response.status_code} {response.text}"
    answers: list[dict[str, Any]] = response.json()["rows"]
    for answer in answers:
        assert answer["fate"] != "rejected", f"{door}: {answer}"
        outpost.names[answer["record_id"]] = f"{door} {answer['external_id']}"
    return answers


async def register(outpost: Outpost, *wanted: Area | Place | Source | Person) -> None:
    """Register these, one request each, in this order; persons' ids become names of the walk."""
    for one in wanted:
        match one:
            case Area():
                await outpost.send("/intake/areas", [one.body()])
            case Place():
                (told,) = await outpost.send("/intake/places", [one.body()])
                outpost.names[told["place_id"]] = one.code
            case Source():
                await outpost.send("/intake/sources", one.body())
                outpost.names[str(one.id)] = one.name
            case Person():
                (told,) = await outpost.send("/intake/persons", [one.body()])
                outpost.names[told["person_id"]] = one.name
