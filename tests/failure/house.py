"""The process under test: started, killed, started again, always at one address."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from deploy.kafka.broker import free_port
from tests.eventually import eventually
from tests.failure.forge import Forge, Process
from tests.failure.journal import Entry, read_journal
from tests.failure.process import BEFORE_ANSWER

READY_SECONDS = 90.0
END_SECONDS = 30.0
LOG_LINES = 40
FORGE = Forge()

OFFSET_POINT = "between database commit and offset commit"
SENT_POINT = "between send and delete"
JUDGED_POINT = "after an evaluation"
# Not a point of the code: the client's turn-th request has begun, and a moment has passed.
FROM_OUTSIDE = "from outside"
POINTS = (OFFSET_POINT, SENT_POINT, JUDGED_POINT, BEFORE_ANSWER, FROM_OUTSIDE)


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a process dies: the turn-th time that it gets there."""

    point: str = ""
    turn: int = 0
    # From outside: so long after the request has begun.
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Death:
    """A process that was killed, and the loop that had reached the point."""

    process_id: int
    fault: Fault
    loop: str
    # Event ids that stood in the outbox of that loop's service when it was dead.
    unsent: frozenset[str] = frozenset()


@dataclass(slots=True)
class House:
    """One process at a time. `faults`: what becomes of this one, of the next, and so on."""

    environment: Mapping[str, str]
    folder: Path
    faults: list[Fault] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    deaths: list[Death] = field(default_factory=list)
    process: Process | None = None
    fault: Fault = field(default_factory=Fault)
    # Reads the outbox of a service while nobody works; set by whoever has a database.
    unsent_of: Any = None
    requests: int = 0
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def journal(self) -> list[Entry]:
        return read_journal(self._journal_path)

    @property
    def _journal_path(self) -> Path:
        return self.folder / "journal.tsv"

    def log(self) -> str:
        """The last things that the processes said on stderr; of a traceback its last line."""
        path = self.folder / "processes.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join(map(_shortened, lines[-LOG_LINES:]))

    def is_dead(self) -> bool:
        return self.process is None or self.process.returncode is not None

    async def start(self) -> None:
        """Until it is ready. A process that its fault kills before that is followed by the next."""
        while not await self._start_one():
            await self._mourn()

    async def revive(self, asked: Process | None) -> None:
        """After `asked` gave no answer: if it has died and nobody was faster, start the next."""
        async with self._starting:
            assert self.process is not None
            if self.process is not asked:
                return
            if not self.is_dead():
                # The connection ends a little before the process can be waited for.
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.process.wait(), 5.0)
            if self.is_dead():
                await self._mourn()
                await self.start()

    def note_request(self) -> None:
        """A request begins; perhaps the one that this process does not survive."""
        self.requests += 1
        process = self.process
        if process is None or self.fault.point != FROM_OUTSIDE or self.requests != self.fault.turn:
            return
        asyncio.get_running_loop().call_later(self.fault.wait_seconds, self._kill, process)

    def _kill(self, process: Process) -> None:
        process.kill()

    async def kill(self) -> None:
        """SIGKILL, now; the death is nobody's fault and is not followed by another process."""
        assert self.process is not None
        self._kill(self.process)
        await self.process.wait()

    async def end(self, *, within_seconds: float = END_SECONDS) -> int:
        """SIGTERM; the exit code. `TimeoutError` when it hangs."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), within_seconds)

    async def close(self) -> None:
        """End it somehow."""
        if not self.is_dead():
            try:
                await self.end()
            except TimeoutError:
                await self.kill()

    async def is_ready(self) -> bool:
        """What `/readyz` says; False also when nobody answers."""
        return (await self.readiness())[0] == 200

    async def readiness(self) -> tuple[int, Sequence[str]]:
        """The status of `/readyz` (0: no answer) and what is missing."""
        async with httpx.AsyncClient(base_url=self.base_url, timeout=15.0) as client:
            try:
                response = await client.get("/readyz")
            except httpx.TransportError:
                return 0, ()
        return response.status_code, response.json()["missing"]

    async def _start_one(self) -> bool:
        self.fault = self.faults.pop(0) if self.faults else Fault()
        self.requests = 0
        told = {"FAULT_JOURNAL": str(self._journal_path), "OUTPOST_HTTP_PORT": str(self.port)}
        if self.fault.point not in ("", FROM_OUTSIDE):
            told |= {"FAULT_POINT": self.fault.point, "FAULT_TURN": str(self.fault.turn)}
        self.process = await FORGE.start(
            {**os.environ, **self.environment, **told}, self.folder / "processes.log"
        )

        async def up_or_dead() -> bool:
            return self.is_dead() or await self.is_ready()

        await eventually(up_or_dead, within_seconds=READY_SECONDS)
        return not self.is_dead()

    async def _mourn(self) -> None:
        """Whoever ends must have been killed, by us, at the point that was chosen."""
        assert self.process is not None
        code, fault = self.process.returncode, self.fault
        assert code == -signal.SIGKILL, f"the process ended by itself with {code}:\n{self.log()}"
        assert fault.point, "nobody meant to kill this process"
        loop = ""
        if fault.point != FROM_OUTSIDE:
            mine = [one for one in self.journal if one.process_id == self.process.pid]
            reached = [one for one in mine if one.content == fault.point]
            assert len(reached) >= fault.turn, f"it died before {fault}"
            loop = reached[fault.turn - 1].subject
        unsent = frozenset[str]()
        if fault.point == SENT_POINT:
            unsent = await self.unsent_of(loop.split(".")[0])
        self.deaths.append(Death(self.process.pid, fault, loop, unsent))


def _shortened(line: str) -> str:
    try:
        told = json.loads(line)
    except ValueError:
        return line
    failure = told.get("exception", "").strip().rsplit("\n", 1)[-1]
    return f"{told.get('room')} {told.get('event')} {failure or told.get('error', '')}"
