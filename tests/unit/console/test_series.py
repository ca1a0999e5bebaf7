"""The picture of a series: what is drawn where."""

from __future__ import annotations

from datetime import date, timedelta

from services.console.domain.series import SeriesDay, SeriesName, figure_of

NAME = SeriesName("cn:1", "pharmacy", "fever")
MONDAY = date(2020, 2, 17)


def told(
    number: int, observed: int | None, *, lit: bool = False, limit: float | None = 9.0
) -> SeriesDay:
    return SeriesDay(MONDAY + timedelta(days=number), observed, 5.0, limit, None, lit)


def test_a_bar_is_as_high_as_its_count_and_the_limit_lies_between() -> None:
    figure = figure_of(NAME, [told(0, 5), told(1, 10), told(2, 20, lit=True)])
    usual, over, lit = figure.bars
    assert (usual.state, over.state, lit.state) == ("usual", "over", "lit")
    assert over.height == 2 * usual.height
    assert lit.height == 4 * usual.height
    assert all(abs(bar.y + bar.height - figure.floor) < 0.2 for bar in figure.bars)
    [limit] = figure.limit
    at = float(limit.split()[0].split(",")[1])
    assert over.y < at < usual.y
    assert [tick.label for tick in figure.counts] == ["0", "10", "20"]


def test_a_silent_day_is_a_gap_and_no_zero() -> None:
    figure = figure_of(NAME, [told(0, 5), told(1, None, limit=None), told(2, 0)])
    assert [bar.state for bar in figure.bars] == ["usual", "silent", "usual"]
    assert figure.bars[1].height > 0
    assert figure.bars[2].height == 0
    assert len(figure.limit) == 2


def test_days_that_nobody_tells_of_keep_their_place() -> None:
    figure = figure_of(NAME, [told(10, 5), told(0, 5, lit=True)])
    assert len(figure.bars) == 11
    assert [bar.state for bar in figure.bars[1:10]] == ["silent"] * 9
    assert [tick.label for tick in figure.days] == ["02-17", "02-24"]
    assert [one.day for one in figure.lit] == [MONDAY]


def test_a_series_of_nothing_has_a_floor_and_a_top() -> None:
    figure = figure_of(NAME, [SeriesDay(MONDAY, 0, None, None, None)])
    assert figure.expected == ()
    assert figure.bars[0].height == 0
    assert len(figure.counts) == 3
