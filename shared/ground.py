"""The ground a process stands on: PostgreSQL, roles, migrations, engines, secrets."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

import shared.access
import shared.bus.tables
from shared.clock import Clock
from shared.credentials import set_roles
from shared.database.bootstrap import bootstrap, service_password, service_url
from shared.database.driver import take_lists_for_arrays
from shared.database.embedded import EmbeddedServer
from shared.database.migrate import MigrationTarget, migrate
from shared.database.work import Database
from shared.errors import ConfigurationError
from shared.service import Service
from shared.settings import Settings

SHARED_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Secrets:
    """What must not stand in code: given by the operator, or made once for an embedded run."""

    database: str
    session: str
    vault_key: str


def load_secrets(settings: Settings) -> Secrets:
    """From the settings; an embedded run makes its own in a 0600 file beside its data."""
    given = {
        "database": settings.database_secret,
        "session": settings.session_secret,
        "vault_key": settings.vault_key,
    }
    known = {name: value.get_secret_value() for name, value in given.items() if value}
    # The vault key is intake's alone: whoever needs it and has none is told there.
    missing = [name for name in given if name not in known]
    if not settings.embedded_database and missing == ["vault_key"]:
        return Secrets(known["database"], known["session"], "")
    if missing and not settings.embedded_database:
        names = ", ".join(f"OUTPOST_{_setting_name(name)}" for name in missing)
        raise ConfigurationError(
            f"secrets are missing: {names}", "set them, or run `python deploy/make_secrets.py`"
        )
    if missing:
        known = {**_made_once(settings.data_dir), **known}
    return Secrets(known["database"], known["session"], known["vault_key"])


def _setting_name(name: str) -> str:
    return {"database": "DATABASE_SECRET", "session": "SESSION_SECRET"}.get(name, "VAULT_KEY")


def _made_once(folder: Path) -> dict[str, str]:
    path = folder / "secrets.json"
    folder.mkdir(parents=True, exist_ok=True)
    made = {
        "database": secrets.token_urlsafe(32),
        "session": secrets.token_urlsafe(32),
        "vault_key": base64.b64encode(secrets.token_bytes(32)).decode(),
    }
    # Written whole under another name first: a second process must never read half a file.
    draft = folder / f"secrets.{os.getpid()}.json"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(made, file)
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
    found: dict[str, str] = json.loads(path.read_text())
    return found


class Ground:
    """PostgreSQL with every schema at its head, and one engine per service under its own role."""

    def __init__(self, services: Sequence[Service], settings: Settings, clock: Clock) -> None:
        self.services = services
        self.settings = settings
        self.clock = clock
        self.secrets = load_secrets(settings)
        self.server: EmbeddedServer | None = None
        self.databases: dict[str, Database] = {}
        self._admin_url: URL | None = None
        self._engines: list[AsyncEngine] = []

    async def open(self) -> None:
        """Start or find PostgreSQL, make roles and schemas, migrate, open the engines."""
        if self.settings.database_url is None:
            self.server = await EmbeddedServer.start(self.settings.data_dir / "postgresql")
            url = self.server.admin_url
        else:
            url = make_url(self.settings.database_url.get_secret_value())
            url = url.set(drivername="postgresql+asyncpg")
        if self.settings.migrate_at_start:
            url = await bootstrap(
                url,
                [service.name for service in self.services],
                secret=self.secrets.database,
                embedded_log=self.settings.embedded_log,
            )
            await migrate(url, migration_targets(self.services, self.settings))
        self._admin_url = url
        if self.settings.migrate_at_start:
            await set_roles(self.admin_engine())
        for service in self.services:
            self.databases[service.name] = Database(
                self.engine_for(service.name, size=self.settings.pool_size),
                service=service.name,
                tables=service.tables,
                clock=self.clock,
            )

    @property
    def admin_url(self) -> URL:
        assert self._admin_url is not None, "the ground is not open"
        return self._admin_url

    def engine_for(self, service: str, *, size: int) -> AsyncEngine:
        """A pool under the service's own role; closed with the ground."""
        take_lists_for_arrays()
        password = service_password(self.secrets.database, service)
        engine = create_async_engine(
            service_url(self.admin_url, service, password),
            pool_size=size,
            # Under load whoever comes waits for a connection; opening one costs more than that.
            max_overflow=0,
            pool_timeout=10,
            pool_use_lifo=True,
            # Without this an error's text would carry the values of the row, and so a person.
            hide_parameters=True,
            connect_args={
                "timeout": 10,
                "server_settings": {"application_name": f"outpost.{service}"},
            },
        )
        self._engines.append(engine)
        return engine

    def admin_engine(self) -> AsyncEngine:
        """For commands that write credentials; never for a service."""
        engine = create_async_engine(self.admin_url, poolclass=NullPool, hide_parameters=True)
        self._engines.append(engine)
        return engine

    async def watch(self) -> None:
        """Bring a dead embedded server back; nothing to do with a real one."""
        if self.server is None:
            await asyncio.Event().wait()
        else:
            await self.server.watch()

    async def close(self) -> None:
        for engine in self._engines:
            await engine.dispose()
        if self.server is not None:
            await self.server.stop()


def migration_targets(services: Sequence[Service], settings: Settings) -> list[MigrationTarget]:
    """The schemas of these services, the credentials, and the embedded log's where it is used."""
    targets = [
        MigrationTarget("access", SHARED_FOLDER / "access_migrations", shared.access.metadata)
    ]
    if settings.embedded_log:
        folder = SHARED_FOLDER / "bus" / "migrations"
        targets.append(MigrationTarget("bus", folder, shared.bus.tables.metadata))
    targets.extend(
        MigrationTarget(service.name, service.folder / "migrations", service.metadata)
        for service in services
    )
    return targets
