"""Many rows in one statement, column by column."""

from __future__ import annotations

from collections.abc import Mapping


def given(columns: Mapping[str, str]) -> str:
    """A table `given` of these columns (name → type), each a list in the parameter of its name."""
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in columns.items())
    return f"unnest({arrays}) AS given ({', '.join(columns)})"
