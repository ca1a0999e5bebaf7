"""The undisturbed walk shows everything that the bad days are judged by."""

from __future__ import annotations

from collections import Counter

from tests.failure.conftest import SetStage
from tests.journey.end_state import EndState


def test_the_walk_goes_through_the_whole_chain(reference: EndState) -> None:
    cases = Counter(case["standing"] for case in reference["cases"])
    assert cases == {True: 1, False: 1}
    degrees = Counter(one["degree"] for one in reference["contacts"] if one["standing"])
    assert degrees == {"close_contact": 3, "contact_of_contact": 2}
    assert any(not one["standing"] for one in reference["contacts"])
    assert any(one["standing"] for one in reference["co_locations"])
    assert reference["breaches"]
    rules = {(alert["rule_id"], alert["state"]) for alert in reference["alerts"]}
    assert {rule for rule, _ in rules} == {
        "multi_point", "positive_result", "breach", "checkpoint_fever",
    }  # fmt: skip
    assert ("checkpoint_fever", "withdrawn") in rules


async def test_another_order_and_other_batches_end_in_the_same_state(
    set_stage: SetStage, reference: EndState
) -> None:
    stage = await set_stage()
    await stage.walk(1)
    await stage.judge(reference)
    assert stage.sender.ledger.unanswered == 0
    assert stage.sender.ledger.refused == 0
