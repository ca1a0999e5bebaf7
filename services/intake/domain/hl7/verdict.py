"""Accept or refuse: only MSH-9, MSH-11 and MSH-12 decide, or a missing MSH.

PHIN Messaging Guide 2.0, section 2.3; HL7 v2.5.1, 2.9.2.2 (original mode): everything else is the
concern of the application and ends as a finding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from services.intake.domain.hl7.checks import check_time
from services.intake.domain.hl7.findings import Finding, collect_findings
from services.intake.domain.hl7.patient import Authority, read_authority
from services.intake.domain.hl7.reader import Message, Segment

Kind = Literal["admission", "laboratory"]

# Message type, trigger event -> what it is to us and the structure it should name in MSH-9.3.
SUPPORTED: dict[tuple[str, str], tuple[Kind, str]] = {
    ("ADT", "A01"): ("admission", "ADT_A01"),
    ("ADT", "A03"): ("admission", "ADT_A03"),
    ("ADT", "A04"): ("admission", "ADT_A01"),
    ("ADT", "A08"): ("admission", "ADT_A01"),
    ("ORU", "R01"): ("laboratory", "ORU_R01"),
}
_VERSION = re.compile(r"2\.[3-9](\.[0-9])?")


@dataclass(frozen=True, slots=True)
class MessageHeader:
    """MSH as read. Codes are as sent; `control_id` is "" when there is none."""

    sending_application: Authority
    sending_facility: Authority
    receiving_application: Authority
    receiving_facility: Authority
    control_id: str
    message_type: str
    trigger: str
    structure: str
    processing: str
    version: str
    accept_acknowledgement: str

    @property
    def sender(self) -> str:
        """Who sends, for keys: application and facility, each with its whole authority."""
        return f"{self.sending_application.text}|{self.sending_facility.text}"

    @property
    def is_test(self) -> bool:
        """MSH-11 T or D. It has effect only from a source registered as test: the caller knows."""
        return self.processing in ("T", "D")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`code` goes to MSA-1: AA accepted, AR refused for the fields in `refusals`."""

    code: Literal["AA", "AR"]
    kind: Kind | None = None
    header: MessageHeader | None = None
    refusals: tuple[Finding, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def is_accepted(self) -> bool:
        return self.code == "AA"


def read_header(segment: Segment) -> MessageHeader:
    """MSH to its facts."""
    return MessageHeader(
        sending_application=read_authority(segment, 3),
        sending_facility=read_authority(segment, 4),
        receiving_application=read_authority(segment, 5),
        receiving_facility=read_authority(segment, 6),
        control_id=segment.text(10),
        message_type=segment.text(9, 1),
        trigger=segment.text(9, 2),
        structure=segment.text(9, 3),
        processing=segment.text(11),
        version=segment.text(12),
        accept_acknowledgement=segment.text(15),
    )


def judge_message(message: Message) -> Verdict:
    """The verdict on one message, before anything of its content is read."""
    segment = message.header
    if segment is None:
        finding = Finding("header_missing", "MSH", "MSH: the message does not begin with MSH")
        return Verdict("AR", refusals=(finding,), findings=collect_findings(message.findings))
    header = read_header(segment)
    supported = SUPPORTED.get((header.message_type, header.trigger))
    refusals = []
    if supported is None:
        text = "MSH-9: not supported; ADT A01, A03, A04, A08 and ORU R01 are"
        refusals.append(Finding("type_unsupported", "MSH-9", text))
    if header.processing not in ("P", "T", "D"):
        text = "MSH-11: not supported; P (production), T (training) and D (debugging) are"
        refusals.append(Finding("processing_unsupported", "MSH-11", text))
    if not _VERSION.fullmatch(header.version):
        text = "MSH-12: not supported; versions 2.3 to 2.9 are"
        refusals.append(Finding("version_unsupported", "MSH-12", text))
    findings = list(message.findings)
    if supported and header.structure and header.structure != supported[1]:
        text = f"MSH-9: the structure should be {supported[1]}"
        findings.append(Finding("structure_unexpected", "MSH-9", text))
    if refusals or supported is None:
        refused = tuple(refusals)
        # Its content is not read further, but its times are worth a word to the sender.
        times = check_time("MSH-7", segment.text(7))
        birth = [check_time("PID-7", one.text(7)) for one in message.all("PID")[:1]]
        return Verdict(
            "AR", None, header, refused, collect_findings(refused, findings, times, *birth)
        )
    return Verdict("AA", supported[0], header, (), collect_findings(findings))
