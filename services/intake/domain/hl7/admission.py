"""ADT A01, A03, A04, A08: one visit to a clinic, as the newest message about it tells it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal

from services.intake.domain.hl7.checks import check_message
from services.intake.domain.hl7.findings import Finding, collect_findings
from services.intake.domain.hl7.observations import (
    ONSET,
    Observation,
    read_coded,
    read_observations,
)
from services.intake.domain.hl7.patient import (
    Authority,
    PatientFacts,
    read_authority,
    read_component_authority,
    read_patient,
)
from services.intake.domain.hl7.profile import ADMISSION, DISCHARGE
from services.intake.domain.hl7.reader import Message, Segment
from services.intake.domain.hl7.times import NO_TIME, ParsedTime, parse_time

EventKind = Literal["admitted", "discharged", "registered", "updated"]
EVENT_KINDS: dict[str, EventKind] = {
    "A01": "admitted",
    "A03": "discharged",
    "A04": "registered",
    "A08": "updated",
}
# LOINC and PHIN codes of the payload, formats.md 1.1.
_CHIEF_COMPLAINT, _TRIAGE_NOTE = "8661-1", "54094-8"
_AGE, _VISIT_TYPE = "21612-7", "SS003"
_TEMPERATURES = ("11289-6", "8310-5")  # the first of the visit goes before a later one
_DIED_DISPOSITIONS = frozenset(("20", "40", "41", "42"))  # UB-04 patient discharge status
_YEARS = {"a": 1.0, "mo": 12.0, "wk": 52.1775, "d": 365.2425, "h": 8765.82}
_CELSIUS = frozenset(("cel", "c", "°c", "℃", "degc"))
_FAHRENHEIT = frozenset(("[degf]", "degf", "f", "°f", "℉"))
# Sent and recorded times come from different clocks.
_CLOCK_TOLERANCE = timedelta(minutes=10)
_CELSIUS_RANGE, _FAHRENHEIT_RANGE = (25.0, 45.0), (77.0, 113.0)


@dataclass(frozen=True, slots=True)
class VisitKey:
    """PV1-19: the same in every message of a visit. Its whole authority belongs to it."""

    number: str
    authority: Authority

    @property
    def text(self) -> str:
        return f"{self.number}^{self.authority.text}"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """DG1. `kind` is A admitting, W working, F final."""

    code: str
    system: str
    text: str = field(repr=False)
    kind: str


@dataclass(frozen=True, slots=True)
class ClinicEncounter:
    """One message's whole record of a visit; the newest `event_at` replaces the ones before it.

    Instants are UTC. `event_at` is EVN-2, else MSH-7, else None (then the caller's received time).
    `temperature_c` is °C, `age_years` in years. `onset_at` only when a time of day was told.
    Without `visit_key` no encounter can be kept and a finding names PV1-19.
    """

    visit_key: VisitKey | None
    event: EventKind
    event_at: datetime | None
    sent_at: datetime | None
    treating_facility: Authority
    patient: PatientFacts
    age_years: float | None
    patient_class: str
    visit_type: str
    chief_complaints: tuple[str, ...] = field(repr=False)
    triage_notes: tuple[str, ...] = field(repr=False)
    admit_reason: str = field(repr=False)
    diagnoses: tuple[Diagnosis, ...]
    temperature_c: float | None
    onset_at: datetime | None
    onset_date: date | None
    admitted_at: datetime | None
    discharged_at: datetime | None
    died: bool
    residence_code: str
    findings: tuple[Finding, ...] = ()


class _Times:
    """Reads time fields and remembers where the source's default zone had to be used."""

    def __init__(self, message: Message, zone: tzinfo) -> None:
        self._message, self._zone = message, zone
        self.assumed: list[str] = []

    def read(self, name: str, number: int) -> ParsedTime:
        segment = self._message.first(name)
        if segment is None:
            return NO_TIME
        return self.note(f"{name}-{number}", parse_time(segment.text(number), self._zone))

    def note(self, place: str, time: ParsedTime) -> ParsedTime:
        if time.zone_assumed:
            self.assumed.append(place)
        return time

    def report(self) -> Iterator[Finding]:
        """One finding for the message, or every field of every message would have its own."""
        if self.assumed:
            places = ", ".join(dict.fromkeys(self.assumed))
            text = f"no offset in {places}: the source's default zone was used"
            yield Finding("zone_assumed", self.assumed[0], text)


def read_admission(message: Message, zone: tzinfo) -> ClinicEncounter:
    """A judged ADT message to its encounter. `zone` is the source's default zone. Never raises."""
    times = _Times(message, zone)
    header, event = message.first("MSH"), message.first("EVN")
    visit = message.first("PV1") or Segment("PV1", ("PV1",))
    identity = message.first("PID") or Segment("PID", ("PID",))
    trigger = header.text(9, 2) if header else ""
    sender = read_authority(header, 4) if header else Authority()
    sent, recorded = times.read("MSH", 7), times.read("EVN", 2)
    admitted, discharged = times.read("PV1", 44), times.read("PV1", 45)
    observations = [one for one in read_observations(message, zone) if one.has_value]
    patient = read_patient(message, zone)
    event_at = recorded.at or sent.at
    notes: list[Finding] = []
    visit_key = _read_visit_key(visit, sender, notes)
    temperature = _read_temperature(observations, notes)
    age = _read_age(observations, patient, event_at, notes)
    onset = _read_onset(observations, times, zone)
    profile = DISCHARGE if trigger == "A03" else ADMISSION
    return ClinicEncounter(
        visit_key=visit_key,
        event=EVENT_KINDS.get(trigger, "updated"),
        event_at=event_at,
        sent_at=sent.at,
        treating_facility=(read_authority(event, 7) if event else Authority()) or sender,
        patient=patient,
        age_years=age,
        patient_class=visit.text(2),
        visit_type=_read_visit_type(observations),
        chief_complaints=_read_texts(observations, _CHIEF_COMPLAINT),
        triage_notes=_read_texts(observations, _TRIAGE_NOTE),
        admit_reason=_read_admit_reason(message),
        diagnoses=_read_diagnoses(message),
        temperature_c=temperature,
        onset_at=onset.at if onset.precision in ("hour", "minute", "second") else None,
        onset_date=onset.local_date,
        admitted_at=admitted.at,
        discharged_at=discharged.at,
        died=_has_died(identity, visit),
        residence_code=identity.text(11, 9) or identity.text(12),
        findings=collect_findings(
            check_message(message, profile),
            notes,
            _compare_times(sent, recorded, admitted, discharged),
            times.report(),
        ),
    )


def _read_visit_key(visit: Segment, sender: Authority, notes: list[Finding]) -> VisitKey | None:
    number = visit.text(19)
    if not any(sign.isalnum() for sign in number):
        text = "PV1-19: no visit number, so no visit can be kept or updated"
        notes.append(Finding("visit_unknown", "PV1-19", text))
        return None
    authority = read_component_authority(visit, visit.raw(19), 4)
    if not authority:
        # Visit numbers of two hospitals must never meet, so the sender stands in for the authority.
        text = "PV1-19: no assigning authority, the sending facility was taken"
        notes.append(Finding("authority_assumed", "PV1-19", text))
        authority = sender
    return VisitKey(number, authority)


def _find(observations: list[Observation], code: str) -> list[Observation]:
    return [one for one in observations if one.code == code]


def _read_texts(observations: list[Observation], code: str) -> tuple[str, ...]:
    texts = (one.value_text for one in _find(observations, code))
    return tuple(dict.fromkeys(text for text in texts if text))


def _read_visit_type(observations: list[Observation]) -> str:
    return next((one.value.code for one in _find(observations, _VISIT_TYPE)), "")


def _read_admit_reason(message: Message) -> str:
    segment = message.first("PV2")
    if segment is None:
        return ""
    reason = read_coded(segment, 3)
    return reason.text or reason.original_text or reason.code


def _read_diagnoses(message: Message) -> tuple[Diagnosis, ...]:
    found = []
    for segment in message.all("DG1"):
        coded = read_coded(segment, 3)
        # Before v2.4 the free text stood in DG1-4.
        text = coded.text or coded.original_text or segment.text(4)
        if coded.code or text:
            found.append(Diagnosis(coded.code, coded.system, text, segment.text(6)))
    return tuple(found)


def _read_temperature(observations: list[Observation], notes: list[Finding]) -> float | None:
    """Body temperature in °C. A missing unit is told by the range, which do not overlap."""
    for one in (one for code in _TEMPERATURES for one in _find(observations, code)):
        number, unit = one.number, one.unit.lower()
        if number is None:
            continue
        if unit not in _CELSIUS | _FAHRENHEIT:
            text = "OBX-6: temperature without a known unit, told by its range"
            notes.append(Finding("unit_assumed", "OBX-6", text))
            is_fahrenheit = _FAHRENHEIT_RANGE[0] <= number <= _FAHRENHEIT_RANGE[1]
        else:
            is_fahrenheit = unit in _FAHRENHEIT
        celsius = (number - 32) / 1.8 if is_fahrenheit else number
        if _CELSIUS_RANGE[0] <= celsius <= _CELSIUS_RANGE[1]:
            return round(celsius, 2)
        text = "OBX-5: no temperature of a living person"
        notes.append(Finding("value_implausible", "OBX-5", text))
    return None


def _read_age(
    observations: list[Observation],
    patient: PatientFacts,
    event_at: datetime | None,
    notes: list[Finding],
) -> float | None:
    """Age in years: as told (21612-7), else from the birth date at the event."""
    for one in _find(observations, _AGE):
        divisor = _YEARS.get(one.unit)
        if one.number is None or divisor is None:
            continue
        years = one.number / divisor
        if 0 <= years <= 130:
            return round(years, 2)
        notes.append(Finding("value_implausible", "OBX-5", "OBX-5: no age of a person"))
    if patient.birth_date and event_at:
        years = (event_at.date() - patient.birth_date).days / 365.2425
        if 0 <= years <= 130:
            return round(years, 2)
        text = "PID-7: the birth date does not fit the time of the event"
        notes.append(Finding("times_disagree", "PID-7", text))
    return None


def _read_onset(observations: list[Observation], times: _Times, zone: tzinfo) -> ParsedTime:
    for one in _find(observations, ONSET):
        onset = parse_time(one.value_text, zone)
        if onset.at is not None:
            return times.note("OBX-5", onset)
    return NO_TIME


def _has_died(identity: Segment, visit: Segment) -> bool:
    is_dated = parse_time(identity.text(29), UTC).at is not None
    return identity.text(30) == "Y" or is_dated or visit.text(36) in _DIED_DISPOSITIONS


def _compare_times(
    sent: ParsedTime, recorded: ParsedTime, admitted: ParsedTime, discharged: ParsedTime
) -> Iterator[Finding]:
    if sent.at and recorded.at and recorded.at > sent.at + _CLOCK_TOLERANCE:
        text = "EVN-2: recorded after MSH-7, the time it was sent"
        yield Finding("times_disagree", "EVN-2", text)
    if admitted.at and discharged.at and discharged.at < admitted.at:
        yield Finding("times_disagree", "PV1-45", "PV1-45: discharged before admitted (PV1-44)")
