"""`python -m services`: every service in one process; and the operator's commands.

The only module that sees more than one service.
"""

from __future__ import annotations

import click

from services.alerts.app import service as alerts
from services.commands.keys import keys_of, staff
from services.commands.language import language
from services.commands.letters import letters_of
from services.commands.schema import schema_of
from services.console.app import service as console
from services.intake.app import service as intake
from services.quarantine.app import service as quarantine
from services.tracing.app import service as tracing
from shared.runtime import main as run_services

SERVICES = (intake, tracing, quarantine, alerts, console)


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Outpost 前哨. Without a command: run every service in this process."""
    if context.invoked_subcommand is None:
        run_services(*SERVICES)


@main.command()
@click.option(
    "--once", is_flag=True, help="play to the end without a browser, print the balance, exit"
)
def demo(once: bool) -> None:
    """A generated town, the business clock running fast, a seeded outbreak."""
    from services.demo.play import play

    raise SystemExit(play(SERVICES, once=once))


main.add_command(keys_of(SERVICES))
main.add_command(staff)
main.add_command(language)
main.add_command(letters_of(SERVICES))
main.add_command(schema_of(SERVICES))

if __name__ == "__main__":
    main()
