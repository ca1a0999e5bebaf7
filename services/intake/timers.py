"""The clock door and the evaluators. Intake has none: what it joins is one sender's own record, and
that is folded under a lock in the transaction that stores it."""

from __future__ import annotations

from collections.abc import Mapping

from shared.service import Evaluator, KeysHandler

TIMERS: Mapping[str, KeysHandler] = {}
EVALUATORS: Mapping[str, Evaluator] = {}
