"""A measured number with its goal and its baseline, and how they are shown and kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
from rich.console import Console
from rich.table import Table

from shared.clock import real_now

RESULTS = Path(__file__).parent.parent / "var" / "bench"


@dataclass(frozen=True, slots=True)
class Goal:
    """What the figure should be; `measured` in the figure's own unit."""

    bound: Literal["at least", "at most"]
    value: float

    def met_by(self, measured: float) -> bool:
        return measured >= self.value if self.bound == "at least" else measured <= self.value


@dataclass(frozen=True, slots=True)
class Baseline:
    """The same unit, the same machine, the same run, without our work in between."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result."""

    name: str
    measured: float
    unit: str
    goal: Goal | None = None
    baselines: tuple[Baseline, ...] = ()
    note: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.goal.met_by(self.measured)

    def as_dict(self) -> dict[str, Any]:
        ratios = {
            one.name: round(self.measured / one.value, 4) for one in self.baselines if one.value
        }
        return asdict(self) | {"met": self.met, "ratios": ratios}


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie; the highest for a share of 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def show(title: str, figures: Sequence[Figure]) -> None:
    """A table of the figures; those without a goal say how the others came about."""
    table = Table(title=title, title_justify="left")
    for name in ("figure", "goal", "measured", "baseline", "ratio", "met"):
        table.add_column(name, justify="left" if name in {"figure", "baseline"} else "right")
    for figure in figures:
        goal = figure.goal
        bases = [f"{one.name}: {_told(one.value)}" for one in figure.baselines]
        ratios = [
            f"{figure.measured / one.value:.2f}" if one.value else "–" for one in figure.baselines
        ]
        table.add_row(
            figure.name,
            f"{'≥' if goal.bound == 'at least' else '≤'} {_told(goal.value)}" if goal else "",
            f"{_told(figure.measured)} {figure.unit}",
            "\n".join(bases),
            "\n".join(ratios),
            {True: "[green]yes[/green]", False: "[red]no[/red]", None: ""}[figure.met],
        )
    console = Console()
    console.print(table)
    for figure in figures:
        if figure.note:
            console.print(f"  {figure.name}: {figure.note}", highlight=False)


def _told(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}".rstrip("0").rstrip(".")


def keep(part: str, figures: Sequence[Figure]) -> Path:
    """The figures of one part as JSON, with the load that the machine was under."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{part}.json"
    content = {
        "measured_at": real_now().isoformat(),
        "cores": psutil.cpu_count(),
        "load_average": psutil.getloadavg(),
        "figures": [figure.as_dict() for figure in figures],
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
    return path
