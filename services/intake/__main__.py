"""`python -m services.intake`: this service alone; with a command, register and replay."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from services.commands.session import with_ground
from services.intake.app import service
from services.intake.domain.areas import read_area_file
from services.intake.domain.vault import Vault
from services.intake.handlers.areas import register_areas
from services.intake.handlers.desk import Desk
from services.intake.handlers.persons import register_persons
from services.intake.handlers.places import register_places
from services.intake.handlers.replay import REPLAYABLE, WAITING, replay_messages
from services.intake.handlers.sources import register_source
from services.intake.repository.messages import WaitingFor
from services.intake.schemas.registry import PersonIn, PlaceIn, SourceIn
from services.intake.schemas.rows import Shape
from shared.database.work import Actor
from shared.ground import Ground
from shared.runtime import main as run_service

COMMAND = Actor("command")
Result = TypeVar("Result")
AnyShape = TypeVar("AnyShape", bound=Shape)


class _Now:
    """A command reads no copies, so they are never stale to it."""

    def stale_seconds(self, purpose: str) -> float:  # noqa: ARG002
        return 0.0


def _with_desk(act: Callable[[Desk], Awaitable[Result]]) -> Result:
    def on(ground: Ground) -> Awaitable[Result]:
        vault = Vault.from_text(ground.secrets.vault_key)
        return act(Desk(ground.databases["intake"], vault, _Now(), 0.0))

    return with_ground([service], on)


def _read(shape: type[AnyShape], content: dict[str, Any]) -> AnyShape:
    """The options as a registration; what is wrong is told by field, never by value."""
    try:
        return shape.model_validate({name: one for name, one in content.items() if one is not None})
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
            for one in error.errors(include_input=False, include_url=False)
        )
        raise click.ClickException(told) from error


def _tell(told: Any) -> None:
    click.echo(json.dumps(told, default=str, ensure_ascii=False))


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Intake. Without a command: run this service in this process."""
    if context.invoked_subcommand is None:
        run_service(service)


@main.group()
def source() -> None:
    """Who sends: clinics, laboratories, checkpoints, schools."""


@source.command("register")
@click.argument("name")
@click.option("--kind", required=True, help="fever_clinic, laboratory, checkpoint, school, …")
@click.option("--source-id", help="keep this id; without it one is made")
@click.option("--place-code", help="the code of the source's own place")
@click.option("--facility-namespace", help="MSH-4.1: both parts together name a facility")
@click.option("--facility-universal-id", help="MSH-4.2")
@click.option("--default-zone", help="for times without an offset; Asia/Shanghai unless told")
@click.option("--encoding", help="the character set of its messages, when they name none")
@click.option("--mode", type=click.Choice(["live", "test"]))
def register_one_source(**content: Any) -> None:
    """Register or change a source by its name, and replay what waited for it."""
    wanted = _read(SourceIn, content)

    async def act(desk: Desk) -> dict[str, Any]:
        told = await register_source(desk.database, wanted.read(), actor=COMMAND)
        waiting = WaitingFor(
            told["source_id"], wanted.facility_namespace, wanted.facility_universal_id
        )
        told["replayed"] = await replay_messages(desk, actor=COMMAND, source=waiting)
        return told

    _tell(_with_desk(act))


@main.group()
def place() -> None:
    """Where things happen."""


@place.command("register")
@click.argument("code")
@click.option("--kind", required=True, help="station, school, restaurant, fever_clinic, …")
@click.option("--area-id", help="such as cn:340102")
@click.option("--name-zh")
@click.option("--name-en")
def register_one_place(**content: Any) -> None:
    """Register or change a place by the code on its door."""
    wanted = _read(PlaceIn, content).read()
    _tell(_with_desk(lambda desk: register_places(desk.database, [wanted], actor=COMMAND)))


@main.group()
def person() -> None:
    """Who there is. Told by file only: a name on a command line stays in the shell history."""


@person.command("register")
@click.argument("file", type=click.File("r", encoding="utf-8"))
def register_from_file(file: Any) -> None:
    """Register the persons of a JSON file (`-`: standard input), one object or an array."""
    content = json.load(file)
    rows = content if isinstance(content, list) else [content]
    wanted = [_read(PersonIn, row).read() for row in rows]
    _tell(
        _with_desk(lambda desk: register_persons(desk.database, desk.vault, wanted, actor=COMMAND))
    )


@main.group()
def areas() -> None:
    """The area tree."""


@areas.command("load")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
def load_areas(files: tuple[Path, ...]) -> None:
    """Load trees as their publishers write them (divisions, townships); again is harmless."""
    try:
        wanted = [
            area
            for file in files
            for area in read_area_file(json.loads(file.read_text(encoding="utf-8")))
        ]
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    _tell(_with_desk(lambda desk: register_areas(desk.database, wanted, actor=COMMAND)))


@main.group()
def messages() -> None:
    """Kept messages."""


@messages.command("replay")
@click.option("--state", type=click.Choice(REPLAYABLE), default=WAITING, show_default=True)
def replay(state: str) -> None:
    """Give kept messages the effect they could not have when they came."""
    told = _with_desk(lambda desk: replay_messages(desk, actor=COMMAND, state=state))
    click.echo(f"{told} replayed")


if __name__ == "__main__":
    main()
