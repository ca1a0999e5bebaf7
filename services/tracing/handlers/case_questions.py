"""Whom a case exposed, in both degrees, by any window and rule set: asked, not decided.

What was decided stands in `contact`; this answers "what if" and "what is it now" from the facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from services.tracing.domain.exposure import Degree, Source
from services.tracing.domain.window import InfectiousWindow, second_degree_until
from services.tracing.errors import NoWindow, RuleSetNotFound
from services.tracing.handlers.questions import (
    Answer,
    Asked,
    Engine,
    answer,
    everybody,
    usable_city,
)
from services.tracing.repository.cases import isolations_of
from services.tracing.repository.policies import WindowsDocument, windows_in_force, windows_named
from shared.database.work import ReadSession
from shared.errors import BadRequest
from shared.policy import PolicyInForce
from shared.service import Room

Policy = PolicyInForce[WindowsDocument]


@dataclass(frozen=True, slots=True)
class CaseQuestion:
    """What may differ from the case as it was decided; None takes what the case has."""

    degree: Degree = "close_contact"
    from_at: datetime | None = None
    until_at: datetime | None = None
    rules: str | None = None
    known_at: datetime | None = None
    engine: Engine = "any"
    skipped: int = 0
    size: int = 50


@dataclass(frozen=True, slots=True)
class CaseAnswer:
    """The page, with the window and the rule set it rests on, and how many close contacts."""

    answer: Answer
    window: InfectiousWindow
    policy: str
    close_contacts: int


async def ask_case(
    room: Room, session: ReadSession, case: Row[Any], question: CaseQuestion
) -> CaseAnswer:
    """Close contacts, or contacts of contacts, of one case."""
    policy = await rule_set(session, question.rules, case)
    window = window_of(case, question.from_at, question.until_at)
    asked = Asked(
        [Source(case.person_id, window.from_at, window.until_at)],
        policy.document.exposure,
        case.disease,
        known_at=question.known_at,
        engine=question.engine,
        skipped=question.skipped,
        size=question.size,
    )
    city = usable_city(room, asked)
    if question.degree == "close_contact":
        found = await answer(session, asked, city)
        return CaseAnswer(found, window, policy.name, found.total)
    close = await everybody(session, asked, city)
    sources = await _second_sources(session, close, window, policy.document, case.disease)
    left_out = [case.person_id, *(person.person_id for person in close)]
    second = replace(asked, sources=sources, leave_out=left_out)
    found = await answer(session, second, city)
    return CaseAnswer(found, window, policy.name, len(close))


async def _second_sources(
    session: ReadSession,
    close: Sequence[Any],
    window: InfectiousWindow,
    document: WindowsDocument,
    disease: str,
) -> list[Source]:
    """Each close contact from its first exposure until its isolation."""
    apart = await isolations_of(session, [one.person_id for one in close], disease)
    rule = document.window
    usual = second_degree_until(window.from_at, (), window, rule)
    return [
        Source(
            one.person_id,
            one.first_at,
            second_degree_until(one.first_at, apart[one.person_id], window, rule)
            if one.person_id in apart
            else usual,
        )
        for one in close
    ]


def window_of(
    case: Row[Any], from_at: datetime | None, until_at: datetime | None
) -> InfectiousWindow:
    """The case's own window, or what the question puts in its place."""
    began, ended = from_at or case.infectious_from, until_at or case.infectious_until
    if began is None or ended is None:
        raise NoWindow("the case has no infectious window", "name from_at and until_at")
    if began >= ended:
        raise BadRequest(
            "the window ends before it begins",
            "with only one of from_at and until_at the case's own window gives the other",
        )
    return InfectiousWindow(
        began, ended, case.window_basis or "reported", case.window_date or began.date()
    )


async def rule_set(session: ReadSession, name: str | None, case: Row[Any]) -> Policy:
    """The named version, else the one that the case was judged by."""
    wanted = name or case.policy
    found = await windows_named(session, wanted) if wanted else None
    if found is None:
        raise RuleSetNotFound(
            "no such rule set" if name else "the case was judged by no rule set",
            "name one as id@version; GET /tracing/rule-sets lists them",
        )
    return found


async def rule_set_at(
    session: ReadSession, name: str | None, *, disease: str, at: datetime
) -> Policy:
    """The named version, else the one in force for the disease, wherever."""
    found = (
        await windows_named(session, name)
        if name
        else await windows_in_force(session, at=at, disease=disease, area_id=None)
    )
    if found is None:
        raise RuleSetNotFound(
            "no such rule set" if name else "no rule set is in force for this disease then",
            "name one as id@version; GET /tracing/rule-sets lists them",
        )
    return found
