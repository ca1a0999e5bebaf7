"""The made-up prefecture that is measured on; every id follows from a seed, so that each process
of a measurement knows it without being told."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.process import Outpost
from services.intake.domain.vault import Vault
from shared.clock import real_now
from shared.credentials import Grant, issue_key
from shared.ids import derived_id

SCHEME = "bench"
PREFECTURE = "bench:prefecture"
COUNTIES = 5
CHUNK = 1_000
HOUSEHOLD = 3
SCOPES = (
    "scans.write", "reports.write", "results.write", "memberships.write", "places.write",
    "areas.write", "sources.write", "alerts.read",
)  # fmt: skip


@dataclass(frozen=True)
class Town:
    """Stations at entrances, persons who are known, and some of them ill with their households."""

    stations: int = 200
    persons: int = 100_000
    ill: int = 60

    @cached_property
    def person_ids(self) -> list[UUID]:
        chosen = random.Random(2026)
        return [UUID(int=chosen.getrandbits(128), version=4) for _ in range(self.persons)]

    def source_id(self, station: int) -> UUID:
        return derived_id("bench source", station)

    @property
    def counties(self) -> list[str]:
        return [f"bench:county-{number}" for number in range(COUNTIES)]


def number_of(person: int) -> str:
    """What stands on the person's card."""
    return f"B{person:09d}"


def area(area_id: str, level: str, parent_id: str | None = None) -> dict[str, Any]:
    return {"area_id": area_id, "level": level, "name": area_id, "parent_id": parent_id}


async def send(
    client: httpx.AsyncClient, path: str, rows: Sequence[dict[str, Any]], *, key: str
) -> None:
    """Post rows in chunks; every one must be taken."""
    for start in range(0, len(rows), CHUNK):
        answer = await client.post(
            path, json=list(rows[start : start + CHUNK]), headers={"authorization": f"Bearer {key}"}
        )
        if answer.status_code >= 300 or b'"rejected":0' not in answer.content + b'"rejected":0':
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:500]}")


async def issue(engine: AsyncEngine, name: str, source_id: UUID | None = None) -> str:
    return await issue_key(engine, name, Grant(SCOPES, ["*"], source_id=source_id))


async def found(outpost: Outpost, engine: AsyncEngine, town: Town) -> list[str]:
    """Areas, stations and their sources, persons, cases and households; a key per station."""
    operator = await issue(engine, "bench operator")
    keys = [
        await issue(engine, f"bench station {number}", town.source_id(number))
        for number in range(town.stations)
    ]
    async with httpx.AsyncClient(base_url=outpost.base_url, timeout=60.0) as client:
        await send(
            client, "/intake/areas",
            [area(PREFECTURE, "prefecture")]
            + [area(county, "county", PREFECTURE) for county in town.counties],
            key=operator,
        )  # fmt: skip
        places = [
            {
                "code": f"bench-{number}",
                "kind": "checkpoint" if number % 5 else "gate",
                "area_id": town.counties[number % COUNTIES],
            }
            for number in range(town.stations)
        ]
        await send(client, "/intake/places", places, key=operator)
        for number in range(town.stations):
            source = {
                "source_id": str(town.source_id(number)), "name": f"bench station {number}",
                "kind": "checkpoint", "place_code": f"bench-{number}",
            }  # fmt: skip
            answer = await client.post(
                "/intake/sources", json=source, headers={"authorization": f"Bearer {operator}"}
            )
            answer.raise_for_status()
        await _put_persons_in(outpost, engine, town)
        await _let_some_be_ill(client, town, keys[0])
    return keys


async def _put_persons_in(outpost: Outpost, engine: AsyncEngine, town: Town) -> None:
    """Straight into the tables: registering is not what is measured here."""
    vault, now = Vault.from_text(outpost.vault_key()), real_now()
    persons, identifiers = [], []
    for number, person_id in enumerate(town.person_ids):
        value = number_of(number)
        index = vault.blind(SCHEME, value)
        sealed = vault.seal("identifier.sealed_value", f"{SCHEME}|{index.hex()}", value.encode())
        persons.append((person_id, 1, town.counties[number % COUNTIES], False, now))
        identifiers.append((SCHEME, index, person_id, sealed, now))
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        driver = raw.driver_connection
        assert isinstance(driver, asyncpg.Connection)
        await driver.copy_records_to_table(
            "person", schema_name="intake", records=persons,
            columns=("person_id", "version", "residence_area_id", "placeholder", "recorded_at"),
        )  # fmt: skip
        await driver.copy_records_to_table(
            "identifier", schema_name="intake", records=identifiers,
            columns=("scheme", "blind_index", "person_id", "sealed_value", "recorded_at"),
        )  # fmt: skip
        # As autovacuum would have done long ago in a place that runs.
        await driver.execute("ANALYZE intake.person, intake.identifier")


async def _let_some_be_ill(client: httpx.AsyncClient, town: Town, key: str) -> None:
    """Cases are isolated, their households quarantined: scans of these are held."""
    yesterday = (real_now() - timedelta(days=1)).isoformat()
    week_ago = (real_now() - timedelta(days=7)).isoformat()
    memberships, results = [], []
    for case in range(town.ill):
        first = case * (town.persons // town.ill)
        memberships += [
            {
                "external_id": f"home-{case}-{member}", "occurred_at": week_ago,
                "person": {"person_id": str(town.person_ids[first + member])},
                "group": {"kind": "household", "code": f"home-{case}"},
            }
            for member in range(HOUSEHOLD)
        ]  # fmt: skip
        results.append(
            {
                "external_id": f"result-{case}", "occurred_at": yesterday,
                "person": {"person_id": str(town.person_ids[first])}, "specimen": f"s-{case}",
                "disease": "covid19", "outcome": "positive", "reported_at": yesterday,
            }
        )  # fmt: skip
    await send(client, "/intake/memberships", memberships, key=key)
    await send(client, "/intake/results", results, key=key)
