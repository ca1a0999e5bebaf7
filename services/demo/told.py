"""What the rows of a plan amount to once a door has taken them: fates, and facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from services.demo.plan import (
    ZONE,
    Encounter,
    Membership,
    Parcel,
    Report,
    Result,
    Row,
    Scan,
)

Fate = str
# (source, day of receipt, fate) → rows
Balance = Counter[tuple[str, str, Fate]]


@dataclass(slots=True)
class Facts:
    """Every row that was stored, once, with the source that told it."""

    scans: list[Scan] = field(default_factory=list)
    reports: list[tuple[str, Report]] = field(default_factory=list)
    results: list[tuple[str, Result]] = field(default_factory=list)
    encounters: list[Encounter] = field(default_factory=list)
    memberships: list[Membership] = field(default_factory=list)

    def add(self, source: str, row: Row) -> None:
        match row:
            case Scan():
                self.scans.append(row)
            case Report():
                self.reports.append((source, row))
            case Result():
                self.results.append((source, row))
            case Encounter():
                self.encounters.append(row)
            case Membership():
                self.memberships.append(row)


def take(parcels: Iterable[Parcel]) -> tuple[Balance, Facts]:
    """Each row's fate: the first of an id is stored, the same again is a duplicate, another content
    under the same id is refused, and so is a broken row (which does not use up its id)."""
    balance: Balance = Counter()
    facts = Facts()
    known: dict[tuple[str, str, str], Row] = {}
    for parcel in parcels:
        day = parcel.sent_at.astimezone(ZONE).date().isoformat()
        for row in parcel.rows:
            key = (parcel.source, type(row).__name__, row.external_id)
            if row.broken:
                fate = "rejected"
            elif key not in known:
                known[key] = row
                facts.add(parcel.source, row)
                fate = "stored"
            else:
                fate = "duplicate" if known[key] == row else "rejected"
            balance[parcel.source, day, fate] += 1
    return balance, facts
