"""When a person is under which order: a function of all supports, never of their arrival."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from services.quarantine.domain.facts import CaseFact, ContactFact, OrderKind, OrderStatus
from services.quarantine.domain.measures import (
    Measures,
    Terms,
    end_after_days_at,
    known_zone,
)

PERIOD_OVER = "period_over"
NO_SUPPORT_LEFT = "no_support_left"
JOINED_ANOTHER_ORDER = "joined_another_order"
NOT_BEGUN = "not_begun"


@dataclass(frozen=True, slots=True)
class Support:
    """One contact or case, with the period and the terms that it alone would give."""

    kind: Literal["contact", "case"]
    id: UUID
    degree: str
    from_at: datetime
    until_at: datetime
    terms: Terms
    area_id: str | None
    cause_id: UUID


@dataclass(frozen=True, slots=True)
class SupportLine:
    """What an order tells of a support."""

    kind: Literal["contact", "case"]
    id: UUID
    degree: str
    from_at: datetime
    until_at: datetime


@dataclass(frozen=True, slots=True)
class OrderContent:
    """All that an order says; two equal contents are the same order version."""

    status: OrderStatus
    from_at: datetime
    until_at: datetime
    terms: Terms
    area_id: str | None
    supports: tuple[SupportLine, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Order:
    """A stored order. `support_ids` are all that it ever rested on, so that it can come back.

    `checks_after_at`: check-ins due up to this instant have been settled or are not owed.
    """

    id: UUID
    version: int
    person_id: UUID
    kind: OrderKind
    content: OrderContent
    support_ids: frozenset[UUID]
    allowed_place_ids: tuple[UUID, ...]
    checks_after_at: datetime


def by_person(orders: Iterable[Order]) -> dict[UUID, list[Order]]:
    """Orders grouped by whose they are, in the order given."""
    found: dict[UUID, list[Order]] = {}
    for order in orders:
        found.setdefault(order.person_id, []).append(order)
    return found


@dataclass(frozen=True, slots=True)
class Decision:
    """An order to be written: a new one where `stored` is None."""

    stored: Order | None
    content: OrderContent
    cause_id: UUID | None

    @property
    def opens(self) -> bool:
        """It comes into force now, for the first time or again."""
        was_open = self.stored is not None and self.stored.content.status == "open"
        return self.content.status == "open" and not was_open


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The policy that counts for one support, with the zone of its area (None: not known)."""

    document: Measures
    name: str
    area_zone: str | None

    @property
    def zone(self) -> str:
        if self.area_zone is not None and known_zone(self.area_zone) is not None:
            return self.area_zone
        return self.document.zone

    def terms(self, measure: str) -> Terms:
        document = self.document
        return Terms(
            rule=document.measure(measure),
            zone=self.zone,
            fever_c=document.fever_c,
            policy=self.name,
        )


def support_of_contact(contact: ContactFact, rulebook: Rulebook) -> Support | None:
    """Quarantine from the report of the case until the policy's days after the last exposure.

    None when the contact does not stand, waits for its case, or became known after its days.
    """
    if not contact.standing or contact.case is None:
        return None
    rule = rulebook.document.exposure(contact.degree)
    from_at = contact.case.reported_at
    until_at = end_after_days_at(contact.last_exposure_at, days=rule.days, zone=rulebook.zone)
    if until_at <= from_at:
        return None
    return Support(
        kind="contact",
        id=contact.id,
        degree=contact.degree,
        from_at=from_at,
        until_at=until_at,
        terms=rulebook.terms(rule.measure),
        area_id=contact.case.area_id,
        cause_id=contact.event_id,
    )


def support_of_case(case: CaseFact, rulebook: Rulebook) -> Support | None:
    """Isolation from the report on, for the policy's days; None for a case that gives none."""
    rule = rulebook.document.isolated
    if not case.standing or case.classification not in rule.classifications:
        return None
    return Support(
        kind="case",
        id=case.id,
        degree=case.classification,
        from_at=case.reported_at,
        until_at=end_after_days_at(case.reported_at, days=rule.days, zone=rulebook.zone),
        terms=rulebook.terms(rule.measure),
        area_id=case.area_id,
        cause_id=case.event_id,
    )


def episodes_of(supports: Sequence[Support]) -> list[list[Support]]:
    """Supports whose periods meet are one order; after a gap a new one begins.

    Without this, an exposure in June would put a person under order since one in January.
    """
    episodes: list[list[Support]] = []
    until_at: datetime | None = None
    for support in sorted(supports, key=lambda item: (item.from_at, item.until_at, item.id)):
        if until_at is None or support.from_at > until_at:
            episodes.append([])
            until_at = support.until_at
        episodes[-1].append(support)
        until_at = max(until_at, support.until_at)
    return episodes


def content_of(
    episode: Sequence[Support],
    *,
    residence_area_id: str | None,
    now: datetime,
    stored: OrderContent | None,
) -> OrderContent:
    """From the earliest to the latest, under the strictest measure.

    The area is the person's residence; where that is not known, the area of the earliest case.
    """
    # Ties are broken by content, so that every process decides alike.
    strictest = max(
        episode, key=lambda item: (item.terms.rule.strictness, item.terms.policy, item.id)
    )
    until_at = max(support.until_at for support in episode)
    # A process whose clock is a little behind must not open what another one has ended.
    had_ended = stored is not None and stored.status == "ended" and stored.until_at == until_at
    ended = until_at <= now or had_ended
    case_area_id = next((support.area_id for support in episode if support.area_id), None)
    return OrderContent(
        status="ended" if ended else "open",
        from_at=min(support.from_at for support in episode),
        until_at=until_at,
        terms=strictest.terms,
        area_id=residence_area_id or case_area_id,
        supports=tuple(
            SupportLine(item.kind, item.id, item.degree, item.from_at, item.until_at)
            for item in sorted(episode, key=lambda item: item.id)
        ),
        reason=PERIOD_OVER if ended else strictest.degree,
    )


def decide_orders(
    supports: Sequence[Support],
    stored: Sequence[Order],
    *,
    residence_area_id: str | None,
    lost: dict[UUID, UUID],
    now: datetime,
) -> list[Decision]:
    """The difference between the orders of one person and kind as they are and as they should be.

    `lost` maps contacts and cases that give nothing any more to the event that said so. At most
    one order is open: one that has not ended keeps a later one, still to begin, waiting. What
    closes stands before what opens, because the database holds "one open" at every moment.
    """
    waiting = sorted(stored, key=lambda order: (order.content.status == "withdrawn", order.id))
    decisions: list[Decision] = []
    placed: set[UUID] = set()
    has_open = False
    for episode in episodes_of(supports):
        ids = {support.id for support in episode}
        match = next((order for order in waiting if ids & order.support_ids), None)
        content = content_of(
            episode,
            residence_area_id=residence_area_id,
            now=now,
            stored=match.content if match else None,
        )
        if content.status == "open" and has_open:
            continue
        has_open = has_open or content.status == "open"
        placed |= ids
        if match is not None:
            waiting.remove(match)
        if match is None or match.content != content:
            decisions.append(Decision(match, content, _cause_of(match, episode, lost)))
    standing = {support.id for support in supports}
    decisions += [
        _withdraw(order, standing=standing, placed=placed, lost=lost)
        for order in waiting
        if order.content.status != "withdrawn"
    ]
    return sorted(decisions, key=lambda item: item.content.status == "open")


def _withdraw(
    order: Order, *, standing: set[UUID], placed: set[UUID], lost: dict[UUID, UUID]
) -> Decision:
    content = order.content
    own = sorted(line.id for line in content.supports)
    if not standing.intersection(own):
        reason = NO_SUPPORT_LEFT
    elif placed.intersection(own):
        reason = JOINED_ANOTHER_ORDER
    else:
        reason = NOT_BEGUN
    withdrawn = replace(content, status="withdrawn", supports=(), reason=reason)
    return Decision(order, withdrawn, next((lost[one] for one in own if one in lost), None))


def _cause_of(
    stored: Order | None, episode: Sequence[Support], lost: dict[UUID, UUID]
) -> UUID | None:
    """The event that made the difference; None when it was the clock, a policy or an area."""
    before = set(stored.content.supports) if stored else set()
    gone = [line.id for line in before if line.id in lost]
    if gone:
        return lost[min(gone)]
    known = {(line.id, line.degree, line.from_at, line.until_at) for line in before}
    for support in episode:
        if (support.id, support.degree, support.from_at, support.until_at) not in known:
            return support.cause_id
    return None
