"""How far apart the turns of a loop are."""

from __future__ import annotations

import asyncio

from shared.delivery.supervision import REST_MOST_SECONDS, Pace
from tests.eventually import eventually


async def rested(pace: Pace, *, worked_seconds: float) -> float:
    """Seconds until the next turn may begin, after one of that length."""
    now = asyncio.get_running_loop().time
    await pace.wait()
    began = now()

    async def long_enough() -> bool:
        return now() >= began + worked_seconds

    await eventually(long_enough)
    pace.worked()
    ended = now()
    await pace.wait()
    return now() - ended


async def test_a_loop_rests_as_long_as_it_worked() -> None:
    assert await rested(Pace(0.0), worked_seconds=0.02) >= 0.019


async def test_after_a_very_long_turn_it_rests_no_longer_than_the_most() -> None:
    rest = await rested(Pace(0.0), worked_seconds=0.4)
    assert REST_MOST_SECONDS - 0.001 <= rest < 0.4


async def test_what_comes_after_a_pause_waits_for_nothing() -> None:
    pace = Pace(0.05)
    await rested(pace, worked_seconds=0.0)
    loop = asyncio.get_running_loop()
    due = loop.time() + 0.06

    async def paused() -> bool:
        return loop.time() >= due

    await eventually(paused)
    began = loop.time()
    await pace.wait()
    assert loop.time() - began < 0.01
