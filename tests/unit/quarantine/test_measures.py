"""The day rule, and a policy document that is not complete."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from services.quarantine.domain.measures import Measures, end_after_days_at
from tests.unit.quarantine.facts import COVID


def test_the_last_day_is_a_whole_day_of_the_area() -> None:
    # 23:30 on 8 March in Shanghai: day 14 is 22 March, and ends at midnight there.
    exposed_at = datetime(2021, 3, 8, 15, 30, tzinfo=UTC)
    until_at = end_after_days_at(exposed_at, days=14, zone="Asia/Shanghai")
    assert until_at == datetime(2021, 3, 22, 16, tzinfo=UTC)


def test_the_same_instant_is_another_day_in_another_zone() -> None:
    exposed_at = datetime(2021, 3, 8, 15, 30, tzinfo=UTC)
    until_at = end_after_days_at(exposed_at, days=14, zone="America/New_York")
    # Summer time began on 14 March: local midnight is 04:00 UTC.
    assert until_at == datetime(2021, 3, 23, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"zone": "Mars/Olympus"}, "IANA"),
        ({"exposed": []}, "exactly one rule"),
        ({"isolated": {"classifications": ["confirmed"], "measure": "moon", "days": 1}}, "moon"),
        ({"fever_c": None}, "fever_c"),
        ({"favour": True}, "favour"),
    ],
)
def test_an_incomplete_document_is_refused_by_name(
    change: dict[str, object], expected: str
) -> None:
    with pytest.raises(ValidationError, match=expected):
        Measures.model_validate(COVID.model_dump() | change)


def test_two_equally_strict_measures_are_refused() -> None:
    document = COVID.model_dump()
    for rule in document["measures"]:
        rule["strictness"] = 1
    with pytest.raises(ValidationError, match="equally strict"):
        Measures.model_validate(document)
