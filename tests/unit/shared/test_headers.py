"""Headers survive the tables they are kept in, whatever their bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bus.headers import pack_headers, size_of, unpack_headers

NAMES = st.text(alphabet=st.characters(codec="utf-8"), max_size=12)
HEADERS = st.lists(st.tuples(NAMES, st.binary(max_size=20)), max_size=6).map(tuple)


@given(HEADERS)
def test_any_headers_come_back_as_they_were(headers: tuple[tuple[str, bytes], ...]) -> None:
    assert unpack_headers(pack_headers(headers)) == headers


@given(HEADERS)
def test_what_is_packed_can_be_stored_as_text(headers: tuple[tuple[str, bytes], ...]) -> None:
    packed = pack_headers(headers)
    assert "\x00" not in packed
    assert packed.encode("utf-8").decode("utf-8") == packed


def test_rows_written_as_json_are_still_read() -> None:
    assert unpack_headers('[["ce_type", "x"]]') == (("ce_type", b"x"),)


@given(HEADERS)
def test_packed_headers_are_packed_again_as_they_are(
    headers: tuple[tuple[str, bytes], ...],
) -> None:
    packed = pack_headers(headers)
    unpacked = unpack_headers(packed)
    assert pack_headers(unpacked) == pack_headers(tuple(unpacked)) == packed
    assert len(unpacked) == len(headers)
    assert size_of(unpacked) >= sum(len(name) + len(value) for name, value in headers)


def test_a_name_without_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match="without a value"):
        unpack_headers("\x1fce_type\x1fx\x1fce_id")
