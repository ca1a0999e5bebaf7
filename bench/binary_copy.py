"""Rows in PostgreSQL's binary COPY format, made column by column: no step for a single row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from bench.city_dice import Array

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
# Microseconds from 1970 to 2000, where PostgreSQL begins to count.
EPOCH = 946_684_800_000_000


@dataclass(frozen=True)
class Cells:
    """One column of a chunk: the value of each row in as many bytes as the widest takes, or one
    value for all rows. `lengths`: how many of them are meant, -1 for NULL; None: all."""

    values: Array
    lengths: Array | None = None

    @property
    def width(self) -> int:
        return int(self.values.shape[-1])


def uuids(ids: Array) -> Cells:
    """From rows of 16 bytes."""
    return Cells(ids)


def one_uuid(value: UUID) -> Cells:
    return Cells(np.frombuffer(value.bytes, dtype=np.uint8))


def instants(micros: Array, *, never: int | None = None) -> Cells:
    """`timestamptz`; NULL where it is `never`."""
    lengths = None if never is None else np.where(micros == never, -1, 8)
    return Cells(_bytes(micros - EPOCH, ">i8"), lengths)


def integers(values: Array) -> Cells:
    return Cells(_bytes(values, ">i4"))


def long_integers(values: Array) -> Cells:
    return Cells(_bytes(values, ">i8"))


def floats(values: Array) -> Cells:
    return Cells(_bytes(values, ">f8"))


def one_integer(value: int) -> Cells:
    return Cells(np.frombuffer(value.to_bytes(4, "big"), dtype=np.uint8))


def one_boolean(*, value: bool) -> Cells:
    return Cells(np.array([value], dtype=np.uint8))


def words(codes: Array, names: Sequence[str]) -> Cells:
    """`text`: the name that each row's number stands for; ASCII only."""
    table = np.array(names, dtype="S")
    lengths = np.array([len(name) for name in names])[codes]
    return Cells(table.view(np.uint8).reshape(len(names), -1)[codes], lengths)


def pack(columns: Sequence[Cells], rows: int) -> bytes:
    """The rows, without header and trailer."""
    fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = [("columns", ">i2")]
    for number, cells in enumerate(columns):
        fields.append((f"length {number}", ">i4"))
        if cells.width:
            fields.append((f"value {number}", "u1", (cells.width,)))
    packed = np.empty(rows, dtype=np.dtype(fields))
    packed["columns"] = len(columns)
    for number, cells in enumerate(columns):
        packed[f"length {number}"] = cells.width if cells.lengths is None else cells.lengths
        if cells.width:
            packed[f"value {number}"] = cells.values
    raw = packed.view(np.uint8).reshape(rows, packed.itemsize)
    return _without_padding(raw, packed.dtype, columns).tobytes()


def _without_padding(raw: Array, shape: np.dtype[np.void], columns: Sequence[Cells]) -> Array:
    """What a NULL or a short text leaves over of its column's width must not be sent."""
    uneven = [
        number for number, cells in enumerate(columns) if cells.width and cells.lengths is not None
    ]
    if not uneven or shape.fields is None:
        return raw
    sent = np.ones(raw.shape, dtype=np.bool_)
    for number in uneven:
        cells, start = columns[number], shape.fields[f"value {number}"][1]
        meant = np.asarray(cells.lengths).reshape(-1, 1)
        sent[:, start : start + cells.width] = np.arange(cells.width) < meant
    kept: Array = raw[sent]
    return kept


def _bytes(values: Array, kind: str) -> Array:
    return np.ascontiguousarray(values.astype(kind)).view(np.uint8).reshape(len(values), -1)
