"""Headers of a message as one text, for tables: the outbox, the dead letters, the embedded log.

Every scan is packed and unpacked some five times on its way, so the usual headers, which are ASCII
without control characters, are joined by a separator, and taken apart only when somebody looks at
them. Anything else is written as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import overload

SEPARATOR = "\x1f"

Header = tuple[str, bytes]
Headers = Sequence[Header]


class PackedHeaders(Sequence[Header]):
    """Headers that are read where they are looked at; `packed` begins with the separator."""

    __slots__ = ("packed",)

    def __init__(self, packed: str) -> None:
        self.packed = packed

    def __iter__(self) -> Iterator[Header]:
        parts = self.packed.split(SEPARATOR)
        for place in range(1, len(parts), 2):
            yield parts[place], parts[place + 1].encode()

    def __len__(self) -> int:
        return self.packed.count(SEPARATOR) // 2

    @overload
    def __getitem__(self, place: int) -> Header: ...
    @overload
    def __getitem__(self, place: slice) -> Headers: ...
    def __getitem__(self, place: int | slice) -> Header | Headers:
        return tuple(self)[place]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


def pack_headers(headers: Headers) -> str:
    """Any bytes in a value survive; PostgreSQL can store the text."""
    if isinstance(headers, PackedHeaders):
        return headers.packed
    parts = [""]
    try:
        for name, value in headers:
            parts += (name, value.decode("ascii"))
    except UnicodeDecodeError:
        return _as_json(headers)
    packed = SEPARATOR.join(parts)
    if packed.count(SEPARATOR) != len(parts) - 1 or "\x00" in packed:
        return _as_json(headers)
    return packed


def unpack_headers(packed: str) -> Headers:
    """The inverse of `pack_headers`. `ValueError` for what is not its result."""
    if packed[:1] == SEPARATOR:
        if packed.count(SEPARATOR) % 2:
            raise ValueError("a name without a value")
        return PackedHeaders(packed)
    if not packed:
        return ()
    return tuple(
        (name, value.encode("utf-8", "surrogateescape")) for name, value in json.loads(packed)
    )


def size_of(headers: Headers) -> int:
    """Bytes of names and values; of packed ones with the separators between them."""
    if isinstance(headers, PackedHeaders):
        return len(headers.packed)
    return sum(len(name) + len(value) for name, value in headers)


def _as_json(headers: Headers) -> str:
    return json.dumps([[name, value.decode("utf-8", "surrogateescape")] for name, value in headers])
