"""Imported lists, kept whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.intake.tables import imported_list
from shared.database.work import Work


async def add_list(work: Work, values: Mapping[str, Any]) -> None:
    await work.execute(imported_list.insert().values(values))
