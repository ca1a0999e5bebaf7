"""The database, its schemas and its roles: one least-privilege role per service.

The administrator owns every schema and runs the migrations. A service's role reads and writes rows
in its own schema and in the embedded log's, reads the credentials in `access`, and sees nothing of
another service. The audit table is insert-only for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import URL, Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from shared.errors import ConfigurationError

DATABASE = "outpost"
MAINTENANCE_DATABASE = "postgres"
AUDIT_TABLE = "audit"
BUS_SCHEMA = "bus"
ACCESS_SCHEMA = "access"
LOCK_WAIT = "120s"
# Any constant will do; it is this one for everybody who changes roles, schemas or tables.
LOCK_NUMBER = 7_046_029_254_386_353_131

AUDIT_TABLES = text("""
    SELECT format('%I.%I', n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = :schema AND c.relkind IN ('r', 'p')
    AND (c.relname = :audit OR EXISTS (
        SELECT FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
        WHERE i.inhrelid = c.oid AND p.relname = :audit AND p.relnamespace = n.oid
    ))
""")

READ = "SELECT"
READ_AND_WRITE = "SELECT, INSERT, UPDATE, DELETE"


def service_role(service: str) -> str:
    """The role of a service; roles belong to the whole PostgreSQL server."""
    return f"outpost_{service}"


def service_password(secret: str, service: str) -> str:
    """Every process that knows the master secret derives the same password; none is stored."""
    digest = hmac.digest(secret.encode(), f"postgresql role {service}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def service_url(admin_url: URL, service: str, password: str) -> URL:
    """The same server and database as `admin_url`, as the service's own role."""
    return admin_url.set(username=service_role(service), password=password)


async def bootstrap(
    admin_url: URL,
    services: Sequence[str],
    *,
    secret: str,
    embedded_log: bool,
    database: str = DATABASE,
) -> URL:
    """Make what is missing and set every privilege; returns the administrator's URL to work with.

    `database` is made, and the answer names it, if `admin_url` points to the maintenance database;
    otherwise the database of the URL is used. Any number of processes may do this at once, any
    number of times. Raises ConfigurationError for a name that cannot be a schema.
    """
    for name in services:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
            raise ConfigurationError(f"{name!r} cannot be a schema's name")
    async with locked_connection(admin_url) as outer:
        if admin_url.database not in (MAINTENANCE_DATABASE, None, ""):
            async with outer.begin():
                await outer.run_sync(_establish, services, secret, embedded_log)
            return admin_url
        # A database cannot be made inside a transaction.
        await outer.execution_options(isolation_level="AUTOCOMMIT")
        await outer.run_sync(_create_database, database)
        url = admin_url.set(database=database)
        async with locked_connection(url) as inner, inner.begin():
            await inner.run_sync(_establish, services, secret, embedded_log)
        return url


@asynccontextmanager
async def locked_connection(url: URL) -> AsyncIterator[AsyncConnection]:
    """A connection, outside of any transaction, that alone changes its database's structure.

    Others who ask for one wait, for LOCK_WAIT at most.
    """
    # Tables change under its statements, so none may be kept prepared.
    arguments = {"prepared_statement_cache_size": 0, "statement_cache_size": 0}
    engine = create_async_engine(
        url, poolclass=NullPool, connect_args=arguments, hide_parameters=True
    )
    try:
        async with engine.connect() as connection:
            async with connection.begin():
                limit = text("SELECT set_config('lock_timeout', :wait, false)")
                await connection.execute(limit, {"wait": LOCK_WAIT})
                # Belongs to the connection, so that a crash frees it too.
                await connection.execute(text("SELECT pg_advisory_lock(:n)"), {"n": LOCK_NUMBER})
            yield connection
    finally:
        await engine.dispose()


def protect_audit(connection: Connection, schema: str, grantee: str) -> None:
    """Leave `grantee` nothing but reading and inserting on the audit table and its partitions.

    To be called after every grant on all tables and after every migration.
    """
    names = connection.execute(AUDIT_TABLES, {"schema": schema, "audit": AUDIT_TABLE})
    for (name,) in names.all():
        connection.exec_driver_sql(f"REVOKE UPDATE, DELETE, TRUNCATE ON {name} FROM {grantee}")


def role_exists(connection: Connection, role: str) -> bool:
    """True if the server knows this role."""
    found = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    return found.first() is not None


def _create_database(connection: Connection, database: str) -> None:
    query = text("SELECT 1 FROM pg_database WHERE datname = :name")
    if connection.execute(query, {"name": database}).first() is None:
        name = _quoted(connection, database)
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        connection.exec_driver_sql(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")


def _establish(
    connection: Connection, services: Sequence[str], secret: str, embedded_log: bool
) -> None:
    connection.exec_driver_sql("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    shared = [ACCESS_SCHEMA, *([BUS_SCHEMA] if embedded_log else [])]
    for schema in (*services, *shared):
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {_quoted(connection, schema)}")
    for service in services:
        role = _ensure_role(connection, service_role(service), service_password(secret, service))
        _grant_schema(connection, service, role, READ_AND_WRITE)
        _grant_schema(connection, ACCESS_SCHEMA, role, READ)
        if embedded_log:
            _grant_schema(connection, BUS_SCHEMA, role, READ_AND_WRITE)
        protect_audit(connection, service, role)


def _ensure_role(connection: Connection, role: str, password: str) -> str:
    name = _quoted(connection, role)
    if not role_exists(connection, role):
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN NOINHERIT")
    # An error quotes the statement it is about, so the password must not stand in it.
    connection.execute(
        text("SELECT set_config('outpost.password', :password, true)"), {"password": password}
    )
    connection.exec_driver_sql(
        f"DO $$ BEGIN EXECUTE format('ALTER ROLE {name} PASSWORD %L', "
        "current_setting('outpost.password')); END $$"
    )
    database = connection.scalar(text("SELECT quote_ident(current_database())"))
    connection.exec_driver_sql(f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {name}")
    return name


def _grant_schema(connection: Connection, schema: str, role: str, privileges: str) -> None:
    """For the tables that are there and those that migrations will make."""
    name = _quoted(connection, schema)
    sequences = "USAGE, SELECT" if privileges == READ_AND_WRITE else READ
    future = f"ALTER DEFAULT PRIVILEGES IN SCHEMA {name} GRANT"
    for statement in (
        f"GRANT USAGE ON SCHEMA {name} TO {role}",
        f"GRANT {privileges} ON ALL TABLES IN SCHEMA {name} TO {role}",
        f"GRANT {sequences} ON ALL SEQUENCES IN SCHEMA {name} TO {role}",
        f"{future} {privileges} ON TABLES TO {role}",
        f"{future} {sequences} ON SEQUENCES TO {role}",
    ):
        connection.exec_driver_sql(statement)


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)
