"""The clock door: alerts end after their quiet time, a new day and a corrected past are fitted; the
evaluators, by kind of what is due."""

from __future__ import annotations

from services.alerts.handlers.alerts import end_quiet
from services.alerts.handlers.copies import (
    judge_areas,
    judge_cases,
    judge_persons,
    judge_places,
    judge_rules,
)
from services.alerts.handlers.counts import carry_counts, place_results
from services.alerts.handlers.excesses import judge_excesses
from services.alerts.handlers.fits import refit, ring_refit
from services.alerts.handlers.signals import judge_records
from shared.service import Evaluator, KeysHandler

timers: dict[str, KeysHandler] = {"quiet": end_quiet, "refit": ring_refit}

# They take row locks on signals and locks on (rule, area) or on a counted kind themselves, so the
# loop need not lock keys. A signal waits for no count, and neither for a fit, which takes seconds.
evaluators = {
    "record": Evaluator(judge_records, batch_max=1_000, exclusive=False, lane="prompt"),
    "case": Evaluator(judge_cases, batch_max=500, exclusive=False, lane="prompt"),
    "place": Evaluator(judge_places, batch_max=500, exclusive=False, lane="prompt"),
    "person": Evaluator(judge_persons, batch_max=500, exclusive=False, lane="prompt"),
    "area": Evaluator(judge_areas, batch_max=500, exclusive=False, lane="prompt"),
    "count": Evaluator(carry_counts, batch_max=2_000, exclusive=False, lane="gathered"),
    "residence": Evaluator(place_results, batch_max=500, exclusive=False, lane="gathered"),
    "excess": Evaluator(judge_excesses, batch_max=2_000, exclusive=False, lane="gathered"),
    "refit": Evaluator(refit, batch_max=20),
    "rule": Evaluator(judge_rules, batch_max=10, exclusive=False, lane="prompt"),
}
