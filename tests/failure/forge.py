"""Processes forked from one that has imported everything: a start would cost three seconds of
processor otherwise, and the bad days start forty.

`python -m tests.failure.forge` reads one JSON line per process (`environment`, `log`) and writes
`started <id>` and later `ended <id> <code>`; when nobody holds its stdin any more, all end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import sys
import threading
from asyncio.subprocess import PIPE
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
REAP_SECONDS = 0.02


@dataclass(slots=True)
class Process:
    """One that was started; `returncode` is minus the signal's number where one ended it."""

    pid: int
    returncode: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> int:
        await self.ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        # Until the forge has said that it ended its id is nobody else's.
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Forge:
    """The process that forks, started when it is first needed; it ends with the tests."""

    def __init__(self) -> None:
        self._parent: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._asked: deque[asyncio.Future[Process]] = deque()
        self._running: dict[int, Process] = {}
        self._opening = asyncio.Lock()

    async def start(self, environment: Mapping[str, str], log: Path) -> Process:
        """A new process with this environment, its stderr appended to `log`."""
        async with self._opening:
            if self._parent is None:
                self._parent = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "tests.failure.forge",
                    stdin=PIPE, stdout=PIPE, cwd=ROOT, start_new_session=True,
                )  # fmt: skip
                self._reading = asyncio.create_task(self._read(self._parent))
        assert self._parent.stdin is not None
        answer: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        line = json.dumps({"environment": dict(environment), "log": str(log)})
        self._parent.stdin.write(line.encode() + b"\n")
        return await answer

    async def _read(self, parent: asyncio.subprocess.Process) -> None:
        assert parent.stdout is not None
        while line := await parent.stdout.readline():
            what, number, *code = line.split()
            if what == b"started":
                process = self._running[int(number)] = Process(int(number))
                self._asked.popleft().set_result(process)
            else:
                process = self._running.pop(int(number))
                process.returncode = int(code[0])
                process.ended.set()


def main() -> None:
    from tests.failure import process

    lifeline, held = os.pipe()
    children: set[int] = set()
    waiting = b""
    while True:
        for number in list(children):
            ended, status = os.waitpid(number, os.WNOHANG)
            if ended:
                children.discard(number)
                _say(f"ended {number} {os.waitstatus_to_exitcode(status)}")
        if not select.select([0], [], [], REAP_SECONDS)[0]:
            continue
        piece = os.read(0, 65536)
        if not piece:
            return
        *lines, waiting = (waiting + piece).split(b"\n")
        for line in lines:
            told = json.loads(line)
            number = os.fork()
            if number == 0:
                os.close(held)
                _become(told["environment"], Path(told["log"]), lifeline)
                process.main()
                os._exit(0)
            children.add(number)
            _say(f"started {number}")


def _become(environment: dict[str, str], log: Path, lifeline: int) -> None:
    """A process like any other, that ends when the one it came from has ended."""
    os.environ.clear()
    os.environ.update(environment)
    nowhere = os.open(os.devnull, os.O_RDWR)
    errors = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for source, target in ((nowhere, 0), (nowhere, 1), (errors, 2)):
        os.dup2(source, target)

    def wait() -> None:
        os.read(lifeline, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    main()
