"""The one way in for rows: receipt, references, fates, announcements, in one transaction.

Deliveries of several senders may share the transaction; each keeps its own answer and account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from services.intake.domain.rows import (
    OFFSET_MISSING,
    ArrivedRow,
    RowAnswer,
    RowRefused,
    Tally,
    count_fates,
    place_in_time,
    settle_repeat,
)
from services.intake.domain.verdicts import Verdict
from services.intake.errors import no_source
from services.intake.handlers.batches import Batch, Candidate, Delivery, RowDoor
from services.intake.handlers.desk import Desk
from services.intake.handlers.receipts import count_metric, seal_reply, unseal_reply
from services.intake.handlers.references import resolve_persons
from services.intake.repository.places import find_places
from services.intake.repository.receipts import (
    Account,
    NewReceipt,
    add_receipts,
    add_rejected_rows,
    add_tallies,
    find_reply,
)
from services.intake.repository.rows import RowKey, StoredRow, find_rows, insert_rows
from services.intake.repository.sources import StoredReply, find_sources_and_replies
from shared.database.work import Actor, Work
from shared.ids import derived_id, new_id

NOTHING = Tally(0, 0, 0, 0)
LOCK_MILLISECONDS = 300


@dataclass(slots=True)
class _Taken:
    """A delivery while it is taken; `before` is what the same body was answered earlier."""

    fingerprint: bytes
    batch: Batch[Any]
    before: StoredReply | None
    tally: Tally = NOTHING
    reply: bytes = b""


async def take_rows(desk: Desk, door: RowDoor[Any], delivery: Delivery) -> bytes:
    """The answer as bytes, after the commit. A body that came before is answered byte for byte."""
    return (await take_deliveries(desk, door, [delivery]))[0]


async def take_deliveries(
    desk: Desk, door: RowDoor[Any], deliveries: Sequence[Delivery]
) -> list[bytes]:
    """The answer to each, after the one commit of all. No two of them may be the same body of the
    same source."""
    subjects = {delivery.subject for delivery in deliveries}
    actor = Actor(subjects.pop() if len(subjects) == 1 else f"door:{door.name}")
    async with desk.database.work(actor) as work:
        if len(deliveries) > 1:
            # Whoever has to wait for a lock of somebody's long import waits alone.
            await work.lock_within(LOCK_MILLISECONDS)
        taken = await _open(work, desk, door, deliveries)
        await _take_new_rows(work, door, [one.batch for one in taken if one.before is None])
        for one in taken:
            _answer(desk, one)
        await _account(work, desk, door, taken)
    for one in taken:
        count_metric(door.name, one.tally)
    return [one.reply for one in taken]


async def _open(
    work: Work, desk: Desk, door: RowDoor[Any], deliveries: Sequence[Delivery]
) -> list[_Taken]:
    """Who each is from, and whether it came before."""
    prints = [
        desk.vault.fingerprint(delivery.context.encode() + b"\x00" + delivery.body)
        for delivery in deliveries
    ]
    asked = [(one.source_id, print_) for one, print_ in zip(deliveries, prints, strict=True)]
    found = await find_sources_and_replies(work, door.name, asked)
    taken: list[_Taken] = []
    now = work.now()
    for delivery, fingerprint, (source, before) in zip(deliveries, prints, found, strict=True):
        if source is None:
            raise no_source()
        taken.append(_Taken(fingerprint, Batch(desk, source, now, delivery.rows), before))
    return taken


def _answer(desk: Desk, one: _Taken) -> None:
    if one.before is not None:
        one.tally = Tally(one.before.received, 0, one.before.received, 0)
        one.reply = unseal_reply(desk.vault, one.fingerprint, one.before.reply)
    else:
        one.tally = count_fates(one.batch.answers)
        one.reply = encode_answers(one.batch.answers, one.tally)


async def _account(work: Work, desk: Desk, door: RowDoor[Any], taken: Sequence[_Taken]) -> None:
    """Count every delivery and keep the new answers."""
    sums: dict[Account, Tally] = {}
    for one in taken:
        account = Account(one.batch.source.source_id, one.batch.day, door.name)
        sums[account] = sums.get(account, NOTHING) + one.tally
    await add_tallies(work, sums)
    new = {
        (str(one.batch.source.source_id), one.fingerprint): one
        for one in taken
        if one.before is None
    }
    kept = await add_receipts(
        work,
        door.name,
        [
            NewReceipt(
                sender,
                fingerprint,
                seal_reply(desk.vault, fingerprint, one.reply),
                one.tally.received,
                one.batch.now,
            )
            for (sender, fingerprint), one in new.items()
        ],
    )
    for (sender, fingerprint), one in new.items():
        if (sender, fingerprint) not in kept:
            # The same body raced with itself; all its rows were duplicates here.
            first = await find_reply(work, sender, door.name, fingerprint)
            if first is not None:
                one.reply = unseal_reply(desk.vault, fingerprint, first[1])


def encode_answers(answers: Sequence[RowAnswer], tally: Tally) -> bytes:
    return to_json(
        {
            "received": tally.received,
            "stored": tally.stored,
            "duplicate": tally.duplicate,
            "rejected": tally.rejected,
            "rows": [answer.as_dict() for answer in answers],
        }
    )


async def _take_new_rows(work: Work, door: RowDoor[Any], batches: Sequence[Batch[Any]]) -> None:
    if not batches:
        return
    candidates: list[Candidate[Any]] = []
    for batch in batches:
        batch.answers = [_unread(row) for row in batch.rows]
        candidates += [
            _candidate(door, batch, row, answer)
            for row, answer in zip(batch.rows, batch.answers, strict=True)
            if row.fact is not None
        ]
    if door.counts_revisions:
        await _count_revisions(work, door, candidates)
    await _resolve(work, door, batches, candidates)
    loaded = await door.load(work, batches)
    judged = [one for one in candidates if _judge(door, one, loaded)]
    firsts = _settle_within(judged)
    known = await _store(work, door, firsts)
    _settle_repeats_of_firsts(judged, firsts, known)
    await _keep_rejected(work, door, batches)


def _unread(row: ArrivedRow) -> RowAnswer:
    """Rejected, until something better is known."""
    return RowAnswer(
        row.position,
        "rejected",
        row.external_id,
        row.revision,
        problems=row.problems,
        warnings=row.warnings,
    )


def _candidate(
    door: RowDoor[Any], batch: Batch[Any], row: ArrivedRow, answer: RowAnswer
) -> Candidate[Any]:
    fact = row.fact
    occurred_at, flag = place_in_time(fact.occurred_at, batch.source.default_zone)
    kept_id = door.kept_id(batch, fact.external_id)
    record_id = derived_id(door.record_kind, batch.source.source_id, kept_id)
    flags = [flag] if flag else []
    candidate = Candidate(
        batch, row, fact, answer, record_id, fact.revision, occurred_at, flags, kept_id=kept_id
    )
    if flag and not door.counts_revisions:  # a list tells days, which have no offset
        answer.warnings += (OFFSET_MISSING,)
    return candidate


async def _resolve(
    work: Work,
    door: RowDoor[Any],
    batches: Sequence[Batch[Any]],
    candidates: Sequence[Candidate[Any]],
) -> None:
    """References that are named twice are looked up once."""
    persons = await resolve_persons(
        work,
        batches[0].desk.vault,
        (person for one in candidates for person in door.persons(one.fact)),
    )
    named = {place.id for one in candidates if (place := door.place(one.fact)) is not None}
    named |= {batch.source.place_id for batch in batches if batch.source.place_id is not None}
    places = await find_places(work, named)
    for batch in batches:
        batch.persons, batch.places = persons, places


def _judge(door: RowDoor[Any], candidate: Candidate[Any], loaded: Any) -> bool:
    try:
        door.decide(candidate, candidate.batch, loaded)
    except RowRefused as refused:
        candidate.answer.problems = refused.problems
        return False
    candidate.answer.record_id = candidate.record_id
    return True


def _settle_within(judged: Sequence[Candidate[Any]]) -> dict[RowKey, Candidate[Any]]:
    """The first row of each id and revision goes on; the others that came with it repeat it."""
    firsts: dict[RowKey, Candidate[Any]] = {}
    for candidate in judged:
        if candidate.key not in firsts:
            batch = candidate.batch
            candidate.columns |= {
                "record_id": candidate.record_id,
                "revision": candidate.revision,
                "source_id": batch.source.source_id,
                "external_id": candidate.kept_id,
                "fingerprint": batch.desk.vault.fingerprint(candidate.row.body),
                "status": candidate.status,
                "occurred_at": candidate.occurred_at,
                "recorded_at": batch.now,
                "flags": ",".join(candidate.flags),
                "day": batch.day,
            }
            firsts[candidate.key] = candidate
    return firsts


async def _store(
    work: Work, door: RowDoor[Any], firsts: dict[RowKey, Candidate[Any]]
) -> dict[RowKey, StoredRow]:
    """Insert the first of each; what is known of those that came before."""
    if not firsts:
        return {}
    # Sorted: two bodies with the same rows in another order wait in line, not for each other.
    arrived = sorted(firsts.values(), key=lambda one: (one.record_id.int, one.revision))
    fresh = await insert_rows(work, door.table, [one.columns for one in arrived])
    repeats = [one for key, one in firsts.items() if key not in fresh]
    known: dict[RowKey, StoredRow] = {}
    if repeats:
        known = await find_rows(work, door.table, [one.record_id for one in repeats])
    highest: dict[UUID, int] = {}
    for record_id, revision in fresh:
        highest[record_id] = max(revision, highest.get(record_id, 0))
    for key, candidate in firsts.items():
        if key in fresh:
            candidate.answer.fate = "stored"
            # A revision that comes after a higher one is kept and changes nothing.
            superseded = fresh[key] or highest[candidate.record_id] > candidate.revision
            if candidate.event is not None and not superseded:
                work.announce(candidate.event)
            continue
        before = known[key]
        settle_repeat(
            candidate.answer,
            same_content=before.fingerprint == candidate.columns["fingerprint"],
            known_verdict=_verdict_of(before),
        )
    return known


def _verdict_of(row: StoredRow) -> Verdict | None:
    if row.verdict is None or row.reason is None:
        return None
    return Verdict(row.verdict, row.reason)  # type: ignore[arg-type]


def _settle_repeats_of_firsts(
    judged: Sequence[Candidate[Any]],
    firsts: dict[RowKey, Candidate[Any]],
    known: dict[RowKey, StoredRow],
) -> None:
    """What came with a first of the same id repeats what is stored: that first, or the row that was
    there before either of them."""
    for candidate in judged:
        first, before = firsts[candidate.key], known.get(candidate.key)
        if first is candidate:
            continue
        content = candidate.batch.desk.vault.fingerprint(candidate.row.body)
        stored = before.fingerprint if before else first.columns["fingerprint"]
        settle_repeat(
            candidate.answer,
            same_content=content == stored,
            known_verdict=_verdict_of(before) if before else first.answer.verdict,
        )


async def _count_revisions(
    work: Work, door: RowDoor[Any], candidates: Sequence[Candidate[Any]]
) -> None:
    """The revision of a list's row: the one it repeats, else the next."""
    sources = {one.batch.source.source_id for one in candidates}
    await work.lock(*(f"{door.name}/{source_id}" for source_id in sources))
    known = await find_rows(work, door.table, [one.record_id for one in candidates])
    latest: dict[UUID, tuple[int, bytes]] = {}
    for (record_id, revision), row in known.items():
        if revision > latest.get(record_id, (0, b""))[0]:
            latest[record_id] = (revision, row.fingerprint)
    for candidate in candidates:
        revision, fingerprint = latest.get(candidate.record_id, (0, b""))
        content = candidate.batch.desk.vault.fingerprint(candidate.row.body)
        candidate.revision = revision if fingerprint == content else revision + 1
        candidate.answer.revision = candidate.revision


async def _keep_rejected(work: Work, door: RowDoor[Any], batches: Sequence[Batch[Any]]) -> None:
    """A rejected row is kept with its reason, sealed, for who has to explain it to the sender."""
    kept = [
        _rejection(door, batch, row, answer)
        for batch in batches
        for row, answer in zip(batch.rows, batch.answers, strict=True)
        if answer.fate == "rejected"
    ]
    if kept:
        await add_rejected_rows(work, kept)


def _rejection(
    door: RowDoor[Any], batch: Batch[Any], row: ArrivedRow, answer: RowAnswer
) -> dict[str, Any]:
    rejection_id = new_id()
    return {
        "rejection_id": rejection_id,
        "source_id": batch.source.source_id,
        "area_id": batch.source.area_id,
        "door": door.name,
        "day": batch.day,
        "position": row.position,
        "external_id": row.external_id and door.kept_id(batch, row.external_id),
        "revision": row.revision,
        "problems": [problem.as_dict() for problem in answer.problems],
        "sealed_body": batch.desk.vault.seal(
            "rejected_row.sealed_body", str(rejection_id), row.body
        ),
        "received_at": batch.now,
    }
