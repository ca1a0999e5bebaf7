"""What tracing refuses, in words for the person who asked."""

from __future__ import annotations

from shared.errors import NotFound


class CaseNotFound(NotFound):
    """No such case, or none in the viewer's areas: the two must not be told apart."""

    slug, title = "case-not-found", "No such case"


class PersonNotFound(NotFound):
    """No such person, or none in the viewer's areas."""

    slug, title = "person-not-found", "No such person"
