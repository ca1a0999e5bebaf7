"""Lists as people keep them: a line list of cases, or pairs of who infected whom; as CSV, unedited.

Its headings tell which list it is. A blank stays blank; what does not fit is told row by row.
"""

from __future__ import annotations

import csv
import io
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal, cast

from services.intake.domain.facts import Classification, DeclaredCase, DeclaredLink
from services.intake.domain.references import PersonReference
from services.intake.domain.rows import ArrivedRow, RowRefused
from shared.bounds import check_year
from shared.errors import FieldProblem

ListKind = Literal["cases", "links"]
_DATE = re.compile(r"(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?(?:[ T]\d{1,2}:\d{2}.*)?")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")


@dataclass(frozen=True, slots=True)
class ListColumns:
    """Headings and words by meaning (`intake.list_columns`); `document` names the version."""

    document: str
    cases: Mapping[str, Sequence[str]]
    links: Mapping[str, Sequence[str]]
    classifications: Mapping[str, Sequence[str]]
    default_classification: str
    settings: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What the sender says about the whole list. `received_at` dates a row without any date."""

    disease: str
    id_scheme: str
    received_at: datetime


class ListUnreadable(ValueError):
    """Not a list that is known here; the text says what is missing."""


def decode_list(body: bytes) -> str:
    """UTF-8 with or without a mark, else GB18030."""
    for codec in ("utf-8-sig", "gb18030"):
        try:
            return body.decode(codec)
        except UnicodeDecodeError:
            continue
    raise ListUnreadable("the text is neither UTF-8 nor GB18030")


def read_list(
    text: str, columns: ListColumns, request: ListRequest
) -> tuple[ListKind, list[ArrivedRow]]:
    """The kind of list and its rows. `ListUnreadable` when no heading tells what it is."""
    first_line = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first_line.count)
    try:
        lines = io.StringIO(text.replace("\x00", ""), newline="")
        rows = list(csv.reader(lines, delimiter=delimiter))
    except csv.Error as error:
        raise ListUnreadable("the text cannot be read as CSV: a cell without an end") from error
    if not rows:
        raise ListUnreadable("the list is empty")
    headings = [_plain(heading) for heading in rows[0]]
    links = _find_columns(headings, columns.links)
    cases = _find_columns(headings, columns.cases)
    filled = [row for row in rows[1:] if any(cell.strip() for cell in row)]
    if {"from", "to"} <= links.keys():
        reader = _LinkReader(rows[0], links, columns, request)
        return "links", [_read_row(reader, number, row) for number, row in enumerate(filled)]
    if "id" in cases and len(cases) > 1:
        case_reader = _CaseReader(rows[0], cases, columns, request)
        return "cases", [_read_row(case_reader, number, row) for number, row in enumerate(filled)]
    raise ListUnreadable(
        "the headings name neither cases (an id and a date) nor pairs (from and to)"
    )


def _plain(text: str) -> str:
    return "".join(sign for sign in text.lower() if sign not in " _-\t\ufeff")


def _find_columns(headings: Sequence[str], aliases: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Meaning to column; the earlier alias wins where two columns could mean the same."""
    found: dict[str, int] = {}
    for meaning, names in aliases.items():
        for name in names:
            if _plain(name) in headings:
                found.setdefault(meaning, headings.index(_plain(name)))
    return found


def _find_word(words: Mapping[str, Sequence[str]], told: str) -> str | None:
    plain = _plain(told)
    return next(
        (word for word, names in words.items() if plain in {_plain(name) for name in names}), None
    )


class _Reader(ABC):
    """One row at a time, by column meaning."""

    def __init__(
        self,
        headings: Sequence[str],
        places: Mapping[str, int],
        columns: ListColumns,
        request: ListRequest,
    ) -> None:
        self.headings, self._places = headings, places
        self.columns, self.request = columns, request

    def cell(self, row: Sequence[str], meaning: str) -> str:
        place = self._places.get(meaning)
        return row[place].strip() if place is not None and place < len(row) else ""

    def heading(self, meaning: str) -> str:
        return self.headings[self._places[meaning]]

    def required(self, row: Sequence[str], meaning: str) -> str:
        told = self.cell(row, meaning)
        if not told or len(told) > 200:
            text = "too long" if told else "empty"
            raise RowRefused(FieldProblem(self.heading(meaning), text, "an id in every row"))
        return told

    def date(self, row: Sequence[str], meaning: str) -> date | None:
        told = self.cell(row, meaning)
        if not told:
            return None
        match = _COMPACT.fullmatch(told) or _DATE.fullmatch(told)
        try:
            if match:
                return check_year(date(int(match[1]), int(match[2]), int(match[3])))
        except ValueError:
            pass
        raise RowRefused(
            FieldProblem(self.heading(meaning), "no date that can be read", "YYYY-MM-DD or blank")
        )

    def person(self, told: str) -> PersonReference:
        return PersonReference(None, self.request.id_scheme, told)

    @abstractmethod
    def fact(self, row: Sequence[str], warnings: list[FieldProblem]) -> DeclaredCase | DeclaredLink:
        """What the row declares; adds what was strange about it to `warnings`."""


class _CaseReader(_Reader):
    def fact(self, row: Sequence[str], warnings: list[FieldProblem]) -> DeclaredCase:
        told_id = self.required(row, "id")
        onset = self.date(row, "onset_date")
        reported = self.date(row, "reported_date")
        diagnosed = self.date(row, "diagnosed_date")
        if reported and diagnosed and reported < diagnosed:
            warnings.append(
                FieldProblem(
                    self.heading("reported_date"),
                    "reported before it was diagnosed",
                    "a date not before the diagnosis",
                )
            )
        if onset and diagnosed and onset > diagnosed:
            warnings.append(
                FieldProblem(
                    self.heading("onset_date"),
                    "fell ill after the diagnosis",
                    "a date not after the diagnosis",
                )
            )
        known = [day for day in (reported, diagnosed, onset) if day]
        return DeclaredCase(
            external_id=told_id,
            occurred_at=_midnight(min(known)) if known else self.request.received_at,
            person=self.person(told_id),
            disease=self.request.disease,
            classification=self._classification(row),
            onset_date=onset,
            reported_date=reported,
            diagnosed_date=diagnosed,
        )

    def _classification(self, row: Sequence[str]) -> Classification:
        told = self.cell(row, "classification")
        word = self.columns.default_classification
        if told:
            found = _find_word(self.columns.classifications, told)
            if found is None:
                known = ", ".join(self.columns.classifications)
                raise RowRefused(
                    FieldProblem(self.heading("classification"), "not known here", known)
                )
            word = found
        return cast(Classification, word)


class _LinkReader(_Reader):
    def fact(self, row: Sequence[str], warnings: list[FieldProblem]) -> DeclaredLink:
        source, target = self.required(row, "from"), self.required(row, "to")
        if source == target:
            raise RowRefused(
                FieldProblem(self.heading("to"), "the same person", "two different persons")
            )
        told = self.cell(row, "setting")
        setting = _find_word(self.columns.settings, told) if told else None
        if told and setting is None:
            # The text itself is not passed on: free text may name somebody.
            setting = "other"
            warnings.append(
                FieldProblem(self.heading("setting"), "not known here", "a word of the preset")
            )
        exposed = self.date(row, "exposed_at")
        dated = f"@{exposed.isoformat()}" if exposed else ""
        return DeclaredLink(
            external_id=f"{source}>{target}{dated}",
            occurred_at=_midnight(exposed) if exposed else self.request.received_at,
            person=self.person(source),
            other_person=self.person(target),
            disease=self.request.disease,
            setting=setting,
            exposed_at=_midnight(exposed) if exposed else None,
        )


def _midnight(day: date) -> datetime:
    """Without an offset: the source's zone says when that day began."""
    return datetime.combine(day, time())


def _read_row(reader: _Reader, position: int, row: Sequence[str]) -> ArrivedRow:
    body = json.dumps(dict(_cells(reader.headings, row)), sort_keys=True, ensure_ascii=False)
    warnings: list[FieldProblem] = []
    if len(row) > len(reader.headings):
        problem = FieldProblem("row", "more cells than headings", f"{len(reader.headings)} cells")
        return ArrivedRow(position, body.encode(), problems=(problem,))
    try:
        fact = reader.fact(row, warnings)
    except RowRefused as refused:
        return ArrivedRow(position, body.encode(), problems=refused.problems)
    return ArrivedRow(position, body.encode(), fact, fact.external_id, warnings=tuple(warnings))


def _cells(headings: Sequence[str], row: Sequence[str]) -> Iterator[tuple[str, str]]:
    for number, cell in enumerate(row):
        yield (headings[number] if number < len(headings) else f"+{number}"), cell.strip()
