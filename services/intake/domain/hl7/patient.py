"""Who a message is about: identifiers and the two facts that tell two patients apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, tzinfo

from services.intake.domain.hl7.findings import Finding
from services.intake.domain.hl7.reader import Message, Segment, split_value
from services.intake.domain.hl7.times import parse_time


@dataclass(frozen=True, slots=True)
class Authority:
    """An HD: a facility, or whoever gives out identifiers. All three parts tell authorities apart.

    NIST's own messages use one universal id under two names for two hospitals, so a name counts.
    """

    namespace: str = ""
    universal_id: str = ""
    universal_id_type: str = ""

    def __bool__(self) -> bool:
        return bool(self.namespace or self.universal_id)

    @property
    def text(self) -> str:
        """Canonical form `namespace&id&type`, for keys."""
        return "&".join((self.namespace, self.universal_id, self.universal_id_type))


@dataclass(frozen=True, slots=True)
class Identifier:
    """A patient identifier as sent. `type_code` is HL7 0203: MR, PI, SS, NNCHN, PPN, …"""

    value: str = field(repr=False)
    authority: Authority
    type_code: str

    @property
    def text(self) -> str:
        """Canonical form, personal: for keys of a vault, never for logs."""
        return f"{self.value}^{self.authority.text}^{self.type_code}"


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """PID as far as it is read; sex is F, M, O, U, … or "" when unknown or unreadable."""

    identifiers: tuple[Identifier, ...] = ()
    sex: str = ""
    birth_date: date | None = field(default=None, repr=False)


def read_authority(segment: Segment, number: int) -> Authority:
    """An HD field (MSH-4, EVN-7, …)."""
    return Authority(*(segment.text(number, part) for part in (1, 2, 3)))


def read_component_authority(segment: Segment, raw: str, component: int) -> Authority:
    """An HD inside a component (CX.4), its parts divided by `&`."""
    return Authority(*(split_value(segment, raw, component, part) for part in (1, 2, 3)))


def read_patient(message: Message, zone: tzinfo) -> PatientFacts:
    """Facts of the first PID; an absent PID gives empty facts."""
    segment = message.first("PID")
    if segment is None:
        return PatientFacts()
    identifiers = []
    for raw in segment.repetitions(3):
        value = split_value(segment, raw, 1)
        if value:
            authority = read_component_authority(segment, raw, 4)
            identifiers.append(Identifier(value, authority, split_value(segment, raw, 5)))
    sex = segment.text(8)
    return PatientFacts(
        identifiers=tuple(dict.fromkeys(identifiers)),
        sex=sex if len(sex) == 1 else "",
        birth_date=parse_time(segment.text(7), zone).local_date,
    )


def compare_patients(known: PatientFacts, arrived: PatientFacts) -> Finding | None:
    """An identity finding when one identifier is used for two people, else None.

    Only facts that both sides know are compared; U (unknown) sex never conflicts.
    """
    if not set(known.identifiers) & set(arrived.identifiers):
        return None
    differing = []
    if known.birth_date and arrived.birth_date and known.birth_date != arrived.birth_date:
        differing.append("birth date (PID-7)")
    if {known.sex, arrived.sex} == {"F", "M"}:
        differing.append("sex (PID-8)")
    if not differing:
        return None
    text = f"PID-3: one identifier, but another {' and '.join(differing)}: kept as two persons"
    return Finding("identity_conflict", "PID-3", text)
