"""A template database for all walks, an Outpost for each."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import URL

from deploy.kafka.broker import Broker, missing_tools
from services.__main__ import SERVICES
from tests.conftest import drop_database, skip_or_fail
from tests.journey.database import copy_template, make_template
from tests.journey.harness import Outpost, embedded_outpost, journey_settings, kafka_outpost

# After the last of the outside data (2020-04-22).
NOW = datetime(2020, 5, 1, 12, tzinfo=UTC)

MakeOutpost = Callable[..., Awaitable[Outpost]]


@pytest_asyncio.fixture(scope="session")
async def template(postgres: URL, tmp_path_factory: pytest.TempPathFactory) -> URL:
    """The server's URL, once the template stands."""
    settings = journey_settings(postgres, tmp_path_factory.mktemp("template"), at=NOW)
    await make_template(postgres, SERVICES, settings)
    return postgres


@asynccontextmanager
async def _starting(template: URL) -> AsyncIterator[MakeOutpost]:
    made: list[str] = []
    async with AsyncExitStack() as stack:

        async def start(
            *,
            at: datetime = NOW,
            brokers: str = "",
            groups: Sequence[Sequence[str]] = (),
        ) -> Outpost:
            name = f"journey_{secrets.token_hex(6)}"
            url = await copy_template(template, name)
            made.append(name)
            if brokers:
                running = kafka_outpost(url, SERVICES, at=at, brokers=brokers, groups=groups)
            else:
                running = embedded_outpost(url, SERVICES, at=at)
            return await stack.enter_async_context(running)

        yield start
    for name in made:
        await drop_database(template, name)


@pytest_asyncio.fixture
async def start_outpost(template: URL) -> AsyncIterator[MakeOutpost]:
    """Starts Outposts, each on a database of its own; all end with the test."""
    async with _starting(template) as start:
        yield start


@pytest_asyncio.fixture(scope="module")
async def make_outpost(template: URL) -> AsyncIterator[MakeOutpost]:
    """The same for what all tests of a file look at; all end with the file."""
    async with _starting(template) as start:
        yield start


@pytest_asyncio.fixture
async def outpost(start_outpost: MakeOutpost) -> Outpost:
    """One Outpost on the embedded log."""
    return await start_outpost()


@pytest_asyncio.fixture(scope="module")
async def module_outpost(make_outpost: MakeOutpost) -> Outpost:
    """One Outpost on the embedded log for all tests of a file that only read what its walk left."""
    return await make_outpost()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """A fresh Apache Kafka for one test: topics and groups have fixed names."""
    problem = missing_tools()
    if problem:
        skip_or_fail(problem)
    kafka = Broker(tmp_path / "kafka", session_timeout_ms=2000, short_lived=True)
    kafka.start()
    yield kafka.bootstrap_servers
    kafka.stop()
