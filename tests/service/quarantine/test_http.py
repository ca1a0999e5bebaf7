"""The HTTP door: scope, explanation, check-ins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest_asyncio

from services.quarantine.app import service
from shared.access import EVERYWHERE, Viewer
from shared.http import build_app
from shared.service import Room
from shared.settings import Settings
from tests.service.quarantine.ward import COUNTY, Town, Ward, area, on

ALL = frozenset(
    {
        "orders.read",
        "orders.write",
        "checks.read",
        "checks.write",
        "breaches.read",
    }
)


class Desk:
    """Credentials handed in: whoever sits here is the viewer."""

    def __init__(self) -> None:
        self.viewer: Viewer | None = Viewer("staff:1", ALL, (EVERYWHERE,))

    async def of_headers(self, _: object) -> Viewer | None:
        return self.viewer


@pytest_asyncio.fixture
async def desk() -> Desk:
    return Desk()


@pytest_asyncio.fixture
async def client(ward: Ward, desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    absent = cast("Any", None)
    room = Room(
        name=service.name,
        database=ward.database,
        bus=absent,
        clock=ward.clock,
        settings=Settings(),
        freshness=absent,
    )
    app = build_app(service, room, cast("Any", desk))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ward") as made:
        yield made


async def a_walk(ward: Ward, town: Town) -> str:
    await ward.tell(area(COUNTY, "Asia/Shanghai"))
    await ward.tell(town.case("a"), town.contact("a"), town.scan("s", on(11)))
    await ward.move_to(on(12, 1))
    [order] = await ward.orders(town.person_id)
    return str(order["id"])


async def test_one_order_explains_itself(ward: Ward, town: Town, client: httpx.AsyncClient) -> None:
    order_id = await a_walk(ward, town)
    body = (await client.get(f"/quarantine/orders/{order_id}")).json()
    assert (body["measure"], body["status"], body["reason"]) == ("central", "open", "close_contact")
    assert body["policy"] == "quarantine.measures.covid19@1"
    assert body["supports"][0]["id"] == str(town.contact("a").record_id)
    assert [one["scan_id"] for one in body["breaches"]] == [str(town.scan("s", on(11)).record_id)]
    assert [one["status"] for one in body["checks"]] == ["owed"]
    assert {line["action"] for line in body["audit"]} == {
        "order_opened",
        "breach_found",
        "check_owed",
    }
    looked = (await client.get(f"/quarantine/orders/{order_id}")).json()["audit"][-1]
    assert (looked["action"], looked["actor"]) == ("order_looked_at", "staff:1")


async def test_a_check_in_over_http_counts_for_the_check_that_is_owed(
    ward: Ward, town: Town, client: httpx.AsyncClient
) -> None:
    order_id = await a_walk(ward, town)
    sent = {"done_at": on(12, 0).isoformat(), "temperature_c": 38.5, "symptoms": ["cough"]}
    answer = await client.post(f"/quarantine/orders/{order_id}/checks", json=sent)
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["symptomatic"]) == ("done", True)
    done = (await client.get("/quarantine/checks", params={"status": "done"})).json()["checks"]
    assert [one["id"] for one in done] == [answer.json()["id"]]
    owed = await client.get("/quarantine/checks", params={"status": "owed"})
    assert owed.json()["checks"] == []


async def test_what_is_wrong_with_a_check_in_is_told_by_field(
    ward: Ward, town: Town, client: httpx.AsyncClient
) -> None:
    order_id = await a_walk(ward, town)
    path = f"/quarantine/orders/{order_id}/checks"
    for sent, place in (
        ({"temperature_c": 99}, "temperature_c"),
        ({"symptoms": ["Mr Li coughs"]}, "symptoms.0"),
        ({"done_at": on(20).isoformat()}, "done_at"),
    ):
        answer = await client.post(path, json=sent)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert [one["field"] for one in answer.json()["problems"]] == [place]
    assert (await client.post(f"/quarantine/orders/{uuid4()}/checks", json={})).status_code == 404


async def test_an_allowed_place_excuses_the_scan(
    ward: Ward, town: Town, client: httpx.AsyncClient
) -> None:
    order_id = await a_walk(ward, town)
    sent = {"place_id": str(town.scan("s", on(11)).place_id), "reason": "dialysis"}
    answer = await client.post(f"/quarantine/orders/{order_id}/places", json=sent)
    assert answer.json()["allowed_place_ids"] == [sent["place_id"]]
    await ward.judge()
    [breach] = (await client.get("/quarantine/breaches")).json()["breaches"]
    assert (breach["standing"], breach["reason"]) == (False, "place_allowed")


async def test_lists_are_filtered_and_paged(
    ward: Ward, town: Town, client: httpx.AsyncClient
) -> None:
    await a_walk(ward, town)
    towns = [Town.new() for _ in range(4)]
    for one in towns:
        await ward.tell(one.case("a"), one.contact("a"))
        await ward.tell(*(one.scan(f"s{number}", on(11, 13)) for number in range(2)))
    await ward.move_to(on(12, 9))
    # The four orders were made after the morning: they owe the afternoon's check-in alone.
    for noun, count in (("orders", 10), ("breaches", 9), ("checks", 6)):
        seen: list[str] = []
        while True:
            params = {"limit": "3"} | ({"after": seen[-1]} if seen else {})
            page = (await client.get(f"/quarantine/{noun}", params=params)).json()[noun]
            if not page:
                break
            seen += [one["id"] for one in page]
        assert (len(seen), len(set(seen))) == (count, count), noun
    own = {"person_id": str(town.person_id), "status": "open", "area_id": COUNTY}
    assert len((await client.get("/quarantine/orders", params=own)).json()["orders"]) == 1
    elsewhere = await client.get("/quarantine/orders", params={"area_id": "cn:99"})
    assert elsewhere.json()["orders"] == []


async def test_outside_ones_area_there_is_nothing(
    ward: Ward, town: Town, client: httpx.AsyncClient, desk: Desk
) -> None:
    order_id = await a_walk(ward, town)
    desk.viewer = Viewer("staff:2", ALL, ("cn:99",))
    assert (await client.get(f"/quarantine/orders/{order_id}")).status_code == 404
    refused = await client.post(f"/quarantine/orders/{order_id}/checks", json={})
    assert refused.status_code == 404
    for noun in ("orders", "checks", "breaches"):
        assert (await client.get(f"/quarantine/{noun}")).json() == {noun: []}
    desk.viewer = Viewer("staff:3", ALL, (COUNTY,))
    assert (await client.get(f"/quarantine/orders/{order_id}")).status_code == 200
    desk.viewer = Viewer("staff:4", frozenset(), (COUNTY,))
    assert (await client.get(f"/quarantine/orders/{order_id}")).status_code == 403
