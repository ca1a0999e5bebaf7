"""Asking for many records by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Uuid, cast, func
from sqlalchemy.dialects.postgresql import ARRAY


def among(column: Column[Any], ids: Sequence[UUID]) -> ColumnElement[bool]:
    """The column is one of these: one parameter however many. `IN` writes each of them into the
    statement, which cost a recall more than asking did."""
    return column == func.any(cast(list(ids), ARRAY(Uuid)))
