"""Named points of the delivery path where a failure test may end the process. In production:
nothing.
"""

from __future__ import annotations

from typing import Protocol


class Faults(Protocol):
    """`reach` is awaited at every named point; a test's implementation kills the process there."""

    async def reach(self, point: str) -> None: ...


class NoFaults:
    """The real one."""

    async def reach(self, point: str) -> None:
        """Nothing happens at `point`."""
