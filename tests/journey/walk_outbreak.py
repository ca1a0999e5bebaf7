"""Walk 3: MERS in Korea, 2015; both files unedited through the import endpoint, twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.journey.end_state import EndState, read_end_state
from tests.journey.harness import Outpost
from tests.journey.stage import Area, Person, Source, register, speak_as

SEOUL = Area("kr:11", "province", "Seoul", zone="Asia/Seoul")
DESK = Source("epidemic desk", "list", default_zone="Asia/Seoul")
SCHEME = "mers-korea-2015"
FILES = ("mers_korea_2015_linelist.csv", "mers_korea_2015_contacts.csv")


@dataclass(frozen=True, slots=True)
class Imported:
    """Both answers of both rounds, byte for byte, and what stood after each round."""

    replies: Mapping[str, tuple[bytes, bytes]]
    first: EndState
    second: EndState


async def import_twice(outpost: Outpost, outside_data: Path) -> Imported:
    """Import, wait, import again, wait."""
    await register(outpost, SEOUL, DESK)
    rounds: list[dict[str, bytes]] = []
    states: list[EndState] = []
    for _ in range(2):
        rounds.append({name: await _import(outpost, outside_data, name) for name in FILES})
        await outpost.settled(within_seconds=120)
        states.append(await read_end_state(outpost, in_full=False))
    return Imported({name: (rounds[0][name], rounds[1][name]) for name in FILES}, *states)


async def _import(outpost: Outpost, outside_data: Path, name: str) -> bytes:
    response = await outpost.ask(
        "POST", "/intake/lists",
        params={"disease": "mers", "id_scheme": SCHEME},
        content=(outside_data / "lists" / name).read_bytes(),
        headers=await speak_as(outpost, DESK) | {"content-type": "text/csv"},
    )  # fmt: skip
    assert response.status_code == 202, response.text
    return response.content


async def persons_of(outpost: Outpost, told_ids: Iterable[str]) -> dict[str, str]:
    """Our ids of persons of the list, by theirs."""
    wanted = list(told_ids)
    persons = [Person(told, scheme=SCHEME, value=told).body() for told in wanted]
    answers = await outpost.send("/intake/persons", persons)
    return {told: answer["person_id"] for told, answer in zip(wanted, answers, strict=True)}


def fates(reply: Mapping[str, Any]) -> list[str]:
    return [row["fate"] for row in reply["rows"]]
