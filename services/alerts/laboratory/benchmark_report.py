"""How the benchmark is told: a table, a JSON file, a plot."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from services.alerts.laboratory.benchmark import Row
from services.alerts.laboratory.measures import NAMES, Estimate
from services.alerts.laboratory.plotting import pyplot

PUBLISHED = Path(__file__).with_name("published.yaml")


def published() -> Mapping[str, Any]:
    content: Mapping[str, Any] = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))
    return content


def show(console: Console, rows: Sequence[Row]) -> None:
    """One table a pace: our share with its interval, and R's where it was measured."""
    known = published()
    for pace in dict.fromkeys(row.pace for row in rows):
        mine = [row for row in rows if row.pace == pace]
        table = Table(title=_title(mine), title_justify="left")
        table.add_column("method")
        for name in NAMES:
            table.add_column(name if pace == "weekly" else name.replace("1wk", "1day"))
        table.add_column("delay", justify="right")
        table.add_column("ms/point", justify="right")
        for row in mine:
            measured = known["measured"].get(row.method) if pace == "weekly" else None
            cells = [
                _cell(row.estimates[name], measured[place] if measured else None)
                for place, name in enumerate(NAMES)
            ]
            few = "" if row.series == mine[0].series else f" ({row.series} series)"
            table.add_row(row.method + few, *cells, f"{row.delay:.2f}", f"{row.milliseconds:.3f}")
        console.print(table)
        for note in known["notes"][pace]:
            console.print(f"  {note.strip()}", highlight=False)


def as_json(rows: Sequence[Row], settings: Mapping[str, Any]) -> str:
    content = {
        "settings": dict(settings),
        "published": dict(published()),
        "rows": [asdict(row) for row in rows],
    }
    return json.dumps(_finite(content), indent=1, ensure_ascii=False)


def plot(rows: Sequence[Row], file: Path) -> None:
    """Probability of detection against false positive rate, one panel a pace."""
    plt = pyplot()
    paces = list(dict.fromkeys(row.pace for row in rows))
    figure, panels = plt.subplots(1, len(paces), figsize=(6.4 * len(paces), 4.8), squeeze=False)
    measured = published()["measured"]
    for panel, pace in zip(panels[0], paces, strict=True):
        for row in (row for row in rows if row.pace == pace):
            false, found = row.estimates["FPR"], row.estimates["POD"]
            x, y = max(false.value, 1e-4), found.value
            spread = [[y - found.low], [found.high - y]]
            panel.errorbar(x, y, yerr=spread, marker="o", color="#0f766e", capsize=2)
            panel.annotate(
                row.method, (x, y), fontsize=6, xytext=(4, 2), textcoords="offset points"
            )
            if pace == "weekly" and row.method in measured:
                theirs = measured[row.method]
                panel.plot(theirs[0], theirs[4], marker="x", color="#b45309")
        panel.set_xscale("log")
        panel.set_xlabel("false positive rate per period (log)")
        panel.set_ylabel("probability of detection")
        panel.set_title(f"{pace}: ours o, R measured x", fontsize=9)
        panel.grid(visible=True, alpha=0.3)
    figure.tight_layout()
    figure.savefig(file, dpi=130)
    plt.close(figure)


def _title(rows: Sequence[Row]) -> str:
    return (
        f"{rows[0].pace}: {rows[0].series:,} series, {rows[0].outbreaks:,} with an outbreak; "
        "95 % intervals; R: measured on 210 series"
    )


def _cell(ours: Estimate, theirs: float | None) -> str:
    if math.isnan(ours.value):
        return "–"
    text = f"{ours.value:.3f} [dim]{ours.low:.3f}–{ours.high:.3f}[/dim]"
    return text if theirs is None else f"{text}\nR {theirs:.3f}"


def _finite(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
