"""The vault: what it seals opens only where it belongs, and its index tells nothing."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.domain.vault import Vault, VaultError

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
VAULT = Vault({1: KEY})


@given(st.binary(max_size=300))
def test_what_is_sealed_opens_in_its_place(plain: bytes) -> None:
    sealed = VAULT.seal("vault.ciphertext", "p/name", plain)
    assert VAULT.open("vault.ciphertext", "p/name", sealed) == plain
    assert len(sealed) == len(plain) + 1 + 12 + 16


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert VAULT.seal("a.b", "1", b"x") != VAULT.seal("a.b", "1", b"x")


@pytest.mark.parametrize(("column", "row"), [("a.c", "1"), ("a.b", "2")])
def test_a_moved_ciphertext_does_not_open(column: str, row: str) -> None:
    sealed = VAULT.seal("a.b", "1", b"secret")
    with pytest.raises(VaultError):
        VAULT.open(column, row, sealed)


@pytest.mark.parametrize("place", [0, 1, 13, -1])
def test_a_changed_ciphertext_does_not_open(place: int) -> None:
    sealed = bytearray(VAULT.seal("a.b", "1", b"secret"))
    sealed[place] ^= 1
    with pytest.raises(VaultError):
        VAULT.open("a.b", "1", bytes(sealed))


def test_after_a_rotation_old_texts_open_and_the_index_stays() -> None:
    rotated = Vault({1: KEY, 2: OTHER})
    assert rotated.open("a.b", "1", VAULT.seal("a.b", "1", b"old")) == b"old"
    assert rotated.blind("id", "1") == VAULT.blind("id", "1")
    with pytest.raises(VaultError):
        VAULT.open("a.b", "1", rotated.seal("a.b", "1", b"new"))


def test_an_identifier_is_found_however_it_is_spaced_and_only_in_its_scheme() -> None:
    assert VAULT.blind("id", "34010 2x") == VAULT.blind("id", "340102X ")
    assert VAULT.blind("id", "1") != VAULT.blind("passport", "1")
    assert VAULT.blind("id", "1") != Vault({1: OTHER}).blind("id", "1")


def test_a_key_is_read_from_text_and_a_wrong_one_is_refused() -> None:
    text = base64.b64encode(KEY).decode()
    assert Vault.from_text(text).blind("a", "b") == VAULT.blind("a", "b")
    both = Vault.from_text(f"2:{base64.b64encode(OTHER).decode()},1:{text}")
    assert both.open("a.b", "1", VAULT.seal("a.b", "1", b"x")) == b"x"
    for wrong in ("", "short", "!!!", base64.b64encode(b"31 bytes only").decode(), f"0:{text}"):
        with pytest.raises(VaultError):
            Vault.from_text(wrong)
