"""The clock door: an alert ends after its quiet time. The evaluators, by kind of what is due."""

from __future__ import annotations

from services.alerts.handlers.alerts import end_quiet
from services.alerts.handlers.copies import (
    judge_areas,
    judge_cases,
    judge_persons,
    judge_places,
    judge_rules,
)
from services.alerts.handlers.excesses import judge_excesses
from services.alerts.handlers.signals import judge_records
from shared.service import Evaluator

timers = {"quiet": end_quiet}

# They take row locks on signals and locks on (rule, area) themselves, so the loop need not lock
# keys.
evaluators = {
    "excess": Evaluator(judge_excesses, batch_max=500, exclusive=False),
    "record": Evaluator(judge_records, batch_max=200, exclusive=False),
    "case": Evaluator(judge_cases, batch_max=500, exclusive=False),
    "place": Evaluator(judge_places, batch_max=500, exclusive=False),
    "person": Evaluator(judge_persons, batch_max=500, exclusive=False),
    "area": Evaluator(judge_areas, batch_max=500, exclusive=False),
    "rule": Evaluator(judge_rules, batch_max=10, exclusive=False),
}
