"""Orders as they are answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Row

from services.quarantine.domain.orders import Order
from services.quarantine.schemas.breaches import BreachAnswer
from services.quarantine.schemas.checks import CheckAnswer


class SupportAnswer(BaseModel):
    """One contact or case that the order rests on, with the period which it alone would give."""

    kind: Literal["contact", "case"]
    id: UUID
    degree: str
    from_at: AwareDatetime
    until_at: AwareDatetime


class OrderAnswer(BaseModel):
    """One order. `policy` is the version of the measures that it was decided by."""

    id: UUID
    version: int
    person_id: UUID
    kind: str
    measure: str
    may_leave: bool
    status: str
    from_at: AwareDatetime
    until_at: AwareDatetime
    area_id: str | None
    allowed_place_ids: tuple[UUID, ...]
    supports: tuple[SupportAnswer, ...]
    reason: str
    policy: str

    @classmethod
    def of(cls, order: Order) -> Self:
        """The answer that tells this order."""
        return cls(**order_fields(order))


def order_fields(order: Order) -> dict[str, Any]:
    """The fields of an `OrderAnswer`."""
    content = order.content
    return {
        "id": order.id,
        "version": order.version,
        "person_id": order.person_id,
        "kind": order.kind,
        "measure": content.terms.rule.name,
        "may_leave": content.terms.rule.may_leave,
        "status": content.status,
        "from_at": content.from_at,
        "until_at": content.until_at,
        "area_id": content.area_id,
        "allowed_place_ids": order.allowed_place_ids,
        "supports": [
            SupportAnswer(
                kind=line.kind,
                id=line.id,
                degree=line.degree,
                from_at=line.from_at,
                until_at=line.until_at,
            )
            for line in content.supports
        ],
        "reason": content.reason,
        "policy": content.terms.policy,
    }


class AuditLine(BaseModel):
    """Who changed what, when, why, and by which record version."""

    at: AwareDatetime
    actor: str
    action: str
    record_kind: str
    record_id: str
    record_version: int | None
    reason: str
    policy: str | None
    cause_id: UUID | None

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """The answer that tells this line."""
        return cls(**{name: row._mapping[name] for name in cls.model_fields})


class OrderDetail(OrderAnswer):
    """An order with everything that explains it."""

    cause_id: UUID | None
    breaches: tuple[BreachAnswer, ...]
    checks: tuple[CheckAnswer, ...]
    audit: tuple[AuditLine, ...]

    @classmethod
    def told(
        cls,
        order: Order,
        *,
        row: Row[Any],
        breaches: Sequence[Row[Any]],
        checks: Sequence[Row[Any]],
        audit: Sequence[Row[Any]],
    ) -> Self:
        """The whole answer."""
        return cls(
            **order_fields(order),
            cause_id=row.cause_id,
            breaches=tuple(BreachAnswer.of(one) for one in breaches),
            checks=tuple(CheckAnswer.of(one) for one in checks),
            audit=tuple(AuditLine.of(one) for one in audit),
        )


class OrderList(BaseModel):
    """A page of orders; ask again with `after` = the last id for the next one."""

    orders: tuple[OrderAnswer, ...]


class PlaceAllowed(BaseModel):
    """A place where the order's person may be, and why."""

    model_config = ConfigDict(extra="forbid")

    place_id: UUID
    reason: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{1,63}$")] = Field(
        description="a code such as quarantine_site or dialysis; no text about the person"
    )
