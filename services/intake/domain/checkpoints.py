"""From which temperature on a checkpoint calls it fever: a policy by area and day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class CheckpointRule:
    """One version of a policy `intake.checkpoint`; °C, the threshold itself is a fever."""

    id: str
    version: int
    area_id: str | None
    valid_from: date
    valid_to: date | None
    fever_from_c: float


def rule_in_force(
    rules: Iterable[CheckpointRule], day: date, ancestors: Sequence[str]
) -> CheckpointRule | None:
    """The newest version of each policy in force that day; of these the nearest area's.

    `ancestors` runs from the place's area upwards; a policy without area holds everywhere.
    """
    newest: dict[str, CheckpointRule] = {}
    for rule in rules:
        in_time = rule.valid_from <= day and (rule.valid_to is None or day <= rule.valid_to)
        here = rule.area_id is None or rule.area_id in ancestors
        if in_time and here and rule.version >= newest.get(rule.id, rule).version:
            newest[rule.id] = rule

    def distance(rule: CheckpointRule) -> tuple[int, str]:
        near = ancestors.index(rule.area_id) if rule.area_id else len(ancestors)
        return near, rule.id

    return min(newest.values(), key=distance, default=None)
