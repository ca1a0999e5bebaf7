"""Who is who in the story: chosen from the town so that their lives touch as it needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from services.demo.plan import Person, Town


@dataclass(frozen=True, slots=True)
class Cast:
    """Codes of the persons of the story.

    `first` falls ill, and is later found to have been taken for somebody else. `shared` works with
    the first and lives with `second`. `runaway` dined with the first and heads for the train;
    `permitted` and `early` work with the first. `passer` sat at the next table for eight minutes.
    """

    first: str
    second: str
    shared: str
    runaway: str
    permitted: str
    early: str
    child: str
    passer: str
    patient: str
    traveller: str

    @property
    def everybody(self) -> frozenset[str]:
        return frozenset(getattr(self, name) for name in Cast.__slots__)


def choose_cast(town: Town, random: Random) -> Cast:
    """The first set of persons that fits; `LookupError` in a town where nobody does."""
    firms: dict[str, list[Person]] = defaultdict(list)
    homes: dict[str, list[Person]] = defaultdict(list)
    for person in town.persons.values():
        homes[person.household].append(person)
        if person.role == "worker" and person.daily is not None:
            firms[person.daily].append(person)
    for first, shared, second in _trios(firms, homes):
        assert first.daily is not None
        child = next(one for one in homes[first.household] if one.role == "pupil")
        strangers = _strangers(firms, homes, {first.daily, second.daily or ""})
        others = [one for one in firms[first.daily] if one not in (first, shared)]
        idle = [
            one for one in town.persons.values() if one.role == "adult"
            and one.household not in {first.household, shared.household}
        ]  # fmt: skip
        if strangers and len(others) >= 2 and len(idle) >= 3:
            runaway = random.choice(strangers)
            passer, patient, traveller = random.sample(
                [one for one in idle if one.household != runaway.household], 3
            )
            people = (
                first, second, shared, runaway, others[0], others[1], child,
                passer, patient, traveller,
            )  # fmt: skip
            return Cast(*(one.code for one in people))
    raise LookupError("nobody in this town fits the story: choose another seed")


def _trios(
    firms: dict[str, list[Person]], homes: dict[str, list[Person]]
) -> list[tuple[Person, Person, Person]]:
    """(first, shared, second): colleagues, of whom the one lives with a worker of a small firm."""
    return [
        (first, shared, second)
        for staff in firms.values()
        if 8 <= len(staff) <= 11
        for first in staff
        if 3 <= len(homes[first.household]) <= 4
        and any(one.role == "pupil" for one in homes[first.household])
        for shared in staff
        if shared.household != first.household
        for second in homes[shared.household]
        if second.role == "worker" and second.daily != first.daily
        and len(firms[second.daily or ""]) <= 8 and len(homes[shared.household]) <= 3
    ]  # fmt: skip


def _strangers(
    firms: dict[str, list[Person]], homes: dict[str, list[Person]], avoided: set[str]
) -> Sequence[Person]:
    """Workers who share neither work nor home with anybody of the firms to avoid."""
    return [
        person
        for staff in firms.values()
        for person in staff
        if not avoided & {one.daily for one in homes[person.household]}
    ]
