"""How a back-test is told: a table, a JSON file, curves."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from services.alerts.laboratory.comparison import Comparison, Tried, best_at
from services.alerts.laboratory.measures import Estimate
from services.alerts.laboratory.plotting import pyplot
from services.alerts.laboratory.rating import Rating, lead_days

COLUMNS = (
    "found",
    "days found",
    "PPV",
    "false alerts per county and week",
    "days to detection: median",
    "80 %",
    "median lead over it, found by both",
    "misses counted",
)


def show(console: Console, compared: Comparison, title: str) -> None:
    """Rules, rules in force, the best single streams at no more false alerts."""
    rules = compared.rules
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in COLUMNS:
        table.add_column(name, justify="right")
    table.add_row("rules", *_cells(rules, None))
    if compared.in_force is not None:
        table.add_row("in force", *_cells(compared.in_force, rules))
    for name, one in _best(compared).items() if rules.truths else ():
        if one is None:
            table.add_row(f"best stream, {name}: none is quiet enough")
            continue
        told = f"best stream, {name}:\n{one.name} at {one.threshold:g}"
        table.add_row(told, *_cells(one.rating, rules))
    console.print(table)
    alerts = int(rules.false_alarms.sum() + rules.of_outbreak.sum())
    weeks = float(rules.weeks.sum())
    console.print(
        f"  {len(rules.truths):,} outbreaks, {alerts:,} alerts, {weeks:,.0f} county weeks; "
        "intervals 95 %; a miss is later than everything"
    )
    _by_disease(console, compared)


def _by_disease(console: Console, compared: Comparison) -> None:
    diseases = sorted({one.disease for one in compared.rules.truths})
    if not diseases:
        console.print("  no outbreak is known in these days: only alerts could be counted")
        return
    table = Table(title="by disease", title_justify="left")
    for name in ("disease", "outbreaks", "median size", "found", "median days"):
        table.add_column(name, justify="left" if name == "disease" else "right")
    truths = compared.rules.truths
    for disease in diseases:
        mine = np.array([one.disease == disease for one in truths])
        delays = np.where(compared.rules.found, compared.rules.delays, np.inf)[mine]
        size = np.median([one.size for one in truths if one.disease == disease])
        found = float(compared.rules.found[mine].mean())
        table.add_row(
            disease, str(mine.sum()), f"{size:.0f}", f"{found:.2f}", _days(float(np.median(delays)))
        )
    console.print(table)


def _best(compared: Comparison) -> dict[str, Tried | None]:
    most = compared.rules.false_rate.value
    return {
        "day by day": best_at(compared.by_day, most),
        "by the rules' terms": best_at(compared.by_terms, most),
    }


def _cells(rating: Rating, rules: Rating | None) -> list[str]:
    cells = [
        _share(rating.found_share),
        _share(rating.daily_share),
        _share(rating.predictive_value),
        _share(rating.false_rate),
        _days(rating.delay_quantile(0.5)),
        _days(rating.delay_quantile(0.8)),
    ]
    if rules is None:
        return [*cells, "", ""]
    for misses in (False, True):
        lead, count = lead_days(rules, rating, misses=misses)
        cells.append(f"{_days(lead.value)} ({_days(lead.low)} to {_days(lead.high)}; {count})")
    return cells


def _share(one: Estimate) -> str:
    if math.isnan(one.value):
        return "–"
    return f"{one.value:.3f}\n[dim]{one.low:.3f}–{one.high:.3f}[/dim]"


def _days(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.0f}" if math.isfinite(value) else "missed"


def _mean_days(rating: Rating, missed_days: float) -> float:
    if not rating.truths:
        return math.nan
    return float(np.nan_to_num(rating.delays, nan=missed_days).mean())


def as_json(compared: Comparison, settings: Mapping[str, Any]) -> str:
    best = {name: _told(one) if one else None for name, one in _best(compared).items()}
    content = {
        "settings": dict(settings),
        "rules": _rated(compared.rules) | {"outbreaks": _outbreaks(compared.rules)},
        "in_force": _rated(compared.in_force) if compared.in_force else None,
        "best_streams": best,
        "curves": {
            name: [_told(one) for one in getattr(compared, name)]
            for name in ("own", "by_day", "by_terms")
        },
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def _told(one: Tried) -> dict[str, Any]:
    return {"name": one.name, "threshold": one.threshold} | _rated(one.rating)


def _rated(rating: Rating) -> dict[str, Any]:
    shares = {
        "found": rating.found_share,
        "days_found": rating.daily_share,
        "ppv": rating.predictive_value,
        "false_per_county_week": rating.false_rate,
    }
    told: dict[str, Any] = {
        name: [_number(part) for part in (one.value, one.low, one.high)]
        for name, one in shares.items()
    }
    return told | {
        "delay_days": {str(q): _number(rating.delay_quantile(q)) for q in (0.25, 0.5, 0.8)},
        "alerts_false": int(rating.false_alarms.sum()),
        "alerts_true": int(rating.of_outbreak.sum()),
    }


def _outbreaks(rating: Rating) -> list[dict[str, Any]]:
    return [
        {
            "disease": truth.disease,
            "syndrome": truth.syndrome,
            "size": truth.size,
            "first_day": truth.first_day,
            "delay_days": _number(float(delay)),
        }
        for truth, delay in zip(rating.truths, rating.delays, strict=True)
    ]


def _number(value: float) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return float(value) if math.isfinite(value) else None


def plot(compared: Comparison, file: Path, missed_days: float = 30.0) -> None:
    """Found share, and the activity monitoring operating characteristic (Fawcett & Provost 1999):
    mean days to detection, a miss counted as `missed_days`, both against false alerts."""
    plt = pyplot()
    figure, panels = plt.subplots(1, 2, figsize=(11.0, 4.4))
    curves: list[tuple[str, Sequence[Tried], str, str]] = [
        ("rules", compared.own, "#0f766e", "-"),
    ]
    for style, tried in ((":", compared.by_day), ("--", compared.by_terms)):
        for kind in sorted({one.name for one in tried}):
            of_kind = [one for one in tried if one.name == kind]
            curves.append(
                (f"{kind} {'by day' if style == ':' else 'by terms'}", of_kind, "", style)
            )
    for label, mine, colour, style in curves:
        rates = [max(one.rating.false_rate.value, 1e-3) for one in mine]
        look = {"label": label, "linestyle": style, "marker": ".", "color": colour or None}
        panels[0].plot(rates, [one.rating.found_share.value for one in mine], **look)
        delays = [_mean_days(one.rating, missed_days) for one in mine]
        panels[1].plot(rates, delays, **look)
    for panel, name in zip(
        panels,
        ("share of outbreaks found", f"mean days to detection, a miss {missed_days:.0f}"),
        strict=True,
    ):
        panel.set_xscale("log")
        panel.set_xlabel("false alerts per county and week")
        panel.set_ylabel(name)
        panel.grid(visible=True, alpha=0.3)
    panels[0].legend(fontsize=5)
    figure.tight_layout()
    figure.savefig(file, dpi=130)
    plt.close(figure)
