"""The evaluator of co-locations: who was at a place while a case was there, by all committed facts.

A key is one case at one place, and one visit there where only that visit may meet the case
(`touched`). The whole place is due when the case, its window, its person's stays or the kind of the
place change (`case_judgement`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from services.tracing.domain.co_location import CoLocation, co_locations
from services.tracing.handlers.contact_changes import CaseFacts, revised_evidence, withdraw
from services.tracing.repository.cases import load_cases
from services.tracing.repository.co_locations import (
    areas_of,
    load_co_locations,
    meetings_at,
    parse_co_location_key,
    save_co_locations,
    stored_at,
    withdraw_co_locations,
)
from shared.database.work import AuditDetails, Work
from shared.events.base import event_id_of
from shared.events.tracing import CaseChanged, CoLocationChanged

ROW = (
    "id", "case_id", "place_id", "place_kind", "person_id", "visit_id", "from_at", "until_at",
    "minutes", "evidence", "reason",
)  # fmt: skip
SAID_AS_STORED = (
    "recorded_at", "case_id", "person_id", "visit_id", "place_id", "place_kind", "from_at",
    "until_at", "minutes", "evidence", "standing", "reason", "cause_id", "policy",
)  # fmt: skip


async def judge_co_locations(work: Work, keys: Sequence[str]) -> None:
    """Write the difference between what should stand at these keys and what is stored.

    The case is read after the meetings: one that falls in between is seen to have fallen, and its
    co-locations say so. One that comes to stand makes its keys due again.
    """
    wanted_keys = [parse_co_location_key(key) for key in keys]
    # One lock for the place and for every visit there: statements after it see what others wrote.
    await work.lock(*(f"co_location/{case_id}/{place_id}" for case_id, place_id, _ in wanted_keys))
    wanted = co_locations(await meetings_at(work, wanted_keys))
    stored = await stored_at(work, wanted_keys)
    cases = await _cases(work, {case_id for case_id, *_ in wanted_keys})
    rows: list[dict[str, Any]] = []
    for record_id, one in sorted(wanted.items()):
        case, known = cases[one.case_id], stored.get(record_id)
        digest = one.digest(case.policy, exercise=case.exercise)
        if not case.standing or (known and known.standing and known.digest == digest):
            continue
        version = known.version + 1 if known else 1
        rows.append(_row(work, case, one) | {"version": version, "digest": digest})
    gone = sorted(
        record_id
        for record_id, known in stored.items()
        if known.standing and not (record_id in wanted and cases[known.case_id].standing)
    )
    await save_co_locations(work, rows)
    if gone:
        fallen = await _withdrawn(work, cases, gone)
        await withdraw_co_locations(work, fallen)
        rows += fallen
    if rows:
        areas = await areas_of(work, sorted({row["place_id"] for row in rows}))
        for row in rows:
            _tell(work, cases[row["case_id"]], row, areas.get(row["place_id"]))


async def _cases(work: Work, case_ids: set[UUID]) -> dict[UUID, CaseFacts]:
    """Every case that has a key has a row: both are written in one transaction."""
    return {
        row.id: CaseFacts(
            id=row.id,
            person_id=row.person_id,
            disease=row.disease,
            version_id=event_id_of(CaseChanged.type, row.id, row.version),
            standing=row.standing,
            reason=row.reason,
            policy=row.policy,
            area_id=row.area_id,
            exercise=row.exercise,
        )
        for row in await load_cases(work, sorted(case_ids))
    }


def _row(work: Work, case: CaseFacts, one: CoLocation) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ROW} | {
        "standing": True,
        "cause_id": case.version_id,
        "policy": case.policy,
        "recorded_at": work.now(),
    }


async def _withdrawn(
    work: Work, cases: Mapping[UUID, CaseFacts], record_ids: Sequence[UUID]
) -> list[dict[str, Any]]:
    """The next versions of those that nothing carries any more, each with what took it away."""
    found = await load_co_locations(work, record_ids)
    fallen = {case.id for case in cases.values() if not case.standing}
    revised = await revised_evidence(work, [row for row in found if row["case_id"] not in fallen])
    for row in found:
        withdraw(row, cases[row["case_id"]], revised, now=work.now())
    return found


def _tell(work: Work, case: CaseFacts, row: Mapping[str, Any], area_id: str | None) -> None:
    work.announce(
        CoLocationChanged.model_validate(
            {name: row[name] for name in SAID_AS_STORED}
            | {
                "record_id": row["id"],
                "record_version": row["version"],
                "occurred_at": row["from_at"],
                "exercise": case.exercise,
                "case_person_id": case.person_id,
                "area_id": area_id,
                "disease": case.disease,
            }
        )
    )
    work.audit(
        "co_location_found" if row["standing"] else "co_location_withdrawn",
        "co_location",
        row["id"],
        version=row["version"],
        details=AuditDetails(
            area_id=area_id, reason=row["reason"], policy=row["policy"], cause_id=row["cause_id"]
        ),
    )
