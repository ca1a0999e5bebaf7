"""A database with every schema, copied from a template so that each walk gets its own at once."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import shared.access
import shared.bus.tables
from shared.credentials import set_roles
from shared.database.bootstrap import bootstrap
from shared.database.migrate import migrate
from shared.ground import migration_targets
from shared.service import Service
from shared.settings import Settings
from tests.conftest import SECRET, copy_database

TEMPLATE = "journey_template"


async def make_template(server: URL, services: Sequence[Service], settings: Settings) -> None:
    """The template database on this server: roles, schemas, tables, roles of staff.

    Several folders of tests share a server in one process; whoever comes first makes it.
    """
    if await _exists(server, TEMPLATE):
        return
    url = await copy_database(server, TEMPLATE, "template0")
    names = [service.name for service in services]
    await bootstrap(url, names, secret=SECRET, embedded_log=True)
    targets = migration_targets(services, settings)
    if all(target.revisions() for target in targets):
        await migrate(url, targets)
    else:
        await _create_all(url, services)
    engine = create_async_engine(url, poolclass=NullPool)
    await set_roles(engine)
    await engine.dispose()


async def copy_template(server: URL, name: str) -> URL:
    return await copy_database(server, name, TEMPLATE)


async def _create_all(url: URL, services: Sequence[Service]) -> None:
    # Until every service has its first migration the tables come from the models.
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        for metadata in (shared.access.metadata, shared.bus.tables.metadata):
            await connection.run_sync(metadata.create_all)
        for service in services:
            await connection.run_sync(service.metadata.create_all)
    await engine.dispose()


async def _exists(server: URL, name: str) -> bool:
    engine = create_async_engine(server, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            found = await connection.execute(
                text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}
            )
            return found.first() is not None
    finally:
        await engine.dispose()
