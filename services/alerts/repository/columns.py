"""Many rows in one statement, column by column, each column as one text.

The driver encodes an array value by value in Python, which costs more than the statement; a text is
copied as it is and taken apart by PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# Control characters that no code of ours holds (`domain/counting/facts.py` sees to it).
NEXT, NOTHING = "\x1f", "\x1e"


def column(values: Iterable[object]) -> str:
    """As `given` takes it apart again. An empty text becomes NULL: a column of one would be no
    column."""
    return NEXT.join([NOTHING if value is None or value == "" else str(value) for value in values])


def given(columns: Mapping[str, str]) -> str:
    """A table `given` of these columns (name → type), each read from the parameter of its name."""
    arrays = ", ".join(
        f"CAST(string_to_array(:{name}, E'\\x1f', E'\\x1e') AS {kind}[])"
        for name, kind in columns.items()
    )
    return f"unnest({arrays}) AS given ({', '.join(columns)})"
