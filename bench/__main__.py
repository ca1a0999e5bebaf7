"""`python -m bench`: see `--help`."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import click

from bench import backtest, detectors, idle, latency, recall, scans, signals, trace
from bench.figures import Figure, keep, show

Part = Callable[[Path, float], Awaitable[list[Figure]]]


PARTS: dict[str, Part] = {
    "start": lambda folder, _: idle.measure_start(folder),
    "idle": lambda folder, _: idle.measure_idle(folder),
    "latency": lambda folder, seconds: latency.measure_embedded(folder, seconds=seconds),
    "latency-kafka": lambda folder, seconds: latency.measure_kafka(folder, seconds=seconds),
    "detectors": lambda folder, _: detectors.measure(folder),
    "scenarios": lambda _, __: detectors.measure_scenarios(),
    "backtest": lambda _, __: backtest.measure(),
    "recall": lambda folder, _: recall.measure(folder),
    "signals": lambda folder, seconds: signals.measure(folder, seconds=seconds),
    "trace": lambda folder, _: trace.measure_small(folder),
    "scans": lambda folder, seconds: scans.measure(folder, seconds=seconds),
}


@click.command()
@click.option("--only", type=click.Choice(list(PARTS)), multiple=True, help="leave out the others")
@click.option("--seconds", type=float, default=60.0, show_default=True, help="length of a load")
@click.option(
    "--profile", type=click.Path(path_type=Path), help="sampled stacks of the server, scans only"
)
def main(only: tuple[str, ...], seconds: float, profile: Path | None) -> None:
    """Measure, print, and keep the figures in var/bench."""
    for name in only or PARTS:
        with tempfile.TemporaryDirectory(prefix="outpost-bench-") as folder:
            if profile is not None:
                work = scans.measure(Path(folder), seconds=seconds, profile=profile.absolute())
                figures = asyncio.run(work)
            else:
                figures = asyncio.run(_run(PARTS[name], Path(folder), seconds))
        show(name, figures)
        keep(name, figures)


async def _run(part: Part, folder: Path, seconds: float) -> list[Figure]:
    return await part(folder, seconds)


if __name__ == "__main__":
    main()
