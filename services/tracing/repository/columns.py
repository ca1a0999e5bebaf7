"""All rows of a table as columns: some pages at a time, each column packed into one string.

PostgreSQL sends a message for every row of a COPY, and the length of every field: packing the
columns costs it less than that, and whoever reads them a fifth.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.tracing.domain.city.times import NEVER
from shared.database.work import ReadSession

Array = NDArray[Any]
HEADER_BYTES, PIECE_BYTES = 19, 8 * 1024 * 1024
FIELDS, LENGTH = struct.Struct(">h"), struct.Struct(">i")
# Enough rows for the step from one row of strings to the next to cost nothing; a megabyte or less.
PAGES = 64
# PostgreSQL counts from 2000-01-01 and says infinity by the largest number, as we do.
SINCE_2000 = 946_684_800_000_000
PACKED = {
    "id": "uuid_send({0})",
    "instant": "timestamptz_send(coalesce({0}, 'infinity'))",
    "number": "int8send({0})",
}


class Column(NamedTuple):
    """An id is 16 bytes; an instant is microseconds, and `NEVER` where it is not known."""

    name: str
    kind: Literal["id", "instant", "number"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Which columns of which rows, and the column of text that they are told apart by, if any."""

    table: str
    columns: Sequence[Column]
    condition: str
    key: str | None = None

    @property
    def sql(self) -> str:
        """Each range of pages is aggregated alone. A page that the table had in this snapshot is
        below its size now."""
        strings = ", ".join(
            f"string_agg({PACKED[column.kind].format(column.name)}, '')" for column in self.columns
        )
        key, group = (self.key, f"GROUP BY {self.key}") if self.key else ("CAST('' AS text)", "")
        return f"""
            SELECT part.* FROM generate_series(
                0, pg_relation_size('{self.table}') / current_setting('block_size')::int, {PAGES}
            ) AS page CROSS JOIN LATERAL (
                SELECT {key}, {strings} FROM {self.table}
                WHERE {self.condition} AND ctid >= CAST('(' || page || ',0)' AS tid)
                    AND ctid < CAST('(' || page + {PAGES} || ',0)' AS tid)
                {group} OFFSET 0
            ) AS part
        """  # noqa: S608 - put together from names and dates of our own

    def columns_of(self, strings: Sequence[bytes]) -> list[Array]:
        return [
            _unpacked(column, string)
            for column, string in zip(self.columns, strings, strict=True)
        ]  # fmt: skip


def _unpacked(column: Column, string: bytes) -> Array:
    if column.kind == "id":
        return np.frombuffer(string, dtype=np.uint8).reshape(-1, 16)
    values: Array = np.frombuffer(string, dtype=">i8").astype(np.int64)
    if column.kind == "instant":
        values[values != NEVER] += SINCE_2000
    return values


# The key of the rows, and their columns.
Take = Callable[[str, list[Array]], None]


async def read_columns(
    session: ReadSession, rows: Rows, take: Take, progress: Callable[[int], object] | None = None
) -> None:
    """Hand on all of these rows; `progress` is told how many so far.

    `take` is called in a thread, once at a time: the next piece arrives meanwhile, and people are
    answered.
    """
    pieces = _Pieces(rows, take, progress or (lambda _: None))
    await session.copy_out(rows.sql, pieces.add)
    await pieces.end()


class _Pieces:
    """What COPY sends, read some megabytes at a time; never more than two pieces are held."""

    def __init__(self, rows: Rows, take: Take, progress: Callable[[int], object]) -> None:
        self._rows, self._take, self._progress = rows, take, progress
        self._arriving = bytearray()
        self._reading: asyncio.Task[None] | None = None
        # Only the thread that reads a piece touches these two.
        self._left_over = b""
        self._begun = False
        self._count = 0

    async def add(self, message: bytes) -> None:
        self._arriving += message
        if len(self._arriving) >= PIECE_BYTES:
            await self._read_next()

    async def end(self) -> None:
        await self._read_next()
        await self._read_next()

    async def _read_next(self) -> None:
        """Begin with the next piece when the one before is done."""
        if self._reading is not None:
            await self._reading
            self._progress(self._count)
        piece, self._arriving = bytes(self._arriving), bytearray()
        self._reading = asyncio.create_task(asyncio.to_thread(self._read, piece))

    def _read(self, piece: bytes) -> None:
        """Every row that is whole; the rest waits for the next piece."""
        parts: dict[str, list[list[bytes]]] = {}
        for key, *strings in self._fields(self._left_over + piece):
            if strings[0]:
                parts.setdefault(key.decode(), []).append(strings)
        for name, several in parts.items():
            joined = [b"".join(strings) for strings in zip(*several, strict=True)]
            columns = self._rows.columns_of(joined)
            self._take(name, columns)
            self._count += len(columns[0])

    def _fields(self, sent: bytes) -> Iterator[list[bytes]]:
        at = 0
        if not self._begun and len(sent) >= HEADER_BYTES:
            at, self._begun = HEADER_BYTES, True
        while self._begun and (found := _row(sent, at)) is not None:
            fields, at = found
            # The end mark is a row without fields.
            if fields:
                yield fields
        self._left_over = sent[at:]


def _row(sent: bytes, at: int) -> tuple[list[bytes], int] | None:
    """The fields of the row that begins there, and where the next one does; None: not all is
    there. Nothing at all (NULL) reads as an empty string."""
    if len(sent) < at + FIELDS.size:
        return None
    (count,) = FIELDS.unpack_from(sent, at)
    at += FIELDS.size
    fields = []
    for _ in range(count):
        if len(sent) < at + LENGTH.size:
            return None
        size = max(LENGTH.unpack_from(sent, at)[0], 0)
        at += LENGTH.size
        if len(sent) < at + size:
            return None
        fields.append(sent[at : at + size])
        at += size
    return fields, at
