"""The processes of the walks on Kafka: `python -m tests.journey.process tracing alerts,console`.

One process per argument, each with the services that it names, as `python -m services.<name>` would
run them; with two differences: the business clock stands still at `OUTPOST_CLOCK_START_AT`, so that
processes judge alike, and all end when stdin is closed. They are forked from one that has imported
everything, which saves two seconds per process. Each tells on stdout
`<number of the argument> <address>`.
"""

from __future__ import annotations

import asyncio
import os
import sys

import uvloop

from services.__main__ import SERVICES
from shared.clock import ManualClock
from shared.log import configure_log
from shared.runtime import Runtime
from shared.settings import Settings


async def run(number: int, names: list[str]) -> None:
    """Start these services, say where, serve until nobody holds our stdin any more."""
    settings = Settings.load()
    configure_log(level="error", style="console")
    assert settings.clock_start_at is not None, "the walks stand at one business instant"
    chosen = [service for service in SERVICES if service.name in names]
    runtime = Runtime(chosen, settings, clock=ManualClock(settings.clock_start_at))
    try:
        await runtime.start()
        os.write(sys.stdout.fileno(), f"{number} {runtime.base_url}\n".encode())
        await _parent_gone()
    finally:
        await runtime.stop()


async def _parent_gone() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await reader.read()


def main(groups: list[str]) -> int:
    """Fork one process per group and wait for all; 0 if each ended in order."""
    for number, group in enumerate(groups):
        if os.fork() == 0:
            uvloop.run(run(number, group.split(",")))
            return 0
    # Only the children speak: when the last of them is gone, so is our stdout.
    os.close(sys.stdout.fileno())
    return max((os.wait()[1] for _ in groups), default=0) and 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
