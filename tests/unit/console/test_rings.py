"""The picture of two degrees, the chips, and what a question keeps of what was typed."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import pytest

from services.console.domain.cases import Met, chips_of, whole
from services.console.domain.rings import (
    DOT_ROWS,
    MIDDLE,
    SECTORS_LEAST,
    SECTORS_MOST,
    SIZE,
    rings_of,
)

DAY = date(2026, 11, 20)
AT = datetime(2026, 11, 20, tzinfo=UTC)


def test_nobody_is_no_picture() -> None:
    assert rings_of([], []).sectors == ()


def test_every_person_is_counted_at_the_day_of_first_exposure() -> None:
    days = [DAY, DAY, DAY + timedelta(days=2)]
    rings = rings_of(days, [DAY + timedelta(days=8)])
    assert [sector.close for sector in rings.sectors] == [2, 0, 1, 0, 0, 0, 0, 0, 0]
    assert [sector.second for sector in rings.sectors] == [0] * 8 + [1]
    assert [len(sector.dots) for sector in rings.sectors][:3] == [2, 0, 1]
    assert [bool(sector.bar) for sector in rings.sectors] == [False] * 8 + [True]


def test_few_days_are_followed_by_empty_ones() -> None:
    assert len(rings_of([DAY], []).sectors) == SECTORS_LEAST


def test_many_days_share_sectors() -> None:
    rings = rings_of([DAY, DAY + timedelta(days=39)], [])
    assert rings.days_each == 3
    assert len(rings.sectors) == SECTORS_MOST
    assert rings.sectors[-1].last_day >= DAY + timedelta(days=39)


@pytest.mark.parametrize("persons", [1, 40, 5_000])
def test_everything_stays_inside_the_picture_and_no_dot_covers_another(persons: int) -> None:
    days = [DAY + timedelta(days=number % SECTORS_MOST) for number in range(persons)]
    rings = rings_of(days, days)
    dots = [dot for sector in rings.sectors for dot in sector.dots]
    for point in [*dots, *(sector.count for sector in rings.sectors)]:
        assert 8 < point.x < SIZE - 8
        assert 8 < point.y < SIZE - 8
    assert all(math.dist((dot.x, dot.y), (MIDDLE, MIDDLE)) < DOT_ROWS[-1] + 1 for dot in dots)
    apart = [
        math.dist((one.x, one.y), (other.x, other.y))
        for number, one in enumerate(dots)
        for other in dots[:number]
    ]
    assert min(apart, default=100) > 10


def met(code: str, kind: str, minutes: float, *, hour: int = 0) -> Met:
    at = AT + timedelta(hours=hour)
    return Met(code, None, kind, minutes, at, at + timedelta(minutes=minutes))


def test_meetings_of_one_kind_are_one_chip_in_order_of_the_first() -> None:
    chips = chips_of(
        [
            met("visit", "school", 30, hour=5),
            met("visit", "school", 15.2, hour=3),
            met("membership", "household", 9_999, hour=4),
            met("encounter", "", 0.2, hour=1),
        ]
    )
    told = [(chip.code, chip.kind, chip.minutes, chip.times) for chip in chips]
    assert told == [
        ("encounter", "", "<1", 1),
        ("visit", "school", "45", 2),
        ("membership", "household", "", 1),
    ]


def test_minutes_are_whole() -> None:
    assert [whole(one) for one in (0, 0.4, 18.833, 1_240)] == ["0", "<1", "19", "1,240"]
