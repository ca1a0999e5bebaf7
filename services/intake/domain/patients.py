"""From an identifier in a message to a reference of ours."""

from __future__ import annotations

from services.intake.domain.hl7.patient import Identifier, PatientFacts
from services.intake.domain.references import PersonReference

# HL7 0203 types whose number is unique without naming who gave it.
_NATIONAL = {"NNCHN": "cn-resident-id", "PPN": "passport", "SS": "us-ssn"}


def reference_of(identifier: Identifier, sender: str) -> PersonReference:
    """A chart number counts only together with who gave it; failing that, with who sent it.

    The scheme is `namespace&universal id&type^type code`, as it stands in the message.
    """
    scheme = _NATIONAL.get(identifier.type_code)
    if scheme is None:
        authority = identifier.authority.text if identifier.authority else sender
        scheme = f"{authority}^{identifier.type_code}"
    return PersonReference(None, scheme[:400], identifier.value[:400])


def references_of(patient: PatientFacts, sender: str) -> list[PersonReference]:
    """All identifiers of the patient, each once, in the order of the message."""
    return list(dict.fromkeys(reference_of(one, sender) for one in patient.identifiers))


def own_reference(first: PersonReference, patient: PatientFacts) -> PersonReference:
    """The reference of a second person under an identifier that belongs to somebody else: the
    identifier together with what tells the two apart."""
    told = patient.birth_date.isoformat() if patient.birth_date else f"sex {patient.sex}"
    return PersonReference(None, f"{first.scheme}#apart", f"{first.value}|{told}")
