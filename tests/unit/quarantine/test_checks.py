"""Which check-ins an order owes. Central quarantine: 08:00 and 16:00 in Shanghai, 4 h of grace."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.quarantine.domain.checks import (
    CATCH_UP_MOST,
    Check,
    CheckIn,
    Settlement,
    check_id,
    is_symptomatic,
    new_check,
    next_due_at,
    settle_checks,
    slot_of,
)
from services.quarantine.domain.orders import Order
from tests.unit.quarantine.facts import an_order, on

MORNING = datetime(2021, 3, 12, tzinfo=UTC)  # 08:00 in Shanghai
AFTERNOON = datetime(2021, 3, 12, 8, tzinfo=UTC)
GRACE = timedelta(hours=4)


def known_from(at: datetime) -> Order:
    return replace(an_order(), checks_after_at=at)


def settled(order: Order, now: datetime, *check_ins: CheckIn) -> Settlement:
    return settle_checks(order, [], check_ins, now=now)


def test_nothing_is_owed_from_before_the_order_was_known() -> None:
    settlement = settled(known_from(on(11, 23)), on(11, 23))
    assert settlement.changed == ()
    assert settlement.next_check_at == MORNING


def test_a_check_falls_due_and_its_deadline_is_watched() -> None:
    settlement = settled(known_from(on(11, 23)), MORNING)
    [check] = settlement.changed
    assert (check.due_at, check.status) == (MORNING, "owed")
    assert settlement.next_check_at == AFTERNOON
    assert settlement.next_deadline_at == MORNING + GRACE


def test_a_check_that_nobody_did_is_missed_at_its_deadline() -> None:
    order = known_from(on(11, 23))
    statuses = [
        settled(order, now).changed[0].status
        for now in (MORNING + GRACE - timedelta(seconds=1), MORNING + GRACE)
    ]
    assert statuses == ["owed", "missed"]


def test_a_clock_that_jumps_settles_all_in_one_go_and_stops_at_the_end() -> None:
    order = known_from(on(11, 23))
    settlement = settled(order, on(25))
    # 12 to 22 March, twice a day; the period ends at midnight after the 22nd.
    assert len(settlement.changed) == 22
    assert {check.status for check in settlement.changed} == {"missed"}
    assert settlement.next_check_at is None


def test_a_long_order_catches_up_in_bounded_steps() -> None:
    order = known_from(on(11, 23))
    long = replace(order, content=replace(order.content, until_at=on(1) + timedelta(days=400)))
    settlement = settled(long, on(1) + timedelta(days=400))
    assert len(settlement.changed) == CATCH_UP_MOST
    assert settlement.next_check_at is not None
    assert settlement.next_check_at < on(1) + timedelta(days=100)


def test_a_check_in_in_time_is_done_even_when_it_is_told_late() -> None:
    order = known_from(on(11, 23))
    [missed] = settled(order, AFTERNOON - timedelta(minutes=1)).changed
    assert missed.status == "missed"
    told = CheckIn(missed.id, MORNING + timedelta(hours=1), symptomatic=False)
    [done] = settle_checks(
        replace(order, checks_after_at=MORNING), [replace(missed, version=1)], [told], now=on(13)
    ).changed[:1]
    assert (done.status, done.done_at) == ("done", told.done_at)


def test_a_check_in_after_the_deadline_stays_missed_with_its_time() -> None:
    order = known_from(on(11, 23))
    late = CheckIn(check_id(order.id, MORNING), MORNING + GRACE + timedelta(minutes=1), True)
    [check] = settled(order, AFTERNOON - timedelta(minutes=1), late).changed
    assert (check.status, check.done_at, check.symptomatic) == ("missed", late.done_at, True)


def test_several_check_ins_for_one_keep_the_first_time_and_any_symptom() -> None:
    order = known_from(on(11, 23))
    own = check_id(order.id, MORNING)
    first, second = MORNING + timedelta(hours=1), MORNING + timedelta(hours=2)
    for check_ins in ([first, second], [second, first]):
        told = [CheckIn(own, at, symptomatic=at == second) for at in check_ins]
        [check] = settled(order, MORNING + timedelta(hours=3), *told).changed
        assert (check.status, check.done_at, check.symptomatic) == ("done", first, True)


def test_a_withdrawn_or_shortened_order_withdraws_what_was_owed_but_not_what_was_done() -> None:
    order = known_from(on(11, 23))
    stored: list[Check] = [
        replace(new_check(order, MORNING), version=1, status="missed"),
        replace(new_check(order, AFTERNOON), version=2, status="done", done_at=AFTERNOON),
    ]
    told = [CheckIn(stored[1].id, AFTERNOON, symptomatic=False)]
    withdrawn = replace(order, content=replace(order.content, status="withdrawn"))
    shorter = replace(order, content=replace(order.content, until_at=on(11, 16)))
    for changed in (withdrawn, shorter):
        settlement = settle_checks(changed, stored, told, now=on(13))
        assert [(one.due_at, one.status) for one in settlement.changed] == [(MORNING, "withdrawn")]
        assert settlement.next_check_at is None


def test_a_check_in_counts_for_the_time_that_is_near() -> None:
    order = known_from(on(11, 23))
    assert slot_of(order, MORNING - timedelta(minutes=119), []) == MORNING
    assert slot_of(order, MORNING + timedelta(hours=5), []) == MORNING
    assert slot_of(order, AFTERNOON - timedelta(hours=2), []) == AFTERNOON


def test_a_check_in_on_a_fresh_order_makes_no_check_of_before_it_was_known() -> None:
    order = known_from(MORNING + timedelta(hours=1))
    at = MORNING + timedelta(hours=2)
    assert slot_of(order, at, []) == at
    # Where the morning's check exists (the order came back, say), the check-in counts for it.
    assert slot_of(order, at, [MORNING]) == MORNING


def test_a_measure_without_times_takes_check_ins_unasked() -> None:
    ward = an_order(measure="hospital")
    assert slot_of(ward, on(15), []) == on(15)
    assert next_due_at(ward, on(15)) is None


def test_local_times_follow_the_zones_summer_time() -> None:
    order = known_from(on(13, 23))
    terms = order.content.terms.model_copy(update={"zone": "America/New_York"})
    moved = replace(order, content=replace(order.content, terms=terms))
    before, after = on(13, 0), on(14, 0)
    # 08:00 in New York is 13:00 UTC on 13 March and 12:00 UTC from 14 March on.
    assert next_due_at(moved, before) == on(13, 13)
    assert next_due_at(moved, after) == on(14, 12)


def test_fever_or_any_symptom_is_symptomatic() -> None:
    terms = an_order().content.terms
    assert is_symptomatic(terms, symptoms=(), temperature_c=37.3)
    assert is_symptomatic(terms, symptoms=("cough",), temperature_c=None)
    assert not is_symptomatic(terms, symptoms=(), temperature_c=37.2)
