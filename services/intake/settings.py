"""Bounds of intake's doors. They protect the process; what a rule needs stands in presets/."""

from __future__ import annotations

ROWS_MAX = 1_000
BODY_BYTES_MAX = 1_048_576
LIST_BYTES_MAX = 8_388_608
LIST_ROWS_MAX = 20_000
# Kept messages are replayed a few at a time, so that one registration is no endless transaction.
REPLAY_MESSAGES = 50
PAGE_ROWS = 200
LISTED_ROWS_MAX = 2_000
