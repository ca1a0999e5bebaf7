"""When heavy streams give way to the doors."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from shared.pressure import BUSY_WRITES, Pressure


def _pressed_by(*bodies: int) -> bool:
    """With writes of so many bytes in flight at once."""
    pressure = Pressure()
    with ExitStack() as stack:
        for body_bytes in bodies:
            stack.enter_context(pressure.of(body_bytes))
        return pressure.is_high


def test_one_batch_of_some_hundred_rows_presses_and_one_report_does_not() -> None:
    assert not _pressed_by(400)
    assert _pressed_by(400, 40_000)
    pressure = Pressure()
    with pressure.of(40_000):
        pass
    assert (pressure.writes, pressure.bytes) == (0, 0)


def test_many_small_writes_at_once_press() -> None:
    assert not _pressed_by(*[400] * (BUSY_WRITES - 1))
    assert _pressed_by(*[400] * BUSY_WRITES)


def test_a_write_that_fails_presses_no_longer() -> None:
    pressure = Pressure()
    with pytest.raises(ValueError, match="refused"), pressure.of(40_000):
        raise ValueError("refused")
    assert (pressure.writes, pressure.bytes) == (0, 0)
