"""`schema`: migrate, check that models and migrations agree, write the next migration."""

from __future__ import annotations

from collections.abc import Sequence

import click

from services.commands.session import with_ground
from shared.database.migrate import check, pending, write_revision
from shared.ground import Ground, migration_targets
from shared.service import Service
from shared.settings import Settings


def schema_of(services: Sequence[Service]) -> click.Group:
    """The group, for these services."""

    @click.group()
    def schema() -> None:
        """Tables: migrations of every schema."""

    @schema.command("migrate")
    def migrate() -> None:
        """Bring every schema to its newest revision (a start does it too)."""

        async def act(ground: Ground) -> int:
            return len(
                await pending(ground.admin_url, migration_targets(services, ground.settings))
            )

        left = with_ground(services, act)
        click.echo("every schema is at its head" if not left else f"{left} schemas are behind")

    @schema.command("check")
    def check_all() -> None:
        """Do models and migrations agree?"""

        async def act(ground: Ground) -> list[str]:
            return await check(ground.admin_url, migration_targets(services, ground.settings))

        differences = with_ground(services, act)
        for line in differences:
            click.echo(line)
        raise SystemExit(1 if differences else 0)

    @schema.command("revise")
    @click.argument("name")
    @click.argument("message")
    def revise(name: str, message: str) -> None:
        """Write the migration from what the database has to what the models say; read it before
        use.
        """

        async def act(ground: Ground) -> str:
            targets = {one.schema: one for one in migration_targets(services, Settings.load())}
            path = await write_revision(ground.admin_url, targets[name], message)
            return str(path) if path else "nothing differs"

        click.echo(with_ground(services, act))

    return schema
