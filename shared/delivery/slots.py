"""Which of many processes does what only one may do: the lowest free advisory lock of a service.

All locks of a process hang on one connection. When it is lost, every slot is lost at once: loops
that
ask `slot` or `holds` stop, until the connection is back and the locks are taken again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.database.work import lock_number
from shared.log import logger

LOG = logger("slots")
KEEPALIVE_SECONDS = 1.0
# A server that is silent for longer may have given our locks to another process.
ANSWER_SECONDS = 5.0


class Slots:
    """The member slot and the relay lock of each service in this process."""

    def __init__(self, engine: AsyncEngine, services: Sequence[str], *, most: int) -> None:
        self._engine = engine
        self._services = services
        self._most = most
        self._members: dict[str, int] = {}
        self._relays: set[str] = set()
        self.first_taken = asyncio.Event()

    def member(self, service: str) -> str | None:
        """The static member id of this process in the service's groups, or None without a slot."""
        slot = self._members.get(service)
        return None if slot is None else f"{service}-{slot}"

    def holds_relay(self, service: str) -> bool:
        return service in self._relays

    async def run(self) -> None:
        """Hold the locks for ever; raises when the connection is lost (the supervisor starts
        again).
        """
        try:
            async with self._engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                while True:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await self._take(connection)
                    self.first_taken.set()
                    await asyncio.sleep(KEEPALIVE_SECONDS)
        except (DBAPIError, OSError) as error:
            LOG.warning("slots_lost", error=type(error).__name__)
            raise
        finally:
            self._members.clear()
            self._relays.clear()

    async def _take(self, connection: AsyncConnection) -> None:
        await connection.execute(text("SELECT 1"))
        for service in self._services:
            if service not in self._members:
                for slot in range(self._most):
                    if await _try(connection, f"slot/{service}/{slot}"):
                        self._members[service] = slot
                        break
            if service not in self._relays and await _try(connection, f"relay/{service}"):
                self._relays.add(service)


async def _try(connection: AsyncConnection, name: str) -> bool:
    result = await connection.execute(
        text("SELECT pg_try_advisory_lock(:number)"), {"number": lock_number(name)}
    )
    return bool(result.scalar_one())
