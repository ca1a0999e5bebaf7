"""Migrations: one chain of dated files and one version table per schema, run by Alembic.

Each target is migrated in one transaction, behind a lock that processes starting at once share.
Alembic is imported only when there is something to do: an up-to-date database costs one look.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, MetaData, column, literal, select, table, text, union_all
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.database.bootstrap import locked_connection, protect_audit, role_exists, service_role
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "alembic_version"
# A migration that waits for a lock makes every query behind it wait too.
LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "60s"
FILE_NAME = "%%(year)d_%%(month).2d_%%(day).2d_%%(hour).2d%%(minute).2d_%%(slug)s"

REVISION = re.compile(r"""^revision\b[^=\n]*=\s*["'](?P<id>\w+)["']""", re.MULTILINE)
DOWN_REVISION = re.compile(
    r"""^down_revision\b[^=\n]*=\s*(?:None|["'](?P<id>\w+)["'])""", re.MULTILINE
)


class WrongMigrations(ConfigurationError):
    """The files and the database do not fit together."""

    slug, title = "wrong-migrations", "Migrations do not fit the database"


@dataclass(frozen=True, slots=True)
class MigrationTarget:
    """One schema: the folder of its migrations, and the tables they shall end up with."""

    schema: str
    versions_dir: Path
    metadata: MetaData

    def revisions(self) -> tuple[str, ...]:
        """All revisions from the first to the head, read without importing the files.

        Raises WrongMigrations if they are not one chain.
        """
        after: dict[str | None, str] = {}
        for path in sorted(self.versions_dir.glob("*.py")):
            source = path.read_text(encoding="utf-8")
            revision, down = REVISION.search(source), DOWN_REVISION.search(source)
            if revision is None or down is None:
                if path.name == "__init__.py":
                    continue
                raise WrongMigrations(f"{path} names no revision or down_revision")
            if down["id"] in after:
                raise WrongMigrations(
                    f"two migrations of {self.schema} follow {down['id'] or 'nothing'}: "
                    f"{after[down['id']]} and {revision['id']}",
                    advice="Set the down_revision of the later one to the earlier one.",
                )
            after[down["id"]] = revision["id"]
        chain: list[str] = []
        while (following := after.pop(chain[-1] if chain else None, None)) is not None:
            chain.append(following)
        if after:
            raise WrongMigrations(
                f"migrations of {self.schema} that follow nothing: {', '.join(after.values())}"
            )
        return tuple(chain)


async def pending(admin_url: URL, targets: Sequence[MigrationTarget]) -> dict[str, tuple[str, ...]]:
    """The revisions not yet applied, by schema; up-to-date schemas are left out.

    Raises WrongMigrations if the database is ahead of the files.
    """
    engine = create_async_engine(admin_url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_pending, targets)
    finally:
        await engine.dispose()


async def migrate(admin_url: URL, targets: Sequence[MigrationTarget]) -> dict[str, tuple[str, ...]]:
    """Bring every target to its head; returns the revisions applied by this call, by schema.

    Processes that call it at once wait for one another. Call it after `bootstrap`.
    """
    if not await pending(admin_url, targets):
        return {}
    async with locked_connection(admin_url) as connection:
        async with connection.begin():
            applied = await connection.run_sync(_pending, targets)
        for target in targets:
            if target.schema in applied:
                async with connection.begin():
                    await connection.run_sync(_upgrade, target)
    return applied


async def check(admin_url: URL, targets: Sequence[MigrationTarget]) -> list[str]:
    """What the models have and the database has not, or the reverse; empty if they agree."""
    engine = create_async_engine(admin_url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            found = [await connection.run_sync(_compare, target) for target in targets]
    finally:
        await engine.dispose()
    return [difference for differences in found for difference in differences]


async def write_revision(admin_url: URL, target: MigrationTarget, message: str) -> Path | None:
    """Write the migration from the database, which must be at its head, to the models.

    Returns the new file, for a person to read and correct; None if there is no difference.
    """
    if await pending(admin_url, [target]):
        raise WrongMigrations(f"{target.schema} is not at its head", advice="Migrate first.")
    if not await check(admin_url, [target]):
        return None
    engine = create_async_engine(admin_url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_write, target, message)
    finally:
        await engine.dispose()


def _pending(
    connection: Connection, targets: Sequence[MigrationTarget]
) -> dict[str, tuple[str, ...]]:
    versions = _read_versions(connection, [target.schema for target in targets])
    missing: dict[str, tuple[str, ...]] = {}
    for target in targets:
        chain, version = target.revisions(), versions.get(target.schema)
        if version is not None and version not in chain:
            raise WrongMigrations(
                f"schema {target.schema} is at revision {version}, which no file here makes",
                advice="The database was migrated by newer code: run that code.",
            )
        rest = chain[chain.index(version) + 1 :] if version is not None else chain
        if rest:
            missing[target.schema] = rest
    return missing


def _read_versions(connection: Connection, schemas: Iterable[str]) -> Mapping[str, str]:
    query = text("SELECT schemaname FROM pg_tables WHERE tablename = :name")
    present = set(connection.scalars(query, {"name": VERSION_TABLE}))
    parts = [
        select(literal(schema), table(VERSION_TABLE, column("version_num"), schema=schema).c[0])
        for schema in schemas
        if schema in present
    ]
    if not parts:
        return {}
    return {row[0]: row[1] for row in connection.execute(union_all(*parts))}


def _upgrade(connection: Connection, target: MigrationTarget) -> None:
    """Runs in one transaction: all that is pending, and the audit table's protection."""
    from alembic import command

    role = service_role(target.schema)
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")
    name = connection.dialect.identifier_preparer.quote_identifier(target.schema)
    connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {name}")
    command.upgrade(_config(connection, target), "head")
    if role_exists(connection, role):
        protect_audit(connection, target.schema, role)


def _compare(connection: Connection, target: MigrationTarget) -> list[str]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    context = MigrationContext.configure(connection, opts=_options(connection, target))
    return [f"{target.schema}: {item}" for item in compare_metadata(context, target.metadata)]


def _write(connection: Connection, target: MigrationTarget, message: str) -> Path:
    from alembic import command
    from alembic.script import Script

    target.versions_dir.mkdir(parents=True, exist_ok=True)
    script = command.revision(_config(connection, target), message, autogenerate=True)
    assert isinstance(script, Script)
    return Path(script.path)


def _config(connection: Connection, target: MigrationTarget) -> Config:
    from alembic.config import Config

    config = Config(stdout=io.StringIO())
    for name, value in {
        "script_location": str(Path(__file__).parent / "alembic"),
        "version_locations": str(target.versions_dir),
        "path_separator": "newline",
        "timezone": "UTC",
    }.items():
        config.set_main_option(name, value.replace("%", "%%"))
    config.set_main_option("file_template", FILE_NAME)
    config.attributes["options"] = _options(connection, target)
    return config


def _options(connection: Connection, target: MigrationTarget) -> dict[str, Any]:
    """What both running and comparing must know, for one schema and nothing else."""
    partitions = set(
        connection.scalars(
            text(
                "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE c.relispartition AND n.nspname = :schema"
            ),
            {"schema": target.schema},
        )
    )

    def include_name(name: str | None, kind: str, _parents: Mapping[str, str | None]) -> bool:
        if kind == "schema":
            return name == target.schema
        # Partitions are made as data need them; models know their parent alone.
        return kind != "table" or name not in partitions

    return {
        "connection": connection,
        "target_metadata": target.metadata,
        "version_table": VERSION_TABLE,
        "version_table_schema": target.schema,
        "include_schemas": True,
        "include_name": include_name,
        "compare_type": True,
    }
