"""Clock door: nothing is due in the console, and it judges nothing."""

from __future__ import annotations

from collections.abc import Mapping

from shared.service import Evaluator, KeysHandler

TIMERS: Mapping[str, KeysHandler] = {}
EVALUATORS: Mapping[str, Evaluator] = {}
