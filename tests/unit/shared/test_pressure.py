"""When heavy streams give way to the doors."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from shared.pressure import BUSY_WRITES, Pressure


def test_one_batch_of_some_hundred_rows_presses_and_one_report_does_not() -> None:
    pressure = Pressure()
    with pressure.of(400):
        assert not pressure.is_high
        with pressure.of(40_000):
            assert pressure.is_high
        assert not pressure.is_high


def test_many_small_writes_at_once_press() -> None:
    pressure = Pressure()
    with ExitStack() as stack:
        for _ in range(BUSY_WRITES):
            assert not pressure.is_high
            stack.enter_context(pressure.of(400))
        assert pressure.is_high
    assert not pressure.is_high


def test_a_write_that_fails_presses_no_longer() -> None:
    pressure = Pressure()
    with pytest.raises(ValueError, match="refused"), pressure.of(40_000):
        raise ValueError("refused")
    assert (pressure.writes, pressure.bytes) == (0, 0)
    assert not pressure.is_high
