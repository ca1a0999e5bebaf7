"""The log or the database is killed under a walk, and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from sqlalchemy import URL, text

from deploy.kafka.broker import Broker
from services.__main__ import SERVICES
from shared.database.embedded import EmbeddedServer
from shared.database.work import administration
from shared.settings import Settings
from tests.eventually import eventually
from tests.failure.conftest import NOW, SetStage, Stage, environment_of, run_stage
from tests.failure.ground import issue_keys, open_ground
from tests.failure.house import House
from tests.failure.ledger import Sender, check_refusal
from tests.failure.walk import Request, Walk, make_walk
from tests.journey.database import TEMPLATE, copy_template, make_template
from tests.journey.end_state import EndState
from tests.journey.harness import journey_settings

# A killed Kafka is back after a few seconds; PostgreSQL replays its log in less than one.
BACK_SECONDS = 60.0
NOTICE_SECONDS = 20.0
# After ten seconds a container is killed.
STOP_SECONDS = 10.0


@pytest_asyncio.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    """A PostgreSQL that the test may kill, for processes that know it by its address alone."""
    server = await EmbeddedServer.start(tmp_path / "postgresql")
    yield server
    await server.stop()


@pytest.mark.kafka
async def test_kafka_killed_and_restarted_costs_nothing(
    broker: Broker, set_stage: SetStage, reference: EndState
) -> None:
    stage = await set_stage(brokers=broker.bootstrap_servers)
    walk = make_walk(7)
    await stage.sender.deliver(walk.registrations)
    await stage.sender.deliver(walk.facts[:5])
    await asyncio.to_thread(broker.kill)
    # Doors need no log: what is sent now is kept, acknowledged, and told later.
    await stage.sender.deliver(walk.facts[5:])
    assert stage.sender.ledger.refused == 0
    await _until_not_ready(stage.house, "event log")
    await asyncio.to_thread(broker.restart)
    await _until_ready(stage.house)
    await stage.ground.settle(stage.house)
    await stage.sender.deliver(walk.afterwards)
    await stage.ground.settle(stage.house)
    await stage.judge(reference)
    assert await stage.house.end() == 0


@pytest.mark.kafka
async def test_a_process_ends_in_time_while_kafka_is_away(
    broker: Broker, set_stage: SetStage
) -> None:
    stage = await set_stage(brokers=broker.bootstrap_servers)
    await stage.sender.deliver(make_walk(7).registrations)
    await asyncio.to_thread(broker.kill)
    # Something waits in an outbox, and every loop has noticed that nobody takes it.
    await stage.sender.deliver(make_walk(7).facts)
    await _until_not_ready(stage.house, "event log")
    assert await stage.house.end(within_seconds=STOP_SECONDS) == 0


async def test_a_process_ends_in_time_while_postgresql_is_away(
    own_server: EmbeddedServer, tmp_path: Path
) -> None:
    await make_template(own_server.admin_url, SERVICES, _settings(own_server.admin_url, tmp_path))
    settings = _settings(own_server.admin_url.set(database=TEMPLATE), tmp_path)
    house = House(environment_of(settings), tmp_path)
    await house.start()
    kill_server(own_server)
    await _until_not_ready(house, "database")
    assert await house.end(within_seconds=STOP_SECONDS) == 0


async def test_postgresql_killed_and_restarted_costs_nothing(
    own_server: EmbeddedServer, tmp_path: Path, reference: EndState
) -> None:
    await make_template(own_server.admin_url, SERVICES, _settings(own_server.admin_url, tmp_path))
    url = await copy_template(own_server.admin_url, "failure_own")
    settings = _settings(url, tmp_path)
    async with run_stage(settings, url, tmp_path) as stage:
        await stage.house.start()
        await _walk_through_outage(stage, own_server, own_server.restart_if_dead)
        await stage.judge(reference)
        assert await stage.house.end() == 0


async def test_the_embedded_postgresql_is_brought_back_by_the_process_itself(
    tmp_path: Path, reference: EndState
) -> None:
    """The process owns the server; the test only attaches to it, and kills it."""
    async with embedded_stage(tmp_path) as (stage, server):
        await _walk_through_outage(stage, server, None)
        await stage.judge(reference)
        assert await stage.house.end() == 0
        assert server.process_ids() == [], "the process that owned the server has stopped it"


@asynccontextmanager
async def embedded_stage(folder: Path) -> AsyncIterator[tuple[Stage, EmbeddedServer]]:
    """A process without a database's address, and the server that it has started."""
    address = URL.create("postgresql+asyncpg", database="outpost")
    settings = journey_settings(address, folder / "var", at=NOW)
    alone = settings.model_copy(update={"database_url": None, "migrate_at_start": True})
    house = House(environment_of(alone), folder)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(house.close)
        await house.start()
        server = await EmbeddedServer.start(folder / "var" / "postgresql")
        stack.callback(kill_server, server)
        assert not server.is_owner
        url = server.admin_url.set(database="outpost")
        sender = Sender(house, await issue_keys(url))
        stack.push_async_callback(sender.client.aclose)
        settings = journey_settings(url, folder / "test", at=NOW)
        ground = await stack.enter_async_context(open_ground(settings))
        yield Stage(settings, house, ground, sender), server


async def test_a_log_that_answers_with_an_error_stops_no_loop_for_good(
    set_stage: SetStage, reference: EndState
) -> None:
    """Not an absence but a mistake of somebody's: no loop may end of it unnoticed."""
    stage = await set_stage()
    walk = make_walk(9)
    await stage.sender.deliver(walk.registrations)
    await _run(stage, "ALTER TABLE bus.partition_head RENAME TO lost")
    await _until_not_ready(stage.house, "event log")
    await stage.sender.deliver(walk.facts)
    await _run(stage, "ALTER TABLE bus.lost RENAME TO partition_head")
    await _until_ready(stage.house)
    await stage.ground.settle(stage.house)
    await stage.sender.deliver(walk.afterwards)
    await stage.ground.settle(stage.house)
    await stage.judge(reference)


async def test_a_process_ends_in_time_while_a_stream_is_open(set_stage: SetStage) -> None:
    stage = await set_stage()
    client, headers = stage.sender.client, stage.sender.headers()
    async with client.stream("GET", "/alerts/stream", headers=headers) as stream:
        assert stream.status_code == 200
        assert await stage.house.end(within_seconds=STOP_SECONDS) == 0


async def _run(stage: Stage, statement: str) -> None:
    async with administration(stage.ground.engine) as connection:
        await connection.execute(text(statement))


async def _walk_through_outage(
    stage: Stage, server: EmbeddedServer, restart: Callable[[], Awaitable[bool]] | None
) -> None:
    walk = make_walk(8)
    await stage.sender.deliver(walk.registrations)
    answered = stage.sender.ledger.answered
    sending = asyncio.create_task(stage.sender.deliver(walk.facts))

    async def under_way() -> bool:
        return len(answered) >= 2

    await eventually(under_way)
    kill_server(server)
    if restart is not None:
        await _refused_for_now(stage, walk)
        await _until_not_ready(stage.house, "database")
        assert await restart()
    await sending
    await _until_ready(stage.house)
    await stage.ground.settle(stage.house)
    await stage.sender.deliver(walk.afterwards)
    await stage.ground.settle(stage.house)
    assert stage.sender.ledger.refused >= 1
    assert stage.sender.ledger.unanswered == 0, "a door without a database still answers"


def kill_server(server: EmbeddedServer) -> None:
    """SIGKILL to every process of the server, as a power cut would."""
    for process_id in server.process_ids():
        psutil.Process(process_id).kill()


async def _refused_for_now(stage: Stage, walk: Walk) -> None:
    """Every door says so in full, and acknowledges nothing; also the one whose answer is an ACK."""
    by_door: dict[str, Request] = {request.door: request for request in walk.facts}
    assert {"scans", "hl7v2"} <= by_door.keys()
    for request in by_door.values():
        response = await stage.sender.attempt(request)
        assert response is not None
        assert response.status_code == 503, f"{request.path}: {response.status_code}"
    response = await stage.sender.client.get("/tracing/cases", headers=stage.sender.headers())
    assert response.status_code == 503
    check_refusal(response)


def _settings(url: URL, folder: Path) -> Settings:
    return journey_settings(url, folder, at=NOW)


async def _until_not_ready(house: House, what: str) -> None:
    async def told() -> bool:
        status, missing = await house.readiness()
        assert status in (200, 503)
        return status == 503 and any(what in one for one in missing)

    await eventually(told, within_seconds=NOTICE_SECONDS)


async def _until_ready(house: House) -> None:
    await eventually(house.is_ready, within_seconds=BACK_SECONDS)
