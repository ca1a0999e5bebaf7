"""When heavy streams give way to the doors."""

from __future__ import annotations

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
