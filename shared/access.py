"""Who may do what, where: machine clients by API key, staff by signed session.

Credentials live in the schema `access`, written by command alone and readable by every service.
A key is 256 random bits: its SHA-256 is stored and compared; Argon2id is for passwords.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from http.cookies import CookieError, SimpleCookie
from typing import Any
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from itsdangerous import BadSignature, TimestampSigner
from sqlalchemy import Boolean, Column, Integer, MetaData, Table, Text, Uuid, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import real_now
from shared.database.tables import NAMING, audit_table, instant

EVERYWHERE = "*"
SESSION_COOKIE = "outpost_session"
SESSION_SECONDS = 12 * 3600
KEY_PREFIX = "opk"
# How long a revoked credential may still be honoured by a process that has just seen it.
CACHE_SECONDS = 5.0

metadata = MetaData(schema="access", naming_convention=NAMING)

client_table = Table(
    "client",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("key_id", Text, nullable=False, unique=True),
    Column("key_hash", Text, nullable=False),
    # The key before a rotation stays good until `previous_until`.
    Column("previous_key_id", Text),
    Column("previous_key_hash", Text),
    instant("previous_until", nullable=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("area_ids", ARRAY(Text), nullable=False),
    Column("source_id", Uuid),
    instant("expires_at", nullable=True),
    instant("revoked_at", nullable=True),
    instant("created_at"),
)

role_table = Table(
    "role",
    metadata,
    Column("name", Text, primary_key=True),
    Column("permissions", ARRAY(Text), nullable=False),
    Column("title_zh", Text, nullable=False),
    Column("title_en", Text, nullable=False),
)

staff_table = Table(
    "staff",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("login", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    Column("area_ids", ARRAY(Text), nullable=False),
    Column("session_version", Integer, nullable=False, server_default="1"),
    Column("disabled", Boolean, nullable=False, server_default="false"),
)

trail_table = audit_table(metadata)

PASSWORDS = PasswordHasher()

BY_KEY = select(client_table).where(
    (client_table.c.key_id == bindparam("key_id"))
    | (client_table.c.previous_key_id == bindparam("key_id"))
)


@cache
def absent_hash() -> str:
    """Verified against when a login does not exist, so that both answers take the same time."""
    return PASSWORDS.hash(secrets.token_hex(16))


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is asking, with permissions and area of responsibility; every read takes one."""

    subject: str
    permissions: frozenset[str]
    area_ids: tuple[str, ...]
    source_id: UUID | None = None

    def may(self, permission: str) -> bool:
        return permission in self.permissions


def hash_key(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def new_key() -> tuple[str, str, str]:
    """(the key as handed out once, its id, its hash)."""
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return f"{KEY_PREFIX}_{key_id}_{secret}", key_id, hash_key(secret)


def split_key(key: str) -> tuple[str, str] | None:
    """(id, secret) of a key, or None when it is not one."""
    parts = key.split("_", 2)
    if len(parts) != 3 or parts[0] != KEY_PREFIX:
        return None
    return parts[1], parts[2]


class Credentials:
    """Checks keys and sessions against the database, remembering an answer for five seconds."""

    def __init__(self, engine: AsyncEngine, session_secret: str) -> None:
        # Each look is one statement: a transaction around it would treble the way.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._signer = TimestampSigner(session_secret, salt="outpost.session")
        self._remembered: dict[str, tuple[float, Viewer | None]] = {}

    async def of_headers(self, headers: Mapping[bytes, bytes]) -> Viewer | None:
        """The viewer of a request, None without a valid credential."""
        bearer = headers.get(b"authorization", b"").decode("latin-1")
        key = bearer[7:] if bearer.lower().startswith("bearer ") else ""
        key = key or headers.get(b"x-api-key", b"").decode("latin-1")
        if key:
            return await self._remember(hash_key(key), self._of_key, key)
        cookie: SimpleCookie = SimpleCookie()
        try:
            cookie.load(headers.get(b"cookie", b"").decode("latin-1"))
        except CookieError:  # a cookie that cannot be read is no cookie
            return None
        if SESSION_COOKIE in cookie:
            token = cookie[SESSION_COOKIE].value
            return await self._remember(hash_key(token), self._of_session, token)
        return None

    async def _remember(self, name: str, look_up: Any, credential: str) -> Viewer | None:
        known = self._remembered.get(name)
        if known and time.monotonic() - known[0] < CACHE_SECONDS:
            return known[1]
        viewer: Viewer | None = await look_up(credential)
        if len(self._remembered) > 10_000:
            self._remembered.clear()
        self._remembered[name] = (time.monotonic(), viewer)
        return viewer

    async def _of_key(self, key: str) -> Viewer | None:
        parts = split_key(key)
        if parts is None:
            return None
        key_id, secret = parts
        async with self._engine.connect() as connection:
            row = (await connection.execute(BY_KEY, {"key_id": key_id})).first()
        if row is None or row.revoked_at is not None or _passed(row.expires_at):
            return None
        if row.key_id == key_id:
            stored = row.key_hash
        elif not _passed(row.previous_until):
            stored = row.previous_key_hash
        else:
            return None
        if not secrets.compare_digest(stored, hash_key(secret)):
            return None
        return Viewer(f"client:{row.id}", frozenset(row.scopes), tuple(row.area_ids), row.source_id)

    async def _of_session(self, token: str) -> Viewer | None:
        try:
            content = self._signer.unsign(token, max_age=SESSION_SECONDS).decode()
        except BadSignature:
            return None
        staff_id, _, version = content.partition(".")
        staff, role = staff_table, role_table
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(select(staff).where(staff.c.id == UUID(staff_id)))
            ).first()
            if row is None or row.disabled or row.session_version != int(version):
                return None
            granted = await connection.execute(
                select(role.c.permissions).where(role.c.name.in_(row.roles))
            )
            permissions = frozenset(name for one in granted for name in one.permissions)
        return Viewer(f"staff:{row.id}", permissions, tuple(row.area_ids))

    async def sign_in(self, login: str, password: str) -> str | None:
        """A session token, or None: the caller cannot tell a wrong login from a wrong password."""
        staff = staff_table
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(staff).where(staff.c.login == login))).first()
        try:
            # Deliberately slow: not on the loop that alerts and streams run on.
            stored = row.password_hash if row else absent_hash()
            await asyncio.to_thread(PASSWORDS.verify, stored, password)
        except VerifyMismatchError:
            return None
        if row is None or row.disabled:
            return None
        return self._signer.sign(f"{row.id}.{row.session_version}").decode()


def _passed(instant_at: datetime | None) -> bool:
    return instant_at is not None and instant_at <= real_now()
