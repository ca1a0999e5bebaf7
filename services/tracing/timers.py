"""Evaluators of what is due. Tracing waits for no clock: it has no timers."""

from __future__ import annotations

from collections.abc import Mapping

from services.tracing.handlers.case_judgement import judge_cases
from services.tracing.handlers.co_locations import judge_co_locations
from services.tracing.handlers.touched import (
    judge_areas,
    judge_diseases,
    judge_encounters,
    judge_groups,
    judge_persons,
    judge_places,
    judge_visits,
)
from shared.service import Evaluator, KeysHandler

TIMERS: Mapping[str, KeysHandler] = {}

# Only the evaluators of cases and of co-locations write decisions; the latter locks its places
# itself, a place with every visit there. The others look up and hand on, so two processes may do
# the same key at once. A scan is held against cases
# while others are being judged: that takes seconds where contacts of contacts are many.
EVALUATORS: Mapping[str, Evaluator] = {
    "case": Evaluator(judge_cases, batch_max=5),
    "co_location": Evaluator(judge_co_locations, batch_max=200, exclusive=False, lane="prompt"),
    "visits": Evaluator(judge_visits, batch_max=20, exclusive=False, lane="prompt"),
    "encounters": Evaluator(judge_encounters, batch_max=20, exclusive=False),
    "person": Evaluator(judge_persons, batch_max=1_000, exclusive=False),
    "place": Evaluator(judge_places, batch_max=500, exclusive=False),
    "group": Evaluator(judge_groups, batch_max=500, exclusive=False),
    "area": Evaluator(judge_areas, batch_max=500, exclusive=False),
    "disease": Evaluator(judge_diseases, batch_max=100, exclusive=False),
}
