"""What the HTTP door shows: counted, paged, and cut to the viewer's areas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Table,
    Uuid,
    and_,
    cast,
    distinct,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from services.tracing.tables import decisions, facts, standard
from shared.access import EVERYWHERE, Viewer
from shared.areas import visible
from shared.policy import Reader

case, contact = decisions.case, decisions.contact
link, person = facts.link, facts.person


@dataclass(frozen=True, slots=True)
class Page:
    """`number` counts from 1."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size


async def find_case(reader: Reader, viewer: Viewer, case_id: UUID) -> Row[Any] | None:
    """The case, if it is in the viewer's areas."""
    seen = visible(standard, viewer, case.c.area_id)
    return (await reader.execute(select(case).where(case.c.id == case_id, seen))).first()


async def find_cases(reader: Reader, viewer: Viewer, case_ids: Sequence[UUID]) -> list[Row[Any]]:
    """Those of them that are in the viewer's areas, in the order of their ids."""
    these = case.c.id == func.any(cast(list(case_ids), ARRAY(Uuid)))
    seen = visible(standard, viewer, case.c.area_id)
    rows = await reader.execute(select(case).where(these, seen).order_by(case.c.id))
    return list(rows.all())


async def sees_area(reader: Reader, viewer: Viewer, area_id: str | None) -> bool:
    """Whether a record of this area would be shown to the viewer."""
    if area_id is None:
        return EVERYWHERE in viewer.area_ids
    return bool(
        (await reader.execute(select(visible(standard, viewer, literal(area_id))))).scalar_one()
    )


async def list_cases(
    reader: Reader, viewer: Viewer, page: Page, *, disease: str | None, standing: bool | None
) -> tuple[int, Sequence[Row[Any]]]:
    """(how many there are, those of this page), the latest first."""
    wanted: list[ColumnElement[bool]] = [visible(standard, viewer, case.c.area_id)]
    if disease is not None:
        wanted.append(case.c.disease == disease)
    if standing is not None:
        wanted.append(case.c.standing.is_(standing))
    return await _page_of(
        reader, case, page, wanted=wanted, order=[case.c.occurred_at.desc(), case.c.id]
    )


async def count_contacts(reader: Reader, case_id: UUID) -> dict[str, int]:
    """Standing contacts of a case by degree."""
    rows = await reader.execute(
        select(contact.c.degree, func.count().label("number"))
        .where(contact.c.case_id == case_id, contact.c.standing)
        .group_by(contact.c.degree)
    )
    counts = {"close_contact": 0, "contact_of_contact": 0}
    return counts | {row.degree: row.number for row in rows}


async def list_contacts(
    reader: Reader, case_id: UUID, page: Page, *, degree: str | None
) -> tuple[int, Sequence[Row[Any]]]:
    """(how many there are, those of this page), standing or not, by degree and first exposure."""
    wanted: list[ColumnElement[bool]] = [contact.c.case_id == case_id]
    if degree is not None:
        wanted.append(contact.c.degree == degree)
    return await _page_of(
        reader,
        contact,
        page,
        wanted=wanted,
        order=[contact.c.degree, contact.c.first_exposure_at, contact.c.id],
    )


async def list_co_locations(
    reader: Reader, case_id: UUID, page: Page, *, standing: bool | None
) -> tuple[int, Sequence[Row[Any]]]:
    """(how many there are, those of this page), in the order in which they happened."""
    table = decisions.co_location
    wanted: list[ColumnElement[bool]] = [table.c.case_id == case_id]
    if standing is not None:
        wanted.append(table.c.standing.is_(standing))
    return await _page_of(reader, table, page, wanted=wanted, order=[table.c.from_at, table.c.id])


async def _page_of(
    reader: Reader,
    table: Table,
    page: Page,
    *,
    wanted: Sequence[ColumnElement[bool]],
    order: Sequence[ColumnElement[Any]],
) -> tuple[int, Sequence[Row[Any]]]:
    total = await reader.execute(select(func.count()).select_from(table).where(*wanted))
    rows = await reader.execute(
        select(table).where(*wanted).order_by(*order).limit(page.size).offset(page.offset)
    )
    return int(total.scalar_one()), rows.all()


async def list_acts(reader: Reader, found: Row[Any]) -> list[dict[str, Any]]:
    """Everything that people decided about a case by hand, in order, with author and reason."""
    opening, verdict = facts.opening, facts.verdict
    opened = await reader.execute(
        select(
            opening.c.id, literal("open").label("action"), opening.c.author, opening.c.reason,
            opening.c.opened_at.label("at"),
        ).where(opening.c.person_id == found.person_id, opening.c.disease == found.disease)
    )  # fmt: skip
    decided = await reader.execute(
        select(
            verdict.c.id, verdict.c.action, verdict.c.author, verdict.c.reason, verdict.c.at
        ).where(verdict.c.case_id == found.id)
    )
    acts = [dict(row._mapping) for row in (*opened, *decided)]
    return sorted(acts, key=lambda act: (act["at"], act["id"]))


async def sees_person(reader: Reader, viewer: Viewer, person_id: UUID) -> bool:
    """Whether the person lives in the viewer's areas or has a case there."""
    if EVERYWHERE in viewer.area_ids:
        return True
    lives = select(person.c.person_id).where(
        person.c.person_id == person_id, visible(standard, viewer, person.c.residence_area_id)
    )
    ill = select(case.c.id).where(
        case.c.person_id == person_id, visible(standard, viewer, case.c.area_id)
    )
    row = await reader.execute(select(or_(lives.exists(), ill.exists())))
    return bool(row.scalar_one())


async def list_links(reader: Reader, person_id: UUID) -> Sequence[Row[Any]]:
    """Every standing link of a person in either direction: all candidates, none chosen."""
    rows = await reader.execute(
        select(link)
        .where(
            link.c.standing, or_(link.c.person_id == person_id, link.c.other_person_id == person_id)
        )
        .order_by(link.c.disease, link.c.person_id, link.c.other_person_id, link.c.id)
    )
    return rows.all()


async def count_links(reader: Reader, viewer: Viewer) -> Sequence[Row[Any]]:
    """By disease: edges, and how many persons infect and are infected in them."""
    rows = await reader.execute(
        select(
            link.c.disease,
            func.count(distinct(tuple_(link.c.person_id, link.c.other_person_id))).label("edges"),
            func.count(distinct(link.c.person_id)).label("infectors"),
            func.count(distinct(link.c.other_person_id)).label("infectees"),
            func.count(link.c.id).filter(link.c.exposed_at.is_not(None)).label("dated"),
        )
        .where(link.c.standing, _sees_link(viewer))
        .group_by(link.c.disease)
        .order_by(link.c.disease)
    )
    return rows.all()


async def top_infectors(
    reader: Reader, viewer: Viewer, disease: str, *, limit: int
) -> Sequence[Row[Any]]:
    """The persons with the most infectees in the links of a disease."""
    number = func.count(distinct(link.c.other_person_id))
    rows = await reader.execute(
        select(link.c.person_id, number.label("infectees"))
        .where(link.c.standing, link.c.disease == disease, _sees_link(viewer))
        .group_by(link.c.person_id)
        .order_by(number.desc(), link.c.person_id)
        .limit(limit)
    )
    return rows.all()


def _sees_link(viewer: Viewer) -> ColumnElement[bool]:
    """One of the two persons has a case in the viewer's areas."""
    if EVERYWHERE in viewer.area_ids:
        return literal(True)
    ill = select(case.c.id).where(
        and_(
            case.c.disease == link.c.disease,
            or_(case.c.person_id == link.c.person_id, case.c.person_id == link.c.other_person_id),
            visible(standard, viewer, case.c.area_id),
        )
    )
    return ill.correlate(link).exists()
