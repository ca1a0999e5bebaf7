"""How old the copies may be that a process judges by."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace
from typing import Any, cast

from shared.runtime import _Freshness


def freshness(caught_up_at: float | None) -> _Freshness:
    loop = SimpleNamespace(name="intake.copies", caught_up_at=caught_up_at)
    runtime, service = SimpleNamespace(consumers=[loop]), SimpleNamespace(name="intake")
    return _Freshness(cast(Any, runtime), cast(Any, service))


def test_copies_that_were_never_caught_up_are_stale_from_the_first_second() -> None:
    assert freshness(None).stale_seconds("copies") == math.inf


def test_copies_are_as_old_as_the_last_time_nothing_was_left() -> None:
    assert 10 <= freshness(time.monotonic() - 10).stale_seconds("copies") < 12


def test_a_group_that_does_not_run_here_is_never_fresh() -> None:
    assert freshness(time.monotonic()).stale_seconds("facts") == math.inf
