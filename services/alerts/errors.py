"""What can go wrong here, as people are told it."""

from __future__ import annotations

from shared.errors import Conflict, NotFound


class AlertNotFound(NotFound):
    """Also for an alert outside the viewer's areas: that it exists is not told."""

    slug, title = "alert-not-found", "No such alert"


class ActNotAllowed(Conflict):
    """The alert is not in a state in which that can be done to it."""

    slug, title = "act-not-allowed", "The alert does not allow this now"
