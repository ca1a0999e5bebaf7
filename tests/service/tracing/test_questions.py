"""Questions by HTTP: both engines, what a viewer may see, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from services.tracing.app import service
from services.tracing.handlers.city import keeper_of
from services.tracing.repository.cases import case_id_of
from shared.access import Credentials
from shared.http import build_app
from shared.service import Room
from tests.service.tracing.desk import DISEASE, Desk, declared, id_of, link, person, place, scan
from tests.service.tracing.process import room_of
from tests.service.tracing.test_cases import FROM, ONSET, UNTIL, on
from tests.service.tracing.test_http import Doorbell

TIME = {"disease": DISEASE, "from_at": FROM.isoformat(), "until_at": UNTIL.isoformat()}


@pytest_asyncio.fixture
async def room(desk: Desk) -> Room:
    """Two cases, and a chain that runs from the first over two schools; a station that all pass."""
    await desk.hear(*(place(name, kind) for name, kind in PLACES.items()))
    await desk.hear(*(person(name, None) for name in (*"abcdeyz", *map(str, range(40)))))
    await desk.tell(
        declared("case of a", "a", ONSET),
        declared("case of z", "z", ONSET),
        *stay("north", 4, "a", "b"),
        *stay("south", 5, "b", "c"),
        *stay("south", 6, "c", "d"),
        # Before b was exposed: no step of any chain.
        *stay("east", 3, "b", "e"),
        *stay("inn", 7, "a", "z"),
        *(one for day in (8, 9) for one in stay("station", day, *"abcdez")),
        link("edge", "z", "y", on(6)),
    )
    made = room_of(desk)
    await keeper_of(made).step()
    return made


PLACES = {
    "north": "school", "south": "school", "east": "school", "inn": "restaurant",
    "station": "station",
}  # fmt: skip


def stay(where: str, day: int, *names: str) -> list[Any]:
    """All of them there for an hour at noon, but at the station for five minutes."""
    minutes = 5 if where == "station" else 60
    return [
        scan(
            f"{name} at {where} on {day}", name, where, on(day),
            left_at=on(day) + timedelta(minutes=minutes), place_kind=PLACES[where],
        )
        for name in names
    ]  # fmt: skip


@pytest_asyncio.fixture
async def client(room: Room) -> AsyncIterator[httpx.AsyncClient]:
    app = build_app(service, room, cast(Credentials, Doorbell()))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tracing") as made:
        made.headers["x-who"] = "everywhere"
        yield made


def case(name: str) -> UUID:
    return case_id_of(id_of(name), DISEASE)


def names(found: Any) -> list[str]:
    known = {str(id_of(name)): name for name in "abcdeyz"}
    return sorted(known[one["person_id"]] for one in found["exposures"])


@pytest.mark.parametrize("engine", ["sql", "city"])
async def test_a_case_exposes_in_both_degrees_as_it_was_decided(
    desk: Desk, client: httpx.AsyncClient, engine: str
) -> None:
    decided = await desk.contacts("a")
    for degree in ("close_contact", "contact_of_contact"):
        answer = await client.get(
            f"/tracing/cases/{case('a')}/exposures", params={"degree": degree, "engine": engine}
        )
        assert answer.status_code == 200, answer.text
        found = answer.json()
        wanted = {str(who): row for who, row in decided.items() if row["degree"] == degree}
        assert {one["person_id"] for one in found["exposures"]} == set(wanted)
        assert found["total"] == len(wanted) > 0
        assert found["close_contacts"] == 2
        assert (found["engine"], found["rules"]) == (engine, "tracing-windows-covid19@1")
        for one in found["exposures"]:
            row = wanted[one["person_id"]]
            assert one["minutes"] == row["minutes"]
            assert {item["id"] for item in one["evidence"]} == {
                item["id"] for item in row["evidence"]
            }


async def test_another_window_and_other_rules_are_asked_without_changing_anything(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    path = f"/tracing/cases/{case('a')}/exposures"
    late = (await client.get(path, params={"from_at": on(6).isoformat()})).json()
    assert names(late) == ["z"]
    general = (await client.get(path, params={"rules": "tracing-windows-general@1"})).json()
    assert general["rules"] == "tracing-windows-general@1"
    assert len(await desk.contacts("a")) == 3
    listed = (await client.get("/tracing/rule-sets")).json()["rule_sets"]
    assert {one["rules"] for one in listed} >= {"tracing-windows-covid19@1", general["rules"]}


@pytest.mark.parametrize("engine", ["sql", "city"])
async def test_a_person_is_asked_about_both_ways(client: httpx.AsyncClient, engine: str) -> None:
    path, asked = f"/tracing/persons/{id_of('z')}/exposures", TIME | {"engine": engine}
    forward = (await client.get(path, params=asked)).json()
    backward = (await client.get(path, params=asked | {"direction": "backward"})).json()
    assert names(forward) == ["a", "y"]
    assert names(backward) == ["a"]
    to_y = f"/tracing/persons/{id_of('y')}/exposures"
    assert names((await client.get(to_y, params=asked)).json()) == []
    (found,) = (await client.get(to_y, params=asked | {"direction": "backward"})).json()[
        "exposures"
    ]
    assert found["person_id"] == str(id_of("z"))
    assert [item["id"] for item in found["evidence"]] == [str(id_of("edge"))]


@pytest.mark.parametrize("engine", ["sql", "city"])
async def test_a_chain_is_shortest_and_each_step_comes_after_the_last(
    client: httpx.AsyncClient, engine: str
) -> None:
    def ask(target: str, **more: Any) -> Any:
        ids = {"from_person_id": str(id_of("a")), "to_person_id": str(id_of(target))}
        return client.get("/tracing/chains", params=TIME | ids | {"engine": engine} | more)

    found = (await ask("d")).json()
    steps = [(one["via_person_id"], one["person_id"]) for one in found["steps"]]
    assert steps == [
        (str(id_of(one)), str(id_of(other))) for one, other in (("a", "b"), ("b", "c"), ("c", "d"))
    ]
    moments = [one["first_at"] for one in found["steps"]]
    assert moments == sorted(moments)
    assert all(one["reasons"] and one["evidence"] for one in found["steps"])
    assert (await ask("d", steps_most=2)).json()["steps"] == []
    # e met b before b could have been infected.
    assert (await ask("e")).json()["steps"] == []


async def test_a_place_that_everybody_passes_is_less_surprising(client: httpx.AsyncClient) -> None:
    asked = {"case_ids": [str(case("a")), str(case("z"))], "at_least": 2}
    found = (await client.post("/tracing/places/shared", json=asked)).json()
    assert found["total"] == 2
    assert [one["kind"] for one in found["places"]] == ["restaurant", "station"]
    inn, station = found["places"]
    assert inn["surprise"] > 2 > station["surprise"]
    assert (inn["visitors"], station["visitors"]) == (2, 6)
    assert set(inn["person_ids"]) == {str(id_of("a")), str(id_of("z"))}


async def test_many_cases_at_once_name_each_person_once(client: httpx.AsyncClient) -> None:
    asked = {"case_ids": [str(case("a")), str(case("z"))]}
    for engine in ("sql", "city"):
        found = (await client.post("/tracing/exposures", json=asked | {"engine": engine})).json()
        assert names(found) == ["a", "b", "y", "z"]
        assert found["engine"] == engine


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("/tracing/cases/{ghost}/exposures", {}, 404),
        ("/tracing/cases/{a}/exposures", {"rules": "no such@1"}, 404),
        ("/tracing/cases/{a}/exposures", {"rules": "nonsense"}, 404),
        ("/tracing/cases/{a}/exposures", {"from_at": "2022-01-01T00:00:00Z"}, 400),
        ("/tracing/cases/{a}/exposures", {"from_at": UNTIL, "until_at": FROM}, 422),
        ("/tracing/cases/{a}/exposures", {"page_size": 100_000}, 422),
        ("/tracing/cases/{a}/exposures", {"known_at": FROM, "engine": "city"}, 409),
        ("/tracing/cases/{a}/exposures", {"colour": "red"}, 422),
        ("/tracing/chains", TIME | {"from_person_id": "{a}"}, 422),
    ],
)
async def test_what_cannot_be_answered_is_refused_in_words(
    client: httpx.AsyncClient, path: str, params: dict[str, Any], status: int
) -> None:
    ids = {"{a}": str(case("a")), "{ghost}": str(id_of("ghost"))}
    for word, found in ids.items():
        path = path.replace(word, found)
    answer = await client.get(path, params=params)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_who_sees_neither_case_nor_person_is_told_of_neither(
    client: httpx.AsyncClient,
) -> None:
    client.headers["x-who"] = "elsewhere"
    asked = {"case_ids": [str(case("a")), str(case("z"))]}
    answers = [
        await client.get(f"/tracing/cases/{case('a')}/exposures"),
        await client.get(f"/tracing/persons/{id_of('a')}/exposures", params=TIME),
        await client.post("/tracing/exposures", json=asked),
        await client.post("/tracing/places/shared", json=asked),
        await client.get(
            "/tracing/chains",
            params=TIME | {"from_person_id": str(id_of("a")), "to_person_id": str(id_of("b"))},
        ),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5
