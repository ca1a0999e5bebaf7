"""The clock door has no timers here yet; the evaluators, by kind of what is due."""

from __future__ import annotations

from services.alerts.handlers.copies import (
    judge_areas,
    judge_cases,
    judge_persons,
    judge_places,
    judge_rules,
)
from services.alerts.handlers.signals import judge_records
from shared.service import Evaluator

# They take row locks on signals and locks on (rule, area) themselves, so the loop need not lock
# keys.
evaluators = {
    "record": Evaluator(judge_records, batch_max=1_000, exclusive=False),
    "case": Evaluator(judge_cases, batch_max=500, exclusive=False),
    "place": Evaluator(judge_places, batch_max=500, exclusive=False),
    "person": Evaluator(judge_persons, batch_max=500, exclusive=False),
    "area": Evaluator(judge_areas, batch_max=500, exclusive=False),
    "rule": Evaluator(judge_rules, batch_max=10, exclusive=False),
}
