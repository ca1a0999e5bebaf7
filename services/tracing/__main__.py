"""`python -m services.tracing`: this service alone."""

from __future__ import annotations

from services.tracing.app import service
from shared.runtime import main

if __name__ == "__main__":
    main(service)
