"""Migrations: written from the models, run once, agreed with, and safe when started twice."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Column, Integer, MetaData, Table, Text, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.database.bootstrap import bootstrap, service_password, service_url
from shared.database.embedded import EmbeddedServer
from shared.database.migrate import (
    MigrationTarget,
    WrongMigrations,
    check,
    migrate,
    pending,
    write_revision,
)
from shared.database.tables import service_metadata, standard_tables
from tests.service.postgres_versions import IDS, VERSIONS, require_version

SECRET = "a master secret"
SERVICES = ("intake", "tracing")
NUMBERS = itertools.count()


async def run(url: URL, statement: str) -> Any:
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            result = await connection.execute(text(statement))
            return result.scalar() if result.returns_rows else None
    finally:
        await engine.dispose()


@pytest.fixture(scope="module", params=VERSIONS, ids=IDS)
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[EmbeddedServer]:
    folder: Path = tmp_path_factory.mktemp("migrate") / "data"
    server = await EmbeddedServer.start(folder, binaries=require_version(request.param))
    yield server
    await server.stop()


@pytest.fixture
async def admin(server: EmbeddedServer) -> URL:
    """A new database with its schemas and roles."""
    return await bootstrap(
        server.admin_url,
        SERVICES,
        secret=SECRET,
        embedded_log=False,
        database=f"migrated_{next(NUMBERS)}",
    )


def target_of(folder: Path, schema: str, *, column: str = "name") -> MigrationTarget:
    metadata = service_metadata(schema)
    standard_tables(metadata)
    Table("person", metadata, Column("id", Integer, primary_key=True), Column(column, Text))
    return MigrationTarget(schema, folder / schema, metadata)


def write_migration(target: MigrationTarget, revision: str, after: str | None, sql: str) -> None:
    target.versions_dir.mkdir(exist_ok=True)
    (target.versions_dir / f"2026_01_01_0000_{revision}.py").write_text(
        f"from alembic import op\nrevision = {revision!r}\ndown_revision = {after!r}\n"
        f"def upgrade() -> None:\n    op.execute({sql!r})\n"
    )


async def test_written_from_the_models_they_make_what_the_models_say(
    admin: URL, tmp_path: Path
) -> None:
    targets = [target_of(tmp_path, schema) for schema in SERVICES]
    for target in targets:
        path = await write_revision(admin, target, "Create tables")
        assert path is not None
        assert re.fullmatch(r"20\d\d_\d\d_\d\d_\d{4}_create_tables\.py", path.name)
    assert set(await pending(admin, targets)) == set(SERVICES)
    applied = await migrate(admin, targets)
    assert {schema: len(revisions) for schema, revisions in applied.items()} == {
        "intake": 1,
        "tracing": 1,
    }
    assert await check(admin, targets) == []
    assert await pending(admin, targets) == {}
    assert await migrate(admin, targets) == {}
    assert await write_revision(admin, targets[0], "Nothing to do") is None
    await run(admin, "INSERT INTO intake.person VALUES (1, 'kept')")


async def test_a_changed_model_is_found_and_followed(admin: URL, tmp_path: Path) -> None:
    old = target_of(tmp_path, "intake")
    await write_revision(admin, old, "Create tables")
    await migrate(admin, [old])
    new = target_of(tmp_path, "intake", column="title")
    differences = await check(admin, [new])
    assert len(differences) == 2
    assert all("intake" in difference for difference in differences)
    path = await write_revision(admin, new, "Rename name")
    assert path is not None
    assert await check(admin, [new]) != []
    assert await migrate(admin, [new]) == {"intake": new.revisions()[1:]}
    assert await check(admin, [new]) == []


async def test_a_service_can_use_but_not_change_what_was_migrated(
    admin: URL, tmp_path: Path
) -> None:
    target = target_of(tmp_path, "intake")
    await write_revision(admin, target, "Create tables")
    await migrate(admin, [target])
    service = service_url(admin, "intake", service_password(SECRET, "intake"))
    await run(service, "INSERT INTO intake.person VALUES (1, 'x')")
    await run(
        service,
        "INSERT INTO intake.audit (at, actor, action, record_kind, record_id) "
        "VALUES ('2026-01-01T00:00Z', 'a', 'look', 'person', '1')",
    )
    for statement in (
        "UPDATE intake.audit SET actor = 'b'",
        "DELETE FROM intake.audit",
        "DROP TABLE intake.person",
    ):
        with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
            await run(service, statement)


async def test_many_at_once_do_not_collide(admin: URL, tmp_path: Path) -> None:
    targets = [target_of(tmp_path, schema) for schema in SERVICES]
    for target in targets:
        await write_revision(admin, target, "Create tables")
    applied = await asyncio.gather(*(migrate(admin, targets) for _ in range(4)))
    assert sorted(len(one) for one in applied) == [0, 0, 0, 2]
    assert await check(admin, targets) == []


async def test_a_failing_migration_leaves_its_schema_as_it_was(admin: URL, tmp_path: Path) -> None:
    target = MigrationTarget("intake", tmp_path / "intake", MetaData(schema="intake"))
    write_migration(target, "a", None, "CREATE TABLE intake.first (id integer)")
    write_migration(target, "b", "a", "SELECT 1 / 0")
    with pytest.raises(DBAPIError, match="division by zero"):
        await migrate(admin, [target])
    assert await run(admin, "SELECT to_regclass('intake.first') IS NULL")
    assert await pending(admin, [target]) == {"intake": ("a", "b")}
    write_migration(target, "b", "a", "SELECT 1")
    assert await migrate(admin, [target]) == {"intake": ("a", "b")}


async def test_no_migration_waits_long_for_a_lock(admin: URL, tmp_path: Path) -> None:
    target = MigrationTarget("intake", tmp_path / "intake", MetaData(schema="intake"))
    shown = "current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS run"
    write_migration(target, "a", None, f"CREATE TABLE intake.shown AS SELECT {shown}")
    await migrate(admin, [target])
    assert await run(admin, "SELECT lock || ' ' || run FROM intake.shown") == "5s 1min"


async def test_partitions_made_at_run_time_are_no_difference(admin: URL, tmp_path: Path) -> None:
    metadata = MetaData(schema="intake")
    Table("scan", metadata, Column("day", Integer), postgresql_partition_by="RANGE (day)")
    target = MigrationTarget("intake", tmp_path / "intake", metadata)
    await write_revision(admin, target, "Create scans")
    await migrate(admin, [target])
    await run(
        admin, "CREATE TABLE intake.scan_1 PARTITION OF intake.scan FOR VALUES FROM (1) TO (2)"
    )
    assert await check(admin, [target]) == []


async def test_a_database_ahead_of_the_code_stops_the_start(admin: URL, tmp_path: Path) -> None:
    target = MigrationTarget("intake", tmp_path / "intake", MetaData(schema="intake"))
    write_migration(target, "a", None, "SELECT 1")
    await migrate(admin, [target])
    older = MigrationTarget("intake", tmp_path / "older", MetaData(schema="intake"))
    write_migration(older, "z", None, "SELECT 1")
    with pytest.raises(WrongMigrations, match="revision a"):
        await migrate(admin, [older])


def test_two_migrations_after_one_are_told(tmp_path: Path) -> None:
    target = MigrationTarget("intake", tmp_path / "intake", MetaData())
    write_migration(target, "a", None, "SELECT 1")
    write_migration(target, "b", "a", "SELECT 1")
    assert target.revisions() == ("a", "b")
    write_migration(target, "c", "a", "SELECT 1")
    with pytest.raises(WrongMigrations, match="follow a"):
        target.revisions()
    write_migration(target, "c", "missing", "SELECT 1")
    with pytest.raises(WrongMigrations, match="follow nothing"):
        target.revisions()
