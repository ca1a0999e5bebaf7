"""What every handler of an HTTP door works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from services.intake.domain.vault import Vault
from shared.database.work import Database
from shared.service import Freshness


@dataclass(slots=True)
class Desk:
    """`documents` remembers parsed policy versions, which never change once stored."""

    database: Database
    vault: Vault
    freshness: Freshness
    copy_stale_seconds: float
    documents: dict[tuple[str, int], Any] = field(default_factory=dict)

    @property
    def copies_stale(self) -> bool:
        """The copies of orders and cases may lack something that others already know."""
        return self.freshness.stale_seconds("copies") > self.copy_stale_seconds
