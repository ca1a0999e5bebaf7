from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.domain.hl7.times import NO_TIME, parse_time

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("text", "at", "precision", "zone_assumed"),
    [
        ("2020", datetime(2019, 12, 31, 16, tzinfo=UTC), "year", False),
        ("202002", datetime(2020, 1, 31, 16, tzinfo=UTC), "month", False),
        ("20200214", datetime(2020, 2, 13, 16, tzinfo=UTC), "day", False),
        ("202002141230", datetime(2020, 2, 14, 4, 30, tzinfo=UTC), "minute", True),
        ("20200214123015", datetime(2020, 2, 14, 4, 30, 15, tzinfo=UTC), "second", True),
        ("202002141230-0600", datetime(2020, 2, 14, 18, 30, tzinfo=UTC), "minute", False),
        (
            "20200214115158.678-0600",
            datetime(2020, 2, 14, 17, 51, 58, 678000, tzinfo=UTC),
            "second",
            False,
        ),
        ("202002140000+1400", datetime(2020, 2, 13, 10, tzinfo=UTC), "minute", False),
    ],
)
def test_sound_times(text: str, at: datetime, precision: str, zone_assumed: bool) -> None:
    parsed = parse_time(text, SHANGHAI)
    assert parsed.at == at
    assert parsed.precision == precision
    assert parsed.zone_assumed is zone_assumed
    assert parsed.problem == ""


def test_a_date_stays_the_date_as_written() -> None:
    assert parse_time("20200214", SHANGHAI).local_date == date(2020, 2, 14)
    assert parse_time("202002142330-0600", SHANGHAI).local_date == date(2020, 2, 14)
    assert parse_time("202002", SHANGHAI).local_date is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("196203520", "time_unreadable"),
        ("2020-02-14", "time_unreadable"),
        ("\x01@@", "time_unreadable"),
        ("２０２０", "time_unreadable"),
        ("20200230", "time_impossible"),
        ("20201301", "time_impossible"),
        ("202002142560", "time_impossible"),
        ("00000101", "time_impossible"),
        ("99991231", "time_impossible"),
    ],
)
def test_no_time_is_made_of_what_is_none(text: str, problem: str) -> None:
    parsed = parse_time(text, SHANGHAI)
    assert parsed.at is None
    assert parsed.problem == problem


@pytest.mark.parametrize("text", ["202005140100001234567890", "2020051401000000"])
def test_a_time_with_too_many_digits_is_cut_and_told(text: str) -> None:
    parsed = parse_time(text, SHANGHAI)
    assert parsed.at == datetime(2020, 5, 13, 17, tzinfo=UTC)
    assert parsed.problem == "time_overlong"


@pytest.mark.parametrize("text", ["202002141230-9999", "202002141230+08000", "202002141230+0"])
def test_an_impossible_offset_is_told_and_the_default_zone_used(text: str) -> None:
    parsed = parse_time(text, SHANGHAI)
    assert parsed.at == datetime(2020, 2, 14, 4, 30, tzinfo=UTC)
    assert parsed.zone_assumed
    assert parsed.problem == "offset_unreadable"


def test_an_empty_time_is_no_problem() -> None:
    assert parse_time("  ", SHANGHAI) == NO_TIME


@given(st.text(alphabet="0123456789.+-Z ", max_size=30))
def test_no_text_crashes(text: str) -> None:
    parsed = parse_time(text, SHANGHAI)
    assert parsed.at is None or parsed.at.tzinfo is UTC


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), st.integers(-720, 840))  # noqa: DTZ001
def test_a_written_time_is_read_back(written: datetime, minutes: int) -> None:
    sign = "-" if minutes < 0 else "+"
    offset = f"{sign}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    parsed = parse_time(f"{written:%Y%m%d%H%M%S}.{written.microsecond:06}{offset}", SHANGHAI)
    expected = datetime.strptime(f"{written:%Y%m%d%H%M%S.%f}{offset}", "%Y%m%d%H%M%S.%f%z")
    assert parsed.at == expected
    assert parsed.local_date == written.date()
