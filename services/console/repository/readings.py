"""From an owner's JSON to what the page shows. A tolerant reader: a missing field is blank."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from services.console.domain.alerts import Alert, ConsentDay, ExcessDay, Reason
from services.console.domain.balance import Counts
from services.console.domain.series import SeriesDay, SeriesName
from services.console.domain.signals import SignalCount

Json = Mapping[str, Any]
UNKNOWN_AT = datetime(1970, 1, 1, tzinfo=UTC)


def items_of(body: Any, *names: str) -> list[Json]:
    """The rows of a list answer: the body itself, or the first of these fields with a list."""
    found = body
    if isinstance(body, dict):
        found = next((body[name] for name in names if isinstance(body.get(name), list)), [])
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def read_alert(body: Json) -> Alert:
    """An alert as the alerts service writes it; KeyError where it has no id."""
    rule = text_in(body, "rule_id")
    version = body.get("rule_version")
    return Alert(
        id=str(body["id"]),
        version=count_in(body, "record_version"),
        rule=f"{rule}@{version}" if version is not None else rule,
        title_zh=text_in(body, "title_zh"),
        title_en=text_in(body, "title_en"),
        area_id=body.get("area_id"),
        level=text_in(body, "level"),
        state=text_in(body, "state"),
        first_at=instant_of(body.get("first_at")) or UNKNOWN_AT,
        last_at=instant_of(body.get("last_at")) or UNKNOWN_AT,
        points=count_in(body, "points"),
        persons=count_in(body, "persons"),
        unlinked_persons=count_in(body, "unlinked_persons"),
        reasons=tuple(_reason(item) for item in items_of(body.get("reasons"))),
        silent_if=_texts(body.get("silent_if")),
        silent_zh=text_in(body, "silent_if_text_zh"),
        silent_en=text_in(body, "silent_if_text_en"),
        reason=text_in(body, "reason"),
        exercise=bool(body.get("exercise")),
        changed_at=instant_of(body.get("changed_at")),
        households=count_in(body, "households"),
        consents=tuple(_consent(item) for item in items_of(body.get("consents"))),
    )


def read_alerts(body: Any) -> list[Alert]:
    """Newest first, as the owner orders them."""
    return [read_alert(item) for item in items_of(body, "alerts")]


def _reason(body: Json) -> Reason:
    return Reason(
        point_kind=text_in(body, "point_kind"),
        point_id=text_in(body, "point_id"),
        place_id=body.get("place_id"),
        area_id=body.get("area_id"),
        signals=count_in(body, "signal_count"),
        persons=count_in(body, "person_count"),
        first_at=instant_of(body.get("first_at")) or UNKNOWN_AT,
        last_at=instant_of(body.get("last_at")) or UNKNOWN_AT,
        days=tuple(_excess(body, item) for item in items_of(body.get("days"))),
    )


def _excess(reason: Json, body: Json) -> ExcessDay:
    name = SeriesName(
        text_in(body, "area_id"), text_in(reason, "point_kind"), text_in(body, "syndrome")
    )
    return ExcessDay(name, _series_day(body, lit=True), text_in(body, "method"))


def _consent(body: Json) -> ConsentDay:
    return ConsentDay(
        date.fromisoformat(body["day"]),
        _number(body, "p_value") or 0.0,
        _number(body, "q_value") or 0.0,
        _number(body, "limit") or 0.0,
    )


def read_series(body: Any) -> list[SeriesDay]:
    """The days of a series; one on which nobody spoke has no count."""
    return [_series_day(item, lit=False) for item in items_of(body, "days")]


def _series_day(body: Json, *, lit: bool) -> SeriesDay:
    known = text_in(body, "abstains") not in ("silent", "unknown")
    return SeriesDay(
        day=date.fromisoformat(body["day"]),
        observed=_optional_count(body, "observed") if known else None,
        expected=_number(body, "expected"),
        limit=_number(body, "limit"),
        p_value=_number(body, "p_value"),
        lit=lit,
    )


def read_signals(body: Any) -> Iterable[SignalCount]:
    """Counts by area and kind of point."""
    for item in items_of(body, "counts"):
        yield SignalCount(
            area_id=item.get("area_id"),
            point_kind=text_in(item, "point_kind"),
            signals=count_in(item, "signals"),
            points=count_in(item, "points"),
            persons=count_in(item, "persons"),
            last_at=instant_of(item.get("last_at")),
        )


def read_balance(body: Any) -> Iterable[Counts]:
    """Counters per source, day and door."""
    for item in items_of(body, "lines"):
        yield Counts(
            source_id=item.get("source_id"),
            source=text_in(item, "source_name"),
            day=date.fromisoformat(item["day"]),
            door=text_in(item, "door"),
            received=count_in(item, "received"),
            stored=count_in(item, "stored"),
            duplicate=count_in(item, "duplicate"),
            rejected=count_in(item, "rejected"),
            kept=_optional_count(item, "stored_rows"),
            refused=_optional_count(item, "rejected_rows"),
        )


def text_in(body: Json, name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def count_in(body: Json, name: str) -> int:
    value = body.get(name)
    return value if isinstance(value, int) else 0


def _optional_count(body: Json, name: str) -> int | None:
    value = body.get(name)
    return value if isinstance(value, int) else None


def _number(body: Json, name: str) -> float | None:
    value = body.get(name)
    return float(value) if isinstance(value, int | float) else None


def instant_of(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    at = datetime.fromisoformat(value)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
