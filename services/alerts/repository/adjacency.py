"""Which areas border on each other: data with versions, for the area tree does not tell it."""

from __future__ import annotations

from pydantic import Field
from sqlalchemy import select

from services.alerts.domain.areas import bordering
from services.alerts.tables import standard
from shared.policy import PolicyDocument, PolicyKind, Reader


class AdjacencyDocument(PolicyDocument):
    """Pairs of areas with a common border, each pair once, areas of one level."""

    pairs: tuple[tuple[str, str], ...] = Field(min_length=1)


ADJACENCY = PolicyKind("alerts.adjacency", AdjacencyDocument)


async def neighbours(reader: Reader) -> dict[str, frozenset[str]]:
    """The neighbours of each area, by the highest active version of every document."""
    policy = standard.policy
    rows = await reader.execute(
        select(policy.c.id, policy.c.document)
        .where(policy.c.kind == ADJACENCY.name, policy.c.state == "active")
        .order_by(policy.c.id, policy.c.version)
    )
    newest = {row.id: AdjacencyDocument.model_validate(row.document) for row in rows}
    return bordering(pair for document in newest.values() for pair in document.pairs)
