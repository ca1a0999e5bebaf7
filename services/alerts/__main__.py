"""`python -m services.alerts`."""

from __future__ import annotations

from services.alerts.app import service
from shared.runtime import main

if __name__ == "__main__":
    main(service)
