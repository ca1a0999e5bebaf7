"""From an owner's JSON to what the page shows. A tolerant reader: a missing field is blank."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from services.console.domain.alerts import Alert, Reason
from services.console.domain.balance import Counts
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
    rule = _text(body, "rule_id")
    version = body.get("rule_version")
    return Alert(
        id=str(body["id"]),
        version=_count(body, "record_version"),
        rule=f"{rule}@{version}" if version is not None else rule,
        title_zh=_text(body, "title_zh"),
        title_en=_text(body, "title_en"),
        area_id=body.get("area_id"),
        level=_text(body, "level"),
        state=_text(body, "state"),
        first_at=_instant(body.get("first_at")) or UNKNOWN_AT,
        last_at=_instant(body.get("last_at")) or UNKNOWN_AT,
        points=_count(body, "points"),
        persons=_count(body, "persons"),
        unlinked_persons=_count(body, "unlinked_persons"),
        reasons=tuple(_reason(item) for item in items_of(body.get("reasons"))),
        silent_if=_texts(body.get("silent_if")),
        silent_zh=_text(body, "silent_if_text_zh"),
        silent_en=_text(body, "silent_if_text_en"),
        reason=_text(body, "reason"),
        exercise=bool(body.get("exercise")),
        changed_at=_instant(body.get("changed_at")),
    )


def read_alerts(body: Any) -> list[Alert]:
    """Newest first, as the owner orders them."""
    return [read_alert(item) for item in items_of(body, "alerts")]


def _reason(body: Json) -> Reason:
    return Reason(
        point_kind=_text(body, "point_kind"),
        point_id=_text(body, "point_id"),
        place_id=body.get("place_id"),
        area_id=body.get("area_id"),
        signals=_count(body, "signal_count"),
        persons=_count(body, "person_count"),
        first_at=_instant(body.get("first_at")) or UNKNOWN_AT,
        last_at=_instant(body.get("last_at")) or UNKNOWN_AT,
    )


def read_signals(body: Any) -> Iterable[SignalCount]:
    """Counts by area and kind of point."""
    for item in items_of(body, "counts"):
        yield SignalCount(
            area_id=item.get("area_id"),
            point_kind=_text(item, "point_kind"),
            signals=_count(item, "signals"),
            points=_count(item, "points"),
            persons=_count(item, "persons"),
            last_at=_instant(item.get("last_at")),
        )


def read_balance(body: Any) -> Iterable[Counts]:
    """Counters per source, day and door."""
    for item in items_of(body, "lines"):
        yield Counts(
            source_id=item.get("source_id"),
            source=_text(item, "source_name"),
            day=date.fromisoformat(item["day"]),
            door=_text(item, "door"),
            received=_count(item, "received"),
            stored=_count(item, "stored"),
            duplicate=_count(item, "duplicate"),
            rejected=_count(item, "rejected"),
            kept=_optional_count(item, "stored_rows"),
            refused=_optional_count(item, "rejected_rows"),
        )


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _count(body: Json, name: str) -> int:
    value = body.get(name)
    return value if isinstance(value, int) else 0


def _optional_count(body: Json, name: str) -> int | None:
    value = body.get(name)
    return value if isinstance(value, int) else None


def _instant(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    at = datetime.fromisoformat(value)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
