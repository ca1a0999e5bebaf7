"""`python -m services.alerts backtest`: what a set of rules would have found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml
from pydantic import ValidationError
from rich.progress import Progress

from services.alerts.laboratory.terminal import Output, progress, wide_console

if TYPE_CHECKING:
    from services.alerts.laboratory.backtest import RuleSet
    from services.alerts.laboratory.trial import Trial

Day = click.DateTime(formats=["%Y-%m-%d"])


@click.command()
@click.option(
    "--rules", "rules_file", required=True, help="YAML documents as they stand in presets",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)  # fmt: skip
@click.option("--from", "from_day", type=Day, help="first day of recorded events")
@click.option("--to", "to_day", type=Day, help="last day, included")
@click.option("--city", "seeds", type=int, multiple=True, help="a generated city instead; repeat")
@click.option("--counties", type=click.IntRange(1), help="of a smaller generated city")
@click.option("--json", "json_file", type=Output, help="write everything there")
@click.option("--plot", "plot_file", type=Output, help="PNG or SVG; needs matplotlib")
def backtest(rules_file: Path, seeds: tuple[int, ...], counties: int | None, **given: Any) -> None:
    """Rules over recorded events or generated cities, beside the rules in force and every single
    stream: found, falsely cried, and how late."""
    from services.alerts.laboratory import backtest_report as report
    from services.alerts.laboratory.comparison import WHOLE, compare

    rules = _read(rules_file)
    days = _days(given["from_day"], given["to_day"], seeds)
    if given["plot_file"] is not None:
        from services.alerts.laboratory.plotting import pyplot

        pyplot()
    console = wide_console()
    with progress(console) as bar:
        if days is None:
            in_force, trials = _generated(rules, seeds, counties, bar)
        else:
            in_force, trials = _recorded(*days)
        task = bar.add_task("rules", total=WHOLE.steps(rules, in_force))
        compared = compare(rules, in_force, trials, advance=lambda: bar.advance(task))
    title = f"{rules.name} over {', '.join(one.name for one in trials)}"
    report.show(console, compared, title)
    if given["json_file"] is not None:
        settings = {"rules": rules.name, "trials": [one.name for one in trials]}
        given["json_file"].write_text(report.as_json(compared, settings))
    if given["plot_file"] is not None:
        report.plot(compared, given["plot_file"])


def _read(file: Path) -> RuleSet:
    from services.alerts.laboratory.backtest import read_rules

    try:
        return read_rules(file)
    except ValidationError as error:
        told = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        lines = "\n  ".join(["document", *told])
        raise click.ClickException(f"{file.name} is no set of rules:\n  {lines}") from error
    except KeyError as error:
        raise click.ClickException(f"{file.name} is no set of rules: no {error}") from error
    except (yaml.YAMLError, TypeError) as error:
        raise click.ClickException(f"{file.name} is no set of rules: {error}") from error


def _days(
    from_day: datetime | None, to_day: datetime | None, seeds: Sequence[int]
) -> tuple[date, date] | None:
    """None where a city is to be generated."""
    if seeds:
        if from_day or to_day:
            raise click.UsageError("--city makes its own days: leave out --from and --to")
        return None
    if from_day is None or to_day is None:
        raise click.UsageError("say --from and --to, or --city SEED")
    if to_day < from_day:
        raise click.UsageError("--to lies before --from")
    return from_day.date(), to_day.date()


def _generated(
    rules: RuleSet, seeds: Sequence[int], counties: int | None, bar: Progress
) -> tuple[RuleSet, list[Trial]]:
    from dataclasses import replace

    from services.alerts.laboratory.backtest import shipped_rules
    from services.alerts.laboratory.generated.city import BLOCK_DAYS, generate
    from services.alerts.laboratory.generated.parameters import whole_extent
    from services.alerts.laboratory.trial import judged_days, trial_of

    extent = whole_extent()
    extent = replace(extent, counties=counties) if counties else extent
    blocks = -(-extent.days // BLOCK_DAYS)
    trials = []
    for seed in seeds:
        task = bar.add_task(f"city {seed}", total=blocks + 1)
        city = generate(seed, extent, advance=lambda task=task: bar.advance(task))  # type: ignore[misc]
        judged = judged_days(city, rules.days_before)
        trials.append(trial_of(city, judged, levels=rules.levels))
        bar.advance(task)
    return shipped_rules(), trials


def _recorded(first: date, last: date) -> tuple[RuleSet, list[Trial]]:
    from services.alerts.app import service
    from services.alerts.laboratory.recorded import recorded_trial, rules_in_force
    from services.commands.session import with_ground
    from shared.ground import Ground

    async def read(ground: Ground) -> tuple[RuleSet, list[Trial]]:
        async with ground.databases[service.name].read() as session:
            return await rules_in_force(session), [await recorded_trial(session, first, last)]

    return with_ground([service], read)
