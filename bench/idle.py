"""An Outpost at rest, and how long one takes to come up."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import psutil

from bench.figures import Baseline, Figure, Goal
from bench.process import memory_bytes, processor_seconds, running

REST_SECONDS = 30.0
MEGABYTE = 1_000_000


async def measure_idle(folder: Path, *, rest_seconds: float = REST_SECONDS) -> list[Figure]:
    """Memory of all processes, PostgreSQL included, and what the waiting itself costs."""
    async with running(folder / "idle") as outpost:
        used, started = processor_seconds(outpost.processes()), time.perf_counter()
        await asyncio.sleep(rest_seconds)
        passed = time.perf_counter() - started
        after = processor_seconds(outpost.processes())
        sizes = memory_bytes(outpost.processes())
        count = len(outpost.processes())
    total = sum(sizes.values()) / MEGABYTE
    bare = await _bare_memory(folder)
    parts = ", ".join(f"{name} {size / MEGABYTE:.0f} MB" for name, size in sorted(sizes.items()))
    busy = {name: 100 * (seconds - used[name]) / passed for name, seconds in after.items()}
    return [
        Figure(
            "idle, all processes", total, "MB PSS", Goal("at most", 400),
            (Baseline("Python with the same libraries", bare),), f"{count} processes: {parts}",
        ),
        *(
            Figure(f"idle, processor of {name}", share, "% of a core")
            for name, share in sorted(busy.items())
        ),
    ]  # fmt: skip


async def _bare_memory(folder: Path) -> float:
    """Megabytes of an interpreter that has imported what the server uses, and does nothing."""
    code = (
        "import fastapi, uvicorn, uvloop, sqlalchemy.ext.asyncio, asyncpg, pydantic, jinja2, "
        "sys; print('up', flush=True); sys.stdin.read()"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        cwd=folder,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdout.readline()
    size = sum(memory_bytes([psutil.Process(process.pid)]).values()) / MEGABYTE
    process.stdin.close()
    await process.wait()
    return size


async def measure_start(folder: Path, *, repeats: int = 3) -> list[Figure]:
    """From `exec` to an answer of `/readyz`: on an empty folder, then on the one it left."""
    bare = await _bare_seconds(folder)
    first = await _start_seconds(folder / "start")
    again = [await _start_seconds(folder / "start") for _ in range(repeats)]
    beside = (Baseline("Python importing the libraries", bare),)
    note = "each: " + ", ".join(f"{one:.2f} s" for one in again)
    return [
        Figure("start, the first time", first, "s", Goal("at most", 20), beside),
        Figure("start, existing database", max(again), "s", Goal("at most", 5), beside, note),
    ]


async def _start_seconds(folder: Path) -> float:
    async with running(folder) as outpost:
        return outpost.ready_seconds


async def _bare_seconds(folder: Path) -> float:
    started = time.perf_counter()
    await _bare_memory(folder)
    return time.perf_counter() - started
