"""How the questions grow with the city: milliseconds by engine, both axes logarithmic."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.trace import Size

ENGINES = {"sql": ("tuned SQL", "#b45309"), "city": ("city in memory", "#0f766e")}


def plot(sizes: Sequence[Size], file: Path) -> None:
    """One panel a question."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    names = [one.name for one in sizes[0].measured]
    figure, panels = plt.subplots(1, len(names), figsize=(3.4 * len(names), 3.4), sharey=True)
    visits = [size.visits for size in sizes]
    for panel, name in zip(panels, names, strict=True):
        for engine, (label, colour) in ENGINES.items():
            times = [
                statistics.median(getattr(one, engine))
                for size in sizes
                for one in size.measured
                if one.name == name
            ]
            panel.plot(visits, times, marker="o", color=colour, label=label)
        panel.set_title(name, fontsize=9)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xlabel("visits")
        panel.grid(visible=True, alpha=0.3)
    panels[0].set_ylabel("milliseconds, median")
    panels[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file, dpi=130)
