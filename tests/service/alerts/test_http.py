"""The HTTP door of a running alerts process, from a fact on the log to the stream."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import create_async_engine

import shared.access
import shared.bus.tables
from services.alerts.app import service
from shared.bus.envelope import encode
from shared.clock import ManualClock
from shared.credentials import Grant, issue_key
from shared.database.bootstrap import bootstrap
from shared.events.base import Event
from shared.log import configure_log
from shared.runtime import Runtime
from shared.settings import Settings
from tests.conftest import SECRET, MakeDatabase
from tests.eventually import eventually
from tests.service.alerts.town import COUNTY, NEIGHBOUR, areas, three_reports
from tests.unit.alerts.samples import START

EVERY_SCOPE = ("alerts.read", "alerts.write", "signals.read", "deliveries.read", "rules.read")


@dataclass
class Running:
    """A process of this service alone, with a client of everywhere and one of the neighbour
    county."""

    runtime: Runtime
    everywhere: httpx.AsyncClient
    neighbour: httpx.AsyncClient

    async def say(self, events: Sequence[Event]) -> None:
        publisher = await self.runtime.bus.publisher("test")
        await publisher.publish([encode(event, source="intake") for event in events])
        await publisher.close()

    async def alerts(self) -> list[dict[str, Any]]:
        answer = await self.everywhere.get("/alerts/alerts")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["alerts"]
        return found

    async def the_alert(self) -> dict[str, Any]:
        async def holds() -> bool:
            return [alert["points"] for alert in await self.alerts()] == [3]

        await eventually(holds)
        return (await self.alerts())[0]


async def _prepare(url: URL) -> None:
    await bootstrap(url, ["alerts"], secret=SECRET, embedded_log=True)
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        for metadata in (service.metadata, shared.bus.tables.metadata, shared.access.metadata):
            await connection.run_sync(metadata.create_all)
    await engine.dispose()


@pytest_asyncio.fixture
async def running(make_database: MakeDatabase) -> AsyncIterator[Running]:
    database = await make_database(_prepare)
    engine = create_async_engine(database)
    keys = [
        await issue_key(engine, name, Grant(EVERY_SCOPE, (area_id,), None, None))
        for name, area_id in (("everywhere", "*"), ("neighbour", NEIGHBOUR))
    ]
    await engine.dispose()
    configure_log(level="critical", style="json")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            database_url=SecretStr(database.render_as_string(hide_password=False)),
            database_secret=SecretStr(SECRET),
            session_secret=SecretStr(SECRET),
            vault_key=SecretStr("A" * 43 + "="),
            migrate_at_start=False,
            http_port=0,
            data_dir=Path(folder),
        )
        runtime = Runtime([service], settings, clock=ManualClock(START))
        await runtime.start()
        clients = [
            httpx.AsyncClient(
                base_url=runtime.base_url, headers={"authorization": f"Bearer {key}"}, timeout=20
            )
            for key in keys
        ]
        yield Running(runtime, *clients)
        for client in clients:
            await client.aclose()
        await runtime.stop()


async def test_a_fact_becomes_an_alert_on_the_stream_and_in_the_ledger(running: Running) -> None:
    await running.say(areas())
    async with running.everywhere.stream("GET", "/alerts/stream", params={"after": -1}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        await running.say(three_reports())
        got = await asyncio.wait_for(next_alert(stream, points=3), 20)
    assert got["area_name"] == f"area {COUNTY}"
    assert got["silent_if_text_en"]
    ledger: list[dict[str, Any]] = []

    async def written() -> bool:
        nonlocal ledger
        answer = await running.everywhere.get("/alerts/deliveries")
        ledger = answer.json()["deliveries"]
        return bool(ledger)

    async with running.everywhere.stream("GET", "/alerts/stream", params={"after": -1}) as stream:
        await asyncio.wait_for(next_alert(stream, points=3), 20)
        await eventually(written)
    assert {row["alert_id"] for row in ledger} == {got["record_id"]}


async def next_alert(stream: httpx.Response, *, points: int) -> dict[str, Any]:
    async for line in stream.aiter_lines():
        if line.startswith("data: "):
            alert: dict[str, Any] = json.loads(line[6:])
            if alert["points"] == points:
                return alert
    raise AssertionError("the stream ended")


async def test_one_alert_is_told_whole_and_only_to_viewers_of_its_area(running: Running) -> None:
    await running.say([*areas(), *three_reports()])
    alert = await running.the_alert()
    path = f"/alerts/alerts/{alert['id']}"
    detail = (await running.everywhere.get(path)).json()
    assert len(detail["records"]) == 3
    assert detail["trail"][-1]["policy"] == "multi_point@1"
    assert detail["silent_if"]
    assert (await running.neighbour.get(path)).status_code == 404
    assert (await running.neighbour.get("/alerts/alerts")).json()["alerts"] == []
    refused = await running.neighbour.post(f"{path}/close", json={"reason": "not mine"})
    assert refused.status_code == 404


async def test_acts_and_filters(running: Running) -> None:
    await running.say([*areas(), *three_reports()])
    alert = await running.the_alert()
    path = f"/alerts/alerts/{alert['id']}"
    done = await running.everywhere.post(f"{path}/acknowledge", json={"reason": "seen"})
    assert done.json()["state"] == "acknowledged"
    again = await running.everywhere.post(f"{path}/acknowledge", json={"reason": "seen"})
    assert again.status_code == 409
    assert (await running.everywhere.post(f"{path}/close", json={})).status_code == 422
    assert (await running.everywhere.post(f"{path}/burn", json={"reason": "x"})).status_code == 422
    for query, count in (
        ({"state": "acknowledged"}, 1),
        ({"state": "open"}, 0),
        ({"level": "yellow", "area": "cn:34"}, 1),
        ({"area": NEIGHBOUR}, 0),
        ({"before": alert["id"]}, 0),
    ):
        answer = await running.everywhere.get("/alerts/alerts", params=query)
        assert len(answer.json()["alerts"]) == count, query
    trail = (await running.everywhere.get(path)).json()["trail"]
    assert (trail[-1]["action"], trail[-1]["reason"]) == ("alert_acknowledge", "seen")


async def test_signals_are_listed_and_counted_by_area_and_kind(running: Running) -> None:
    await running.say([*areas(), *three_reports()])
    await running.the_alert()
    listed = (await running.everywhere.get("/alerts/signals", params={"area": COUNTY})).json()
    assert len(listed["signals"]) == 3
    later = {"since": "2020-02-15T05:00:00Z", "until": "2020-02-15T10:00:00Z"}
    between = (await running.everywhere.get("/alerts/signals", params=later)).json()
    assert [one["point_kind"] for one in between["signals"]] == ["pharmacy"]
    counts = (
        await running.everywhere.get("/alerts/signals/summary", params={"level": "county"})
    ).json()["counts"]
    assert {(one["area_id"], one["point_kind"], one["signals"]) for one in counts} == {
        (COUNTY, "fever_clinic", 1),
        (COUNTY, "pharmacy", 1),
        (COUNTY, "school", 1),
    }
    assert (await running.neighbour.get("/alerts/signals")).json()["signals"] == []


async def test_the_rules_are_told_with_their_source(running: Running) -> None:
    rules = (await running.everywhere.get("/alerts/rules")).json()["rules"]
    assert [rule["id"] for rule in rules] == [
        "breach",
        "checkpoint_fever",
        "multi_point",
        "positive_result",
    ]
    assert all(rule["source"] and rule["author"] for rule in rules)


async def test_a_broken_last_event_id_is_refused_with_advice(running: Running) -> None:
    answer = await running.everywhere.get("/alerts/stream", headers={"Last-Event-ID": "x1"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_series_is_told_day_by_day_and_only_to_viewers_of_its_area(
    running: Running,
) -> None:
    await running.say([*areas(), *three_reports()])
    day = START.date()
    asked = {
        "area": COUNTY,
        "kind": "fever_clinic",
        "from": str(day - timedelta(1)),
        "until": str(day),
    }

    async def days_of(client: httpx.AsyncClient) -> list[dict[str, Any]]:
        answer = await client.get("/alerts/series", params=asked)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["days"]
        return found

    async def counted() -> bool:
        return bool((await days_of(running.everywhere))[1]["observed"] == 1)

    await eventually(counted)
    before, today = await days_of(running.everywhere)
    assert (before["observed"], before["abstains"]) == (None, "unknown")
    assert (today["sites"], today["p_value"]) == (1, None)

    async def judged() -> bool:
        return bool((await days_of(running.everywhere))[1]["abstains"] == "short_history")

    await eventually(judged)
    assert [one["abstains"] for one in await days_of(running.neighbour)] == ["unknown"] * 2
    backwards = asked | {"until": str(day - timedelta(9))}
    answer = await running.everywhere.get("/alerts/series", params=backwards)
    assert answer.status_code == 422
