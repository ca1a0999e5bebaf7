"""What evidence makes of a case, and how its window is counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from services.tracing.domain.case import (
    CaseEvidence,
    Verdict,
    area_of_case,
    assess_case,
)
from services.tracing.domain.window import (
    InfectiousWindow,
    Isolation,
    WindowRule,
    infectious_window,
    second_degree_until,
)

CHINA = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")
RULE = WindowRule(
    days_before=2, days_after=10, fallbacks=("specimen_collected", "diagnosed", "reported"),
    second_degree_days=0,
)  # fmt: skip


def on(day: int, hour: int = 12) -> datetime:
    return datetime(2021, 3, day, hour, tzinfo=UTC)


def evidence(number: int = 1, **more: Any) -> CaseEvidence:
    content: dict[str, Any] = {
        "kind": "declaration", "version": 1, "standing": True, "classification": "confirmed",
        "occurred_at": on(9), "recorded_at": on(9),
    } | more  # fmt: skip
    return CaseEvidence(id=UUID(int=number), **content)


def verdict(action: Any, at: datetime, covered: tuple[int, ...] = (1,)) -> Verdict:
    known = frozenset(UUID(int=number) for number in covered)
    return Verdict(id=UUID(int=99), action=action, author="staff:x", at=at, covered=known)


def test_without_evidence_there_is_no_case() -> None:
    assert assess_case([], [verdict("discard", on(1))], CHINA) is None


def test_the_strongest_evidence_names_the_case() -> None:
    found = assess_case(
        [
            evidence(1, classification="suspected"),
            evidence(2, classification="asymptomatic"),
            evidence(3, classification="probable"),
            evidence(4, classification="confirmed", standing=False),
        ],
        [],
        CHINA,
    )
    assert found is not None
    assert found.classification == "asymptomatic"


def test_dates_are_the_earliest_of_the_standing_evidence() -> None:
    found = assess_case(
        [
            evidence(1, onset_date=date(2021, 3, 6), reported_date=date(2021, 3, 9)),
            evidence(2, kind="result", specimen_collected_at=on(7), reported_at=on(8)),
            evidence(3, onset_date=date(2021, 3, 1), standing=False),
        ],
        [],
        CHINA,
    )
    assert found is not None
    assert found.onset_date == date(2021, 3, 6)
    assert found.specimen_collected_at == found.occurred_at == on(7)
    assert found.reported_at == on(8)
    assert not found.exercise


def test_a_reported_day_begins_in_the_zone_of_the_area() -> None:
    item = evidence(reported_date=date(2021, 3, 9))
    in_china, in_new_york = (assess_case([item], [], zone) for zone in (CHINA, NEW_YORK))
    assert in_china is not None
    assert in_new_york is not None
    assert in_china.reported_at == datetime(2021, 3, 8, 16, tzinfo=UTC)
    assert in_new_york.reported_at == datetime(2021, 3, 9, 5, tzinfo=UTC)


def test_the_last_word_of_a_person_counts() -> None:
    discard, reopen = verdict("discard", on(10)), verdict("reopen", on(11))
    found = assess_case([evidence()], [discard], CHINA)
    assert found is not None
    assert (found.standing, found.classification) == (False, "discarded")
    assert found.cause_id == discard.id
    again = assess_case([evidence()], [reopen, discard], CHINA)
    assert again is not None
    assert again.standing


def test_a_case_without_standing_evidence_keeps_the_dates_it_had() -> None:
    gone = evidence(onset_date=date(2021, 3, 6), standing=False)
    found = assess_case([gone], [], CHINA)
    assert found is not None
    assert not found.standing
    assert found.onset_date == date(2021, 3, 6)
    assert found.cause_id is not None


def test_a_case_of_drill_evidence_alone_is_a_drill() -> None:
    drill = assess_case([evidence(exercise=True)], [], CHINA)
    mixed = assess_case([evidence(exercise=True), evidence(2)], [], CHINA)
    assert drill is not None
    assert mixed is not None
    assert (drill.exercise, mixed.exercise) == (True, False)


def test_a_case_belongs_where_the_person_lives_else_where_the_evidence_came_from() -> None:
    items = [evidence(1, area_id="late", occurred_at=on(9)), evidence(2, area_id="early",
             occurred_at=on(8)), evidence(3)]  # fmt: skip
    assert area_of_case(items, "home") == "home"
    assert area_of_case(items, None) == "early"
    assert area_of_case([evidence()], None) is None


@pytest.mark.parametrize(
    ("dates", "basis", "day"),
    [
        ({"onset_date": date(2021, 3, 5), "specimen_collected_at": on(7)}, "onset", 5),
        ({"specimen_collected_at": on(7), "diagnosed_date": date(2021, 3, 6)},
         "specimen_collected", 7),
        # Eight in the evening UTC is the next day in China.
        ({"specimen_collected_at": on(7, 20)}, "specimen_collected", 8),
        ({"diagnosed_date": date(2021, 3, 6), "reported_date": date(2021, 3, 9)}, "diagnosed", 6),
        ({"reported_date": date(2021, 3, 9)}, "reported", 9),
    ],
)  # fmt: skip
def test_the_window_is_counted_from_the_first_date_that_is_known(
    dates: dict[str, Any], basis: str, day: int
) -> None:
    found = assess_case([evidence(**dates)], [], CHINA)
    assert found is not None
    window = infectious_window(found, RULE, CHINA)
    assert window is not None
    assert (window.basis, window.day) == (basis, date(2021, 3, day))
    midnight = datetime(2021, 3, day, tzinfo=CHINA)
    assert window.from_at == midnight - timedelta(days=2)
    assert window.until_at == midnight + timedelta(days=11)


def test_a_policy_without_fallbacks_gives_no_window_without_an_onset() -> None:
    found = assess_case([evidence()], [], CHINA)
    assert found is not None
    assert infectious_window(found, replace(RULE, fallbacks=()), CHINA) is None


def test_days_of_a_window_follow_the_change_of_the_clocks() -> None:
    """In New York the clocks went forward on 14 March 2021: that day has 23 hours."""
    found = assess_case([evidence(onset_date=date(2021, 3, 14))], [], NEW_YORK)
    assert found is not None
    window = infectious_window(found, RULE, NEW_YORK)
    assert window is not None
    assert window.from_at == datetime(2021, 3, 12, 5, tzinfo=UTC)
    assert window.until_at == datetime(2021, 3, 25, 4, tzinfo=UTC)


WINDOW = InfectiousWindow(on(1), on(20), "onset", date(2021, 3, 3))


@pytest.mark.parametrize(
    ("apart", "until_at"),
    [
        ([], on(20)),
        ([Isolation(on(8), on(22))], on(8)),
        ([Isolation(on(10), on(22)), Isolation(on(8), on(9))], on(8)),
        # Over before the first exposure, to the moment: says nothing.
        ([Isolation(on(1), on(5))], on(20)),
        # Apart already at the first exposure: nobody was exposed through this person.
        ([Isolation(on(3), on(22))], on(3)),
        ([Isolation(on(21), on(22))], on(20)),
    ],
)
def test_the_second_degree_ends_with_isolation_or_the_window(
    apart: list[Isolation], until_at: datetime
) -> None:
    assert second_degree_until(on(5), apart, WINDOW, RULE) == until_at


def test_a_policy_may_follow_close_contacts_past_the_window() -> None:
    rule = replace(RULE, second_degree_days=3)
    assert second_degree_until(on(5), [], WINDOW, rule) == on(23)


def test_new_evidence_after_a_discard_makes_the_case_stand_on_that_alone() -> None:
    old = evidence(1, kind="result", specimen_collected_at=on(7), reported_at=on(8))
    new = evidence(2, kind="result", specimen_collected_at=on(12), reported_at=on(13))
    found = assess_case([old, new], [verdict("discard", on(10))], CHINA)
    assert found is not None
    assert (found.standing, found.classification) == (True, "confirmed")
    assert [item.id for item in found.evidence] == [new.id]
    assert [item.id for item in found.set_aside] == [old.id]
    assert found.reported_at == on(13)


def test_a_second_discard_covers_the_new_evidence_too() -> None:
    both = [evidence(1), evidence(2)]
    found = assess_case(both, [verdict("discard", on(14), covered=(1, 2))], CHINA)
    assert found is not None
    assert not found.standing
