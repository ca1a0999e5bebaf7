"""Judges records: whether their signals stand, and then every alert that they may make or
unmake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Row

from services.alerts.domain.readings import OF_THE_PERSON, KeptSignal, Standing, standing_of
from services.alerts.handlers.alerts import judge_pairs
from services.alerts.handlers.reach import widened
from services.alerts.handlers.settling import Touched
from services.alerts.repository.alerts import Pair
from services.alerts.repository.areas import lines_of
from services.alerts.repository.rules import StoredRule, active_rules, versions_by_id
from services.alerts.repository.signals import lock_signals_of, write_standings
from shared.database.work import AuditDetails, Work
from shared.events.alerts import SignalChanged
from shared.events.base import Evidence


@dataclass(frozen=True, slots=True)
class Judged:
    """A stored signal and what it amounts to now."""

    row: Row[Any]
    now: Standing
    changed: bool
    told: bool

    @classmethod
    def of(cls, row: Row[Any], now: Standing) -> Judged:
        """What did not stand and does not is not announced: nobody has to forget it."""
        before = (row.standing, row.area_id, row.home_area_id, row.judged_fact_version)
        after = (now.standing, now.area_id, now.residence_area_id, row.fact_version)
        changed = before != after
        return cls(row, now, changed, changed and (now.standing or row.standing))

    @property
    def version(self) -> int:
        """The version under which it is announced; 0: it never was."""
        return int(self.row.record_version) + (1 if self.told else 0)

    @property
    def cause_id(self) -> UUID:
        """The version of a fact that made it so."""
        row = self.row
        return UUID(str(row.case_event_id if row.case_fallen else row.fact_event_id))

    def areas(self, area_of: str) -> set[str]:
        """Where it counted before and where it counts now."""
        row, now = self.row, self.now
        before = row.area_id if area_of == "place" else row.home_area_id
        after = now.area_id if area_of == "place" else now.residence_area_id
        found = {before if row.standing else None, after if now.standing else None}
        return {area_id for area_id in found if area_id is not None}


async def judge_records(work: Work, keys: Sequence[str]) -> None:
    """Evaluator of `record`; the keys are ids of reports, scans, results, breaches, and
    co-locations."""
    rows = await lock_signals_of(work, [UUID(key) for key in keys])
    newest: dict[UUID, int] = {}
    for row in rows:
        newest[row.record_id] = max(newest.get(row.record_id, 0), row.fact_version)
    judged = [Judged.of(row, _standing(row, newest[row.record_id])) for row in rows]
    changed = [one for one in judged if one.changed]
    await write_standings(work, [(one.row, one.now, one.version) for one in changed])
    for one in changed:
        if one.told:
            _announce(work, one)
    rules = await active_rules(work)
    await judge_pairs(work, await _touched(work, judged, rules), rules)


def _standing(row: Row[Any], newest_version: int) -> Standing:
    kept = KeptSignal(
        row.id,
        row.record_id,
        row.fact_version,
        row.lit,
        row.place_area_id,
        row.residence_area_id,
        row.known_place_area_id,
        row.known_residence_area_id,
        of_the_person=row.record_kind in OF_THE_PERSON,
        case_fallen=bool(row.case_fallen),
    )
    return standing_of(kept, newest_version)


def _announce(work: Work, one: Judged) -> None:
    row, now = one.row, one.now
    reason = row.reason
    if row.case_fallen:
        # The case may stand again on a newer specimen; this one stays set aside.
        why = "this specimen was set aside" if row.case_standing else row.case_reason
        reason = f"case: {why}"
    work.announce(
        SignalChanged(
            record_id=row.id,
            record_version=one.version,
            occurred_at=row.occurred_at,
            recorded_at=work.now(),
            point_kind=row.point_kind,
            point_id=row.point_id,
            area_id=now.area_id,
            person_id=row.person_id,
            person_count=row.person_count,
            standing=now.standing,
            reason=reason,
            evidence=(Evidence(kind=row.record_kind, id=row.record_id, version=row.fact_version),),
        )
    )
    work.audit(
        "signal_lit" if now.standing else "signal_fell",
        "signal",
        row.id,
        version=one.version,
        details=AuditDetails(area_id=now.area_id, reason=reason, cause_id=one.cause_id),
    )


async def _touched(
    work: Work, judged: Sequence[Judged], rules: Sequence[StoredRule]
) -> dict[Pair, Touched]:
    """Every rule and area in which one of these signals counted or counts; unknown areas count
    nowhere."""
    lines = await lines_of(
        work,
        {
            area_id
            for one in judged
            for area_of in ("place", "residence")
            for area_id in one.areas(area_of)
        },
    )
    touched: dict[Pair, Touched] = {}
    stored = versions_by_id(rules)
    for rule_id, versions in stored.items():
        scope = versions[-1].document
        kinds = {
            kind
            for version in versions
            for kind in set(version.document.point_kinds) - version.document.excess_kinds
        }
        for one in judged:
            if one.row.point_kind not in kinds:
                continue
            for area_id in one.areas(scope.area_of):
                line = lines.get(area_id)
                target = line.at_level(scope.area_level) if line else None
                if target is not None:
                    pair = touched.setdefault((rule_id, target.steps[0].area_id), Touched(target))
                    pair.times.append(one.row.occurred_at)
                    pair.causes[one.row.id] = one.cause_id
    return await widened(work, touched, stored)
