"""Builds the answer to a message: MSH, MSA and, for a refusal, ERR.

HL7 v2.5.1, 2.9.2 (original mode) and PHIN Messaging Guide 2.0, 2.3. The caller sends it only after
the transaction that keeps the message has committed, and keeps the bytes: they are the reply to
every repeat.
"""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from services.intake.domain.hl7.characters import CODEC_NAMES
from services.intake.domain.hl7.findings import Finding
from services.intake.domain.hl7.patient import Authority
from services.intake.domain.hl7.reader import Interchange, Segment, escape
from services.intake.domain.hl7.verdict import MessageHeader, Verdict

_MARKS = "^~\\&"
_TRIGGER = re.compile(r"[A-Z][0-9A-Z]{2}")
# HL7 table 0357, message error condition codes.
_CONDITIONS = {
    "header_missing": ("100", "Segment sequence error"),
    "type_unsupported": ("200", "Unsupported message type"),
    "processing_unsupported": ("202", "Unsupported processing id"),
    "version_unsupported": ("203", "Unsupported version id"),
}
_INTERNAL = ("207", "Application internal error")


@dataclass(frozen=True, slots=True)
class Signature:
    """Who answers, when (aware) and under which control id (at most 20 characters, MSH-10)."""

    control_id: str
    answered_at: datetime
    application: str = "OUTPOST"
    facility: Authority = field(default_factory=Authority)


def derive_control_id(receipt_id: UUID) -> str:
    """The answer's own control id: 20 characters that follow from the stored receipt alone."""
    # The last 12 bytes: in a UUIDv7 they hold all of its random part.
    return b32encode(receipt_id.bytes[-12:]).decode().rstrip("=")


def build_acknowledgement(
    verdict: Verdict,
    signature: Signature,
    *,
    codec: str = "utf-8",
    code: Literal["AA", "AR", "AE"] | None = None,
) -> bytes:
    """The ACK as bytes in `codec`, segments ended by CR, byte-stable for equal arguments.

    `code` overrides the verdict's: AE when the message could not be kept.
    """
    told = code or verdict.code
    header = verdict.header
    msa = ["MSA", told, escape(header.control_id) if header else ""]
    segments = [_build_header(header, signature, codec), "|".join(msa).rstrip("|")]
    if told == "AR":
        segments += [_build_error(refusal) for refusal in verdict.refusals]
    elif told == "AE":
        text = "the message could not be kept: send it again"
        segments.append(_build_error(Finding("internal", "MSH", text)))
    return _encode(segments, codec)


def build_batch_acknowledgement(
    interchange: Interchange, acknowledgements: Sequence[bytes], signature: Signature
) -> bytes:
    """The answers to a batch file, in its order, in the same envelope as the file had."""
    segments = []
    for name, opened in (("FHS", interchange.file_header), ("BHS", interchange.batch_header)):
        if name == "BHS" or opened is not None:
            segments.append(_build_envelope(name, opened, signature))
    head = _encode(segments, interchange.codec)
    closing = [f"BTS|{len(acknowledgements)}"]
    if interchange.file_header is not None:
        closing.append("FTS|1")
    return head + b"".join(acknowledgements) + _encode(closing, interchange.codec)


def _encode(segments: Sequence[str], codec: str) -> bytes:
    return "".join(segment + "\r" for segment in segments).encode(codec, errors="replace")


def _format_time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")


def _join_authority(authority: Authority) -> str:
    parts = (authority.namespace, authority.universal_id, authority.universal_id_type)
    return "^".join(escape(part) for part in parts).rstrip("^")


def _build_header(header: MessageHeader | None, signature: Signature, codec: str) -> str:
    """Sender and receiver change places; what the sender left open we fill with our own name."""
    own_application = own_facility = there_application = there_facility = ""
    trigger, processing, version = "", "P", "2.5.1"
    if header is not None:
        own_application = _join_authority(header.receiving_application)
        own_facility = _join_authority(header.receiving_facility)
        there_application = _join_authority(header.sending_application)
        there_facility = _join_authority(header.sending_facility)
        trigger = header.trigger if _TRIGGER.fullmatch(header.trigger) else ""
        processing = header.processing if header.processing in ("P", "T", "D") else "P"
        version = header.version if re.fullmatch(r"2\.[3-9](\.[0-9])?", header.version) else version
    fields = [
        "MSH",
        _MARKS,
        own_application or escape(signature.application),
        own_facility or _join_authority(signature.facility),
        there_application,
        there_facility,
        _format_time(signature.answered_at),
        "",
        f"ACK^{trigger}^ACK" if trigger else "ACK",
        escape(signature.control_id),
        processing,
        version,
    ]
    if codec != "utf-8" or not "".join(fields).isascii():
        # The answer is in the characters of the question and says so (MSH-18).
        fields += [""] * 5 + [CODEC_NAMES.get(codec, codec.removeprefix("iso").replace("-", "/"))]
    return "|".join(fields)


def _build_error(finding: Finding) -> str:
    condition, meaning = _CONDITIONS.get(finding.code, _INTERNAL)
    name, _, number = finding.field.partition("-")
    location = f"{name}^1^{number}" if number else name
    coded = f"{condition}^{meaning}^HL70357"
    return "|".join(("ERR", "", location, coded, "E", "", "", "", escape(finding.text)))


def _build_envelope(name: str, opened: Segment | None, signature: Signature) -> str:
    def swap(number: int) -> str:
        return _join_swapped(opened, number)

    fields = [
        name,
        _MARKS,
        swap(5) or escape(signature.application),
        swap(6) or _join_authority(signature.facility),
        swap(3),
        swap(4),
        _format_time(signature.answered_at),
        "",
        "",
        "",
        escape(signature.control_id),
        escape(opened.text(11)) if opened else "",
    ]
    return "|".join(fields).rstrip("|")


def _join_swapped(opened: Segment | None, number: int) -> str:
    if opened is None:
        return ""
    parts = (opened.text(number, component) for component in (1, 2, 3))
    return "^".join(escape(part) for part in parts).rstrip("^")
