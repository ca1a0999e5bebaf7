"""The vault: names and numbers encrypted, and found again by a keyed index.

Fields are AES-256-GCM with a random nonce; the additional data bind a ciphertext to its column and
row, so one row's secret cannot be moved to another. The first byte names the key, for rotation.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12


class VaultError(Exception):
    """A key that is no key, or a ciphertext that does not belong where it stands."""


class Vault:
    """Seals, opens and indexes. `keys` by id 1–255; the highest id seals, every id opens."""

    def __init__(self, keys: dict[int, bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES or not 0 < n < 256 for n, key in keys.items()):
            raise VaultError("the vault needs keys of 32 bytes with ids from 1 to 255")
        self._ciphers = {number: AESGCM(key) for number, key in keys.items()}
        self._current = max(keys)
        # The oldest key, for ever: an index that changed with each rotation would find nobody.
        self._index_key = HKDF(SHA256(), KEY_BYTES, None, b"outpost.intake.index").derive(
            keys[min(keys)]
        )

    @classmethod
    def from_text(cls, text: str) -> Vault:
        """`OUTPOST_VAULT_KEY`: base64 of 32 bytes, or several as `2:<base64>,1:<base64>`."""
        keys: dict[int, bytes] = {}
        try:
            for part in text.split(","):
                number, colon, encoded = part.strip().rpartition(":")
                keys[int(number) if colon else 1] = base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise VaultError("the vault key is not base64") from error
        return cls(keys)

    def seal(self, column: str, row: str, plain: bytes) -> bytes:
        """Key id, nonce and ciphertext of `plain`, bound to `table.column` and row id."""
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[self._current]
        return bytes((self._current,)) + nonce + cipher.encrypt(nonce, plain, _bind(column, row))

    def open(self, column: str, row: str, sealed: bytes) -> bytes:
        """The inverse; `VaultError` when key, place or bytes are not those it was sealed with."""
        cipher = self._ciphers.get(sealed[0]) if sealed else None
        if cipher is None:
            raise VaultError("sealed with a key that is not here")
        nonce, rest = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, rest, _bind(column, row))
        except InvalidTag as error:
            raise VaultError("a sealed field was changed or moved") from error

    def blind(self, scheme: str, value: str) -> bytes:
        """The look-up index of an identifier: 32 bytes that say nothing without the key."""
        plain = f"{scheme}\x00{''.join(value.split()).upper()}".encode()
        return hmac.digest(self._index_key, plain, "sha256")

    def fingerprint(self, content: bytes) -> bytes:
        """16 keyed bytes by which the same content is known again.

        A plain hash of a short row could be guessed by trying all document numbers.
        """
        return hashlib.blake2b(content, digest_size=16, key=self._index_key).digest()

    def pseudonym(self, kind: str, value: str) -> UUID:
        """A stable id for something whose plain text must not be guessed from it."""
        return UUID(bytes=self.blind(kind, value)[:16], version=5)


def _bind(column: str, row: str) -> bytes:
    return f"{column}|{row}".encode()
