"""`python -m services.alerts`: the service alone; and the laboratory's commands."""

from __future__ import annotations

import click

from services.alerts.app import service
from services.alerts.laboratory.backtest_command import backtest
from services.alerts.laboratory.benchmark_command import benchmark
from shared.runtime import main as run_service


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Alerts. Without a command: run the service."""
    if context.invoked_subcommand is None:
        run_service(service)


main.add_command(backtest)
main.add_command(benchmark)

if __name__ == "__main__":
    main()
