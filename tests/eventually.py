"""Waiting for a state, with a bound; the one place of the tests that lets time pass."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


async def eventually(holds: Callable[[], Awaitable[bool]], *, within_seconds: float = 15.0) -> None:
    """Return as soon as `holds`; `AssertionError` when it has not within the bound."""
    deadline = time.monotonic() + within_seconds
    while True:
        began = time.monotonic()
        if await holds():
            return
        now = time.monotonic()
        assert now < deadline, f"{holds.__qualname__} never came true"
        # A question that costs much is asked half of the time at most.
        await asyncio.sleep(max(0.02, now - began))
