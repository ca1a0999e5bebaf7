"""An alert as its row and its announcement tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.alerts.domain.judgement import Decision, PointReason
from services.alerts.domain.life import Step
from services.alerts.domain.signals import Consent, Signal
from shared.events.alerts import AlertChanged, AlertReason, ConsentDay, ExcessDay

# An event has to fit into a log record; the alert's page shows all of them.
REASONS_TOLD_MOST = 200
SIGNALS_TOLD_MOST = 50
DAYS_TOLD_MOST = 60
SILENT_IF_TOLD_MOST = 200


def alert_event(row: Mapping[str, Any]) -> AlertChanged:
    """The announcement of an alert as its row stands; event time is that of its newest evidence."""
    return AlertChanged(
        record_id=row["id"],
        record_version=row["record_version"],
        occurred_at=row["last_at"],
        recorded_at=row["changed_at"],
        rule_id=row["rule_id"],
        rule_version=row["rule_version"],
        title_zh=row["title_zh"],
        title_en=row["title_en"],
        area_id=row["area_id"],
        level=row["level"],
        state=row["state"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        points=row["points"],
        persons=row["persons"],
        unlinked_persons=row["unlinked_persons"],
        reasons=tuple(AlertReason.model_validate(reason) for reason in row["reasons"]),
        silent_if=tuple(row["silent_if"]),
        silent_if_text_zh=row["silent_if_text_zh"],
        silent_if_text_en=row["silent_if_text_en"],
        reason=row["reason"],
        cause_id=row["cause_id"],
        households=row["households"],
        consents=tuple(ConsentDay.model_validate(one) for one in row["consents"]),
        held_at=row["held_at"],
    )


def content_of(decision: Decision) -> dict[str, Any]:
    """What a decision says, as columns of the alert."""
    rule, reasons = decision.rule, decision.reasons
    limit = rule.consensus.p_below if rule.consensus else 0.0
    return {
        "rule_version": rule.version,
        "title_zh": rule.title_zh,
        "title_en": rule.title_en,
        "level": rule.level,
        "first_at": decision.first_at,
        "last_at": decision.last_at,
        "held_at": decision.held_at,
        "points": len(reasons),
        "persons": decision.persons,
        "unlinked_persons": decision.unlinked,
        # Who lives with whom is looked up only for rules that ask.
        "households": decision.households if rule.min_households > 0 else 0,
        "reasons": [_reason(reason) for reason in reasons[:REASONS_TOLD_MOST]],
        "consents": [
            _consent(signal, consent, limit)
            for signal, consent in decision.consents[-DAYS_TOLD_MOST:]
        ],
    }


def _reason(reason: PointReason) -> dict[str, Any]:
    first = reason.signals[0]
    days = tuple(
        ExcessDay(
            area_id=one.area_id,
            syndrome=one.syndrome,
            day=one.day,
            observed=one.observed,
            expected=one.expected,
            limit=one.limit,
            p_value=one.p_value,
            method=one.method,
            sites=one.sites,
        )
        for signal in reason.signals[-DAYS_TOLD_MOST:]
        if (one := signal.excess) is not None
    )
    return AlertReason(
        point_kind=reason.point[0],
        point_id=reason.point[1],
        place_id=first.place_id,
        area_id=first.area_id,
        signal_count=len(reason.signals),
        person_count=reason.person_count,
        first_at=reason.first_at,
        last_at=reason.last_at,
        signal_ids=tuple(
            signal.id for signal in reason.signals[:SIGNALS_TOLD_MOST] if signal.excess is None
        ),
        lit_by="excess" if days else "event",
        days=days,
    ).model_dump(mode="json")


def _consent(signal: Signal, consent: Consent, limit: float) -> dict[str, Any]:
    assert signal.excess is not None
    return ConsentDay(
        day=signal.excess.day,
        p_value=consent.p_value,
        q_value=consent.q_value,
        limit=limit,
        null_days=consent.null_days,
        streams=consent.streams,
    ).model_dump(mode="json")


def reason_of(step: Step, row: Mapping[str, Any]) -> str:
    """Why this version of the alert is as it is."""
    rule = f"{row['rule_id']}@{row['rule_version']}"
    if step == "withdrawn":
        return f"evidence fell: rule {rule} no longer holds"
    unlinked = f" and {row['unlinked_persons']} unnamed" if row["unlinked_persons"] else ""
    seen = f"{row['points']} points, {row['persons']} persons{unlinked}"
    ended = "; ended, for later evidence stands apart" if row["quiet_at"] else ""
    return f"{step} by rule {rule}: {seen}{ended}"
