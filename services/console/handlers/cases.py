"""The page of a case: tracing is asked in the viewer's name; each part can fail alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from uuid import UUID

from services.console.domain.cases import (
    CASES_MOST,
    DEGREES,
    ROWS_MOST,
    Case,
    Exposures,
    days_of,
)
from services.console.domain.questions import (
    Problem,
    Question,
    Typed,
    question_of,
    shown_in_form,
)
from services.console.domain.rings import Rings, rings_of
from services.console.errors import CaseAbsent, OwnerAway
from services.console.handlers.board import NO_NAMES, Asking, Names
from services.console.repository.areas import names_of
from services.console.repository.case_readings import (
    read_case,
    read_cases,
    read_exposures,
    read_problem,
)
from services.console.repository.readings import count_in

# The picture shows so many of each degree, the earliest first; the lists show everybody.
PICTURED_MOST = 200


@dataclass(frozen=True, slots=True)
class CasesPart:
    """One page of the cases that the viewer may see."""

    cases: Sequence[Case] = ()
    names: Names = NO_NAMES
    total: int = 0
    page: int = 1
    problem: Problem | None = None
    trouble: str = ""

    @property
    def pages(self) -> int:
        return -(-self.total // CASES_MOST)


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """What tracing answered to the question; `totals` by degree, None where it did not say."""

    found: Exposures | None = None
    totals: Mapping[str, int | None] = field(default_factory=dict)
    problem: Problem | None = None
    trouble: str = ""

    @property
    def pages(self) -> int:
        return -(-self.found.total // ROWS_MOST) if self.found else 0


@dataclass(frozen=True, slots=True)
class CasePart:
    """A case, the question, what its form holds, and its answer."""

    case: Case
    question: Question
    form: Mapping[str, str]
    answer: AnswerPart
    names: Names


@dataclass(frozen=True, slots=True)
class PicturePart:
    """Both degrees as a picture; `totals` are of everybody, drawn or not."""

    rings: Rings | None = None
    drawn: Mapping[str, int] = field(default_factory=dict)
    totals: Mapping[str, int] = field(default_factory=dict)
    trouble: str = ""

    @property
    def drawn_most(self) -> int:
        """Empty as zero where everybody is drawn."""
        left_out = any(self.drawn[degree] < total for degree, total in self.totals.items())
        return PICTURED_MOST if left_out else 0


async def cases_part(asking: Asking, page: int) -> CasesPart:
    """The newest first, a page at a time."""
    answer = await asking.owners.get(
        "tracing", "/tracing/cases", asking.credential, page=page, page_size=CASES_MOST
    )
    if not answer.fine:
        problem = read_problem(answer)
        return CasesPart(problem=problem, trouble="" if problem else answer.trouble)
    try:
        cases = read_cases(answer.body)
    except (KeyError, ValueError):
        return CasesPart(trouble="broken")
    async with asking.database.read() as session:
        names = await names_of(session, (case.area_id for case in cases))
    return CasesPart(cases, Names(names, {}), count_in(answer.body, "total"), page)


async def case_part(asking: Asking, case_id: str, typed: Typed | Problem) -> CasePart:
    """A case with the answer to what is asked about it. Raises `CaseAbsent` and `OwnerAway`."""
    case, areas, zone = await _case(asking, case_id)
    if isinstance(typed, Problem):
        form = shown_in_form(case, Typed(), zone)
        return CasePart(case, Question(), form, AnswerPart(problem=typed), areas)
    form = shown_in_form(case, typed, zone)
    question = question_of(case, typed, zone)
    if isinstance(question, Problem):
        return CasePart(case, Question(typed.degree), form, AnswerPart(problem=question), areas)
    answer = await _answer(asking, case, question)
    reasons = [one for row in (answer.found.rows if answer.found else ()) for one in row.reasons]
    wanted = {one.place_id for one in reasons if one.place_id and one.code == "visit"}
    places = await asking.places.of(asking.owners, asking.subject, asking.credential, wanted)
    return CasePart(case, question, form, answer, Names(areas.areas, places))


async def picture_part(asking: Asking, case_id: str, typed: Typed | Problem) -> PicturePart:
    """The picture of the same question. Raises `CaseAbsent` and `OwnerAway`."""
    case, _, zone = await _case(asking, case_id)
    question = typed if isinstance(typed, Problem) else question_of(case, typed, zone)
    if isinstance(question, Problem):
        return PicturePart()
    answers = await asyncio.gather(
        *(_ask(asking, case, question.turned_to(degree), PICTURED_MOST) for degree in DEGREES)
    )
    found = [answer.found for answer in answers if answer.found]
    if len(found) < len(DEGREES):
        # What is wrong with a question stands below already.
        return PicturePart(trouble=next((one.trouble for one in answers if one.trouble), ""))
    days = [days_of(one.rows, zone) for one in found]
    return PicturePart(
        rings=rings_of(*days),
        drawn={degree: len(those) for degree, those in zip(DEGREES, days, strict=True)},
        totals={degree: one.total for degree, one in zip(DEGREES, found, strict=True)},
    )


async def _case(asking: Asking, case_id: str) -> tuple[Case, Names, tzinfo]:
    try:
        answer = await asking.owners.get(
            "tracing", f"/tracing/cases/{UUID(case_id)}", asking.credential
        )
    except ValueError as error:
        raise CaseAbsent("this is no id of a case", "check the address") from error
    if answer.status in (403, 404):
        raise CaseAbsent("there is no such case in your areas", "check the id and your areas")
    if not answer.fine:
        raise OwnerAway("tracing does not answer", "try again")
    try:
        case = read_case(answer.body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise OwnerAway("tracing answered something else", "tell operations") from error
    async with asking.database.read() as session:
        areas = await names_of(session, [case.area_id])
    known = areas.get(case.area_id or "")
    return case, Names(areas, {}), known.zone if known else UTC


async def _answer(asking: Asking, case: Case, question: Question) -> AnswerPart:
    """A page of one degree, and how many there are of the other."""
    if question.degree != DEGREES[0]:
        answer = await _ask(asking, case, question, ROWS_MOST)
        if answer.found is None:
            return answer
        counts = (answer.found.close_contacts, answer.found.total)
        return AnswerPart(answer.found, dict(zip(DEGREES, counts, strict=True)))
    second = question.turned_to(DEGREES[1])
    answer, other = await asyncio.gather(
        _ask(asking, case, question, ROWS_MOST), _ask(asking, case, second, 1)
    )
    if answer.found is None:
        return answer
    totals = (answer.found.total, other.found.total if other.found else None)
    return AnswerPart(answer.found, dict(zip(DEGREES, totals, strict=True)))


async def _ask(asking: Asking, case: Case, question: Question, rows: int) -> AnswerPart:
    answer = await asking.owners.get(
        "tracing",
        f"/tracing/cases/{case.id}/exposures",
        asking.credential,
        degree=question.degree,
        page=question.page,
        page_size=rows,
        **question.differs,
    )
    if not answer.fine:
        problem = read_problem(answer)
        return AnswerPart(problem=problem, trouble="" if problem else answer.trouble)
    try:
        return AnswerPart(read_exposures(answer.body))
    except (KeyError, TypeError, ValueError):
        return AnswerPart(trouble="broken")
