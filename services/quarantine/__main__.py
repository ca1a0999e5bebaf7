"""`python -m services.quarantine`: this service alone."""

from __future__ import annotations

from services.quarantine.app import service
from shared.runtime import main

if __name__ == "__main__":
    main(service)
