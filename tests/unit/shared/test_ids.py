"""Ids in the driver's own type are the ids that everybody else would make."""

from __future__ import annotations

from uuid import UUID, uuid4, uuid5

from hypothesis import given
from hypothesis import strategies as st

from shared.events.base import EVENT_NAMESPACE, event_id_of
from shared.ids import DERIVED, derived_id, new_id

WORDS = st.text(alphabet=st.characters(codec="utf-8"), max_size=40)


@given(WORDS, st.lists(WORDS | st.uuids() | st.integers(), max_size=4))
def test_a_derived_id_is_the_uuid5_of_its_parts(kind: str, parts: list[object]) -> None:
    expected = uuid5(UUID(DERIVED), "/".join([kind, *map(str, parts)]))
    assert derived_id(kind, *parts) == expected


@given(st.uuids(), st.integers(1, 10**6))
def test_an_event_s_id_is_the_uuid5_of_type_record_and_version(record_id: UUID, n: int) -> None:
    assert event_id_of("a.b", record_id, n) == uuid5(UUID(EVENT_NAMESPACE), f"a.b/{record_id}/{n}")


def test_a_new_id_is_an_ordered_uuid_like_any_other() -> None:
    ids = [new_id() for _ in range(100)]
    assert ids == sorted(ids)
    assert {one.version for one in ids} == {7}
    again = {UUID(str(one)) for one in ids}
    assert set(ids) == again
    assert all(isinstance(one, UUID) for one in ids)
    assert uuid4() not in again
