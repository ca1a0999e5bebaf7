"""ORU R01: laboratory reports, one per order group, joined by their specimen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from services.intake.domain.hl7.checks import check_message
from services.intake.domain.hl7.findings import Finding, collect_findings
from services.intake.domain.hl7.observations import ONSET, Coded, Observation, read_observation
from services.intake.domain.hl7.patient import (
    Authority,
    PatientFacts,
    read_authority,
    read_component_authority,
    read_patient,
)
from services.intake.domain.hl7.profile import LABORATORY
from services.intake.domain.hl7.reader import Message, Segment
from services.intake.domain.hl7.times import NO_TIME, ParsedTime, parse_time

_UNIQUE_SPECIMEN = "LAB202"  # PHIN question "Unique Specimen ID", for senders before SPM (v2.5)
# HL7 0936: what kind of observation OBX-29 says it is; the ones that are no results.
_QUESTION_KINDS = frozenset(("QST", "AOE", "ASC"))
# A panel whose rows are answers, epidemiologically important information.
_QUESTION_PANELS = frozenset(("68991-9",))
# Questions by code system (APHL's PLT, PHIN questions) and by LOINC, for senders without OBX-29.
_QUESTION_SYSTEMS = frozenset(("PLT", "PHINQUESTION"))
_QUESTIONS = frozenset((ONSET, "30525-0", "21612-7", "77974-4", "82810-3"))


@dataclass(frozen=True, slots=True)
class OrderNumber:
    """An EI: a number and who gave it. A filler number may come again with another specimen."""

    number: str
    authority: Authority

    @property
    def text(self) -> str:
        return f"{self.number}^{self.authority.text}"


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One OBX of a report.

    `is_answer`: an answer to a question asked at order entry (onset, …), never a result.
    `status` is OBX-11: P preliminary, F final, C corrected, X cannot be obtained, …
    `alternate_text` may say more than the code: "Presumptive POSITIVE".
    """

    analyte_code: str
    analyte_text: str
    value: Coded
    value_text: str
    sub_id: str
    status: str
    observed_at: datetime | None
    analysed_at: datetime | None
    is_answer: bool

    @property
    def value_code(self) -> str:
        """SNOMED CT where there is one, else the first code."""
        return self.value.code_in("SCT") or self.value.code

    @property
    def alternate_text(self) -> str:
        return self.value.alternate_text

    @property
    def key(self) -> tuple[str, str]:
        """A later row with this key in the same order and specimen replaces this one."""
        return self.analyte_code, self.sub_id


@dataclass(frozen=True, slots=True)
class LabReport:
    """One order group (ORC OBR {OBX} [SPM]) of a message.

    `specimen` joins the groups of one specimen: SPM-2 (filler, else placer), else the message's
    'Unique Specimen ID', else the filler number; None only when the group has no number at all.
    A correction has the same `specimen` and `filler`; a filler number may come with another one.
    Instants are UTC.
    """

    specimen: OrderNumber | None
    filler: OrderNumber | None
    placer: OrderNumber | None
    panel: Coded
    collected_at: datetime | None
    received_at: datetime | None
    reported_at: datetime | None
    onset_date: date | None
    facility: Authority
    patient: PatientFacts
    rows: tuple[ResultRow, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def results(self) -> tuple[ResultRow, ...]:
        """The rows that are results."""
        return tuple(row for row in self.rows if not row.is_answer)


@dataclass(slots=True)
class _Group:
    """The segments of one order group while the message is walked."""

    order: Segment | None = None
    request: Segment | None = None
    rows: list[Segment] | None = None
    specimen: Segment | None = None


def read_laboratory(message: Message, zone: tzinfo) -> tuple[LabReport, ...]:
    """A judged ORU message to its reports; `zone` is the source's default zone. Never raises.

    Findings of the whole message are repeated on each report. Without OBR or OBX there is none.
    """
    header = message.first("MSH")
    patient = read_patient(message, zone)
    findings = collect_findings(check_message(message, LABORATORY))
    sent_at = parse_time(header.text(7), zone).at if header else None
    facility = read_authority(header, 4) if header else Authority()
    groups = _split_groups(message)
    common = _find_common_specimen(message)
    onset_date = _read_onset_date(message, zone)
    reports = []
    for group in groups:
        own = _read_group_specimen(group)
        filler = _read_number(group.request, 3) or _read_number(group.order, 3)
        times = _read_times(group, zone)
        reports.append(
            LabReport(
                specimen=own or common or filler,
                filler=filler,
                placer=_read_number(group.request, 2) or _read_number(group.order, 2),
                panel=_read_panel(group),
                collected_at=times["collected"].at,
                received_at=times["received"].at,
                reported_at=times["reported"].at or sent_at,
                onset_date=onset_date,
                facility=facility,
                patient=patient,
                rows=tuple(_read_rows(group, zone)),
                findings=collect_findings(
                    findings, _report_group(own or common, filler), _report_zones(times)
                ),
            )
        )
    return tuple(reports)


def _split_groups(message: Message) -> list[_Group]:
    groups: list[_Group] = []
    for segment in message.segments:
        if segment.name == "ORC" or (
            segment.name == "OBR" and (not groups or groups[-1].request is not None)
        ):
            groups.append(_Group(rows=[]))
        if segment.name not in ("ORC", "OBR", "OBX", "SPM"):
            continue
        if not groups:
            groups.append(_Group(rows=[]))
        group = groups[-1]
        if segment.name == "ORC":
            group.order = segment
        elif segment.name == "OBR":
            group.request = segment
        elif segment.name == "OBX" and group.rows is not None:
            group.rows.append(segment)
        elif segment.name == "SPM" and group.specimen is None:
            group.specimen = segment
    return groups


def _read_number(segment: Segment | None, number: int) -> OrderNumber | None:
    value = segment.text(number) if segment else ""
    if segment is None or not value:
        return None
    return OrderNumber(value, Authority(*(segment.text(number, part) for part in (2, 3, 4))))


def _read_specimen(segment: Segment) -> OrderNumber | None:
    """SPM-2 is a pair: the placer's number, then the laboratory's own, which is the surer one."""
    for component in (2, 1):
        value = segment.text(2, component)
        if value:
            parts = (segment.text(2, component, subcomponent=part) for part in (2, 3, 4))
            return OrderNumber(value, Authority(*parts))
    return None


def _read_unique_specimen(segment: Segment) -> OrderNumber | None:
    value = segment.text(5) if segment.text(3) == _UNIQUE_SPECIMEN else ""
    if not value:
        return None
    return OrderNumber(value, read_component_authority(segment, segment.raw(5), 4))


def _read_group_specimen(group: _Group) -> OrderNumber | None:
    if group.specimen is not None and (found := _read_specimen(group.specimen)):
        return found
    return next((found for row in group.rows or () if (found := _read_unique_specimen(row))), None)


def _find_common_specimen(message: Message) -> OrderNumber | None:
    """The one specimen of a message, when it names exactly one: it holds for all its orders."""
    found = {_read_specimen(segment) for segment in message.all("SPM")}
    found |= {_read_unique_specimen(segment) for segment in message.all("OBX")}
    named = [one for one in found if one is not None]
    return named[0] if len(named) == 1 else None


def _read_panel(group: _Group) -> Coded:
    if group.request is None:
        return Coded()
    return Coded(*(group.request.text(4, part) for part in (1, 2, 3, 4, 5, 6, 9)))


def _read_times(group: _Group, zone: tzinfo) -> dict[str, ParsedTime]:
    def read(segment: Segment | None, number: int) -> ParsedTime:
        return parse_time(segment.text(number), zone) if segment else NO_TIME

    collected, received = read(group.specimen, 17), read(group.specimen, 18)
    return {
        "collected": collected if collected.at else read(group.request, 7),
        "received": received if received.at else read(group.request, 14),
        "reported": read(group.request, 22),
    }


def _read_rows(group: _Group, zone: tzinfo) -> Iterator[ResultRow]:
    is_question_panel = group.request is not None and group.request.text(4) in _QUESTION_PANELS
    for segment in group.rows or ():
        one = read_observation(segment, zone)
        yield ResultRow(
            analyte_code=one.code,
            analyte_text=one.analyte.text or one.analyte.original_text,
            value=one.value,
            value_text=one.value_text,
            sub_id=one.sub_id,
            status=one.status,
            observed_at=one.observed.at,
            analysed_at=one.analysed.at,
            is_answer=is_question_panel or _is_answer(one),
        )


def _is_answer(one: Observation) -> bool:
    if one.kind:
        return one.kind in _QUESTION_KINDS
    return one.code in _QUESTIONS or one.analyte.system in _QUESTION_SYSTEMS


def _read_onset_date(message: Message, zone: tzinfo) -> date | None:
    """The answer to "onset" wherever it stands: it is about the patient, not about one order."""
    for segment in message.all("OBX"):
        one = read_observation(segment, zone)
        if one.code == ONSET and one.has_value:
            onset = parse_time(one.value_text, zone).local_date
            if onset is not None:
                return onset
    return None


def _report_group(specimen: OrderNumber | None, filler: OrderNumber | None) -> Iterator[Finding]:
    if specimen is None and filler is None:
        text = "SPM-2: neither a specimen nor an order number, so no result can be kept"
        yield Finding("specimen_unknown", "SPM-2", text)
    elif specimen is None:
        text = "SPM-2: no specimen number, the filler order number (OBR-3) was taken"
        yield Finding("specimen_assumed", "SPM-2", text)


def _report_zones(times: dict[str, ParsedTime]) -> Iterator[Finding]:
    assumed = [name for name, time in times.items() if time.zone_assumed]
    if assumed:
        text = f"no offset in the {', '.join(assumed)} time: the source's default zone was used"
        yield Finding("zone_assumed", "OBR-7" if "collected" in assumed else "OBR-22", text)
