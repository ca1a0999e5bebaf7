"""A breach is judged at the scan's event time, by the orders as they are known now."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import uuid4

import pytest

from services.quarantine.domain.breaches import (
    NO_ORDER_AT_THAT_TIME,
    OUTSIDE_ORDER,
    PERMITTED_JOURNEY,
    PLACE_ALLOWED,
    SCAN_OF_ANOTHER_PERSON,
    SCAN_WITHDRAWN,
    breach_id,
    judge_scan,
)
from tests.unit.quarantine.facts import PERSON, PLACE, a_scan, an_order, on


@pytest.mark.parametrize(
    ("occurred_at", "is_breach"),
    [
        (on(9, 23), False),
        (on(10), True),
        (on(15), True),
        (on(22, 15), True),
        (on(22, 16), False),
    ],
)
def test_only_a_scan_inside_the_period_is_a_breach(occurred_at: datetime, is_breach: bool) -> None:
    order = an_order()
    judgement = judge_scan(PERSON, a_scan(occurred_at), [order])
    assert judgement.order == (order if is_breach else None)
    assert judgement.reason == (OUTSIDE_ORDER if is_breach else NO_ORDER_AT_THAT_TIME)


def test_what_excuses_a_scan_is_named() -> None:
    scan, order = a_scan(on(15)), an_order()
    permitted = replace(scan, permitted=True)
    allowed = replace(order, allowed_place_ids=(PLACE,))
    at_site = replace(scan, place_kind="quarantine_site")
    free = an_order(measure="health_monitoring")
    withdrawn = replace(order, content=replace(order.content, status="withdrawn"))
    assert judge_scan(PERSON, permitted, [order]).reason == PERMITTED_JOURNEY
    assert judge_scan(PERSON, scan, [allowed]).reason == PLACE_ALLOWED
    assert judge_scan(PERSON, at_site, [order]).reason == PLACE_ALLOWED
    assert judge_scan(PERSON, scan, [free]).reason == PLACE_ALLOWED
    assert judge_scan(PERSON, scan, [withdrawn]).reason == NO_ORDER_AT_THAT_TIME
    assert judge_scan(PERSON, replace(scan, recorded=False), [order]).reason == SCAN_WITHDRAWN
    other = replace(scan, person_id=uuid4())
    assert judge_scan(PERSON, other, [order]).reason == SCAN_OF_ANOTHER_PERSON


def test_an_ended_order_still_judges_a_late_scan() -> None:
    order = an_order()
    ended = replace(order, content=replace(order.content, status="ended"))
    assert judge_scan(PERSON, a_scan(on(15)), [ended]).order == ended


def test_of_two_broken_orders_the_stricter_is_named_and_one_that_allows_excuses_nothing() -> None:
    home, hospital = an_order(measure="home"), an_order(measure="hospital")
    free = an_order(measure="health_monitoring")
    for orders in ([home, hospital, free], [free, hospital, home]):
        assert judge_scan(PERSON, a_scan(on(15)), orders).order == hospital


def test_person_and_scan_have_one_breach() -> None:
    scan = a_scan(on(15))
    assert breach_id(PERSON, scan.id) == breach_id(PERSON, scan.id)
    assert breach_id(PERSON, scan.id) != breach_id(uuid4(), scan.id)
