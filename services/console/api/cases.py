"""Cases: the list, one case with its two degrees and reasons, and the picture of it."""

from __future__ import annotations

from fastapi import Request, Response

from services.console.api.bar import bar_of, turn_to_language
from services.console.api.doors import CASES, PageDoor, asking_of
from services.console.api.render import page
from services.console.domain.questions import Problem
from services.console.errors import CaseAbsent, OwnerAway
from services.console.handlers.cases import CasesPart, case_part, cases_part, picture_part
from services.console.schemas.questions import page_in, question_in

door = PageDoor("/console", tag="cases")


@door.on("GET", "/cases", permission=CASES, area_scope="viewer")
async def cases(request: Request) -> Response:
    """The cases of the viewer's areas, the newest first; `?page=`."""
    if turned := turn_to_language(request):
        return turned
    number = page_in(request.query_params)
    if isinstance(number, Problem):
        part = CasesPart(problem=number)
    else:
        part = await cases_part(asking_of(request), number)
    bar = await bar_of(request, at="cases")
    status = part.problem.status if part.problem else 200
    return page(request, "cases.html", part.names, status=status, part=part, **bar)


# The id is read by us: a wrong one is answered with a page, not with a list of broken fields.
@door.on("GET", "/cases/{case_id}", permission=CASES, area_scope="viewer")
async def case(request: Request, case_id: str) -> Response:
    """Both degrees with reasons; `degree`, `page` and the "what if" in the address."""
    if turned := turn_to_language(request):
        return turned
    bar = await bar_of(request, at="case")
    try:
        part = await case_part(asking_of(request), case_id, question_in(request.query_params))
    except (CaseAbsent, OwnerAway) as error:
        kind = "absent" if isinstance(error, CaseAbsent) else "away"
        return page(request, "case_absent.html", status=error.status, kind=kind, **bar)
    problem = part.answer.problem
    status = problem.status if problem else 200
    return page(request, "case.html", part.names, status=status, part=part, **bar)


@door.on("GET", "/cases/{case_id}/picture", permission=CASES, area_scope="viewer")
async def picture(request: Request, case_id: str) -> Response:
    """The two degrees by day of first exposure, for the same question."""
    part = await picture_part(asking_of(request), case_id, question_in(request.query_params))
    return page(request, "rings.html", part=part)
