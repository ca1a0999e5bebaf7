"""`python -m bench.profiled FILE`: all services, their stacks sampled by processor time.

FILE gets a line per stack, outermost first, with its number of samples (the folded form that flame
graphs are drawn from). A profiler that counts calls doubles the cost of what it looks at and takes
every turn of a coroutine for a call; samples do neither. SQLAlchemy runs in greenlets: the stack
goes on in the one that is waiting.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

import greenlet  # type: ignore[import-untyped]

from services.__main__ import SERVICES
from shared.runtime import main as run_services

SAMPLE_SECONDS = 0.002
_ROOT = str(Path(__file__).parents[1])


def _stack(frame: FrameType | None) -> str:
    names: list[str] = []
    parent = greenlet.getcurrent().parent
    while True:
        while frame is not None:
            code = frame.f_code
            file = code.co_filename.removeprefix(_ROOT).split("site-packages/")[-1].lstrip("/")
            names.append(f"{file}:{code.co_name}")
            frame = frame.f_back
        if parent is None:
            return ";".join(reversed(names))
        frame, parent = parent.gr_frame, parent.parent


def sampled(path: Path) -> None:
    """Run until the services end; then write what was seen."""
    seen: Counter[str] = Counter()

    def sample(number: int, frame: FrameType | None) -> None:
        del number
        seen[_stack(frame)] += 1

    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, SAMPLE_SECONDS, SAMPLE_SECONDS)
    try:
        run_services(*SERVICES)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        path.write_text("".join(f"{stack} {count}\n" for stack, count in seen.most_common()))


if __name__ == "__main__":
    sampled(Path(sys.argv[1]))
