"""What a person asks about a case: as it was typed, and as it is meant in the zone of its area."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from urllib.parse import urlencode

from services.console.domain.cases import DEGREES, Case
from services.console.domain.times import format_input, instant_in

INSTANTS = ("from_at", "until_at", "known_at")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a question: a code, and the words of whoever found it."""

    code: str
    status: int = 422
    title: str = ""
    detail: str = ""
    advice: str = ""
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Typed:
    """A question as it came in; empty: as the case has it."""

    degree: str = DEGREES[0]
    page: int = 1
    rules: str = ""
    instants: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """Which degree, which page, and what differs from the case as it was decided."""

    degree: str = DEGREES[0]
    page: int = 1
    rules: str = ""
    from_at: datetime | None = None
    until_at: datetime | None = None
    known_at: datetime | None = None

    @property
    def differs(self) -> dict[str, str]:
        """The "what if" as tracing takes it; nothing for the case's own."""
        instants = {name: getattr(self, name) for name in INSTANTS}
        told = {name: at.isoformat() for name, at in instants.items() if at is not None}
        return told | ({"rules": self.rules} if self.rules else {})

    def address(self, degree: str, page: int = 1) -> str:
        """The query of the same question for another degree or page."""
        fields = {"degree": degree} | ({"page": str(page)} if page > 1 else {})
        return urlencode(fields | self.differs)

    def turned_to(self, degree: str) -> Question:
        """The beginning of the same answer in another degree."""
        return replace(self, degree=degree, page=1)


def question_of(case: Case, typed: Typed, zone: tzinfo) -> Question | Problem:
    """What was typed, without what equals the case's own; or what is wrong with it."""
    instants: dict[str, datetime] = {}
    unread = []
    for name, text in typed.instants.items():
        try:
            instants[name] = instant_in(text, zone)
        except ValueError:
            unread.append((name, ""))
    if unread:
        return Problem("not-an-instant", fields=tuple(unread))
    own = {"from_at": case.window.from_at, "until_at": case.window.until_at} if case.window else {}
    window = own | {name: at for name, at in instants.items() if name != "known_at"}
    if len(window) == 2 and window["from_at"] >= window["until_at"]:
        return Problem("window-turned")
    # A field holds whole minutes: what nobody touched is the case's own window.
    if own and all(_same_minute(window[name], at) for name, at in own.items()):
        window = {}
    return Question(
        degree=typed.degree,
        page=typed.page,
        rules=typed.rules if typed.rules != case.policy else "",
        from_at=window.get("from_at"),
        until_at=window.get("until_at"),
        known_at=instants.get("known_at"),
    )


def shown_in_form(case: Case, typed: Typed, zone: tzinfo) -> dict[str, str]:
    """What the fields hold: what was asked, else the case's own."""
    own = {"from_at": case.window.from_at, "until_at": case.window.until_at} if case.window else {}
    shown = {name: format_input(at, zone) for name, at in own.items()}
    for name, text in typed.instants.items():
        try:
            shown[name] = format_input(instant_in(text, zone), zone)
        except ValueError:
            shown[name] = text
    return dict.fromkeys(INSTANTS, "") | shown | {"rules": typed.rules or case.policy}


def _same_minute(one: datetime, other: datetime) -> bool:
    return one.replace(second=0, microsecond=0) == other.replace(second=0, microsecond=0)
