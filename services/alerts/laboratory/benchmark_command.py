"""`python -m services.alerts benchmark`: all detectors on the published scenarios."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import click

from services.alerts.laboratory.terminal import Output, progress, wide_console

Choice = Literal["weekly", "daily", "both"]


@click.command()
@click.option("--pace", type=click.Choice(["weekly", "daily", "both"]), default="both")
@click.option("--replicates", type=click.IntRange(1), default=100, show_default=True)
@click.option(
    "--daily-replicates", type=click.IntRange(1), default=20, show_default=True,
    help="of the daily signals, which are four times as long",
)  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=None, help="processes; all cores")
@click.option("--json", "json_file", type=Output, help="write everything there")
@click.option("--plot", "plot_file", type=Output, help="PNG or SVG; needs matplotlib")
def benchmark(
    pace: Choice,
    replicates: int,
    daily_replicates: int,
    seed: int,
    workers: int | None,
    **files: Path | None,
) -> None:
    """Every detector on the 42 weekly and the 16 daily scenarios, with published numbers beside."""
    from services.alerts.laboratory import benchmark_report as report
    from services.alerts.laboratory.benchmark import names, run
    from services.alerts.laboratory.methods import Pace

    console = wide_console()
    plot_file, json_file = files["plot_file"], files["json_file"]
    if plot_file is not None:
        from services.alerts.laboratory.plotting import pyplot

        pyplot()  # says so now, not after ten minutes, if it is not there
    paces: list[Pace] = ["weekly", "daily"] if pace == "both" else [pace]
    wanted = {"weekly": replicates, "daily": daily_replicates}
    rows = []
    with progress(console) as bar:
        for one in paces:
            task = bar.add_task(one, total=len(names(one)))
            rows += run(
                one,
                replicates=wanted[one],
                seed=seed,
                workers=workers or os.cpu_count() or 1,
                advance=lambda task=task: bar.advance(task),  # type: ignore[misc]
            )
    report.show(console, rows)
    if json_file is not None:
        json_file.write_text(report.as_json(rows, {"seed": seed, "replicates": wanted}))
    if plot_file is not None:
        report.plot(rows, plot_file)
