"""Both event logs, for every test of the contract."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.kafka.broker import Broker, missing_tools
from shared.bus.port import Bus
from tests.conftest import skip_or_fail
from tests.contract.bus_harness import EmbeddedLog, KafkaLog, Log, create_log

# Everything that needs the broker runs on one worker: one broker instead of many.
KAFKA = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]
LOGS = [pytest.param("embedded"), pytest.param("kafka", marks=KAFKA)]


@pytest_asyncio.fixture(scope="session")
async def log_database(postgres: URL) -> URL:
    """A database with an empty event log."""
    url = postgres.set(database="log_contract")
    admin = create_async_engine(postgres, isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(text("CREATE DATABASE log_contract TEMPLATE template0"))
    await admin.dispose()
    await create_log(url)
    return url


def _skip_without_kafka() -> None:
    problem = missing_tools()
    if problem:
        skip_or_fail(f"{problem}; KAFKA_BROKERS may name a running one")


@pytest.fixture(scope="session")
def kafka_brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers: those of KAFKA_BROKERS, or of a broker started here."""
    given = os.environ.get("KAFKA_BROKERS")
    if given:
        yield given
        return
    _skip_without_kafka()
    broker = Broker(tmp_path_factory.mktemp("kafka"), session_timeout_ms=2000, short_lived=True)
    broker.start()
    yield broker.bootstrap_servers
    broker.stop()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that the test may kill."""
    _skip_without_kafka()
    broker = Broker(tmp_path / "kafka", session_timeout_ms=2000, short_lived=True)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(params=LOGS)
def unopened_log(request: pytest.FixtureRequest) -> Log:
    """Only the server that is needed is started; asked for outside the event loop."""
    if request.param == "embedded":
        return EmbeddedLog(request.getfixturevalue("log_database"))
    return KafkaLog(request.getfixturevalue("kafka_brokers"))


@pytest_asyncio.fixture
async def log(unopened_log: Log) -> AsyncIterator[Log]:
    """The log under test; each test runs on both."""
    yield unopened_log
    await unopened_log.close()


@pytest_asyncio.fixture
async def embedded_log(log_database: URL) -> AsyncIterator[EmbeddedLog]:
    """The embedded log alone, for what only it can show."""
    log = EmbeddedLog(log_database)
    yield log
    await log.close()


@pytest_asyncio.fixture
async def bus(log: Log) -> Bus:
    """One process."""
    return await log.process()
