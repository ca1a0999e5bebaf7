"""The rule of exposure, in words. The SQL (`repository/exposures.py`) and the brute force in the
tests both follow this text; the fast engine to come must give the same rows.

A *source* is a person and a time [from, until): a case in its infectious window, or a close contact
from its first exposure until its isolation. Another person is *exposed* to a source by meetings
that count:

1. **Visit.** The source's visit is cut to [from, until); its overlap with a visit of the other
   person at the same place counts when it is longer than zero and at or over the minimum of that
   kind of place. Each pair of visits is judged alone; overlaps are not added up. Nobody seen to
   leave stays for the policy's dwell at that kind of place. Visits that only touch, and stays of no
   length, do not overlap.
2. **Membership.** The same with two memberships of one group and the minimum of its kind; a
   membership without an end lasts for ever. A kind that the policy does not let count exposes
   nobody.
3. **Encounter.** An encounter of the two belongs to the source when it begins in [from, until), and
   then counts whole, even if it lasts longer. Take any encounter and all those of the pair that
   began in the 24 hours up to its own beginning (exactly 24 hours earlier is still in): if their
   durations add up to the policy's minutes, all of them count. Durations are added as measured.
4. **Link.** A dated link of the same disease from the source to the other counts if its date is in
   [from, until). An undated link exposes nobody; it is only an edge of the chain.

*First exposure* is the beginning of the first meeting that counts (for encounters: of the first one
in the sum, not of the one that filled it); *last exposure* the end of the last.

A *close contact* is exposed to the case in its infectious window; the case is not its own contact.
A *contact of contact* is exposed to a close contact from (inclusive) the latter's first exposure
until (exclusive) its isolation or the end of the window, and is neither the case nor one of its
close contacts. Exposed through several close contacts, the one that exposed first (then the smaller
id) is named, with its reasons and evidence; first and last exposure are over all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from shared.events.base import Evidence
from shared.events.tracing import Reason

Degree = Literal["close_contact", "contact_of_contact"]
Channel = Literal["visit", "membership", "encounter", "link"]


@dataclass(frozen=True, slots=True)
class StayRule:
    """What counts at a kind of place or in a kind of group."""

    minimum_seconds: float
    # Assumed for a visit without a departure; unused for groups.
    dwell_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ExposureRule:
    """The figures of the rule. Kinds not named fall under `other_*`; None lets no such group
    count."""

    place_kinds: Mapping[str, StayRule]
    other_places: StayRule
    group_kinds: Mapping[str, StayRule]
    other_groups: StayRule | None
    encounter_seconds: float
    links_count: bool


@dataclass(frozen=True, slots=True)
class Source:
    """A person who may expose others in [from, until)."""

    person_id: UUID
    from_at: datetime
    until_at: datetime


def unite(sources: Sequence[Source]) -> list[Source]:
    """Sources without a time in which the same person would count twice."""
    if len({source.person_id for source in sources}) == len(sources):
        return list(sources)
    united: list[Source] = []
    for source in sorted(sources, key=lambda one: (one.person_id, one.from_at)):
        last = united[-1] if united else None
        if last and last.person_id == source.person_id and source.from_at <= last.until_at:
            until_at = max(last.until_at, source.until_at)
            united[-1] = Source(last.person_id, last.from_at, until_at)
        else:
            united.append(source)
    return united


@dataclass(frozen=True, slots=True)
class Exposed:
    """One person's exposure, through one source, with the reasons it rests on."""

    person_id: UUID
    via_person_id: UUID
    first_at: datetime
    last_at: datetime
    reasons: tuple[Reason, ...]
    evidence: tuple[Evidence, ...]

    @property
    def minutes(self) -> float:
        return round(sum(reason.minutes for reason in self.reasons), 3)


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact of a case as it should be told; `via_person_id` only for the second degree."""

    person_id: UUID
    via_person_id: UUID | None
    degree: Degree
    exposed: Exposed

    @property
    def reason(self) -> str:
        """One line with codes and figures only."""
        met = ", ".join(
            f"{reason.code}{f' at {reason.place_kind}' if reason.place_kind else ''}"
            f" {reason.minutes:g} min"
            for reason in self.exposed.reasons
        )
        return f"{self.degree}: {met}"

    def digest(self, policy: str | None) -> str:
        """Equal for equal contacts; changes when anything that is announced changes."""
        exposed = self.exposed
        parts = [
            self.degree, self.via_person_id, exposed.first_at.timestamp(),
            exposed.last_at.timestamp(), policy,
            *(reason.model_dump_json() for reason in exposed.reasons),
            *(f"{item.kind}/{item.id}/{item.version}" for item in exposed.evidence),
        ]  # fmt: skip
        return hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=16).hexdigest()


def merge_degrees(close: Sequence[Exposed], second: Sequence[Exposed]) -> dict[UUID, Contact]:
    """All contacts of a case by person; the nearer degree wins."""
    contacts = {
        item.person_id: Contact(item.person_id, item.via_person_id, "contact_of_contact", item)
        for item in second
    }
    contacts |= {
        item.person_id: Contact(item.person_id, None, "close_contact", item) for item in close
    }
    return contacts
