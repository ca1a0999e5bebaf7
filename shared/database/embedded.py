"""PostgreSQL started by ourselves, for runs without a database server.

``EmbeddedServer.start(folder)`` gives a running, answering server; its folder holds ``cluster/``
(the data), ``password`` (the administrator's, 0600), ``endpoint.json``, ``server.log`` and
``owner.lock``. Whoever holds that lock owns the server: the owner alone starts and stops it, every
other process attaches. The kernel frees the lock when its holder dies, even by ``kill -9``, and
the next start (or ``restart_if_dead``) takes over what it finds: a live server, a hung one, or a
corpse.

Alive means that it answered a query with our password; a pid file proves nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import psutil
from sqlalchemy import URL

from shared.database.installation import EmbeddedServerError, Installation, find_installation
from shared.database.server_folder import Endpoint, ServerFolder
from shared.log import logger

ADMINISTRATOR = "outpost_admin"
MAINTENANCE_DATABASE = "postgres"
START_SECONDS = 60.0  # long enough to replay max_wal_size after a crash on a slow disk
STOP_SECONDS = 30.0
PROBE_SECONDS = 3.0

# Small memory first (idle under 400 MB with all services), then our load: many short transactions,
# queue tables with many dead rows, no replication. Error statements and details stay out of the
# log: they would carry personal data.
SETTINGS: Mapping[str, str] = {
    "shared_buffers": "64MB",
    "max_connections": "100",
    "work_mem": "8MB",
    "maintenance_work_mem": "32MB",
    "effective_cache_size": "512MB",
    "random_page_cost": "1.1",
    "huge_pages": "off",
    "jit": "off",
    "max_worker_processes": "2",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "max_logical_replication_workers": "0",
    "max_locks_per_transaction": "128",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_buffers": "8MB",
    "wal_compression": "on",
    "min_wal_size": "80MB",
    "max_wal_size": "512MB",
    "checkpoint_timeout": "10min",
    "synchronous_commit": "on",
    "autovacuum_max_workers": "2",
    "autovacuum_naptime": "15s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.05",
    "autovacuum_vacuum_cost_delay": "1ms",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}

# The last one is what asyncpg raises when the server dies between log-in and query.
NO_ANSWER = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)

log = logger("embedded_database")


class EmbeddedServer:
    """One PostgreSQL server on one folder; make it with ``start``."""

    def __init__(self, folder: ServerFolder, installation: Installation, *, use_tcp: bool) -> None:
        self.folder = folder
        self.installation = installation
        self._use_tcp = use_tcp
        self._endpoint: Endpoint | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    async def start(
        cls, data_dir: Path, *, binaries: Path | None = None, use_tcp: bool = os.name == "nt"
    ) -> EmbeddedServer:
        """A server that has answered a query, on ``data_dir`` (made private if it is not there).

        A server already running there is used as it is. ``binaries``: a folder of PostgreSQL
        programs other than the packaged ones. ``use_tcp``: listen on a free port of 127.0.0.1
        instead of a socket. Raises EmbeddedServerError, saying what to do.
        """
        installation = await asyncio.to_thread(find_installation, binaries)
        folder = ServerFolder(data_dir, installation.user)
        server = cls(folder, installation, use_tcp=use_tcp)
        try:
            await server._ensure_running()
        except BaseException:
            if server._process is not None:
                await server._end_processes(polite=False)
            folder.lock.release()
            raise
        return server

    @property
    def admin_url(self) -> URL:
        """The administrator's address of the maintenance database, for SQLAlchemy with asyncpg."""
        if self._endpoint is None:
            raise EmbeddedServerError("the embedded PostgreSQL is not started")
        url = URL.create(
            "postgresql+asyncpg",
            ADMINISTRATOR,
            self.folder.password(),
            database=MAINTENANCE_DATABASE,
        )
        host, port = self._endpoint.host, self._endpoint.port
        if self._endpoint.is_socket:
            return url.update_query_dict({"host": host, "port": str(port)})
        return url.set(host=host, port=port)

    @property
    def is_owner(self) -> bool:
        """True if this process will stop the server."""
        return self.folder.lock.is_held

    async def stop(self) -> None:
        """Stop the server if this process owns it; open connections are ended, nothing is lost."""
        if not self.is_owner:
            return
        await self._end_processes(polite=True)
        self.folder.remove_endpoint(self._endpoint)
        self._endpoint = None
        self.folder.lock.release()

    async def restart_if_dead(self) -> bool:
        """Start the server again, at the same address, unless it answers. True if it was dead.

        A live server that is merely slow gets START_SECONDS to answer. A process that only
        attached waits for the owner to do this, or takes over if the owner is dead too.
        """
        if await self._answers():
            return False
        log.warning("not_answering", folder=str(self.folder.path))
        await self._ensure_running()
        log.warning("answers_again", folder=str(self.folder.path))
        return True

    async def watch(self, interval_seconds: float = 2.0) -> None:
        """Call ``restart_if_dead`` for ever; a failure is logged and tried again."""
        while True:
            await asyncio.sleep(interval_seconds)
            try:
                await self.restart_if_dead()
            except Exception as error:  # noqa: BLE001 - an edge: the watch outlives what it meets
                log.error("not_restarted", error=type(error).__name__, reason=str(error))

    def process_ids(self) -> list[int]:
        """The operating system's ids of all processes of this server, postmaster first."""
        return [process.pid for process in self._processes()]

    async def _ensure_running(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.folder.lock.try_acquire():
            # Read anew each time: the owner may be restarting it at another place.
            self._endpoint = self.folder.read_endpoint()
            if await self._answers():
                return
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"another process owns the PostgreSQL in {self.folder.path}, and that server "
                    f"has not answered for {START_SECONDS:.0f} s. End that process, start again."
                )
            await asyncio.sleep(0.05)
        await self._bring_up()

    async def _bring_up(self) -> None:
        self._endpoint = self._endpoint or self.folder.read_endpoint()
        if await self._answers() or await self._wait_while_alive():
            return
        await self._end_processes(polite=False)
        if not self.folder.cluster.exists():
            await asyncio.to_thread(self._initialize)
        self._check_cluster()
        self._endpoint = self.folder.prepare_endpoint(self._endpoint, use_tcp=self._use_tcp)
        # No process works on the cluster: that was seen to above, and we own the lock. But the
        # number in its pid files may belong to somebody else by now, or to a zombie that nobody
        # buries, and PostgreSQL would refuse to start.
        self.folder.remove_pid_files(self._endpoint)
        # Written before the start: if we are killed meanwhile, the next owner finds the server.
        self.folder.write_endpoint(self._endpoint)
        await asyncio.to_thread(self._spawn, self._endpoint)
        await self._wait_until_ready()

    async def _wait_while_alive(self) -> bool:
        """Wait for a postmaster that lives but does not answer, as during crash recovery."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._endpoint and self._find_postmaster():
            if await self._answers():
                return True
            await asyncio.sleep(0.05)
        return False

    async def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while not await self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise EmbeddedServerError(f"PostgreSQL did not start: {self.folder.log_tail()}")
            await asyncio.sleep(0.02)

    async def _answers(self) -> bool:
        if self._endpoint is None or not self.folder.password_file.exists():
            return False
        try:
            connection = await asyncpg.connect(
                host=self._endpoint.host,
                port=self._endpoint.port,
                user=ADMINISTRATOR,
                password=self.folder.password(),
                database=MAINTENANCE_DATABASE,
                timeout=PROBE_SECONDS,
            )
        except asyncpg.TooManyConnectionsError:
            return True  # full, not dead
        except NO_ANSWER:
            return False
        try:
            return bool(await connection.fetchval("SELECT 1", timeout=PROBE_SECONDS) == 1)
        except NO_ANSWER:
            return False
        finally:
            connection.terminate()

    def _initialize(self) -> None:
        """Make the cluster aside and move it in place: a killed initdb leaves no half cluster."""
        folder = self.folder
        folder.ensure_password()
        partial = folder.path / "cluster.partial"
        shutil.rmtree(partial, ignore_errors=True)
        folder.make_server_folder(partial)
        handover = folder.make_temporary_folder()
        try:
            password_file = handover / "password"
            password_file.write_text(folder.password())
            folder.give_to_server(password_file)
            with folder.reachable(partial) as (place, descriptors), folder.open_log() as output:
                command = [self.installation.program("initdb"), "-D", place, *self._init_options()]
                command.append(f"--pwfile={password_file}")
                process = self.installation.spawn(command, output=output, pass_fds=descriptors)
                code = process.wait()
        finally:
            shutil.rmtree(handover, ignore_errors=True)
        if code != 0:
            raise EmbeddedServerError(f"initdb failed in {partial}: {folder.log_tail()}")
        partial.rename(folder.cluster)

    def _init_options(self) -> list[str]:
        options = [f"--username={ADMINISTRATOR}", "--auth=scram-sha-256", "--encoding=UTF8"]
        options += ["--data-checksums", "--no-instructions", "--locale=C"]
        if self.installation.major_version >= 17:
            # The same order and upper case on every system, whatever its C library.
            options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        return options

    def _check_cluster(self) -> None:
        cluster, password_file = self.folder.cluster, self.folder.password_file
        made_by = (cluster / "PG_VERSION").read_text().strip()
        if made_by != str(self.installation.major_version):
            raise EmbeddedServerError(
                f"the data in {cluster} belong to PostgreSQL {made_by}, the installed one is "
                f"{self.installation.major_version}. Dump them with the old version (pg_dump) and "
                "load them into a new folder."
            )
        if not password_file.exists():
            raise EmbeddedServerError(
                f"{password_file} is missing; without it nobody can log in to the data in "
                f"{cluster}. Put the file back, or remove {self.folder.path} to begin anew."
            )

    def _spawn(self, endpoint: Endpoint) -> None:
        settings = dict(SETTINGS) | {"port": str(endpoint.port)}
        if endpoint.is_socket:
            settings |= {"listen_addresses": "", "unix_socket_directories": endpoint.host}
            settings |= {"unix_socket_permissions": "0700"}
        else:
            settings |= {"listen_addresses": endpoint.host, "unix_socket_directories": ""}
        if self.installation.major_version >= 18:
            settings["io_method"] = "sync"  # no worker processes for reading: they cost memory
        folder = self.folder
        with folder.reachable(folder.cluster) as (place, descriptors), folder.open_log() as output:
            command = [self.installation.program("postgres"), "-D", place]
            for name, value in settings.items():
                command += ["-c", f"{name}={value}"]
            self._process = self.installation.spawn(command, output=output, pass_fds=descriptors)

    def _postmaster_id(self) -> int | None:
        with contextlib.suppress(OSError, ValueError):
            return int((self.folder.cluster / "postmaster.pid").read_text().split("\n")[0])
        return None

    def _processes(self) -> list[psutil.Process]:
        """Every live process of this cluster: PostgreSQL works in its data folder."""
        found = []
        for process in psutil.process_iter(["name"]):
            if not str(process.info["name"]).startswith("postgres"):
                continue
            with contextlib.suppress(psutil.Error, OSError):
                if _is_alive(process) and Path(process.cwd()) == self.folder.cluster:
                    found.append(process)
        postmaster = self._postmaster_id()
        return sorted(found, key=lambda process: process.pid != postmaster)

    def _find_postmaster(self) -> psutil.Process | None:
        postmaster = self._postmaster_id()
        return next((found for found in self._processes() if found.pid == postmaster), None)

    async def _end_processes(self, *, polite: bool) -> None:
        """End the whole server: after this returns, no process works on the cluster."""
        postmaster = await asyncio.to_thread(self._find_postmaster)
        if polite and postmaster is not None:
            _send(postmaster, "SIGINT")  # fast shutdown, with a checkpoint
            await self._wait_until_ended([postmaster], STOP_SECONDS)
        rest = await asyncio.to_thread(self._processes)
        for name, wait_seconds in (("SIGQUIT", 3.0), ("SIGKILL", STOP_SECONDS)):
            for process in rest:
                _send(process, name)
            rest = await self._wait_until_ended(rest, wait_seconds)
        if rest:
            numbers = ", ".join(str(process.pid) for process in rest)
            raise EmbeddedServerError(f"these PostgreSQL processes do not end: {numbers}")
        self._process = None

    async def _wait_until_ended(
        self, processes: list[psutil.Process], wait_seconds: float
    ) -> list[psutil.Process]:
        """Those that still run at the end of the wait."""
        deadline = time.monotonic() + wait_seconds
        while rest := [process for process in processes if _is_alive(process)]:
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.01)
        if self._process is not None:
            self._process.poll()  # a dead child stays a zombie until it is asked for
        return rest


def _is_alive(process: psutil.Process) -> bool:
    """A zombie is dead; under a careless init it stays for ever."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _send(process: psutil.Process, name: str) -> None:
    # Windows has no such signals; PostgreSQL recovers from being ended there.
    number = getattr(signal, name, None)
    with contextlib.suppress(psutil.NoSuchProcess):
        if number is None:
            process.terminate()
        else:
            process.send_signal(number)
