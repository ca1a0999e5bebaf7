"""The made-up city is what the measurements say it is, and is the same every time."""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml

from bench import binary_copy
from bench.city import (
    GROUP_KINDS,
    PLACE_KINDS,
    City,
    Encounters,
    Visits,
    encounters,
    make_city,
    uuid_bytes,
)
from bench.city_days import DAY, MINUTE, NEVER
from bench.city_tables import membership_rows, place_rows, row_id, visit_rows

PERSONS = 3_000
PRESET = Path(__file__).parents[3] / "services" / "tracing" / "presets" / "covid19.yaml"


@pytest.fixture(scope="module")
def city() -> City:
    return make_city(PERSONS)


def digest(visits: Visits) -> str:
    columns = (visits.person, visits.place, visits.arrived, visits.left)
    return hashlib.blake2b(b"".join(column.tobytes() for column in columns)).hexdigest()[:32]


def test_the_same_seed_makes_the_same_city_and_another_one_another(city: City) -> None:
    assert digest(make_city(PERSONS).visits) == digest(city.visits)
    assert digest(make_city(PERSONS, seed=5).visits) != digest(city.visits)


def test_the_fortnight_begins_on_a_monday_at_midnight_in_china(city: City) -> None:
    begun = datetime.fromtimestamp(city.start / 1e6, tz=UTC)
    assert begun == datetime(2021, 3, 1, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert begun.astimezone(ZoneInfo("Asia/Shanghai")).weekday() == 0
    arrived = city.visits.arrived
    assert city.start <= arrived.min() < arrived.max() < city.end
    assert (np.diff(arrived) >= 0).all()
    assert len(np.unique(arrived // DAY)) >= city.days


def test_every_stay_lasts_and_none_longer_than_a_night_shift(city: City) -> None:
    known = city.visits.left != NEVER
    stays = city.visits.left[known] - city.visits.arrived[known]
    assert stays.min() > 0
    assert stays.max() < 14 * 60 * MINUTE
    # Real sub-second times, and some that end on the next local day.
    assert (city.visits.arrived % 1_000 != 0).mean() > 0.99
    local = (city.visits.arrived[known] - city.start) // DAY
    assert ((city.visits.left[known] - city.start) // DAY > local).any()


def test_the_shares_are_those_that_the_measurements_name(city: City) -> None:
    assert len(city.visits) / PERSONS / city.days == pytest.approx(8.8, abs=0.3)
    kind = city.place_kind[city.visits.place]
    share = np.bincount(kind, minlength=len(PLACE_KINDS)) / len(kind)
    assert share[:2].sum() == pytest.approx(0.65, abs=0.02)
    assert share[2:4].sum() == pytest.approx(0.11, abs=0.02)
    assert share[4] == pytest.approx(0.09, abs=0.01)
    assert share[5:].sum() == pytest.approx(0.14, abs=0.01)
    assert len(city.memberships) / len(city.visits) == pytest.approx(0.008, abs=0.001)
    venues = kind >= PLACE_KINDS.index("venue")
    entry_only = city.visits.left == NEVER
    assert entry_only[venues].mean() == pytest.approx(0.60, abs=0.02)
    assert not entry_only[~venues].any()


def test_every_kind_is_one_that_the_policy_knows(city: City) -> None:
    close = yaml.safe_load(PRESET.read_text(encoding="utf-8"))["document"]["close"]
    assert set(PLACE_KINDS) <= set(close["place_kinds"])
    assert set(GROUP_KINDS) <= set(close["group_kinds"])
    assert 0 <= city.place_kind.min() <= city.place_kind.max() < len(PLACE_KINDS)
    assert city.visits.place.max() < city.places


def test_a_larger_city_is_no_denser() -> None:
    small, large = make_city(20_350, days=2), make_city(61_050, days=2)
    for one, other in zip(_crowds(small), _crowds(large), strict=True):
        assert other == pytest.approx(one, rel=0.3)


def _crowds(city: City) -> list[float]:
    """By group of kinds: visits of the place where a visit is made, on average."""
    per_place = np.bincount(city.visits.place, minlength=city.places)
    seen = per_place[city.visits.place]
    kind = city.place_kind[city.visits.place]
    return [float(seen[chosen].mean()) for chosen in (kind < 2, kind == 2, kind == 4, kind > 4)]


def test_the_staff_of_the_busiest_venue_stays_among_its_guests(city: City) -> None:
    assert len(city.super_spreaders) >= 2
    venues = city.place_kind[city.visits.place] >= PLACE_KINDS.index("venue")
    for person in city.super_spreaders:
        own = (city.visits.person == person) & venues & (city.visits.left != NEVER)
        stays = (city.visits.left - city.visits.arrived)[own] // (60 * MINUTE)
        assert (stays >= 3).sum() >= 2 * (city.days - 5)


def test_memberships_begin_before_they_end_and_some_end(city: City) -> None:
    memberships = city.memberships
    assert (memberships.until_at > memberships.from_at).all()
    household = memberships.kind == GROUP_KINDS.index("household")
    ended = memberships.until_at != NEVER
    assert 0 < ended[household].mean() < 0.05
    assert ended[~household].all()
    assert memberships.group.max() < city.groups
    assert set(np.unique(memberships.kind[memberships.group > city.household.max()])) == {1}


def test_ids_differ_and_do_not_stand_in_the_order_of_numbers() -> None:
    ids = [UUID(bytes=one.tobytes()) for one in uuid_bytes("person", np.arange(5_000))]
    assert len(set(ids)) == 5_000
    assert sum(a < b for a, b in pairwise(ids)) == pytest.approx(2_500, abs=200)
    assert {one.version for one in ids} == {8}
    assert ids[7] == UUID(bytes=uuid_bytes("person", np.array([7])).tobytes())
    assert ids[7] != UUID(bytes=uuid_bytes("place", np.array([7])).tobytes())


def test_pairs_meet_again_and_again_and_nobody_meets_himself(city: City) -> None:
    met = encounters(city, 1_000)
    assert isinstance(met, Encounters)
    assert len(met) == 1_000
    assert (met.person != met.other_person).all()
    assert (np.diff(met.started) >= 0).all()
    assert city.start <= met.started.min() <= met.started.max() < city.end
    assert len(np.unique(met.person.astype(np.int64) * PERSONS + met.other_person)) <= 200


def test_packed_rows_are_read_back_as_they_were(city: City) -> None:
    part = slice(9_000, 9_400)
    columns = ("id", "person_id", "arrived_at", "left_at", "version", "standing")
    cells = visit_rows(city)(part)
    packed = binary_copy.pack([cells[name] for name in columns], 400)
    rows = _read(packed)
    assert len(rows) == 400
    assert {row[3] is None for row in rows} == {True, False}
    for number, row in enumerate(rows, start=9_000):
        person_id, arrived, left = row[1], row[2], row[3]
        assert row[0] == row_id("visit", number).bytes
        assert person_id == city.person_id(city.visits.person[number]).bytes
        assert _instant(arrived) == city.visits.arrived[number]
        assert (NEVER if left is None else _instant(left)) == city.visits.left[number]
        assert row[4:] == [b"\0\0\0\1", b"\1"]


def test_words_are_packed_without_what_pads_them(city: City) -> None:
    places = place_rows(city)(slice(0, city.places))
    kinds = [row[0] for row in _read(binary_copy.pack([places["kind"]], city.places))]
    assert kinds == [PLACE_KINDS[kind].encode() for kind in city.place_kind]
    count = len(city.memberships)
    cells = membership_rows(city)(slice(0, count))
    rows = _read(binary_copy.pack([cells["group_kind"], cells["until_at"]], count))
    assert {row[0] for row in rows} == {b"household", b"carriage"}
    ended = [row[1] is not None for row in rows]
    assert ended == (city.memberships.until_at != NEVER).tolist()


def test_the_longest_stay_of_a_place_is_one_of_a_guest_seen_leaving(city: City) -> None:
    place = int(np.argmax(city.place_kind == PLACE_KINDS.index("venue")))
    here = (city.visits.place == place) & (city.visits.left != NEVER)
    stays = (city.visits.left - city.visits.arrived)[here]
    assert city.longest_stays()[place] == stays.max(initial=0)


def _read(packed: bytes) -> list[list[bytes | None]]:
    """PostgreSQL's binary COPY, read slowly."""
    rows, at = [], 0
    while at < len(packed):
        (columns,) = struct.unpack_from(">h", packed, at)
        at += 2
        row: list[bytes | None] = []
        for _ in range(columns):
            (length,) = struct.unpack_from(">i", packed, at)
            at += 4
            row.append(None if length < 0 else packed[at : at + length])
            at += max(length, 0)
        rows.append(row)
    return rows


def _instant(raw: bytes | None) -> int:
    assert raw is not None
    at = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=struct.unpack(">q", raw)[0])
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
