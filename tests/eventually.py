"""Waiting for a state, with a bound; the one place of the tests that lets time pass."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


async def eventually(holds: Callable[[], Awaitable[bool]], *, within_seconds: float = 15.0) -> None:
    """Return as soon as `holds`; `AssertionError` when it has not within the bound."""
    deadline = time.monotonic() + within_seconds
    while not await holds():
        assert time.monotonic() < deadline, f"{holds.__qualname__} never came true"
        await asyncio.sleep(0.02)
