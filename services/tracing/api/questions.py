"""Questions that a tracer asks while somebody is on the telephone: counted, paged, with reasons."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query

from services.tracing.domain.exposure import Source
from services.tracing.errors import CaseNotFound, PersonNotFound
from services.tracing.handlers.case_questions import CaseQuestion, ask_case, rule_set_at, window_of
from services.tracing.handlers.chains import find_chain
from services.tracing.handlers.questions import Answer, Asked, answer, asking, usable_city
from services.tracing.handlers.shared_places import find_shared_places
from services.tracing.repository import pages
from services.tracing.repository.policies import list_windows
from services.tracing.schemas.questions import (
    CaseExposuresAsked,
    CaseExposuresShown,
    CasesAsked,
    ChainAsked,
    ChainShown,
    ExposuresShown,
    PageAsked,
    PersonExposuresAsked,
    RuleSetShown,
    RuleSetsShown,
    SharedPlacesAsked,
    SharedPlacesShown,
    WindowAsked,
    show_exposed,
    show_place,
)
from shared.access import Viewer
from shared.database.work import ReadSession
from shared.errors import BadRequest
from shared.http import Door, room_of, viewer_of
from shared.service import Room

door = Door("/tracing", tag="questions")

Here = Annotated[Room, Depends(room_of)]
Who = Annotated[Viewer, Depends(viewer_of)]
NO_CASE = CaseNotFound("no such case in your areas", "check the id and your areas")
NO_PERSON = PersonNotFound("no such person in your areas", "check the id and your areas")


@door.on("GET", "/cases/{case_id}/exposures", permission="cases.read", area_scope="viewer")
async def case_exposures(
    case_id: UUID, room: Here, viewer: Who, asked: Annotated[CaseExposuresAsked, Query()]
) -> CaseExposuresShown:
    """Whom a case exposed, from the facts as they stand: by its own window and rules, or by
    others."""
    question = CaseQuestion(
        asked.degree,
        asked.from_at,
        asked.until_at,
        asked.rules,
        asked.known_at,
        asked.engine,
        asked.skipped,
        asked.page_size,
    )
    async with asking(room) as session:
        case = await pages.find_case(session, viewer, case_id)
        if case is None:
            raise NO_CASE
        found = await ask_case(room, session, case, question)
    window = found.window
    return CaseExposuresShown(
        **_shown(found.answer, asked),
        rules=found.policy,
        window=WindowAsked(from_at=window.from_at, until_at=window.until_at),
        case_id=case_id,
        person_id=case.person_id,
        degree=asked.degree,
        close_contacts=found.close_contacts,
        window_basis=window.basis,
        window_date=window.day,
    )


@door.on("POST", "/exposures", permission="cases.read", area_scope="viewer")
async def cases_exposures(body: CasesAsked, room: Here, viewer: Who) -> ExposuresShown:
    """Whom any of up to a thousand cases of one disease exposed, each person once."""
    async with asking(room) as session:
        cases = await _visible_cases(session, viewer, body.case_ids)
        sources = _windows(cases, body.from_at, body.until_at)
        policy = await rule_set_at(
            session, body.rules, disease=cases[0].disease, at=sources[0].from_at
        )
        asked = Asked(
            sources,
            policy.document.exposure,
            cases[0].disease,
            known_at=body.known_at,
            engine=body.engine,
            skipped=body.skipped,
            size=body.page_size,
        )
        found = await answer(session, asked, usable_city(room, asked))
    return ExposuresShown(**_shown(found, body), rules=policy.name, window=_span(sources))


@door.on("GET", "/persons/{person_id}/exposures", permission="cases.read", area_scope="viewer")
async def person_exposures(
    person_id: UUID, room: Here, viewer: Who, asked: Annotated[PersonExposuresAsked, Query()]
) -> ExposuresShown:
    """Whom this person met in a time by the rules (forward), or who may have exposed them
    (backward): the same meetings, but for declared links, which have a direction."""
    async with asking(room) as session:
        if not await pages.sees_person(session, viewer, person_id):
            raise NO_PERSON
        policy = await rule_set_at(session, asked.rules, disease=asked.disease, at=asked.from_at)
        question = Asked(
            [Source(person_id, asked.from_at, asked.until_at)],
            policy.document.exposure,
            asked.disease,
            backward=asked.direction == "backward",
            known_at=asked.known_at,
            engine=asked.engine,
            skipped=asked.skipped,
            size=asked.page_size,
        )
        found = await answer(session, question, usable_city(room, question))
    window = WindowAsked(from_at=asked.from_at, until_at=asked.until_at)
    return ExposuresShown(**_shown(found, asked), rules=policy.name, window=window)


@door.on("GET", "/chains", permission="cases.read", area_scope="viewer")
async def chain(room: Here, viewer: Who, asked: Annotated[ChainAsked, Query()]) -> ChainShown:
    """The chain of fewest exposures from one person to another, each after the last."""
    async with asking(room) as session:
        for person_id in (asked.from_person_id, asked.to_person_id):
            if not await pages.sees_person(session, viewer, person_id):
                raise NO_PERSON
        policy = await rule_set_at(session, asked.rules, disease=asked.disease, at=asked.from_at)
        source = Source(asked.from_person_id, asked.from_at, asked.until_at)
        question = Asked([source], policy.document.exposure, asked.disease, engine=asked.engine)
        found = await find_chain(
            room, session, question, asked.to_person_id, steps_most=asked.steps_most
        )
    return ChainShown(
        from_person_id=asked.from_person_id,
        to_person_id=asked.to_person_id,
        rules=policy.name,
        window=WindowAsked(from_at=asked.from_at, until_at=asked.until_at),
        steps=[show_exposed(step) for step in found.steps],
        reached=found.reached,
        not_followed=found.not_followed,
    )


@door.on("POST", "/places/shared", permission="cases.read", area_scope="viewer")
async def shared_places(body: SharedPlacesAsked, room: Here, viewer: Who) -> SharedPlacesShown:
    """Places that several of these cases visited in their windows, the most surprising first."""
    async with asking(room) as session:
        cases = await _visible_cases(session, viewer, body.case_ids)
        sources = _windows(cases, body.from_at, body.until_at)
        policy = await rule_set_at(
            session, body.rules, disease=cases[0].disease, at=sources[0].from_at
        )
        found = await find_shared_places(
            session, sources, policy.document.exposure, at_least=body.at_least
        )
    shown = found.places[: body.places_most]
    return SharedPlacesShown(
        total=found.total,
        not_shown=found.total - len(shown),
        not_compared=found.not_compared,
        cases=len(cases),
        places=[show_place(place) for place in shown],
    )


@door.on("GET", "/rule-sets", permission="cases.read", area_scope="everywhere")
async def rule_sets(room: Here) -> RuleSetsShown:
    """Every rule set that a question may name."""
    async with room.database.read() as session:
        rows = await list_windows(session)
    shown = [
        RuleSetShown(
            rules=f"{row.id}@{row.version}",
            **{name: row._mapping[name] for name in RuleSetShown.model_fields if name != "rules"},
        )
        for row in rows
    ]
    return RuleSetsShown(rule_sets=shown)


async def _visible_cases(session: ReadSession, viewer: Viewer, case_ids: list[UUID]) -> list[Any]:
    """All of them, of one disease, or none: which of them are elsewhere is nobody's business."""
    cases = await pages.find_cases(session, viewer, case_ids)
    if len(cases) < len(set(case_ids)):
        raise NO_CASE
    if len({case.disease for case in cases}) > 1:
        raise BadRequest("the cases are of several diseases", "ask about each disease apart")
    return cases


def _windows(cases: list[Any], from_at: Any, until_at: Any) -> list[Source]:
    found = []
    for case in cases:
        window = window_of(case, from_at, until_at)
        found.append(Source(case.person_id, window.from_at, window.until_at))
    return found


def _span(sources: list[Source]) -> WindowAsked:
    return WindowAsked(
        from_at=min(source.from_at for source in sources),
        until_at=max(source.until_at for source in sources),
    )


def _shown(found: Answer, asked: PageAsked) -> dict[str, Any]:
    return {
        "engine": found.engine,
        "known_at": asked.known_at,
        "total": found.total,
        "pairs": found.pairs,
        "page": asked.page,
        "page_size": asked.page_size,
        "exposures": [show_exposed(one) for one in found.exposed],
    }
