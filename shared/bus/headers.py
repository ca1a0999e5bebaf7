"""Headers of a message as one text, for tables: the outbox, the dead letters, the embedded log.

Every scan is packed and unpacked some five times on its way, so the usual headers, which are ASCII
without control characters, are joined by a separator. Anything else is written as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

SEPARATOR = "\x1f"


def pack_headers(headers: Sequence[tuple[str, bytes]]) -> str:
    """Any bytes in a value survive; PostgreSQL can store the text."""
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


def unpack_headers(packed: str) -> tuple[tuple[str, bytes], ...]:
    """The inverse of `pack_headers`."""
    if packed[:1] == SEPARATOR:
        parts = packed.split(SEPARATOR)
        return tuple(zip(parts[1::2], map(str.encode, parts[2::2]), strict=True))
    if not packed:
        return ()
    return tuple(
        (name, value.encode("utf-8", "surrogateescape")) for name, value in json.loads(packed)
    )


def _as_json(headers: Sequence[tuple[str, bytes]]) -> str:
    return json.dumps([[name, value.decode("utf-8", "surrogateescape")] for name, value in headers])
