"""Facts to build on: one policy, one case, and what is derived from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import yaml

from services.quarantine.domain.facts import CaseFact, ContactFact, ScanFact
from services.quarantine.domain.measures import Measures
from services.quarantine.domain.orders import Decision, Order, Rulebook, Support, decide_orders

PRESETS = Path(__file__).parents[3] / "services" / "quarantine" / "presets"
PERSON = UUID("00000000-0000-7000-8000-000000000001")
PLACE = UUID("00000000-0000-7000-8000-000000000002")
COVID = Measures.model_validate(
    yaml.safe_load((PRESETS / "measures_covid19.yaml").read_text(encoding="utf-8"))["document"]
)
GENERAL = Measures.model_validate(
    yaml.safe_load((PRESETS / "measures_general.yaml").read_text(encoding="utf-8"))["document"]
)
COVID_BOOK = Rulebook(COVID, "quarantine.measures.covid19@1", "Asia/Shanghai")


def on(day: int, hour: int = 12, *, month: int = 3) -> datetime:
    """An instant of 2021 in UTC."""
    return datetime(2021, month, day, hour, tzinfo=UTC)


def a_case(reported_at: datetime = on(10), *, standing: bool = True) -> CaseFact:
    return CaseFact(
        id=uuid4(),
        version=1,
        person_id=uuid4(),
        disease="covid19",
        classification="confirmed",
        standing=standing,
        reported_at=reported_at,
        area_id="cn:1",
    )


def a_contact(
    case: CaseFact | None = None,
    *,
    last_exposure_at: datetime = on(8),
    degree: str = "close_contact",
) -> ContactFact:
    known = case or a_case()
    return ContactFact(
        id=uuid4(),
        version=1,
        person_id=PERSON,
        case_id=known.id,
        degree=degree,
        disease="covid19",
        last_exposure_at=last_exposure_at,
        standing=True,
        case=known,
    )


def a_support(from_at: datetime, until_at: datetime, measure: str = "central") -> Support:
    return Support(
        kind="contact",
        id=uuid4(),
        degree="close_contact",
        from_at=from_at,
        until_at=until_at,
        terms=COVID_BOOK.terms(measure),
        area_id="cn:1",
        cause_id=uuid4(),
    )


def decide(
    supports: list[Support], stored: list[Order], *, now: datetime = on(11)
) -> list[Decision]:
    """Without a residence; every stored support that is not given any more counts as lost."""
    given = {support.id for support in supports}
    known = {one for order in stored for one in order.support_ids}
    lost = {one: uuid4() for one in sorted(known - given)}
    return decide_orders(supports, stored, residence_area_id=None, lost=lost, now=now)


def stored_as(decision: Decision, *, now: datetime = on(11)) -> Order:
    """The order as it is once the decision is written."""
    own = frozenset(line.id for line in decision.content.supports)
    before = decision.stored
    if before is not None:
        return replace(
            before,
            version=before.version + 1,
            content=decision.content,
            support_ids=before.support_ids | own,
        )
    return Order(
        id=uuid4(),
        version=1,
        person_id=PERSON,
        kind="quarantine",
        content=decision.content,
        support_ids=own,
        allowed_place_ids=(),
        checks_after_at=now,
    )


def an_order(
    from_at: datetime = on(10), until_at: datetime = on(22, 16), measure: str = "central"
) -> Order:
    [decision] = decide([a_support(from_at, until_at, measure)], [])
    return stored_as(decision)


def a_scan(occurred_at: datetime) -> ScanFact:
    return ScanFact(
        id=uuid4(),
        version=1,
        person_id=PERSON,
        place_id=PLACE,
        place_kind="station",
        area_id="cn:2",
        occurred_at=occurred_at,
        permitted=False,
        recorded=True,
    )
