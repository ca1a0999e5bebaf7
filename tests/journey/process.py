"""One process of the walks on Kafka: `python -m tests.journey.process tracing alerts`.

As `python -m services.<name>` does, with two differences: the business clock stands still at
`OUTPOST_CLOCK_START_AT`, so that processes judge alike, and the process ends with its parent
(stdin closed). Its first line on stdout is its address.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

from services.__main__ import SERVICES
from shared.clock import ManualClock
from shared.log import configure_log
from shared.runtime import Runtime
from shared.settings import Settings


async def run(names: list[str]) -> None:
    """Start these services, say where, serve until told to end."""
    settings = Settings.load()
    configure_log(level="error", style="console")
    assert settings.clock_start_at is not None, "the walks stand at one business instant"
    chosen = [service for service in SERVICES if service.name in names]
    runtime = Runtime(chosen, settings, clock=ManualClock(settings.clock_start_at))
    try:
        await runtime.start()
        sys.stdout.write(f"{runtime.base_url}\n")
        sys.stdout.flush()
        await _parent_gone()
    finally:
        await runtime.stop()


async def _parent_gone() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await reader.read()


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1:]))
