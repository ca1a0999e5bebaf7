"""What this service refuses, and what to do about it."""

from __future__ import annotations

from uuid import UUID

from shared.errors import Conflict, InvalidPayload, NotFound


class OrderNotFound(NotFound):
    """No such order, or it lies outside the viewer's areas: the answer does not tell which."""

    def __init__(self, order_id: UUID) -> None:
        super().__init__(f"there is no order {order_id}", "look it up at /quarantine/orders")


class OrderWithdrawn(Conflict):
    """A withdrawn order owes nothing."""

    def __init__(self, order_id: UUID) -> None:
        super().__init__(
            f"the order {order_id} is withdrawn", "nothing is owed; drop this check-in"
        )


class CheckInOutsideOrder(InvalidPayload):
    """The check-in was made before the order began, after it ended, or in the future."""
