"""What commands do with credentials: issue, rotate and revoke keys, add staff, set roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.access import (
    PASSWORDS,
    client_table,
    new_key,
    role_table,
    staff_table,
    trail_table,
)
from shared.clock import real_now
from shared.database.work import administration
from shared.errors import Conflict, NotFound
from shared.ids import new_id

ROLES_FILE = Path(__file__).parent / "access_roles.yaml"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a machine client may do: scopes, areas (`*` everywhere), perhaps one source it speaks
    for.
    """

    scopes: Sequence[str]
    area_ids: Sequence[str]
    source_id: UUID | None = None
    valid_days: int | None = None


async def issue_key(engine: AsyncEngine, name: str, grant: Grant) -> str:
    """The key of a new client, told once and stored only as a hash."""
    key, key_id, key_hash = new_key()
    expires_at = real_now() + timedelta(days=grant.valid_days) if grant.valid_days else None
    async with administration(engine) as connection:
        stored = await connection.execute(
            insert(client_table)
            .values(
                id=new_id(),
                name=name,
                key_id=key_id,
                key_hash=key_hash,
                scopes=list(grant.scopes),
                area_ids=list(grant.area_ids),
                source_id=grant.source_id,
                expires_at=expires_at,
                created_at=real_now(),
            )
            .on_conflict_do_nothing()
        )
        if not stored.rowcount:
            raise Conflict(f"a client named {name} exists", "rotate its key or choose another name")
        await _trail(connection, "key_issued", name)
    return key


async def rotate_key(engine: AsyncEngine, name: str, *, overlap_hours: float) -> str:
    """A new key; the old one stays good for `overlap_hours`, so that no sender stands before a
    shut door.
    """
    key, key_id, key_hash = new_key()
    client = client_table
    async with administration(engine) as connection:
        changed = await connection.execute(
            update(client)
            .where(client.c.name == name, client.c.revoked_at.is_(None))
            .values(
                previous_key_id=client.c.key_id,
                previous_key_hash=client.c.key_hash,
                previous_until=real_now() + timedelta(hours=overlap_hours),
                key_id=key_id,
                key_hash=key_hash,
            )
        )
        if not changed.rowcount:
            raise NotFound(f"no live client named {name}", "list the clients with `keys list`")
        await _trail(connection, "key_rotated", name)
    return key


async def revoke_key(engine: AsyncEngine, name: str) -> None:
    """No key of this client is good any more, within five seconds everywhere."""
    client = client_table
    async with administration(engine) as connection:
        changed = await connection.execute(
            update(client)
            .where(client.c.name == name, client.c.revoked_at.is_(None))
            .values(revoked_at=real_now())
        )
        if not changed.rowcount:
            raise NotFound(f"no live client named {name}", "list the clients with `keys list`")
        await _trail(connection, "key_revoked", name)


async def list_clients(engine: AsyncEngine) -> list[dict[str, Any]]:
    """Every client without its hashes."""
    client = client_table
    columns = [client.c[name] for name in ("name", "key_id", "scopes", "area_ids", "source_id")]
    columns += [client.c[name] for name in ("expires_at", "revoked_at", "created_at")]
    async with engine.connect() as connection:
        rows = await connection.execute(select(*columns).order_by(client.c.name))
        return [dict(row._mapping) for row in rows]


@dataclass(frozen=True, slots=True)
class NewStaff:
    """A person of the staff; roles say what, areas say where."""

    login: str
    password: str
    roles: Sequence[str]
    area_ids: Sequence[str]


async def add_staff(engine: AsyncEngine, staff: NewStaff) -> UUID:
    """A new member of staff, or a new password, roles and areas for a known login (ending its
    sessions).
    """
    table = staff_table
    statement = insert(table).values(
        id=new_id(),
        login=staff.login,
        password_hash=PASSWORDS.hash(staff.password),
        roles=list(staff.roles),
        area_ids=list(staff.area_ids),
    )
    async with administration(engine) as connection:
        known = set((await connection.scalars(select(role_table.c.name))).all())
        unknown = sorted(set(staff.roles) - known)
        if unknown:
            raise NotFound(
                f"no role {', '.join(unknown)}", f"known roles: {', '.join(sorted(known))}"
            )
        row = await connection.execute(
            statement.on_conflict_do_update(
                index_elements=[table.c.login],
                set_={
                    "password_hash": statement.excluded.password_hash,
                    "roles": statement.excluded.roles,
                    "area_ids": statement.excluded.area_ids,
                    "session_version": table.c.session_version + 1,
                    "disabled": False,
                },
            ).returning(table.c.id)
        )
        staff_id: UUID = row.scalar_one()
        await _trail(connection, "staff_set", str(staff_id))
    return staff_id


def _roles() -> list[dict[str, Any]]:
    roles: list[dict[str, Any]] = yaml.safe_load(ROLES_FILE.read_text(encoding="utf-8"))
    return roles


def role_permissions() -> set[str]:
    """Every permission that some role has."""
    return {permission for role in _roles() for permission in role["permissions"]}


async def set_roles(engine: AsyncEngine) -> None:
    """Bring the roles to what `access_roles.yaml` says."""
    roles = _roles()
    statement = insert(role_table)
    async with administration(engine) as connection:
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=[role_table.c.name],
                set_={
                    name: statement.excluded[name]
                    for name in ("permissions", "title_zh", "title_en")
                },
            ),
            roles,
        )


async def _trail(connection: AsyncConnection, action: str, record_id: str) -> None:
    await connection.execute(
        trail_table.insert().values(
            at=real_now(),
            actor="command",
            action=action,
            record_kind="credential",
            record_id=record_id,
            reason="",
        )
    )
