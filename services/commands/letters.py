"""`letters`: records that could not be processed, listed and given another try."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
from sqlalchemy import select, update

from services.commands.session import with_ground
from shared.bus.headers import unpack_headers
from shared.bus.port import Message
from shared.clock import real_now
from shared.database.work import Actor
from shared.ground import Ground
from shared.service import Service


def letters_of(services: Sequence[Service]) -> click.Group:
    """The group, for these services."""

    @click.group()
    def letters() -> None:
        """Dead letters: kept with their reason, replayed once the cause is mended."""

    @letters.command("list")
    def list_all() -> None:
        """Every letter that has not been replayed."""
        for name, row in with_ground(services, _waiting):
            place = f"{row.topic}/{row.partition}@{row.record_offset}"
            click.echo(
                f"{name}\t{row.consumer_group}\t{place}\t{_short(row.put_aside_at)}\t{row.reason}"
            )

    @letters.command("replay")
    @click.argument("service", type=click.Choice([service.name for service in services]))
    def replay(service: str) -> None:
        """Put a service's letters back on their topics; every group reads them, effects stay
        single.
        """
        click.echo(
            f"{with_ground(services, lambda ground: replay_letters(ground, service))} replayed"
        )

    return letters


def _short(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


async def _waiting(ground: Ground) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, database in ground.databases.items():
        table = database.tables.dead_letter
        async with database.read() as session:
            rows = await session.execute(
                select(table).where(table.c.replayed_at.is_(None)).order_by(table.c.put_aside_at)
            )
            found.extend((name, row) for row in rows)
    return found


async def replay_letters(ground: Ground, service: str) -> int:
    """How many records of `service` went back to the log, through its outbox."""
    database = ground.databases[service]
    table = database.tables.dead_letter
    async with database.work(Actor("command")) as work:
        rows = (
            await work.execute(
                select(table).where(table.c.replayed_at.is_(None)).with_for_update(skip_locked=True)
            )
        ).all()
        for row in rows:
            work.send(
                Message(row.topic, row.partition, row.key, row.value, unpack_headers(row.headers))
            )
            work.audit("letter_replayed", "dead_letter", row.id)
        await work.execute(
            update(table)
            .where(table.c.id.in_([row.id for row in rows]))
            .values(replayed_at=real_now())
        )
    return len(rows)
