"""HL7 messages: kept first, answered after the commit, and given effect where they may have one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from services.intake.domain.hl7.acknowledgement import (
    Signature,
    build_acknowledgement,
    build_batch_acknowledgement,
    derive_control_id,
)
from services.intake.domain.hl7.admission import read_admission
from services.intake.domain.hl7.findings import Finding, collect_findings
from services.intake.domain.hl7.laboratory import read_laboratory
from services.intake.domain.hl7.patient import Authority, read_authority
from services.intake.domain.hl7.reader import Interchange, Message, read_interchange
from services.intake.domain.hl7.verdict import Verdict, judge_message
from services.intake.domain.references import KnownSource
from services.intake.domain.rows import Fate, Tally
from services.intake.handlers.desk import Desk
from services.intake.handlers.receipts import count_metric, seal_reply, unseal_reply
from services.intake.handlers.specimens import fold_specimen, specimen_id_of
from services.intake.handlers.visits import BODY_COLUMN, encounter_id_of, fold_encounter
from services.intake.repository.messages import (
    add_findings,
    add_message,
    add_subjects,
    find_message,
    is_control_id_used,
)
from services.intake.repository.receipts import (
    Account,
    NewReceipt,
    add_receipts,
    add_tallies,
    find_reply,
)
from services.intake.repository.sources import find_by_facility, find_source
from shared.database.work import Actor, Work
from shared.ids import new_id

DOOR = "hl7v2"
TEXT_MAX = 400
CONTROL_ID_REUSED = Finding(
    "control_id_reused", "MSH-10", "control id used again with another body"
)
TEST_WITHOUT_EFFECT = Finding(
    "test_without_effect",
    "MSH-11",
    "MSH-11: a test message has effect only from a source registered as test",
)
NOT_REGISTERED = Finding(
    "sender_unregistered",
    "MSH-4",
    "MSH-4: no source is registered for this sender; kept for replay",
)
FOREIGN = Finding(
    "sender_foreign",
    "MSH-4",
    "MSH-4 or EVN-7: the facility of another source than the key's; kept without effect",
)
FAILED = Finding("processing_failed", "MSH", "the message is kept, but its effect failed here")


@dataclass(frozen=True, slots=True)
class Post:
    """A request with one message or a batch file; `bound_source_id` is the source of its key."""

    body: bytes = field(repr=False)
    subject: str
    bound_source_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message on its way in, judged but not kept yet."""

    message: Message
    verdict: Verdict
    sender: str
    body: bytes = field(repr=False)
    facility: Authority
    treating: Authority
    findings: tuple[Finding, ...] = ()
    # It names the facility of another source than that of its key.
    foreign: bool = False

    @property
    def control_id(self) -> str:
        return self.verdict.header.control_id[:TEXT_MAX] if self.verdict.header else ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an accepted message is about: visits or specimens, and what was odd about its form."""

    subjects: frozenset[UUID]
    findings: tuple[Finding, ...]


async def take_messages(desk: Desk, post: Post, *, with_effect: bool = True) -> bytes:
    """The acknowledgement, after the commit. The same bytes get the same answer, byte for byte.

    `with_effect=False` only keeps the messages, for when their effect cannot be computed.
    """
    interchange = read_interchange(post.body)
    arrivals = _arrivals(interchange, post)
    async with desk.database.work(Actor(post.subject)) as work:
        arrivals = [await _under_own_name(work, arrival, post) for arrival in arrivals]
        # Before anything is read: control ids, receipts and visits are judged one after the other.
        await work.lock(*_names_to_lock(desk, arrivals))
        door = _MessageDoor(work, desk, post, interchange, with_effect)
        reply = await door.take(arrivals)
    for fates in door.fates.values():
        count_metric(DOOR, _tally(fates))
    return reply


def _arrivals(interchange: Interchange, post: Post) -> list[Arrival]:
    found = []
    for number, message in enumerate(interchange.messages):
        verdict = judge_message(message)
        event = message.first("EVN")
        facility = verdict.header.sending_facility if verdict.header else Authority()
        sender = facility.text[:TEXT_MAX] if facility else post.subject
        # One message alone is kept as the bytes that came.
        body = message.text.encode(errors="replace") if interchange.is_batch else post.body
        treating = read_authority(event, 7) if event else Authority()
        notes = interchange.findings if number == 0 else ()
        found.append(Arrival(message, verdict, sender, body, facility, treating, notes))
    return found


async def _under_own_name(work: Work, arrival: Arrival, post: Post) -> Arrival:
    """A message in another's name is filed under the key that sent it: it must not make the true
    sender's message a repeat."""
    foreign = await is_foreign(work, arrival, post.bound_source_id)
    return replace(arrival, sender=post.subject, foreign=True) if foreign else arrival


def _names_to_lock(desk: Desk, arrivals: Sequence[Arrival]) -> list[str]:
    names = {f"sender/{arrival.sender}" for arrival in arrivals}
    for arrival in arrivals:
        names |= {f"subject/{one}" for one in read_subjects(arrival, ZoneInfo("UTC")).subjects}
    return sorted(names) or [f"sender/{desk.database.service}"]


def read_subjects(arrival: Arrival, zone: ZoneInfo) -> Reading:
    """The visit or the specimens of an accepted message; none for a refused one."""
    if arrival.verdict.kind == "admission":
        encounter = read_admission(arrival.message, zone)
        key = encounter.visit_key
        return Reading(frozenset({encounter_id_of(key)} if key else ()), encounter.findings)
    if arrival.verdict.kind == "laboratory":
        reports = read_laboratory(arrival.message, zone)
        ids = {specimen_id_of(report, arrival.sender) for report in reports}
        findings = collect_findings(*(report.findings for report in reports))
        return Reading(frozenset(one for one in ids if one is not None), findings)
    return Reading(frozenset(), ())


async def apply_subjects(
    work: Work, desk: Desk, arrival: Arrival, subjects: frozenset[UUID]
) -> tuple[Finding, ...]:
    """Fold every visit or specimen that the message tells about."""
    fold = fold_encounter if arrival.verdict.kind == "admission" else fold_specimen
    notes: list[Finding] = []
    for subject in sorted(subjects):
        notes += await fold(work, desk, subject)
    return tuple(notes)


async def find_sender(
    work: Work, arrival: Arrival, bound_source_id: UUID | None
) -> KnownSource | None:
    """The registered source of MSH-4, else of the treating facility (EVN-7), else of the key.

    What is foreign is counted for the key's own source."""
    if arrival.foreign:
        return await find_source(work, bound_source_id) if bound_source_id else None
    for facility in (arrival.facility, arrival.treating):
        source = await find_by_facility(work, facility.namespace, facility.universal_id)
        if source is not None:
            return source
    return await find_source(work, bound_source_id) if bound_source_id else None


async def is_foreign(work: Work, arrival: Arrival, bound_source_id: UUID | None) -> bool:
    """Whether a key bound to one source sends in the name, or as the place, of another."""
    if bound_source_id is None:
        return False
    for facility in (arrival.facility, arrival.treating):
        source = await find_by_facility(work, facility.namespace, facility.universal_id)
        if source is not None and source.source_id != bound_source_id:
            return True
    return False


def state_of(arrival: Arrival, source: KnownSource | None) -> tuple[str, tuple[Finding, ...]]:
    """What becomes of a message, before its content is looked at."""
    header = arrival.verdict.header
    if not arrival.verdict.is_accepted or header is None:
        return "refused", ()
    if arrival.foreign:
        return "without_effect", (FOREIGN,)
    if source is None:
        return "waiting_for_registration", (NOT_REGISTERED,)
    if header.is_test and not source.is_test:
        return "test_without_effect", (TEST_WITHOUT_EFFECT,)
    return "applied", ()


class _MessageDoor:
    """One request while it is taken: a transaction, and the fates counted in it."""

    def __init__(
        self, work: Work, desk: Desk, post: Post, interchange: Interchange, with_effect: bool
    ) -> None:
        self._work, self._desk, self._post = work, desk, post
        self._interchange, self._with_effect = interchange, with_effect
        self._now: datetime = work.now()
        self.fates: dict[tuple[UUID | None, date], Counter[Fate]] = {}

    async def take(self, arrivals: Sequence[Arrival]) -> bytes:
        if not self._interchange.is_batch:
            reply = await self._take_one(arrivals[0])
            await self._count()
            return reply
        sender = arrivals[0].sender if arrivals else self._post.subject
        fingerprint = self._desk.vault.fingerprint(self._post.body)
        stored = await find_reply(self._work, sender, DOOR, fingerprint)
        replies = [await self._take_one(arrival) for arrival in arrivals]
        await self._count()
        if stored is not None:
            return unseal_reply(self._desk.vault, fingerprint, stored[1])
        signature = Signature(derive_control_id(new_id()), self._now)
        reply = build_batch_acknowledgement(self._interchange, replies, signature)
        sealed = seal_reply(self._desk.vault, fingerprint, reply)
        # Its messages are counted one by one: the file itself counts for nothing.
        new = NewReceipt(sender, fingerprint, sealed, 0, self._now)
        await add_receipts(self._work, DOOR, [new])
        return reply

    async def _take_one(self, arrival: Arrival) -> bytes:
        fingerprint = self._desk.vault.fingerprint(
            arrival.message.text.encode(errors="replace") or arrival.body
        )
        source = await find_sender(self._work, arrival, self._post.bound_source_id)
        if source is None:
            # A registration may be under way, and would look for waiting messages before this one
            # is there. Behind its lock, either we see the source or it will see the message.
            await self._work.lock("sources")
            source = await find_sender(self._work, arrival, self._post.bound_source_id)
        known = await find_message(self._work, arrival.sender, fingerprint)
        if known is not None:
            self._note(source, "duplicate")
            return bytes(known.reply)
        state, notes = state_of(arrival, source)
        zone = ZoneInfo(source.default_zone if source else "UTC")
        reading = read_subjects(arrival, zone)
        if state == "applied" and not self._with_effect:
            state, notes = "failed", (FAILED,)
        elif state == "applied" and not reading.subjects:
            state = "without_effect"
        if state != "refused" and await is_control_id_used(
            self._work, arrival.sender, arrival.control_id
        ):
            notes = (CONTROL_ID_REUSED, *notes)
        self._note(source, "rejected" if state == "refused" else "stored")
        findings = collect_findings(
            arrival.findings, arrival.verdict.findings, reading.findings, notes
        )
        kept = _Kept(new_id(), fingerprint, source, state)
        reply = build_acknowledgement(
            arrival.verdict,
            Signature(derive_control_id(kept.message_id), self._now),
            codec=self._interchange.codec,
        )
        await add_message(self._work, self._row(arrival, kept, reply))
        await add_subjects(self._work, kept.message_id, reading.subjects)
        if state == "applied":
            findings += await apply_subjects(self._work, self._desk, arrival, reading.subjects)
        area_id = source.area_id if source else None
        await add_findings(self._work, kept.message_id, area_id, findings)
        return reply

    def _row(self, arrival: Arrival, kept: _Kept, reply: bytes) -> dict[str, Any]:
        source = kept.source
        return {
            "message_id": kept.message_id,
            "sender": arrival.sender,
            "fingerprint": kept.fingerprint,
            "control_id": arrival.control_id,
            "kind": arrival.verdict.kind or "",
            "state": kept.state,
            "client": self._post.subject,
            "bound_source_id": self._post.bound_source_id,
            "facility_namespace": arrival.facility.namespace[:TEXT_MAX],
            "facility_universal_id": arrival.facility.universal_id[:TEXT_MAX],
            "treating_namespace": arrival.treating.namespace[:TEXT_MAX],
            "treating_universal_id": arrival.treating.universal_id[:TEXT_MAX],
            "source_id": source.source_id if source else None,
            "counted_source_id": source.source_id if source else None,
            "day": self._day(source),
            "area_id": source.area_id if source else None,
            "sealed_body": self._desk.vault.seal(BODY_COLUMN, str(kept.message_id), arrival.body),
            "reply": reply,
            "received_at": self._now,
            "applied_at": self._now if kept.state == "applied" else None,
        }

    def _day(self, source: KnownSource | None) -> date:
        return self._now.astimezone(ZoneInfo(source.default_zone if source else "UTC")).date()

    def _note(self, source: KnownSource | None, fate: Fate) -> None:
        key = (source.source_id if source else None, self._day(source))
        self.fates.setdefault(key, Counter())[fate] += 1

    async def _count(self) -> None:
        sums = {
            Account(source_id, day, DOOR): _tally(fates)
            for (source_id, day), fates in self.fates.items()
        }
        await add_tallies(self._work, sums)


@dataclass(frozen=True, slots=True)
class _Kept:
    message_id: UUID
    fingerprint: bytes
    source: KnownSource | None
    state: str


def _tally(fates: Counter[Fate]) -> Tally:
    return Tally(fates.total(), fates["stored"], fates["duplicate"], fates["rejected"])
