"""Stores what speaks for a case (results, declarations, links) and has the cases judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.tracing.repository.cases import case_key
from services.tracing.repository.facts import Stored, store_newer
from services.tracing.tables import facts
from shared.database.work import Work
from shared.events.intake import CaseDeclared, LinkDeclared, ResultReported


async def store_results(work: Work, results: Sequence[ResultReported]) -> None:
    """Only positives make cases; of the others only a revision can matter."""
    stored = await store_newer(
        work,
        facts.result,
        [
            {
                "id": item.record_id,
                "version": item.record_version,
                "person_id": item.person_id,
                "disease": item.disease,
                "specimen_id": item.specimen_id,
                "outcome": item.outcome,
                "stage": item.stage,
                "collected_at": item.occurred_at,
                "reported_at": item.reported_at,
                "onset_date": item.onset_date,
                "area_id": item.area_id,
                # Intake lets a test message through only from a source registered as test, and
                # then it has its whole effect: an installation on trial must show cases.
                "standing": item.status == "recorded",
                "exercise": item.exercise,
                "recorded_at": item.recorded_at,
            }
            for item in results
        ],
    )
    positive = [item for item in results if item.outcome == "positive"]
    _judge(work, stored, [case_key(item.person_id, item.disease) for item in positive])


async def store_declarations(work: Work, declarations: Sequence[CaseDeclared]) -> None:
    """Cases told by lists, report cards and persons."""
    stored = await store_newer(
        work,
        facts.declaration,
        [
            {
                "id": item.record_id,
                "version": item.record_version,
                "person_id": item.person_id,
                "disease": item.disease,
                "classification": item.classification,
                "occurred_at": item.occurred_at,
                "onset_date": item.onset_date,
                "reported_date": item.reported_date,
                "diagnosed_date": item.diagnosed_date,
                "area_id": item.area_id,
                "standing": item.status == "recorded",
                "exercise": item.exercise,
                "recorded_at": item.recorded_at,
            }
            for item in declarations
        ],
    )
    _judge(work, stored, [case_key(item.person_id, item.disease) for item in declarations])


async def store_links(work: Work, links: Sequence[LinkDeclared]) -> None:
    """Edges of the chain; every candidate is kept, and only a dated one can expose anybody."""
    stored = await store_newer(
        work,
        facts.link,
        [
            {
                "id": item.record_id,
                "version": item.record_version,
                "person_id": item.person_id,
                "other_person_id": item.other_person_id,
                "disease": item.disease,
                "setting": item.setting,
                "exposed_at": item.exposed_at,
                "standing": item.status == "recorded" and not item.exercise,
                "recorded_at": item.recorded_at,
            }
            for item in links
        ],
    )
    dated = [item for item in links if item.exposed_at is not None]
    _judge(work, stored, [case_key(item.person_id, item.disease) for item in dated])
    # The one between may be a close contact of somebody else's case.
    work.due("person", (str(item.person_id) for item in dated))
    work.due("person", (str(old["person_id"]) for old in stored.replaced))


def _judge(work: Work, stored: Stored, keys: Iterable[str]) -> None:
    if not stored.changed:
        return
    work.due("case", keys)
    work.due("case", (case_key(old["person_id"], old["disease"]) for old in stored.replaced))
