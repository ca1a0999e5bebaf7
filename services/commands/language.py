"""`language`: the documents of the event log, written from the models."""

from __future__ import annotations

import json
from pathlib import Path

import click

from shared.bus.asyncapi import asyncapi_document, schema_of
from shared.bus.envelope import EVENT_TYPES


@click.group()
def language() -> None:
    """Event types: AsyncAPI document and frozen schemas."""


@language.command("document")
@click.argument("path", type=click.Path(path_type=Path), default=Path("docs/asyncapi.json"))
def document(path: Path) -> None:
    """Write the AsyncAPI document."""
    path.write_text(json.dumps(asyncapi_document(), indent=1, ensure_ascii=False) + "\n", "utf-8")
    click.echo(path)


@language.command("freeze")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("tests/contract/schemas"))
def freeze(folder: Path) -> None:
    """Freeze the schema of every type as it is; grown types are frozen anew, none may shrink."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, event in EVENT_TYPES.items():
        text = json.dumps(schema_of(event), indent=1, sort_keys=True, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", "utf-8")
    click.echo(f"{len(EVENT_TYPES)} types in {folder}")
