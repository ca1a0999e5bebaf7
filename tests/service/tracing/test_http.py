"""Tracing's HTTP door: by hand opened, discarded and reopened cases; lists; areas; links."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import date
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio

from services.tracing.app import service
from services.tracing.repository.cases import case_id_of
from shared.access import EVERYWHERE, Credentials, Viewer
from shared.http import build_app
from shared.service import Room
from shared.settings import Settings
from tests.service.tracing.desk import (
    COUNTY,
    DISEASE,
    Desk,
    area,
    declared,
    encounter,
    id_of,
    link,
    person,
    scan,
)
from tests.service.tracing.test_cases import ONSET, at_school, on

WRITES = frozenset({"cases.read", "cases.write"})
VIEWERS = {
    "tracer": Viewer("staff:tracer", WRITES, (COUNTY,)),
    "reader": Viewer("staff:reader", frozenset({"cases.read"}), (COUNTY,)),
    "elsewhere": Viewer("staff:elsewhere", WRITES, ("cn:330106",)),
    "everywhere": Viewer("staff:everywhere", WRITES, (EVERYWHERE,)),
}


class Doorbell:
    """Says who is asking by a header that names them."""

    async def of_headers(self, headers: Mapping[bytes, bytes]) -> Viewer | None:
        return VIEWERS.get(headers.get(b"x-who", b"").decode())


@pytest_asyncio.fixture
async def client(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    absent = cast(Any, None)
    room = Room("tracing", desk.database, absent, desk.clock, Settings(session_secret=None), absent)
    app = build_app(service, room, cast(Credentials, Doorbell()))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tracing") as made:
        made.headers["x-who"] = "tracer"
        yield made


def opening(name: str, **more: Any) -> dict[str, Any]:
    return {
        "person_id": str(id_of(name)), "disease": DISEASE, "classification": "suspected",
        "onset_date": str(ONSET), "reason": "cough after a flight", "area_id": COUNTY,
    } | more  # fmt: skip


async def test_a_case_is_opened_by_hand_with_reason_and_author(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    await desk.tell(*at_school("ill", "near"))
    answer = await client.post("/tracing/cases", json=opening("ill"))
    assert answer.status_code == 202
    await desk.judge()
    case = (await client.get(f"/tracing/cases/{answer.json()['case_id']}")).json()
    assert case["standing"]
    assert case["classification"] == "suspected"
    assert case["window"]["basis"] == "onset"
    assert case["contacts"] == {"close_contact": 1, "contact_of_contact": 0}
    assert [(act["action"], act["author"], act["reason"]) for act in case["acts"]] == [
        ("open", "staff:tracer", "cough after a flight")
    ]
    # The author's own words may name a person: they stay here.
    assert "cough" not in str(await desk.rows(desk.database.tables.outbox.select()))


async def test_a_discarded_case_takes_its_contacts_and_comes_back_reopened(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    await desk.tell(*at_school("ill", "near"), declared("d", "ill", ONSET))
    path = f"/tracing/cases/{case_id_of(id_of('ill'), DISEASE)}"
    before = (await client.get(f"{path}/contacts")).json()
    assert (await client.post(f"{path}/discard", json={"reason": "mixed up"})).status_code == 202
    await desk.judge()
    case = (await client.get(path)).json()
    assert (case["standing"], case["classification"]) == (False, "discarded")
    assert case["reason"] == "discarded by staff:tracer"
    assert case["cause_id"] == case["acts"][-1]["id"]
    (contact,) = (await client.get(f"{path}/contacts")).json()["contacts"]
    assert not contact["standing"]
    assert contact["reason"] == "its case does not stand: discarded by staff:tracer"
    # The same evidence, said once more, does not overrule a person; only a person does.
    await desk.tell(declared("d", "ill", ONSET))
    assert not (await client.get(path)).json()["standing"]
    await client.post(f"{path}/reopen", json={"reason": "sequenced"})
    await desk.judge()
    after = (await client.get(f"{path}/contacts")).json()
    assert after["counts"] == before["counts"] == {"close_contact": 1, "contact_of_contact": 0}
    assert after["contacts"][0]["id"] == before["contacts"][0]["id"]
    actions = [row["action"] for row in await desk.audit(case_id_of(id_of("ill"), DISEASE))]
    assert list(dict.fromkeys(actions[1:])) == [
        "case_discard", "case_withdrawn", "case_reopen", "case_changed",
    ]  # fmt: skip


async def test_contacts_are_paged_by_degree_with_reasons_and_evidence(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    names = [f"near {number}" for number in range(5)]
    await desk.tell(
        *at_school("ill", *names), declared("d", "ill", ONSET),
        encounter("x", ("near 0", "far"), on(5), minutes=20),
    )  # fmt: skip
    path = f"/tracing/cases/{case_id_of(id_of('ill'), DISEASE)}/contacts"
    seen = []
    for page in (1, 2, 3):
        answer = await client.get(
            path, params={"degree": "close_contact", "page": page, "page_size": 2}
        )
        body = answer.json()
        assert body["total"] == 5
        assert body["counts"] == {"close_contact": 5, "contact_of_contact": 1}
        seen += [contact["person_id"] for contact in body["contacts"]]
    assert sorted(seen) == sorted(str(id_of(name)) for name in names)
    answer = await client.get(path, params={"degree": "contact_of_contact"})
    (second,) = answer.json()["contacts"]
    assert second["via_person_id"] == str(id_of("near 0"))
    assert second["reasons"][0]["code"] == "encounter"
    assert second["evidence"] == [{"kind": "encounter", "id": str(id_of("x")), "version": 1}]


async def test_co_locations_are_paged_in_the_order_in_which_they_happened(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    names = [f"near {number}" for number in range(5)]
    later = scan("own later", "ill", "shop", on(5), left_at=on(5, 6), place_kind="shop")
    met = scan("met later", "near 0", "shop", on(5), left_at=on(5, 6), place_kind="shop")
    await desk.tell(*at_school("ill", *names), later, met, declared("d", "ill", ONSET))
    path = f"/tracing/cases/{case_id_of(id_of('ill'), DISEASE)}/co-locations"
    seen = []
    for page in (1, 2, 3):
        body = (await client.get(path, params={"page": page, "page_size": 2})).json()
        assert body["total"] == 6
        seen += body["co_locations"]
    assert {one["visit_id"] for one in seen} == {
        str(id_of(name)) for name in ("met later", *(f"scan {name}" for name in names))
    }
    assert (seen[-1]["visit_id"], seen[-1]["place_kind"]) == (str(id_of("met later")), "shop")
    assert [item["kind"] for item in seen[-1]["evidence"]] == ["visit", "visit"]
    await desk.tell(scan("met later", "near 0", "bar", on(5), left_at=on(5, 6), version=2))
    standing = await client.get(path, params={"standing": "true"})
    assert standing.json()["total"] == 5
    (gone,) = (await client.get(path, params={"standing": "false"})).json()["co_locations"]
    assert gone["reason"] == "what it rested on was withdrawn or revised"


@pytest.mark.parametrize("path", ["", "/contacts", "/co-locations"])
async def test_a_case_of_another_area_is_not_found(
    desk: Desk, client: httpx.AsyncClient, path: str
) -> None:
    await desk.tell(declared("d", "ill", ONSET))
    path = f"/tracing/cases/{case_id_of(id_of('ill'), DISEASE)}{path}"
    assert (await client.get(path)).status_code == 200
    assert (await client.get(path, headers={"x-who": "elsewhere"})).status_code == 404
    assert (await client.get(path, headers={"x-who": "everywhere"})).status_code == 200
    assert (await client.get(path, headers={"x-who": "nobody"})).status_code == 401


async def test_nobody_discards_or_opens_cases_outside_their_areas(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    await desk.tell(declared("d", "ill", ONSET), person("other", COUNTY))
    elsewhere, reader = {"x-who": "elsewhere"}, {"x-who": "reader"}
    discard = f"/tracing/cases/{case_id_of(id_of('ill'), DISEASE)}/discard"
    because = {"reason": "x"}
    assert (await client.post(discard, json=because, headers=elsewhere)).status_code == 404
    assert (await client.post(discard, json=because, headers=reader)).status_code == 403
    body = opening("other", area_id="cn:330106")
    answer = await client.post("/tracing/cases", json=body, headers=elsewhere)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["field"] == "area_id"


async def test_cases_are_listed_by_disease_and_standing(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    gone = declared("c", "three", date(2021, 3, 1))
    await desk.tell(
        declared("a", "one", ONSET), declared("b", "two", ONSET, disease="mers"), gone,
    )  # fmt: skip
    await desk.tell(gone.model_copy(update={"record_version": 2, "status": "withdrawn"}))
    everything = (await client.get("/tracing/cases")).json()
    assert everything["total"] == 3
    mers = (await client.get("/tracing/cases", params={"disease": "mers"})).json()
    assert [case["person_id"] for case in mers["cases"]] == [str(id_of("two"))]
    standing = (await client.get("/tracing/cases", params={"standing": True})).json()
    assert standing["total"] == 2
    other = await client.get("/tracing/cases", headers={"x-who": "elsewhere"})
    assert other.json()["total"] == 0


async def test_every_candidate_link_is_kept_and_counted(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    await desk.tell(
        declared("d", "ill", ONSET), person("ill", COUNTY), area("Asia/Shanghai"),
        link("a", "first", "ill", None), link("b", "second", "ill", None),
        link("c", "ill", "third", None), link("d", "ill", "fourth", on(5)),
        link("e", "ill", "fourth", None), link("f", "stranger", "other", None),
    )  # fmt: skip
    links = (await client.get(f"/tracing/persons/{id_of('ill')}/links")).json()
    assert {item["person_id"] for item in links["infectors"]} == {
        str(id_of("first")), str(id_of("second")),
    }  # fmt: skip
    assert len(links["infectees"]) == 3
    (counts,) = (await client.get("/tracing/links")).json()
    assert (counts["edges"], counts["infectors"], counts["infectees"]) == (4, 3, 3)
    assert counts["top_infectors"][0] == {"person_id": str(id_of("ill")), "infectees": 2}
    (all_counts,) = (await client.get("/tracing/links", headers={"x-who": "everywhere"})).json()
    assert all_counts["edges"] == 5
    hidden = await client.get(
        f"/tracing/persons/{id_of('ill')}/links", headers={"x-who": "elsewhere"}
    )
    assert hidden.status_code == 404
