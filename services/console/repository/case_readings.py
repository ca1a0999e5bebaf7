"""From tracing's JSON to what the page of a case shows. A tolerant reader, like its neighbour."""

from __future__ import annotations

from typing import Any

from services.console.domain.cases import (
    DEGREES,
    Act,
    Case,
    Exposure,
    Exposures,
    Met,
    Record,
    Window,
)
from services.console.domain.questions import Problem
from services.console.repository.owners import Answer
from services.console.repository.readings import (
    UNKNOWN_AT,
    Json,
    count_in,
    instant_of,
    items_of,
    text_in,
)

# With these an owner says that the question was wrong, in words for whoever asked.
WRONG = frozenset({400, 404, 409, 422})
PROBLEM_TYPE = "urn:outpost:problem:"


def read_cases(body: Any) -> list[Case]:
    """In the owner's order: the latest first."""
    return [read_case(item) for item in items_of(body, "cases")]


def read_case(body: Json) -> Case:
    """A case as tracing writes it; KeyError where it has no id, ValueError for a broken instant."""
    counts = body.get("contacts")
    return Case(
        id=str(body["id"]),
        version=count_in(body, "version"),
        person_id=text_in(body, "person_id"),
        disease=text_in(body, "disease"),
        classification=text_in(body, "classification"),
        standing=bool(body.get("standing")),
        onset=text_in(body, "onset_date"),
        occurred_at=instant_of(body.get("occurred_at")) or UNKNOWN_AT,
        window=_window(body.get("window")),
        area_id=body.get("area_id"),
        reason=text_in(body, "reason"),
        policy=text_in(body, "policy"),
        exercise=bool(body.get("exercise")),
        evidence=len(items_of(body.get("evidence"))),
        acts=tuple(_act(item) for item in items_of(body.get("acts"))),
        decided={
            degree: count_in(counts, degree) if isinstance(counts, dict) else 0
            for degree in DEGREES
        },
    )


def read_exposures(body: Any) -> Exposures:
    """A page of exposed persons; KeyError or ValueError where it is none."""
    window = body["window"]
    from_at, until_at = instant_of(window["from_at"]), instant_of(window["until_at"])
    return Exposures(
        engine=text_in(body, "engine"),
        rules=text_in(body, "rules"),
        from_at=from_at or UNKNOWN_AT,
        until_at=until_at or UNKNOWN_AT,
        total=count_in(body, "total"),
        pairs=count_in(body, "pairs"),
        close_contacts=count_in(body, "close_contacts"),
        rows=tuple(_exposure(item) for item in items_of(body, "exposures")),
    )


def read_problem(answer: Answer) -> Problem | None:
    """What the owner finds wrong with the question; None where that is not what it says."""
    body = answer.body
    if answer.status not in WRONG or not isinstance(body, dict):
        return None
    return Problem(
        code=text_in(body, "type").removeprefix(PROBLEM_TYPE),
        status=answer.status,
        title=text_in(body, "title"),
        detail=text_in(body, "detail"),
        advice=text_in(body, "advice"),
        fields=tuple(
            (text_in(item, "field").removeprefix("query."), text_in(item, "text"))
            for item in items_of(body.get("problems"))
        ),
    )


def _window(body: Any) -> Window | None:
    if not isinstance(body, dict):
        return None
    from_at, until_at = instant_of(body.get("from_at")), instant_of(body.get("until_at"))
    if from_at is None or until_at is None:
        return None
    return Window(from_at, until_at, text_in(body, "basis"), text_in(body, "day"))


def _act(body: Json) -> Act:
    return Act(
        text_in(body, "action"),
        text_in(body, "author"),
        text_in(body, "reason"),
        instant_of(body.get("at")) or UNKNOWN_AT,
    )


def _exposure(body: Json) -> Exposure:
    return Exposure(
        person_id=text_in(body, "person_id"),
        via_id=text_in(body, "via_person_id"),
        first_at=instant_of(body.get("first_at")) or UNKNOWN_AT,
        last_at=instant_of(body.get("last_at")) or UNKNOWN_AT,
        minutes=_minutes(body),
        reasons=tuple(
            Met(
                code=text_in(item, "code"),
                place_id=item.get("place_id"),
                place_kind=text_in(item, "place_kind"),
                minutes=_minutes(item),
                first_at=instant_of(item.get("first_at")) or UNKNOWN_AT,
                last_at=instant_of(item.get("last_at")) or UNKNOWN_AT,
            )
            for item in items_of(body.get("reasons"))
        ),
        evidence=tuple(
            Record(text_in(item, "kind"), text_in(item, "id"), count_in(item, "version"))
            for item in items_of(body.get("evidence"))
        ),
    )


def _minutes(body: Json) -> float:
    value = body.get("minutes")
    return float(value) if isinstance(value, int | float) else 0.0
