"""Answers as they are kept, and the count of what was answered."""

from __future__ import annotations

import zlib

from services.intake.domain.rows import Tally
from services.intake.domain.vault import Vault
from shared.metrics import INTAKE_ROWS

REPLY_COLUMN = "receipt.reply"


def seal_reply(vault: Vault, fingerprint: bytes, reply: bytes) -> bytes:
    """Deflated and sealed: an answer repeats the sender's ids, and those of a list are persons'."""
    # A small window: setting the usual one up costs ten times what a short answer does.
    deflater = zlib.compressobj(level=1, wbits=12, memLevel=4)
    deflated = deflater.compress(reply) + deflater.flush()
    return vault.seal(REPLY_COLUMN, fingerprint.hex(), deflated)


def unseal_reply(vault: Vault, fingerprint: bytes, sealed: bytes) -> bytes:
    return zlib.decompress(vault.open(REPLY_COLUMN, fingerprint.hex(), sealed))


def count_metric(door: str, tally: Tally) -> None:
    for fate in ("stored", "duplicate", "rejected"):
        INTAKE_ROWS.labels("intake", door, fate).inc(getattr(tally, fate))
