"""Hold before check before pass, judged at the scan's own time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from services.intake.domain.checkpoints import CheckpointRule, rule_in_force
from services.intake.domain.rows import (
    RowAnswer,
    count_fates,
    place_in_time,
    settle_repeat,
)
from services.intake.domain.verdicts import (
    REASONS,
    CheckpointFacts,
    Restriction,
    Verdict,
    judge_scan,
)

AT = datetime(2021, 3, 11, tzinfo=UTC)
PLACE, OTHER = UUID(int=1), UUID(int=2)
CLEAR = CheckpointFacts(
    occurred_at=AT, place_id=PLACE, person="known", permit=False, fever=False, restrictions=(),
    copies_stale=False,
)  # fmt: skip
ORDER = Restriction("order", AT, AT + timedelta(days=14))
CASE = Restriction("case", AT - timedelta(days=1), None)


@pytest.mark.parametrize(
    ("facts", "verdict", "reason"),
    [
        (CLEAR, "pass", "clear"),
        (replace(CLEAR, restrictions=(ORDER,)), "hold", "order"),
        (replace(CLEAR, restrictions=(ORDER, CASE)), "hold", "case"),
        (replace(CLEAR, restrictions=(CASE,), copies_stale=True), "hold", "case"),
        (replace(CLEAR, restrictions=(ORDER,), occurred_at=AT - timedelta(1)), "pass", "clear"),
        (replace(CLEAR, restrictions=(ORDER,), occurred_at=AT + timedelta(14)), "hold", "order"),
        (replace(CLEAR, restrictions=(ORDER,), occurred_at=AT + timedelta(15)), "pass", "clear"),
        (replace(CLEAR, restrictions=(ORDER,), permit=True), "check", "permit"),
        (replace(CLEAR, restrictions=(ORDER,), permit=True, fever=True), "hold", "fever"),
        (replace(CLEAR, permit=True), "pass", "clear"),
        (replace(CLEAR, fever=True, person="none"), "hold", "fever"),
        (replace(CLEAR, person="none"), "check", "no_person"),
        (replace(CLEAR, person="placeholder", copies_stale=True), "check", "unknown_person"),
        (replace(CLEAR, copies_stale=True), "check", "stale_copy"),
    ],
)
def test_the_strictest_reason_wins(facts: CheckpointFacts, verdict: str, reason: str) -> None:
    assert judge_scan(facts) == Verdict(verdict, reason)  # type: ignore[arg-type]


def test_an_order_does_not_hold_where_it_allows() -> None:
    allowed = replace(ORDER, allowed_place_ids=frozenset({PLACE}))
    assert judge_scan(replace(CLEAR, restrictions=(allowed,))).code == "pass"
    assert judge_scan(replace(CLEAR, restrictions=(allowed,), place_id=OTHER)).code == "hold"
    assert judge_scan(replace(CLEAR, restrictions=(allowed, ORDER))).code == "hold"


def test_every_reason_can_be_said_in_two_languages() -> None:
    for reason, texts in REASONS.items():
        assert texts["code"] == reason
        assert texts["zh"]
        assert texts["en"].isascii()


def rule(name: str, version: int, area_id: str | None, start: int, fever: float) -> CheckpointRule:
    return CheckpointRule(name, version, area_id, date(start, 1, 1), None, fever)


def test_the_nearest_areas_newest_version_counts() -> None:
    rules = [
        rule("all", 1, None, 2009, 37.3), rule("all", 2, None, 2022, 37.5),
        rule("city", 1, "cn:340100", 2020, 37.0), rule("far", 1, "cn:110000", 2009, 36.0),
    ]  # fmt: skip
    line = ["cn:340102", "cn:340100", "cn:340000"]

    def threshold(day: date, ancestors: list[str]) -> float | None:
        found = rule_in_force(rules, day, ancestors)
        return found.fever_from_c if found else None

    assert threshold(date(2015, 1, 1), line) == 37.3
    assert threshold(date(2021, 1, 1), line) == 37.0
    assert threshold(date(2021, 1, 1), []) == 37.3
    assert threshold(date(2023, 1, 1), []) == 37.5
    assert threshold(date(2008, 12, 31), line) is None


def test_a_version_that_ended_gives_way_to_the_one_still_in_force() -> None:
    ended = CheckpointRule("all", 2, None, date(2020, 1, 1), date(2020, 6, 30), 38.0)
    rules = [rule("all", 1, None, 2009, 37.3), ended]
    spring, autumn = (
        rule_in_force(rules, date(2020, 6, 30), []),
        rule_in_force(rules, date(2020, 7, 1), []),
    )
    assert spring == ended
    assert autumn == rules[0]


def test_a_missing_offset_takes_the_zone_and_is_flagged() -> None:
    assert place_in_time(AT.replace(tzinfo=None, hour=8), "Asia/Shanghai") == (AT, "zone_assumed")
    assert place_in_time(AT, "America/Chicago") == (AT, "")


def test_a_taken_id_is_a_duplicate_or_a_conflict() -> None:
    known = Verdict("pass", "clear")
    same = settle_repeat(RowAnswer(0, "rejected"), same_content=True, known_verdict=known)
    other = settle_repeat(RowAnswer(1, "rejected"), same_content=False, known_verdict=known)
    assert (same.fate, same.verdict) == ("duplicate", known)
    assert (other.fate, other.verdict, other.problems[0].field) == ("rejected", None, "revision")
    tally = count_fates([same, other, RowAnswer(2, "stored")])
    assert (tally.received, tally.stored, tally.duplicate, tally.rejected) == (3, 1, 1, 1)
    assert tally.adds_up
