"""Which errors mean that PostgreSQL is away or overtaxed, and which are mistakes of ours.

asyncpg and SQLAlchemy report a server that dies in a dozen ways: by `OSError` when connecting, by
asyncpg's own classes between log-in and query, by a bare `DBAPIError` in the middle of a statement.
Deadlocks, cancelled statements and an exhausted pool belong here, too: what was asked for can
succeed if it is asked again.
"""

from __future__ import annotations

import asyncpg
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

# No waiting cures these.
MISTAKES = (IntegrityError, ProgrammingError, DataError, NotSupportedError)
# `TimeoutError` is an `OSError`. The mistakes are `DBAPIError`s: ask for them first.
AWAY = (
    DBAPIError,
    PoolTimeout,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


def is_away(error: BaseException) -> bool:
    """Whether the same work may succeed later, unchanged."""
    return isinstance(error, AWAY) and not isinstance(error, MISTAKES) and not is_unkeepable(error)


def is_unkeepable(error: BaseException) -> bool:
    """SQLSTATE class 22, asyncpg's own among them: a value that no column of its type can hold
    (NUL, an instant before year 1, a number too large). Also a bare `DBAPIError`."""
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    return str(state or "").startswith("22")


def is_contended(error: BaseException) -> bool:
    """Somebody else's transaction was in the way: deadlock, serialization, a lock not had in time,
    a statement that took too long."""
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    return state in {"40P01", "40001", "55P03", "57014"}
