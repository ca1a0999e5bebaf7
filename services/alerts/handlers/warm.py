"""What is made ready before the doors open."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.alerts.domain.judgement import judge
from services.alerts.domain.rules import Rule
from services.alerts.domain.signals import Signal
from shared.service import Room


async def compile_loops(room: Room) -> None:  # noqa: ARG001 - the same for every room
    """The first judgement compiles the loop over windows, which takes seconds: not while a report
    waits."""
    await asyncio.to_thread(_judge_anything)


def _judge_anything() -> None:
    at = datetime(2000, 1, 1, tzinfo=UTC)
    rule = Rule("any", 1, "", "", "blue", frozenset({"any"}), 1, 1, 0, True, timedelta())
    judge([rule], [Signal(UUID(int=0), "any", "any", at)])
