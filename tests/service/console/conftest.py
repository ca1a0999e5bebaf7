"""A console in front of owners in memory, and a browser of bytes."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from services.console.repository.owners import Owners
from shared.settings import Settings
from tests.service.console.house import PASSWORD, all_at, build_console, prepare
from tests.service.console.upstream import Upstream

HERE = "http://console.test"


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest_asyncio.fixture(scope="session")
async def engine(postgres: URL) -> AsyncIterator[AsyncEngine]:
    """One database for all tests here: they only read it."""
    name = f"console_{secrets.token_hex(6)}"
    admin = create_async_engine(postgres, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE template0'))
    engine = await prepare(postgres.set(database=name))
    yield engine
    await engine.dispose()
    async with admin.connect() as connection:
        await connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    await admin.dispose()


@pytest_asyncio.fixture
async def console(engine: AsyncEngine, upstream: Upstream) -> AsyncIterator[FastAPI]:
    owners = Owners(all_at("http://owner.test"), transport=httpx.ASGITransport(upstream.app))
    app = build_console(engine, owners, Settings())
    yield app
    await owners.close()


@pytest_asyncio.fixture
async def browser(console: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Sends what a browser sends from a page of the console; keeps cookies, follows nothing."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(console),
        base_url=HERE,
        headers={"origin": HERE, "sec-fetch-site": "same-origin", "accept-language": "en"},
    ) as client:
        yield client


@pytest_asyncio.fixture
async def officer(browser: httpx.AsyncClient) -> httpx.AsyncClient:
    """Signed in."""
    answer = await browser.post("/console/session", data={"login": "officer", "password": PASSWORD})
    assert answer.status_code == 303
    return browser
