"""What tracing refuses, in words for the person who asked."""

from __future__ import annotations

from shared.errors import Conflict, NotFound


class CaseNotFound(NotFound):
    """No such case, or none in the viewer's areas: the two must not be told apart."""

    slug, title = "case-not-found", "No such case"


class PersonNotFound(NotFound):
    """No such person, or none in the viewer's areas."""

    slug, title = "person-not-found", "No such person"


class RuleSetNotFound(NotFound):
    """No such version of a policy of windows."""

    slug, title = "rule-set-not-found", "No such rule set"


class EngineAway(Conflict):
    """The engine that was asked for cannot answer this."""

    slug, title = "engine-away", "This engine cannot answer"


class NoWindow(Conflict):
    """The case has no infectious window, and the question names none."""

    slug, title = "no-window", "The case has no window"
