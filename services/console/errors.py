"""What can go wrong here, as people are told it."""

from __future__ import annotations

from shared.errors import NotFound, Unavailable


class CardNotFound(NotFound):
    slug, title = "alert-not-found", "No such alert"


class CaseAbsent(NotFound):
    slug, title = "case-not-found", "No such case"


class FileNotServed(NotFound):
    slug, title = "file-not-found", "No such file"


class OwnerAway(Unavailable):
    """The service that has the answer does not answer."""

    slug, title = "owner-away", "The service behind this page is away"
