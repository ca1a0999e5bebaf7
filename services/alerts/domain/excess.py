"""What a kind of point showed in an area on one day, held against what was to be expected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from services.alerts.domain.detection.verdict import Abstention


@dataclass(frozen=True, slots=True)
class Excess:
    """The judgement of one series on one day, as rules, explanations and the console read it.

    A series is (`area_id`, `point_kind`, `syndrome`); `day` is the area's local day. `observed`
    and `expected` are persons, `limit` the count that had to be exceeded, `p_value` the probability
    of at least so many when nothing is wrong: None where the method abstains. `method` names the
    detector and its settings' version. `sites` are the sites that reported on that day.
    """

    area_id: str
    point_kind: str
    syndrome: str
    day: date
    observed: int
    expected: float | None
    limit: float | None
    p_value: float | None
    method: str
    abstains: Abstention = Abstention.NONE
    sites: int = 0

    @property
    def series(self) -> tuple[str, str, str]:
        return (self.area_id, self.point_kind, self.syndrome)

    @property
    def judged(self) -> bool:
        """Whether the method says anything of this day."""
        return self.abstains == Abstention.NONE

    @property
    def over(self) -> bool:
        """Whether the count exceeds the method's limit."""
        return self.judged and self.limit is not None and self.observed > self.limit

    @property
    def p(self) -> float | None:
        """The p-value where the method says anything of this day."""
        return self.p_value if self.judged else None
