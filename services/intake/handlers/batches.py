"""The one way in for rows: receipt, references, fates, announcements, in one transaction."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic_core import to_json
from sqlalchemy import Table

from services.intake.domain.references import (
    KnownPerson,
    KnownPlace,
    KnownSource,
    PersonReference,
    PlaceReference,
)
from services.intake.domain.rows import (
    OFFSET_MISSING,
    ArrivedRow,
    Fact,
    RowAnswer,
    RowRefused,
    Tally,
    count_fates,
    place_in_time,
    settle_repeat,
)
from services.intake.domain.vault import Vault
from services.intake.domain.verdicts import Verdict
from services.intake.errors import no_source
from services.intake.handlers.desk import Desk
from services.intake.handlers.references import resolve_persons
from services.intake.repository.places import find_places
from services.intake.repository.receipts import (
    Account,
    NewReceipt,
    add_receipt,
    add_rejected_rows,
    add_tally,
    find_reply,
)
from services.intake.repository.rows import RowKey, StoredRow, find_rows, insert_rows
from services.intake.repository.sources import find_source_and_reply
from shared.database.work import Actor, Work
from shared.events.base import Event
from shared.ids import derived_id, new_id
from shared.metrics import INTAKE_ROWS

AnyFact = TypeVar("AnyFact", bound=Fact)
FLAG_PLACE_UNKNOWN = "place_unknown"
REPLY_COLUMN = "receipt.reply"


@dataclass(slots=True)
class Candidate(Generic[AnyFact]):
    """A readable row on its way in."""

    row: ArrivedRow
    fact: AnyFact
    answer: RowAnswer
    record_id: UUID
    revision: int
    occurred_at: datetime
    flags: list[str]
    columns: dict[str, Any] = field(default_factory=dict)
    event: Event | None = None
    kept_id: str = ""

    @property
    def key(self) -> RowKey:
        return self.record_id, self.revision

    @property
    def status(self) -> str:
        return "withdrawn" if self.fact.withdrawn else "recorded"


@dataclass(slots=True)
class Batch(Generic[AnyFact]):
    """What the rows of one request are judged by."""

    desk: Desk
    source: KnownSource
    now: datetime
    persons: dict[PersonReference, KnownPerson] = field(default_factory=dict)
    places: dict[UUID, KnownPlace] = field(default_factory=dict)

    def place_of(self, reference: PlaceReference | None) -> KnownPlace | None:
        """The row's place, else the place of its source."""
        if reference is not None:
            return self.places[reference.id]
        return self.places.get(self.source.place_id) if self.source.place_id else None

    def in_utc(self, at: datetime) -> datetime:
        return place_in_time(at, self.source.default_zone)[0]


class RowDoor(ABC, Generic[AnyFact]):
    """What differs from door to door: table, references, and how a row becomes an event."""

    name: ClassVar[str]
    record_kind: ClassVar[str]
    table: Table
    # A list has no revisions of its own: the same row with another content is its next one.
    counts_revisions: ClassVar[bool] = False

    @abstractmethod
    def persons(self, fact: AnyFact) -> Iterable[PersonReference]:
        """Every person the row names."""

    def place(self, fact: AnyFact) -> PlaceReference | None:  # noqa: ARG002
        """The place the row names, if any."""
        return None

    def kept_id(self, batch: Batch[Any], external_id: str) -> str:  # noqa: ARG002
        """The sender's id as it is kept; a pseudonym where it could be a document's number."""
        return external_id

    async def load(self, work: Work, batch: Batch[AnyFact]) -> Any:  # noqa: ARG002
        """Whatever else `decide` needs, for the whole batch at once."""
        return None

    @abstractmethod
    def decide(self, candidate: Candidate[AnyFact], batch: Batch[AnyFact], loaded: Any) -> None:
        """Fill columns, event and verdict, or raise `RowRefused`."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request with rows: who sent it, the body as it came, and what was read from it."""

    source_id: UUID | None
    subject: str
    body: bytes
    rows: Sequence[ArrivedRow]
    # What else about the request decides its meaning (the disease of a list).
    context: str = ""


async def take_rows(desk: Desk, door: RowDoor[Any], delivery: Delivery) -> bytes:
    """The answer as bytes, after the commit. A body that came before is answered byte for byte."""
    if delivery.source_id is None:
        raise no_source()
    fingerprint = desk.vault.fingerprint(delivery.context.encode() + b"\x00" + delivery.body)
    async with desk.database.work(Actor(delivery.subject)) as work:
        source, stored = await find_source_and_reply(
            work, delivery.source_id, door=door.name, fingerprint=fingerprint
        )
        if source is None:
            raise no_source()
        day = work.now().astimezone(ZoneInfo(source.default_zone)).date()
        account = Account(source.source_id, day, door.name)
        if stored is not None:
            tally = Tally(stored.received, 0, stored.received, 0)
            await add_tally(work, account, tally)
            reply = unseal_reply(desk.vault, fingerprint, stored.reply)
        else:
            batch = Batch[Any](desk, source, work.now())
            answers = await _take_new_rows(work, door, batch, delivery.rows, day)
            tally = count_fates(answers)
            reply = encode_answers(answers, tally)
            sealed = seal_reply(desk.vault, fingerprint, reply)
            new = NewReceipt(str(source.source_id), fingerprint, sealed, batch.now)
            if not await add_receipt(work, account, tally, new):
                # The same body raced with itself; all its rows were duplicates here.
                first = await find_reply(work, new.sender, door.name, fingerprint)
                reply = unseal_reply(desk.vault, fingerprint, first[1]) if first else reply
    count_metric(door.name, tally)
    return reply


def seal_reply(vault: Vault, fingerprint: bytes, reply: bytes) -> bytes:
    """Deflated and sealed: an answer repeats the sender's ids, and those of a list are persons'."""
    # A small window: setting the usual one up costs ten times what a short answer does.
    deflater = zlib.compressobj(level=1, wbits=12, memLevel=4)
    deflated = deflater.compress(reply) + deflater.flush()
    return vault.seal(REPLY_COLUMN, fingerprint.hex(), deflated)


def unseal_reply(vault: Vault, fingerprint: bytes, sealed: bytes) -> bytes:
    return zlib.decompress(vault.open(REPLY_COLUMN, fingerprint.hex(), sealed))


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


def count_metric(door: str, tally: Tally) -> None:
    for fate in ("stored", "duplicate", "rejected"):
        INTAKE_ROWS.labels("intake", door, fate).inc(getattr(tally, fate))


async def _take_new_rows(
    work: Work, door: RowDoor[Any], batch: Batch[Any], rows: Sequence[ArrivedRow], day: date
) -> list[RowAnswer]:
    answers = [
        RowAnswer(
            row.position,
            "rejected",
            row.external_id,
            row.revision,
            problems=row.problems,
            warnings=row.warnings,
        )
        for row in rows
    ]
    candidates = [
        _candidate(door, batch, row, answer)
        for row, answer in zip(rows, answers, strict=True)
        if row.fact is not None
    ]
    if door.counts_revisions:
        candidates = await _count_revisions(work, door, batch, candidates)
    await _resolve(work, door, batch, candidates)
    loaded = await door.load(work, batch)
    judged = [one for one in candidates if _judge(door, batch, one, loaded)]
    firsts = _settle_within(batch, judged)
    await _store(work, door, firsts, day)
    _settle_repeats_of_firsts(batch, judged, firsts)
    await _keep_rejected(work, door, batch, _Rejected(rows, answers, day))
    return answers


def _candidate(
    door: RowDoor[Any], batch: Batch[Any], row: ArrivedRow, answer: RowAnswer
) -> Candidate[Any]:
    fact = row.fact
    occurred_at, flag = place_in_time(fact.occurred_at, batch.source.default_zone)
    kept_id = door.kept_id(batch, fact.external_id)
    record_id = derived_id(door.record_kind, batch.source.source_id, kept_id)
    candidate = Candidate(
        row, fact, answer, record_id, fact.revision, occurred_at, [flag] if flag else []
    )
    candidate.kept_id = kept_id
    if flag and not door.counts_revisions:  # a list tells days, which have no offset
        answer.warnings += (OFFSET_MISSING,)
    return candidate


async def _resolve(
    work: Work, door: RowDoor[Any], batch: Batch[Any], candidates: Sequence[Candidate[Any]]
) -> None:
    """References that a row names twice are looked up once."""
    batch.persons = await resolve_persons(
        work,
        batch.desk.vault,
        (person for one in candidates for person in door.persons(one.fact)),
    )
    named = {place.id for one in candidates if (place := door.place(one.fact)) is not None}
    if batch.source.place_id is not None:
        named.add(batch.source.place_id)
    batch.places = await find_places(work, named)


def _judge(door: RowDoor[Any], batch: Batch[Any], candidate: Candidate[Any], loaded: Any) -> bool:
    try:
        door.decide(candidate, batch, loaded)
    except RowRefused as refused:
        candidate.answer.problems = refused.problems
        return False
    candidate.answer.record_id = candidate.record_id
    return True


def _settle_within(
    batch: Batch[Any], judged: Sequence[Candidate[Any]]
) -> dict[RowKey, Candidate[Any]]:
    """The first row of each id and revision in this batch goes on; the others repeat it."""
    firsts: dict[RowKey, Candidate[Any]] = {}
    for candidate in judged:
        if candidate.key not in firsts:
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
            }
            firsts[candidate.key] = candidate
    return firsts


async def _store(
    work: Work, door: RowDoor[Any], firsts: dict[RowKey, Candidate[Any]], day: date
) -> None:
    if not firsts:
        return
    for candidate in firsts.values():
        candidate.columns["day"] = day
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


def _verdict_of(row: StoredRow) -> Verdict | None:
    if row.verdict is None or row.reason is None:
        return None
    return Verdict(row.verdict, row.reason)  # type: ignore[arg-type]


def _settle_repeats_of_firsts(
    batch: Batch[Any],
    judged: Sequence[Candidate[Any]],
    firsts: dict[RowKey, Candidate[Any]],
) -> None:
    for candidate in judged:
        first = firsts[candidate.key]
        if first is candidate:
            continue
        content = batch.desk.vault.fingerprint(candidate.row.body)
        same = content == first.columns["fingerprint"]
        settle_repeat(
            candidate.answer,
            same_content=same and first.answer.fate != "rejected",
            known_verdict=first.answer.verdict,
        )


async def _count_revisions(
    work: Work, door: RowDoor[Any], batch: Batch[Any], candidates: list[Candidate[Any]]
) -> list[Candidate[Any]]:
    """The revision of a list's row: the one it repeats, else the next."""
    await work.lock(f"{door.name}/{batch.source.source_id}")
    known = await find_rows(work, door.table, [one.record_id for one in candidates])
    latest: dict[UUID, tuple[int, bytes]] = {}
    for (record_id, revision), row in known.items():
        if revision > latest.get(record_id, (0, b""))[0]:
            latest[record_id] = (revision, row.fingerprint)
    for candidate in candidates:
        revision, fingerprint = latest.get(candidate.record_id, (0, b""))
        content = batch.desk.vault.fingerprint(candidate.row.body)
        candidate.revision = revision if fingerprint == content else revision + 1
        candidate.answer.revision = candidate.revision
    return candidates


@dataclass(frozen=True, slots=True)
class _Rejected:
    rows: Sequence[ArrivedRow]
    answers: Sequence[RowAnswer]
    day: date


async def _keep_rejected(
    work: Work, door: RowDoor[Any], batch: Batch[Any], arrived: _Rejected
) -> None:
    """A rejected row is kept with its reason, sealed, for who has to explain it to the sender."""
    kept = []
    for row, answer in zip(arrived.rows, arrived.answers, strict=True):
        if answer.fate != "rejected":
            continue
        rejection_id = new_id()
        kept.append(
            {
                "rejection_id": rejection_id,
                "source_id": batch.source.source_id,
                "area_id": batch.source.area_id,
                "door": door.name,
                "day": arrived.day,
                "position": row.position,
                "external_id": row.external_id and door.kept_id(batch, row.external_id),
                "revision": row.revision,
                "problems": [problem.as_dict() for problem in answer.problems],
                "sealed_body": batch.desk.vault.seal(
                    "rejected_row.sealed_body", str(rejection_id), row.body
                ),
                "received_at": batch.now,
            }
        )
    if kept:
        await add_rejected_rows(work, kept)
