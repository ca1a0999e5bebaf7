"""Headers of a message as one text, for tables: the outbox, the dead letters, the embedded log.

Every scan is packed and unpacked some five times on its way, so the usual headers, which are ASCII
without control characters, are joined by a separator, and stay so until somebody reads them.
Anything else is written as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import overload

SEPARATOR = "\x1f"

Header = tuple[str, bytes]
Headers = Sequence[Header]


class PackedHeaders(Sequence[Header]):
    """Headers as they are joined; equal to the same headers in a tuple."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __iter__(self) -> Iterator[Header]:
        parts = self.text.split(SEPARATOR)
        for at in range(1, len(parts), 2):
            yield parts[at], parts[at + 1].encode()

    def __len__(self) -> int:
        return self.text.count(SEPARATOR) // 2

    @overload
    def __getitem__(self, at: int) -> Header: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Header, ...]: ...
    def __getitem__(self, at: int | slice) -> Header | tuple[Header, ...]:
        return tuple(self)[at]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


def pack_headers(headers: Headers) -> str:
    """Any bytes in a value survive; PostgreSQL can store the text."""
    if isinstance(headers, PackedHeaders):
        return headers.text
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
    """The inverse of `pack_headers`; raises `ValueError` for what it never wrote."""
    if packed[:1] == SEPARATOR:
        if packed.count(SEPARATOR) % 2:
            raise ValueError("a name without a value")
        return PackedHeaders(packed)
    if not packed:
        return ()
    return tuple(
        (name, value.encode("utf-8", "surrogateescape")) for name, value in json.loads(packed)
    )


def value_of(headers: Headers, name: str) -> str | None:
    """The first value under this name; of packed headers the first of all is found unopened."""
    if isinstance(headers, PackedHeaders) and headers.text.startswith(name, 1):
        start, found, value, *_ = f"{headers.text}{SEPARATOR}".split(SEPARATOR, 3)
        if not start and found == name:
            return value
    return next((value.decode(errors="replace") for told, value in headers if told == name), None)


def size_of(headers: Headers) -> int:
    """In bytes, roughly: what joins them counts where they are joined."""
    if isinstance(headers, PackedHeaders):
        return len(headers.text)
    return sum(len(name) + len(value) for name, value in headers)


def _as_json(headers: Headers) -> str:
    return json.dumps([[name, value.decode("utf-8", "surrogateescape")] for name, value in headers])
