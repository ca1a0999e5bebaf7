"""When heavy streams give way to the doors."""

from __future__ import annotations

import asyncio

import pytest

from shared.pressure import BUSY_ROWS, BUSY_WRITES, Pressure


def test_two_batches_of_a_hundred_rows_press_and_one_does_not() -> None:
    pressure = Pressure()
    seen = [pressure.is_high]
    with pressure.of_rows(100):
        seen.append(pressure.is_high)
        with pressure.of_rows(100):
            seen.append(pressure.is_high)
        seen.append(pressure.is_high)
    assert seen == [False, False, True, False]
    assert pressure.rows == 0


def test_many_small_writes_at_once_press() -> None:
    pressure = Pressure()
    seen = []
    for writes in (BUSY_WRITES - 1, BUSY_WRITES):
        pressure.writes = writes
        with pressure.of_rows(writes):
            seen.append(pressure.is_high)
    assert seen == [False, True]


def test_rows_that_fail_press_no_longer() -> None:
    pressure = Pressure()
    with pytest.raises(ValueError, match="refused"), pressure.of_rows(BUSY_ROWS):
        raise ValueError("refused")
    assert not pressure.is_high


async def test_a_heavy_stream_gives_way_no_longer_than_it_says() -> None:
    pressure = Pressure()
    loop = asyncio.get_running_loop()
    with pressure.of_rows(BUSY_ROWS):
        began = loop.time()
        await pressure.give_way(seconds=0.05)
        assert 0.05 <= loop.time() - began < 1.0


async def test_when_the_doors_are_calm_again_it_goes_on() -> None:
    pressure = Pressure()
    with pressure.of_rows(BUSY_ROWS):
        going = asyncio.create_task(pressure.give_way(seconds=60.0))
        await asyncio.sleep(0)
        assert not going.done()
    await asyncio.wait_for(going, timeout=5.0)
