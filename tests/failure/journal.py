"""What processes did before they died, in a file that outlives them.

One line per entry, written with one `write` on a file opened to append: a line is whole or absent,
and several processes may share the file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HEARD, REACHED, STARTED = "heard", "reached", "started"


@dataclass(frozen=True, slots=True)
class Entry:
    """`subject`: a consumer group, or the name of a loop. `content`: event ids, or a point."""

    process_id: int
    kind: str
    subject: str = ""
    content: str = ""

    @property
    def event_ids(self) -> list[str]:
        return self.content.split()


class Journal:
    """The writing side, in the process under test."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: str) -> Journal:
        return cls(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))

    def started(self) -> None:
        self._write(STARTED, "", "")

    def heard(self, group: str, event_ids: Sequence[str]) -> None:
        self._write(HEARD, group, " ".join(event_ids))

    def reached(self, task: str, point: str) -> None:
        self._write(REACHED, task, point)

    def _write(self, kind: str, subject: str, content: str) -> None:
        os.write(self._descriptor, f"{os.getpid()}\t{kind}\t{subject}\t{content}\n".encode())


def read_journal(path: Path) -> list[Entry]:
    """Every entry so far, oldest first."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    return [Entry(int(parts[0]), *parts[1:]) for parts in (line.split("\t") for line in lines)]


def last_batch(entries: Sequence[Entry], process_id: int, group: str) -> list[str]:
    """The events that this process's group applied since it last reached a point before its end."""
    found: list[str] = []
    mine = [one for one in entries if (one.process_id, one.subject) == (process_id, group)]
    assert mine, f"process {process_id} has no entry of {group}"
    assert mine[-1].kind == REACHED, "the last thing it did was to reach the point it died at"
    for entry in reversed(mine[:-1]):
        if entry.kind == REACHED:
            break
        found.extend(entry.event_ids)
    return found
