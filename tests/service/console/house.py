"""A console on a real PostgreSQL, with two people and two areas, and its owners handed in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.types import ASGIApp

import shared.access
from services.console.app import service
from services.console.handlers.areas import hear_areas
from services.console.repository.owners import Owners
from services.console.tables import metadata, standard
from shared.access import Credentials
from shared.clock import ManualClock
from shared.credentials import NewStaff, add_staff, set_roles
from shared.database.work import Actor, Database
from shared.events.intake import AreaChanged
from shared.http import build_app
from shared.ids import derived_id
from shared.service import Room
from shared.settings import Settings
from tests.service.console.upstream import COUNTY, START

PASSWORD = "a long and winding pass phrase"


async def prepare(url: URL) -> AsyncEngine:
    """Tables, roles, `officer` who sees everything, `worker` of a grid who sees no board."""
    engine = create_async_engine(url, pool_size=4)
    async with engine.begin() as connection:
        for schema, tables in (("access", shared.access.metadata), ("console", metadata)):
            await connection.execute(text(f"CREATE SCHEMA {schema}"))
            await connection.run_sync(tables.create_all)
    await set_roles(engine)
    await add_staff(engine, NewStaff("officer", PASSWORD, ["duty_officer"], ["*"]))
    await add_staff(engine, NewStaff("worker", PASSWORD, ["grid_worker"], [COUNTY]))
    await _hear_the_areas(engine)
    return engine


def build_console(engine: AsyncEngine, owners: Owners, settings: Settings) -> FastAPI:
    """The console's application as the runtime builds it."""
    absent = cast("Any", None)
    room = Room(
        name="console",
        database=_database(engine),
        bus=absent,
        clock=ManualClock(START),
        settings=settings,
        freshness=absent,
        extras={"owners": owners},
    )
    return build_app(service, room, Credentials(engine, "a secret of this test"))


async def _hear_the_areas(engine: AsyncEngine) -> None:
    """A city and its county, as intake announces them."""
    rows = [
        (COUNTY, "cn:340100", "county", "蜀山区", "Shushan"),
        ("cn:340100", None, "prefecture", "合肥市", "Hefei"),
    ]
    async with _database(engine).work(Actor("test")) as work:
        await hear_areas(
            work,
            [
                AreaChanged(
                    record_id=derived_id("area", area_id),
                    record_version=1,
                    occurred_at=START,
                    recorded_at=START,
                    area_id=area_id,
                    parent_id=parent_id,
                    level=level,
                    name=name,
                    name_en=name_en,
                )
                for area_id, parent_id, level, name, name_en in rows
            ],
        )


def _database(engine: AsyncEngine) -> Database:
    return Database(engine, service="console", tables=standard, clock=ManualClock(START))


def all_at(url: str) -> Mapping[str, str]:
    return dict.fromkeys(("intake", "tracing", "quarantine", "alerts"), url)


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """The application on a free port of this machine; its base URL."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    # Not `serve`: signals are the test runner's.
    task = asyncio.create_task(server._serve(None))
    while not server.started:
        await asyncio.sleep(0)
        if task.done():
            task.result()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await task
