"""`python -m bench.profiled FILE`: all services under cProfile, written to FILE when they end."""

from __future__ import annotations

import cProfile
import sys

from services.__main__ import SERVICES
from shared.runtime import main as run_services


def main() -> None:
    profile = cProfile.Profile()
    profile.enable()
    try:
        run_services(*SERVICES)
    finally:
        profile.disable()
        profile.dump_stats(sys.argv[1])


if __name__ == "__main__":
    main()
