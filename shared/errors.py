"""Errors that people are told about: RFC 9457 problem+json: which field, what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing that is wrong with what was sent. `text` never quotes personal data."""

    field: str
    text: str
    expected: str = ""

    def as_dict(self) -> dict[str, str]:
        return {"field": self.field, "text": self.text, "expected": self.expected}


# Longer, with a digit or in another script, a field that nobody knows may be a person's data.
_FIELD = re.compile(r"[a-z][a-z_]{0,39}")


def field_at(places: Sequence[str | int], kind: str) -> str:
    """The path of a field as pydantic found it; an unknown field is told only if it looks like one:
    its name is the sender's own text."""
    told = [str(place) for place in places]
    if told and kind == "extra_forbidden" and not _FIELD.fullmatch(told[-1]):
        told[-1] = "(unknown field)"
    return ".".join(told)


@dataclass
class AppError(Exception):
    """Base of every expected error; `slug` names it in documentation, `advice` says what to do."""

    detail: str
    advice: str = ""
    problems: Sequence[FieldProblem] = field(default_factory=tuple)

    status = 500
    slug = "error"
    title = "Error"

    def __str__(self) -> str:
        return self.detail

    def as_problem(self) -> dict[str, Any]:
        """The problem+json body."""
        body: dict[str, Any] = {
            "type": f"urn:outpost:problem:{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.advice:
            body["advice"] = self.advice
        if self.problems:
            body["problems"] = [problem.as_dict() for problem in self.problems]
        return body


class BadRequest(AppError):
    status, slug, title = 400, "bad-request", "The request cannot be read"


class InvalidPayload(AppError):
    status, slug, title = 422, "invalid-payload", "The payload breaks its contract"


class Unauthenticated(AppError):
    status, slug, title = 401, "unauthenticated", "No valid credential"


class Forbidden(AppError):
    status, slug, title = 403, "forbidden", "Not permitted"


class OtherOrigin(Forbidden):
    """A page of another site tried to act with this person's session."""

    slug, title = "other-origin", "The request does not come from this console"


class NotFound(AppError):
    status, slug, title = 404, "not-found", "Not found"


class Conflict(AppError):
    status, slug, title = 409, "conflict", "Conflicts with what is stored"


class TooLarge(AppError):
    status, slug, title = 413, "too-large", "The request is too large"


class Unavailable(AppError):
    """Come back later; answered with Retry-After."""

    status, slug, title = 503, "unavailable", "Not available at the moment"
    retry_after_seconds = 1


class ConfigurationError(AppError):
    """The operator must change something before the service can run."""

    status, slug, title = 500, "configuration", "Wrong configuration"


class InvalidMessage(AppError):
    """This record can never be processed: the only error that sends one to the dead letters."""

    status, slug, title = 422, "invalid-message", "A message that can never be processed"
