"""What the address of a list or of a case's page asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from services.console.domain.questions import INSTANTS, Problem, Typed
from shared.bounds import PlainText

Instant = Annotated[PlainText, StringConstraints(strip_whitespace=True, max_length=40)]


class PageAsked(BaseModel):
    """Which page of a list."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    page: int = Field(default=1, ge=1, le=1_000_000)


class QuestionAsked(PageAsked):
    """A degree, and the "what if". Instants stay text: what zone they are meant in is known with
    the case."""

    degree: Literal["close_contact", "contact_of_contact"] = "close_contact"
    from_at: Instant = ""
    until_at: Instant = ""
    known_at: Instant = ""
    rules: Annotated[PlainText, StringConstraints(strip_whitespace=True, max_length=200)] = ""


def page_in(fields: Mapping[str, str]) -> int | Problem:
    """The page that is asked for, or what is wrong with it."""
    try:
        return PageAsked.model_validate(fields).page
    except ValidationError as error:
        return _problem(error)


def question_in(fields: Mapping[str, str]) -> Typed | Problem:
    """The question as it was typed, or what is wrong with it."""
    try:
        asked = QuestionAsked.model_validate(fields)
    except ValidationError as error:
        return _problem(error)
    typed = {name: getattr(asked, name) for name in INSTANTS}
    instants = {name: text for name, text in typed.items() if text}
    return Typed(asked.degree, asked.page, asked.rules, instants)


def _problem(error: ValidationError) -> Problem:
    """Places and expectations, never the value."""
    wrong = tuple((str(item["loc"][0]), item["msg"]) for item in error.errors())
    return Problem("invalid-payload", fields=wrong)
