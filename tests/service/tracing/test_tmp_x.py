"""The SQL finds exactly whom the brute force finds, in whatever order the facts came."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.tracing.app import service
from services.tracing.repository.policies import WindowsDocument
from shared.events.base import Event
from shared.policy import read_presets
from tests.oracle import exposure as oracle
from tests.service.tracing import desk as tell
from tests.service.tracing.desk import Desk, id_of

# Midnight of 1 March in China; the policy counts two days before the onset and ten after it.
START = datetime(2021, 2, 28, 16, tzinfo=UTC)
ONSET = date(2021, 3, 4)
WINDOW = (START + timedelta(days=1), START + timedelta(days=14))
DAYS = 3
PERSONS = tuple("abcdefgh")
PLACES = {"school": "school", "gate": "gate", "flat": "dwelling", "den": "den"}
STAT: list = []
NEVER = datetime(2021, 6, 1, tzinfo=UTC)


def rules() -> oracle.Rules:
    """The figures of the preset, as data; the rule itself the oracle knows by itself."""
    files = read_presets(service.folder / "presets", service.policies)
    file = next(file for file in files if file.disease == tell.DISEASE)
    close = WindowsDocument.model_validate(file.document).close
    return oracle.Rules(
        place_minimum={kind: rule.minimum_minutes for kind, rule in close.place_kinds.items()},
        place_dwell={
            kind: rule.default_dwell_minutes for kind, rule in close.place_kinds.items()
        },
        other_minimum=close.other_places.minimum_minutes,
        other_dwell=close.other_places.default_dwell_minutes,
        group_minimum={kind: rule.minimum_minutes for kind, rule in close.group_kinds.items()},
        other_group_minimum=close.other_groups.minimum_minutes if close.other_groups else None,
        encounter_minutes=close.encounter_minutes_in_24h,
    )


# A coarse grid, so that intervals touch, coincide and are empty often.
moments = st.builds(
    lambda day, quarter: START + timedelta(days=day, hours=9, minutes=15 * quarter),
    st.integers(0, DAYS),
    st.integers(0, 4 * 8),
)
stays = st.sampled_from((0, 5, 14, 15, 16, 60, 600)).map(lambda n: timedelta(minutes=n))
persons = st.sampled_from(PERSONS)
# 1: as first told. 2: revised. 0: withdrawn by a revision.
fates = st.sampled_from((1, 1, 1, 1, 1, 1, 2, 0))


@dataclass(frozen=True)
class Told:
    """A fact as the oracle takes it (None once withdrawn), and every event that tells of it."""

    fact: Any
    events: tuple[Event, ...]


@st.composite
def visits(draw: st.DrawFn, name: str) -> Told:
    place, at, fate = draw(st.sampled_from(sorted(PLACES))), draw(moments), draw(fates)
    person = draw(persons)
    left_at = draw(st.one_of(st.none(), stays.map(lambda stay: at + stay)))
    final = tell.scan(name, person, place, at, left_at=left_at)
    fact = oracle.Visit(str(id_of(name)), person, place, at, left_at)
    if fate == 1:
        return Told(fact, (final,))
    before = tell.scan(name, draw(persons), draw(st.sampled_from(sorted(PLACES))), draw(moments))
    status = "recorded" if fate else "withdrawn"
    revised = final.model_copy(update={"record_version": 2, "status": status})
    return Told(fact if fate else None, (before, revised))


@st.composite
def encounters(draw: st.DrawFn, name: str) -> Told:
    pair = (draw(persons), draw(persons))
    at, minutes, fate = draw(moments), draw(st.sampled_from((0, 4, 5, 7.5, 10, 15))), draw(fates)
    final = tell.encounter(name, pair, at, minutes=minutes)
    fact = oracle.Encounter(str(id_of(name)), *pair, at, round(minutes * 60))
    if fate == 1:
        return Told(fact, (final,))
    before = tell.encounter(name, (draw(persons), draw(persons)), draw(moments), minutes=15)
    status = "recorded" if fate else "withdrawn"
    revised = final.model_copy(update={"record_version": 2, "status": status})
    return Told(fact if fate else None, (before, revised))


@st.composite
def memberships(draw: st.DrawFn, name: str) -> Told:
    person, group, at = draw(persons), draw(st.sampled_from(("home", "class"))), draw(moments)
    until_at = draw(st.one_of(st.none(), moments))
    final = tell.membership(name, person, group, at, until_at=until_at)
    fact = oracle.Membership(str(id_of(name)), person, group, "household", at, until_at)
    if draw(fates):
        return Told(fact, (final,))
    withdrawn = final.model_copy(update={"record_version": 2, "status": "withdrawn"})
    return Told(None, (final, withdrawn))


@st.composite
def links(draw: st.DrawFn, name: str) -> Told:
    source, other = draw(persons), draw(persons)
    at = draw(st.one_of(st.none(), moments))
    return Told(
        oracle.Link(str(id_of(name)), source, other, at),
        (tell.link(name, source, other, at),),
    )


@dataclass(frozen=True)
class Town:
    world: oracle.World
    events: tuple[Event, ...]


@st.composite
def towns(draw: st.DrawFn) -> Town:
    """Eight persons and four days; `a` is the case, sometimes `b` becomes one as well."""
    told: dict[str, list[Told]] = {}
    for kind, make, most in (
        ("visit", visits, 16), ("encounter", encounters, 20), ("membership", memberships, 2),
        ("link", links, 2),
    ):  # fmt: skip
        number = most - draw(st.integers(0, most))
        told[kind] = [draw(make(f"{kind} {n}")) for n in range(number)]
    events: list[Event] = [tell.declared("case of a", "a", ONSET)]
    events += [tell.place(name, kind) for name, kind in PLACES.items() if kind != name]
    events += [tell.place("school", "gate"), tell.place("school", "school", version=2)]
    apart: dict[str, list[tuple[datetime, datetime]]] = {}
    for person in draw(st.sets(persons, max_size=2)):
        times = draw(st.lists(st.tuples(moments, moments), min_size=1, max_size=2))
        apart.setdefault(person, []).extend(times)
        events.append(tell.order(f"order on {person}", person, times))
    if draw(st.booleans()):
        events.append(tell.declared("case of b", "b", ONSET, reported_date=date(2021, 3, 3)))
        apart.setdefault("b", []).append((START + timedelta(days=2), NEVER))
    for items in told.values():
        events += [event for item in items for event in item.events]
    standing = {
        kind: [item.fact for item in items if item.fact is not None]
        for kind, items in told.items()
    }
    world = oracle.World(
        rules=rules(), place_kinds=PLACES, visits=standing["visit"],
        encounters=standing["encounter"], memberships=standing["membership"],
        links=standing["link"], apart=apart,
    )  # fmt: skip
    return Town(world, tuple(events))


def expected(world: oracle.World, case: str) -> dict[Any, Any]:
    close = world.close_contacts(case, *WINDOW)
    second = world.contacts_of_contacts(case, close, WINDOW[1])
    found = {}
    for degree, people in (("contact_of_contact", second), ("close_contact", close)):
        for person, item in people.items():
            via = id_of(item.via) if degree == "contact_of_contact" else None
            evidence = sorted(item.evidence)
            found[id_of(person)] = (degree, via, item.first, item.last, evidence)
    return found


async def decided(desk: Desk, case: str) -> dict[Any, Any]:
    return {
        person: (
            row["degree"], row["via_person_id"], row["first_exposure_at"],
            row["last_exposure_at"], sorted(item["id"] for item in row["evidence"]),
        )
        for person, row in (await desk.contacts(case)).items()
    }  # fmt: skip


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(town=towns(), seed=st.integers(0, 1 << 16))
async def test_sql_and_brute_force_agree_in_any_order_of_arrival(
    desk: Desk, town: Town, seed: int
) -> None:
    await desk.clear()
    order = random.Random(seed)
    events = [*town.events, *order.sample(town.events, k=len(town.events) // 3)]
    order.shuffle(events)
    while events:
        number = order.randint(1, 12)
        batch, events = events[:number], events[number:]
        await desk.hear(*batch)
        if order.random() < 0.5:
            await desk.judge()
    await desk.judge()
    e = expected(town.world, "a"); STAT.append((sum(v[0]=="close_contact" for v in e.values()), sum(v[0]!="close_contact" for v in e.values())))
    assert await decided(desk, "a") == e


def test_stat() -> None:
    print("\nN", len(STAT), "close>0", sum(a > 0 for a, _ in STAT), "second>0", sum(b > 0 for _, b in STAT))
