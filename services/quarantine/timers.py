"""The clock door, and what is judged after a commit."""

from __future__ import annotations

from collections.abc import Mapping

from services.quarantine.handlers.breaches import judge_breaches, judge_scanned
from services.quarantine.handlers.checks import fire_checks, fire_order_end, judge_checks
from services.quarantine.handlers.copies import (
    touch_area,
    touch_case,
    touch_disease,
    touch_resident,
)
from services.quarantine.handlers.orders import judge_persons
from shared.service import Evaluator, KeysHandler

# "check" and "check_deadline" are keyed by order, "order_end" by person.
timers: Mapping[str, KeysHandler] = {
    "check": fire_checks,
    "check_deadline": fire_checks,
    "order_end": fire_order_end,
}

evaluators: Mapping[str, Evaluator] = {
    "person": Evaluator(judge_persons, batch_max=1_000),
    "breaches": Evaluator(judge_breaches, batch_max=1_000),
    "checks": Evaluator(judge_checks, batch_max=1_000),
    # These only look up whom a fact touches; "scanned" takes the lock of "breaches" itself.
    "scanned": Evaluator(judge_scanned, batch_max=2000, exclusive=False),
    "case": Evaluator(touch_case, batch_max=500, exclusive=False),
    "resident": Evaluator(touch_resident, batch_max=500, exclusive=False),
    "area": Evaluator(touch_area, batch_max=500, exclusive=False),
    "policy": Evaluator(touch_disease, batch_max=10, exclusive=False),
}
