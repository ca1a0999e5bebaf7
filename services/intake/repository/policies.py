"""Policies as stored; which one holds where and when is a rule (`domain/checkpoints.py`)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from services.intake.tables import standard
from shared.database.work import ReadSession

policy = standard.policy


async def read_active(session: ReadSession, kind: str) -> list[Any]:
    """Every active version of one kind."""
    query = select(policy).where(policy.c.kind == kind, policy.c.state == "active")
    return list((await session.execute(query)).all())
