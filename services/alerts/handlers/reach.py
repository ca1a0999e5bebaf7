"""How far rules look: which areas count for one that is judged, and which are judged when something
changes in one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from services.alerts.domain.areas import Line
from services.alerts.handlers.settling import Touched
from services.alerts.repository.adjacency import neighbours
from services.alerts.repository.alerts import Pair
from services.alerts.repository.areas import children_at, lines_of
from services.alerts.repository.rules import StoredRule
from shared.database.work import Work


class AtLevel(Protocol):
    @property
    def area_level(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Reached:
    """An area that counts for one that is judged."""

    line: Line
    role: Literal["itself", "neighbour", "parent"]

    def mixed(self, one: AtLevel) -> bool:
        """Whether signals below it may count elsewhere."""
        return self.role == "parent" or self.line.level != one.area_level


async def reached_areas(
    work: Work, lines: Mapping[Pair, Line], stored: Mapping[str, Sequence[StoredRule]]
) -> dict[Pair, list[Reached]]:
    """The areas that count for each rule and area, itself first."""
    reach = {rule_id: versions[-1].document.reach for rule_id, versions in stored.items()}
    found = {pair: [Reached(line, "itself")] for pair, line in lines.items()}
    if "neighbours" in reach.values():
        bordering = await neighbours(work)
        near = {pair: bordering.get(pair[1], frozenset()) for pair in lines}
        near = {pair: near[pair] for pair in lines if reach.get(pair[0]) == "neighbours"}
        known = await lines_of(work, {one for others in near.values() for one in others})
        for pair, others in near.items():
            found[pair] += [Reached(known[one], "neighbour") for one in sorted(others & set(known))]
    for pair, line in lines.items():
        if reach.get(pair[0]) == "parent" and line.parent_id is not None:
            # A parent holds the area itself: asked once, its signals are told apart.
            found[pair] = [
                Reached(Line(line.steps[1:]), "parent"),
                Reached(line, "itself"),
            ]
    return found


async def widened(
    work: Work, touched: Mapping[Pair, Touched], stored: Mapping[str, Sequence[StoredRule]]
) -> dict[Pair, Touched]:
    """With the areas that look at those in which something changed."""
    found = dict(touched)
    reach = {rule_id: versions[-1].document for rule_id, versions in stored.items()}
    wide = [pair for pair in touched if pair[0] in reach and reach[pair[0]].reach != "area"]
    if not wide:
        return found
    bordering = await neighbours(work)
    looking: dict[Pair, Collection[str]] = {}
    for pair in wide:
        document = reach[pair[0]]
        looking[pair] = (
            bordering.get(pair[1], frozenset())
            if document.reach == "neighbours"
            else await children_at(work, touched[pair].line.area_ids, document.area_level)
        )
    known = await lines_of(work, {one for others in looking.values() for one in others})
    for (rule_id, area_id), others in looking.items():
        changed = touched[rule_id, area_id]
        for other in sorted(set(others) & set(known) - {area_id}):
            one = found.setdefault((rule_id, other), Touched(known[other]))
            one.times += changed.times
            one.causes |= changed.causes
    return found
