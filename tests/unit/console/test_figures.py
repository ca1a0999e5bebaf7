"""Counters, signals, times and the throttle."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.console.domain.balance import LINES_MOST, Counts, balance_of
from services.console.domain.signals import SignalCount, signals_by_area
from services.console.domain.throttle import Limits, Throttle
from services.console.domain.times import format_instant, format_offset, format_span, zone_named

DAY = date(2026, 11, 22)
AT = datetime(2026, 11, 22, 15, 50, tzinfo=UTC)


def counts(**changes: object) -> Counts:
    values: dict[str, object] = {
        "source_id": "a",
        "source": "clinic",
        "day": DAY,
        "door": "hl7v2",
        "received": 10,
        "stored": 7,
        "duplicate": 2,
        "rejected": 1,
    }
    return Counts(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "right"),
    [
        ({}, True),
        ({"kept": 7, "refused": 1}, True),
        ({"received": 11}, False),
        ({"kept": 6, "refused": 1}, False),
        ({"kept": 7, "refused": 0}, False),
    ],
)
def test_a_line_adds_up_only_as_told_and_as_kept(changes: dict[str, int], right: bool) -> None:
    assert counts(**changes).adds_up is right


def test_one_wrong_door_makes_the_day_wrong_even_where_the_sums_agree() -> None:
    balance = balance_of([counts(received=11), counts(door="scans", received=9)])
    assert len(balance.lines) == 1
    assert (balance.lines[0].received, balance.lines[0].stored) == (20, 14)
    assert not balance.lines[0].adds_up
    assert not balance.adds_up


def test_old_days_are_shown_only_where_they_are_wrong() -> None:
    days = [counts(day=DAY - timedelta(days=back)) for back in range(5)]
    wrong = counts(day=DAY - timedelta(days=30), received=0)
    balance = balance_of([*days, wrong])
    assert [line.day for line in balance.lines] == [wrong.day, DAY, DAY - timedelta(days=1)]
    assert balance.hidden == 3


def test_a_long_balance_is_cut_but_its_verdict_is_not() -> None:
    many = [counts(source_id=str(number), source=f"s{number:03}") for number in range(100)]
    balance = balance_of([*many, counts(source_id="z", source="zz", received=0)])
    assert len(balance.lines) == LINES_MOST
    assert balance.lines[0].source == "zz"
    assert not balance.adds_up


def test_the_area_with_most_signals_stands_first_and_fills_its_bar() -> None:
    def of(area_id: str, kind: str, signals: int) -> SignalCount:
        return SignalCount(area_id, kind, signals, 1, 1, None)

    areas = signals_by_area([of("x", "school", 1), of("y", "school", 3), of("y", "pharmacy", 5)])
    assert [(area.area_id, area.signals, area.share) for area in areas] == [
        ("y", 8, 1.0),
        ("x", 1, 0.125),
    ]
    assert [kind.point_kind for kind in areas[0].kinds] == ["pharmacy", "school"]


def test_instants_are_read_in_the_areas_zone() -> None:
    shanghai, kathmandu = zone_named("Asia/Shanghai"), zone_named("Asia/Kathmandu")
    assert format_instant(AT, shanghai) == "2026-11-22 23:50"
    assert format_span(AT, AT + timedelta(minutes=20), shanghai) == "11-22 23:50 – 11-23 00:10"
    assert format_span(AT, AT, shanghai) == "11-22 23:50"
    assert format_offset(AT, shanghai) == "UTC+8"
    assert format_offset(AT, kathmandu) == "UTC+5:45"
    assert format_offset(AT, ZoneInfo("America/St_Johns")) == "UTC-3:30"
    assert zone_named("Nowhere/Land") is UTC
    assert zone_named(None) is UTC


def test_a_login_waits_after_its_failures_and_only_as_long_as_they_are_recent() -> None:
    throttle = Throttle(Limits(per_login=3, login_seconds=60.0))
    for at in (0.0, 10.0, 20.0):
        assert throttle.wait_seconds("Ann", at) == 0.0
        throttle.failed("Ann", at)
    assert throttle.wait_seconds(" ann ", 21.0) == 39.0
    assert throttle.wait_seconds("ben", 21.0) == 0.0
    assert throttle.wait_seconds("ann", 60.0) == 0.0


def test_success_forgets_the_failures_of_that_login() -> None:
    throttle = Throttle(Limits(per_login=1))
    throttle.failed("ann", 0.0)
    throttle.succeeded("ann")
    assert throttle.wait_seconds("ann", 1.0) == 0.0


def test_many_logins_together_wait_too_and_memory_stays_bounded() -> None:
    throttle = Throttle(Limits(overall=50, overall_seconds=60.0, logins=20))
    for number in range(1000):
        throttle.failed(f"login-{number}", 1.0)
    assert throttle.remembered == 20
    assert throttle.wait_seconds("never seen", 2.0) == 59.0
    assert throttle.wait_seconds("never seen", 61.0) == 0.0
