"""A stage for bad days: a database, a log, the process under test, the client with its ledger."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import URL

from deploy.kafka.broker import Broker, missing_tools
from services.__main__ import SERVICES
from shared.settings import Settings
from tests.conftest import drop_database, skip_or_fail
from tests.failure.ground import Ground, issue_keys, open_ground
from tests.failure.house import Fault, House
from tests.failure.judgement import judge, read_everything
from tests.failure.ledger import Sender
from tests.failure.walk import make_walk
from tests.journey.database import copy_template, make_template
from tests.journey.end_state import EndState
from tests.journey.harness import journey_settings

# The second day after the walk: what can be due is due, and every process agrees on it.
NOW = datetime(2020, 5, 1, 12, tzinfo=UTC)
TOLD = (
    "database_url", "database_secret", "session_secret", "vault_key", "migrate_at_start",
    "kafka_brokers", "data_dir", "member_slots",
)  # fmt: skip


def environment_of(settings: Settings) -> dict[str, str]:
    """What a process must find in its environment to have these settings."""
    told = {"OUTPOST_LOG_LEVEL": "warning", "OUTPOST_LOG_FORMAT": "json"}
    for name in TOLD:
        value = getattr(settings, name)
        if value is not None:
            plain = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            told[f"OUTPOST_{name.upper()}"] = plain
    assert settings.clock_start_at is not None
    return told | {"OUTPOST_CLOCK_START_AT": settings.clock_start_at.isoformat()}


@dataclass(slots=True)
class Stage:
    """Everything of one bad day."""

    settings: Settings
    house: House
    ground: Ground
    sender: Sender

    async def walk(self, seed: int) -> None:
        """The whole walk, until nothing moves any more."""
        walk = make_walk(seed)
        await self.sender.deliver(walk.registrations)
        await self.sender.deliver(walk.facts)
        await self.ground.settle(self.house)
        await self.sender.deliver(walk.afterwards)
        await self.ground.settle(self.house)

    async def judge(self, reference: EndState) -> Any:
        return await judge(self.ground, self.sender, reference, NOW)


@pytest_asyncio.fixture(scope="session")
async def template(postgres: URL, tmp_path_factory: pytest.TempPathFactory) -> URL:
    """The server's URL, once a database with every schema stands there to be copied."""
    settings = journey_settings(postgres, tmp_path_factory.mktemp("template"), at=NOW)
    await make_template(postgres, SERVICES, settings)
    return postgres


SetStage = Callable[..., Awaitable[Stage]]


@pytest_asyncio.fixture
async def set_stage(template: URL, tmp_path: Path) -> AsyncIterator[SetStage]:
    """Makes stages, their first process up if not wished otherwise. All ends with the test."""
    made: list[str] = []
    async with AsyncExitStack() as stack:

        async def make(
            *, faults: Sequence[Fault] = (), brokers: str = "", started: bool = True
        ) -> Stage:
            name = f"failure_{secrets.token_hex(6)}"
            url = await copy_template(template, name)
            made.append(name)
            folder = tmp_path / name
            folder.mkdir()
            settings = journey_settings(url, folder, at=NOW, brokers=brokers)
            stage = await stack.enter_async_context(run_stage(settings, url, folder, faults))
            if started:
                await stage.house.start()
            return stage

        yield make
    for name in made:
        await drop_database(template, name)


@asynccontextmanager
async def run_stage(
    settings: Settings, url: URL, folder: Path, faults: Sequence[Fault] = ()
) -> AsyncIterator[Stage]:
    """A stage on a database that has its schemas; its process is not started yet."""
    house = House(environment_of(settings), folder, list(faults))
    sender = Sender(house, await issue_keys(url))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(sender.client.aclose)
        stack.push_async_callback(house.close)
        ground = await stack.enter_async_context(open_ground(settings))
        house.unsent_of = ground.unsent_of
        yield Stage(settings, house, ground, sender)


@pytest_asyncio.fixture(scope="session")
async def reference(template: URL, tmp_path_factory: pytest.TempPathFactory) -> EndState:
    """The end state of a run that nothing disturbed: what every other run is compared with."""
    folder = tmp_path_factory.mktemp("reference")
    url = await copy_template(template, "failure_reference")
    settings = journey_settings(url, folder, at=NOW)
    async with run_stage(settings, url, folder) as stage:
        await stage.house.start()
        await stage.walk(0)
        found = await read_everything(stage.ground, stage.sender, NOW)
    await drop_database(template, "failure_reference")
    return found


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A fresh Apache Kafka that the test may kill."""
    problem = missing_tools()
    if problem:
        skip_or_fail(problem)
    kafka = Broker(tmp_path / "kafka", session_timeout_ms=2000, short_lived=True)
    kafka.start()
    yield kafka
    kafka.stop()
