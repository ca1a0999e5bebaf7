"""Plots need matplotlib, which services do without: it is asked for when a plot is."""

from __future__ import annotations

from typing import Any

import click


def pyplot() -> Any:
    """matplotlib's drawing interface, without a screen."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise click.ClickException(
            "A plot needs matplotlib, which is not installed here. Install requirements/dev.txt, "
            "or leave out --plot."
        ) from error
    mpl.use("agg")
    from matplotlib import pyplot as plt

    return plt
