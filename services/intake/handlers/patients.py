"""Who a message is about; one identifier used for two people ends as two persons and a finding."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from services.intake.domain.hl7.findings import Finding
from services.intake.domain.hl7.patient import PatientFacts, compare_patients
from services.intake.domain.patients import own_reference, references_of
from services.intake.domain.references import KnownPerson, PersonReference
from services.intake.handlers.desk import Desk
from services.intake.handlers.persons import open_fields, seal_fields
from services.intake.handlers.references import index_of, resolve_persons, seal_identifier
from services.intake.repository.persons import attach_identifiers, find_by_identifiers
from shared.database.work import Work


@dataclass(frozen=True, slots=True)
class Identity:
    """The person, None when the message names nobody, and what was odd about it."""

    person: KnownPerson | None
    findings: tuple[Finding, ...] = ()


async def resolve_patient(
    work: Work,
    desk: Desk,
    patient: PatientFacts,
    *,
    sender: str,
    fallback: PersonReference | None = None,
) -> Identity:
    """The person of a PID. Birth date and sex are kept in the vault to tell two patients apart."""
    references = references_of(patient, sender)
    if not references:
        if fallback is None:
            return Identity(None)
        return Identity((await resolve_persons(work, desk.vault, [fallback]))[fallback])
    keys = [index_of(desk.vault, one) for one in references]
    await work.lock(*(f"identity/{scheme}/{index.hex()}" for scheme, index in keys))
    found = await find_by_identifiers(work, keys)
    known = next(
        (one for one, key in zip(references, keys, strict=True) if key in found), references[0]
    )
    person = (await resolve_persons(work, desk.vault, [known]))[known]
    conflict = compare_patients(await _facts_of(work, desk, person, patient), patient)
    if conflict is not None:
        own = own_reference(known, patient)
        person = (await resolve_persons(work, desk.vault, [own]))[own]
        await _remember(work, desk, person, patient)
        return Identity(person, (conflict,))
    await _remember(work, desk, person, patient)
    return Identity(person, await _attach(work, desk, person, references))


async def _facts_of(
    work: Work, desk: Desk, person: KnownPerson, patient: PatientFacts
) -> PatientFacts:
    fields = await open_fields(work, desk.vault, person.person_id, "birth_date", "sex")
    born = fields.get("birth_date")
    return PatientFacts(
        patient.identifiers, fields.get("sex", ""), date.fromisoformat(born) if born else None
    )


async def _remember(work: Work, desk: Desk, person: KnownPerson, patient: PatientFacts) -> None:
    """What is not known yet; what is known stays."""
    told = {
        "birth_date": patient.birth_date.isoformat() if patient.birth_date else "",
        "sex": patient.sex if patient.sex in ("F", "M") else "",
    }
    known = await open_fields(work, desk.vault, person.person_id, "birth_date", "sex")
    new = {name: value for name, value in told.items() if value and not known.get(name)}
    await seal_fields(work, desk.vault, person.person_id, new)


async def _attach(
    work: Work, desk: Desk, person: KnownPerson, references: list[PersonReference]
) -> tuple[Finding, ...]:
    taken = await attach_identifiers(
        work,
        [seal_identifier(desk.vault, one, person.person_id) for one in references],
        work.now(),
    )
    if not taken:
        return ()
    text = "PID-3: its identifiers belong to two persons; the first one was taken"
    return (Finding("identity_ambiguous", "PID-3", text),)
