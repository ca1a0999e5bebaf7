"""What is changed in the driver, in one place."""

from __future__ import annotations

from asyncpg.protocol import protocol


def take_lists_for_arrays() -> None:
    """Only lists and tuples are arrays.

    For every element of every array asyncpg asks two abstract base classes whether it is an array
    itself. At 5,000 scans a second that was a tenth of the processor time of the doors; asked of
    two types it is nothing. Where the driver has no such names any more nothing is changed.
    """
    if hasattr(protocol, "IterableABC"):
        protocol.IterableABC = (list, tuple)
