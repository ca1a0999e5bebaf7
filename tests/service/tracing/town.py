"""Generated towns: eight persons and four days, told as events, and the world that they end in."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.tracing.app import service
from services.tracing.repository.policies import WindowsDocument
from shared.events.base import Event
from shared.policy import read_presets
from tests.oracle import exposure as oracle
from tests.service.tracing import desk as tell
from tests.service.tracing.desk import id_of

# Midnight of 1 March in China; the policy counts two days before the onset and ten after it.
START = datetime(2021, 2, 28, 16, tzinfo=UTC)
ONSET = date(2021, 3, 4)
WINDOW = (START + timedelta(days=1), START + timedelta(days=14))
DAYS = 3
PERSONS = tuple("abcdefgh")
PLACES = {"school": "school", "gate": "gate", "flat": "dwelling", "den": "den"}
NEVER = datetime(2021, 6, 1, tzinfo=UTC)

Fact = TypeVar("Fact")


def rules() -> oracle.Rules:
    """The figures of the preset, as data; the rule itself the oracle knows by itself."""
    files = read_presets(service.folder / "presets", service.policies)
    file = next(file for file in files if file.disease == tell.DISEASE)
    close = WindowsDocument.model_validate(file.document).close
    return oracle.Rules(
        place_minimum={kind: rule.minimum_minutes for kind, rule in close.place_kinds.items()},
        place_dwell={kind: rule.default_dwell_minutes for kind, rule in close.place_kinds.items()},
        other_minimum=close.other_places.minimum_minutes,
        other_dwell=close.other_places.default_dwell_minutes,
        group_minimum={kind: rule.minimum_minutes for kind, rule in close.group_kinds.items()},
        other_group_minimum=close.other_groups.minimum_minutes if close.other_groups else None,
        encounter_minutes=close.encounter_minutes_in_24h,
    )


def who(name: str) -> str:
    """The oracle is given the ids of the records: of two ways at once the smaller id is named."""
    return str(id_of(name))


@dataclass(frozen=True)
class Size:
    """How much happens; hypothesis shrinks these. The town itself comes from the seed: drawn value
    by value, two persons would hardly ever meet twice."""

    visits: int
    encounters: int
    memberships: int
    links: int
    orders: int
    second_case: bool


sizes = st.builds(
    Size,
    visits=st.integers(5, 30),
    encounters=st.integers(20, 120),
    memberships=st.integers(0, 3),
    links=st.integers(0, 3),
    orders=st.integers(0, 3),
    second_case=st.booleans(),
)


def of_any_town(*, examples: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Runs a test on so many towns; it is given the `size` and the `seed` of each."""

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        drawn = given(size=sizes, seed=st.integers(0, 1 << 32))(test)
        return settings(
            max_examples=examples,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        )(drawn)

    return decorate


def told_in_any_order(town: Town) -> Iterator[list[Event]]:
    """Everything that is told of a town, a third of it twice, shuffled, in batches."""
    order = town.random
    events = [*town.events, *order.sample(town.events, k=len(town.events) // 3)]
    order.shuffle(events)
    while events:
        number = order.randint(1, 12)
        batch, events = events[:number], events[number:]
        yield batch


class Town:
    """Eight persons and four days; `a` is the case. `events` tell of it all, revisions included."""

    def __init__(self, size: Size, seed: int) -> None:
        self.random = random.Random(seed)
        self.events: list[Event] = [tell.declared("case of a", "a", ONSET)]
        # Of the den nobody tells anything, and of the school first something else.
        self.events += [tell.place("gate", "gate"), tell.place("flat", "dwelling")]
        self.events += [tell.place("school", "gate"), tell.place("school", "school", version=2)]
        self.apart: dict[str, list[tuple[datetime, datetime]]] = {}
        for person in self.random.sample(PERSONS, size.orders):
            times = [(self.moment(), self.moment()) for _ in range(self.random.randint(1, 2))]
            self.apart.setdefault(who(person), []).extend(times)
            self.events.append(tell.order(f"order on {person}", person, times))
        if size.second_case:
            self.events.append(
                tell.declared("case of b", "b", ONSET, reported_date=date(2021, 3, 3))
            )
            self.apart.setdefault(who("b"), []).append((START + timedelta(days=2), NEVER))
        self.world = oracle.World(
            rules=rules(),
            place_kinds=PLACES,
            visits=self.some(self.visit, size.visits),
            encounters=self.some(self.encounter, size.encounters),
            memberships=self.some(self.membership, size.memberships),
            links=self.some(self.link, size.links),
            apart=self.apart,
        )

    def moment(self) -> datetime:
        """A coarse grid, so that intervals touch, coincide and are empty often."""
        day, quarter = self.random.randint(0, DAYS), self.random.randint(0, 4 * 8)
        return START + timedelta(days=day, hours=9, minutes=15 * quarter)

    def some(self, make: Callable[[str], tuple[Fact, Event, Event]], number: int) -> list[Fact]:
        """Facts as they stand in the end: most told once, some revised, some withdrawn."""
        facts = []
        for index in range(number):
            fact, final, before = make(f"{make.__name__} {index}")
            fate = self.random.choice(("told", "told", "told", "told", "revised", "withdrawn"))
            if fate == "told":
                self.events.append(final)
            else:
                status = "withdrawn" if fate == "withdrawn" else "recorded"
                revised = final.model_copy(update={"record_version": 2, "status": status})
                self.events += [before, revised]
            if fate != "withdrawn":
                facts.append(fact)
        return facts

    def person(self) -> str:
        return self.random.choice(PERSONS)

    def pair(self) -> tuple[str, str]:
        """Neighbours mostly: a chain is what makes contacts of contacts."""
        place = self.random.randrange(len(PERSONS))
        step = self.random.choice((0, 1, 1, 1, 1, 1, 3))
        pair = [PERSONS[place], PERSONS[(place + step) % len(PERSONS)]]
        self.random.shuffle(pair)
        return pair[0], pair[1]

    def visit(self, name: str) -> tuple[oracle.Visit, Event, Event]:
        person, place, at = self.person(), self.random.choice(sorted(PLACES)), self.moment()
        minutes = self.random.choice((None, 0, 5, 14, 15, 16, 60, 600))
        left_at = None if minutes is None else at + timedelta(minutes=minutes)
        return (
            oracle.Visit(who(name), who(person), place, at, left_at),
            tell.scan(name, person, place, at, left_at=left_at),
            tell.scan(name, self.person(), self.random.choice(sorted(PLACES)), self.moment()),
        )

    def encounter(self, name: str) -> tuple[oracle.Encounter, Event, Event]:
        (one, other), at = self.pair(), self.moment()
        minutes = self.random.choice((0, 5, 7.5, 10, 15))
        return (
            oracle.Encounter(who(name), who(one), who(other), at, round(minutes * 60)),
            tell.encounter(name, (one, other), at, minutes=minutes),
            tell.encounter(name, self.pair(), self.moment(), minutes=15),
        )

    def membership(self, name: str) -> tuple[oracle.Membership, Event, Event]:
        person, group, at = self.person(), self.random.choice(("home", "class")), self.moment()
        until_at = self.random.choice((None, at, self.moment()))
        return (
            oracle.Membership(who(name), who(person), group, "household", at, until_at),
            tell.membership(name, person, group, at, until_at=until_at),
            tell.membership(name, self.person(), "home", at),
        )

    def link(self, name: str) -> tuple[oracle.Link, Event, Event]:
        source, other = self.person(), self.person()
        at = self.random.choice((None, self.moment()))
        return (
            oracle.Link(who(name), who(source), who(other), at),
            tell.link(name, source, other, at),
            tell.link(name, self.person(), self.person(), self.moment()),
        )
