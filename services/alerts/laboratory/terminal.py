"""What the laboratory's commands share on a terminal."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Output = click.Path(dir_okay=False, path_type=Path)
FILE_COLUMNS = 170


def progress(console: Console) -> Progress:
    """Only on a terminal: in a file it would be noise."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def wide_console() -> Console:
    """As wide as the terminal; in a file as wide as the tables need."""
    console = Console()
    return console if console.is_terminal else Console(width=FILE_COLUMNS)
