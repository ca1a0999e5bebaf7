"""What intake refuses as a whole; a bad row inside a batch is told in the answer instead."""

from __future__ import annotations

from shared.errors import Forbidden, NotFound


def no_source() -> Forbidden:
    """The key that was used belongs to no source, so nobody could be answered for the rows."""
    return Forbidden(
        "this key is bound to no source",
        "ask for a key bound to your source; signed-in staff name one of their areas as ?source=",
    )


def not_found(noun: str) -> NotFound:
    """Absent and outside the viewer's areas look alike."""
    return NotFound(f"no such {noun}", "check the id; what lies outside your areas is not shown")
