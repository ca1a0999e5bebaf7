"""Each service's role reaches its own schema and nothing else: proved by trying."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.database.bootstrap import bootstrap, service_password, service_url
from shared.database.embedded import EmbeddedServer
from shared.errors import ConfigurationError
from tests.service.postgres_versions import IDS, VERSIONS, require_version

SERVICES = ("intake", "tracing")
SECRET = "a master secret"
INSUFFICIENT_PRIVILEGE = "42501"
NEEDED = (
    "CREATE TABLE intake.person (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)",
    "CREATE TABLE intake.audit (id serial, at date) PARTITION BY RANGE (at)",
    "CREATE TABLE intake.audit_2020 PARTITION OF intake.audit "
    "FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
    "CREATE TABLE bus.record (value text)",
    "CREATE TABLE access.client (name text)",
    "INSERT INTO access.client VALUES ('hospital')",
)


async def run(url: URL, *statements: str) -> Any:
    """Run them in one transaction; the first value of the last one, if it has any."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            results = [await connection.execute(text(statement)) for statement in statements]
            return results[-1].scalar() if results[-1].returns_rows else None
    finally:
        await engine.dispose()


async def is_refused(url: URL, statement: str) -> bool:
    """True if this role lacks the privilege; any other error is raised."""
    try:
        await run(url, statement)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != INSUFFICIENT_PRIVILEGE:
            raise
        return True
    return False


@pytest.fixture(scope="module", params=VERSIONS, ids=IDS)
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[EmbeddedServer]:
    folder: Path = tmp_path_factory.mktemp("bootstrap") / "data"
    server = await EmbeddedServer.start(folder, binaries=require_version(request.param))
    yield server
    await server.stop()


@pytest.fixture(scope="module")
async def admin(server: EmbeddedServer) -> URL:
    """A database with both services, its tables made after the grants, as migrations do it."""
    url = await bootstrap(server.admin_url, SERVICES, secret=SECRET, embedded_log=True)
    await run(url, *NEEDED)
    return await bootstrap(server.admin_url, SERVICES, secret=SECRET, embedded_log=True)


def role_of(admin: URL, service: str) -> URL:
    return service_url(admin, service, service_password(SECRET, service))


async def test_a_service_reads_and_writes_its_own_schema(admin: URL) -> None:
    intake = role_of(admin, "intake")
    added = await run(
        intake,
        "CREATE TEMPORARY TABLE batch AS SELECT 'a' AS name",
        "INSERT INTO intake.person (name) SELECT name FROM batch RETURNING id",
    )
    await run(intake, f"UPDATE intake.person SET name = 'b' WHERE id = {added}")
    assert await run(intake, f"SELECT name FROM intake.person WHERE id = {added}") == "b"
    await run(intake, f"DELETE FROM intake.person WHERE id = {added}")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM intake.person",
        "INSERT INTO intake.person (name) VALUES ('x')",
        "UPDATE intake.person SET name = 'x'",
        "DELETE FROM intake.person",
        "TRUNCATE intake.person",
        "SELECT nextval('intake.person_id_seq')",
        "SELECT * FROM intake.audit_2020",
        "CREATE TABLE intake.intruder (id integer)",
        "CREATE TABLE tracing.own (id integer)",
        "CREATE TABLE public.intruder (id integer)",
        "CREATE SCHEMA intruder",
        "CREATE ROLE intruder",
        "INSERT INTO access.client VALUES ('intruder')",
        "DROP TABLE bus.record",
        "TRUNCATE bus.record",
        "SELECT rolpassword FROM pg_authid",
        "SET ROLE outpost_intake",
        "GRANT outpost_intake TO outpost_tracing",
    ],
)
async def test_a_service_is_refused_all_else(admin: URL, statement: str) -> None:
    assert await is_refused(role_of(admin, "tracing"), statement)


async def test_every_service_shares_the_log_and_reads_the_credentials(admin: URL) -> None:
    await run(role_of(admin, "intake"), "INSERT INTO bus.record VALUES ('hello')")
    tracing = role_of(admin, "tracing")
    assert await run(tracing, "SELECT count(*) FROM bus.record WHERE value = 'hello'") == 1
    assert await run(tracing, "SELECT name FROM access.client") == "hospital"


@pytest.mark.parametrize("table", ["intake.audit", "intake.audit_2020"])
async def test_audit_is_insert_only(admin: URL, table: str) -> None:
    intake = role_of(admin, "intake")
    await run(intake, f"INSERT INTO {table} (at) VALUES ('2020-05-01')")
    assert await run(intake, f"SELECT count(*) FROM {table}") > 0
    for statement in (f"UPDATE {table} SET at = NULL", f"DELETE FROM {table}", f"TRUNCATE {table}"):
        assert await is_refused(intake, statement), statement


async def test_another_services_password_does_not_log_in(admin: URL) -> None:
    foreign = service_url(admin, "intake", service_password(SECRET, "tracing"))
    with pytest.raises(DBAPIError, match="password authentication failed"):
        await run(foreign, "SELECT 1")


async def test_a_new_secret_ends_the_old_passwords(server: EmbeddedServer, admin: URL) -> None:
    await bootstrap(server.admin_url, ["rotated"], secret="old", embedded_log=True)
    old = service_url(admin, "rotated", service_password("old", "rotated"))
    assert await run(old, "SELECT 1") == 1
    await bootstrap(server.admin_url, ["rotated"], secret="new", embedded_log=True)
    with pytest.raises(DBAPIError, match="password authentication failed"):
        await run(old, "SELECT 1")


async def test_many_at_once_do_not_collide(server: EmbeddedServer) -> None:
    urls = await asyncio.gather(
        *(
            bootstrap(
                server.admin_url, SERVICES, secret=SECRET, embedded_log=True, database="raced"
            )
            for _ in range(5)
        )
    )
    assert {url.database for url in urls} == {"raced"}
    assert await run(role_of(urls[0], "intake"), "SELECT current_database()") == "raced"


async def test_a_managed_server_needs_no_superuser_and_keeps_its_database(
    server: EmbeddedServer,
) -> None:
    engine = create_async_engine(server.admin_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.execute(text("CREATE ROLE operator LOGIN CREATEROLE PASSWORD 'operator'"))
        await connection.execute(text("CREATE DATABASE managed OWNER operator"))
    await engine.dispose()
    url = server.admin_url.set(database="managed", username="operator", password="operator")
    for _ in range(2):
        assert await bootstrap(url, ["managed"], secret=SECRET, embedded_log=False) == url
    await run(url, "CREATE TABLE managed.audit (id integer)")
    await bootstrap(url, ["managed"], secret=SECRET, embedded_log=False)
    service = role_of(url, "managed")
    await run(service, "INSERT INTO managed.audit VALUES (1)")
    assert await is_refused(service, "DELETE FROM managed.audit")
    assert await run(url, "SELECT to_regnamespace('bus') IS NULL")


async def test_a_name_that_is_no_schema_is_refused(server: EmbeddedServer) -> None:
    with pytest.raises(ConfigurationError, match="schema"):
        await bootstrap(server.admin_url, ['x"; DROP'], secret=SECRET, embedded_log=True)


async def test_an_error_about_a_role_does_not_tell_its_password(server: EmbeddedServer) -> None:
    await run(server.admin_url, "CREATE ROLE weak LOGIN PASSWORD 'weak'")
    await run(server.admin_url, "CREATE ROLE outpost_foreign")
    engine = create_async_engine(server.admin_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.execute(text("CREATE DATABASE weak OWNER weak"))
    await engine.dispose()
    url = server.admin_url.set(database="weak", username="weak", password="weak")
    with pytest.raises(DBAPIError) as caught:
        await bootstrap(url, ["foreign"], secret=SECRET, embedded_log=False)
    assert getattr(caught.value.orig, "sqlstate", None) == INSUFFICIENT_PRIVILEGE
    assert service_password(SECRET, "foreign") not in f"{caught.value!s}{caught.value!r}"
