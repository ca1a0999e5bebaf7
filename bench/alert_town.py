"""Many counties with three sentinel points each: a report from each of the three opens an alert."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.process import Outpost
from bench.town import PREFECTURE, area, issue, send
from shared.clock import real_now
from shared.ids import derived_id

KINDS = ("fever_clinic", "pharmacy", "school")
# So many counties report at a time, one point after the other: three reports of a county are some
# tenths of a second apart.
ROUND = 60


@dataclass(frozen=True, slots=True)
class Report:
    """What is sent, and which county it is from."""

    county: str
    kind: str
    body: bytes


def county_id(number: int) -> str:
    return f"bench:c{number}"


def reports(counties: range) -> Iterator[Report]:
    """In the order in which they are sent; the third of a county is the last it needs."""
    for start in range(0, len(counties), ROUND):
        for kind in KINDS:
            for number in counties[start : start + ROUND]:
                yield Report(county_id(number), kind, _body(number, kind))


def _body(number: int, kind: str) -> bytes:
    return (
        f'{{"external_id":"{kind}-{number}","occurred_at":"{real_now().isoformat()}",'
        f'"kind":"{kind}","place":{{"code":"{kind}-{number}"}},"fever":true}}'
    ).encode()


async def found(outpost: Outpost, engine: AsyncEngine, counties: int) -> dict[str, str]:
    """Areas, places and one source per kind of point; the sources' keys by kind."""
    operator = await issue(engine, "bench operator")
    keys = {}
    async with httpx.AsyncClient(base_url=outpost.base_url, timeout=60.0) as client:
        areas = [area(PREFECTURE, "prefecture")]
        areas += [area(county_id(number), "county", PREFECTURE) for number in range(counties)]
        await send(client, "/intake/areas", areas, key=operator)
        places = [
            {"code": f"{kind}-{number}", "kind": kind, "area_id": county_id(number)}
            for number in range(counties)
            for kind in KINDS
        ]
        await send(client, "/intake/places", places, key=operator)
        for kind in KINDS:
            source_id = derived_id("bench source", kind)
            source = {"source_id": str(source_id), "name": f"bench {kind}", "kind": kind}
            answer = await client.post(
                "/intake/sources", json=source, headers={"authorization": f"Bearer {operator}"}
            )
            answer.raise_for_status()
            keys[kind] = await issue(engine, f"bench {kind}", source_id)
    return keys
