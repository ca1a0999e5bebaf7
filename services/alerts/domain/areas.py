"""The area tree as rules look at it: lines of ancestors, levels, and who borders on whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

# Highest first; the same words as the tree's levels.
LEVELS = ("country", "province", "prefecture", "county", "township", "village", "grid")


@dataclass(frozen=True, slots=True)
class Step:
    """One area of a line."""

    area_id: str
    level: str
    zone: str


@dataclass(frozen=True, slots=True)
class Line:
    """An area and what lies above it, nearest first."""

    steps: tuple[Step, ...]

    @property
    def area_id(self) -> str:
        return self.steps[0].area_id

    @property
    def level(self) -> str:
        return self.steps[0].level

    @property
    def zone(self) -> str:
        return self.steps[0].zone

    @property
    def parent_id(self) -> str | None:
        return self.steps[1].area_id if len(self.steps) > 1 else None

    @property
    def area_ids(self) -> frozenset[str]:
        return frozenset(step.area_id for step in self.steps)

    def at_level(self, level: str) -> Line | None:
        """The line of the area itself or of its ancestor at `level`; where that level is absent, of
        the next higher one."""
        high_enough = LEVELS[: LEVELS.index(level) + 1]
        for height, step in enumerate(self.steps):
            if step.level in high_enough:
                return Line(self.steps[height:])
        return None


def stands_in(level: str, wanted: str, child_levels: Iterable[str]) -> bool:
    """Whether sums of an area of `level` are sums at the `wanted` level: it is of that level, or it
    has children right below that level, which is absent there."""
    if level == wanted:
        return True
    below = LEVELS[LEVELS.index(wanted) + 1 :]
    return level not in below and any(child in below for child in child_levels)


@dataclass(frozen=True, slots=True)
class AreaTree:
    """Every area with its line, and the pairs of areas that border on each other.

    Adjacency is told as data: that two areas have one parent does not make them neighbours.
    """

    lines: Mapping[str, Line]
    neighbours: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, areas: Iterable[tuple[str, str | None, str, str]], pairs: Iterable[Sequence[str]] = ()
    ) -> AreaTree:
        """From (area id, parent id, level, zone) in any order, and pairs of neighbours."""
        known = {area_id: (parent_id, level, zone) for area_id, parent_id, level, zone in areas}
        lines = {}
        for area_id in known:
            steps: list[Step] = []
            at: str | None = area_id
            while at in known and len(steps) < len(known):
                parent_id, level, zone = known[at]
                steps.append(Step(at, level, zone))
                at = parent_id
            lines[area_id] = Line(tuple(steps))
        return cls(lines, bordering(pairs))

    def child_levels(self) -> dict[str, set[str]]:
        """The levels of each area's children."""
        found: dict[str, set[str]] = {}
        for line in self.lines.values():
            if line.parent_id is not None:
                found.setdefault(line.parent_id, set()).add(line.level)
        return found


def bordering(pairs: Iterable[Sequence[str]]) -> dict[str, frozenset[str]]:
    """Each pair reads both ways."""
    found: dict[str, set[str]] = {}
    for one, other in pairs:
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    return {area_id: frozenset(others) for area_id, others in found.items()}
