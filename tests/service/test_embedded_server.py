"""The embedded PostgreSQL: private, unprivileged, and back after any death."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil
import pytest
from sqlalchemy import URL

from shared.database.embedded import NO_ANSWER, EmbeddedServer
from shared.database.installation import EmbeddedServerError, find_server_user, packaged_binaries
from tests.eventually import eventually
from tests.service.postgres_versions import IDS, VERSIONS, require_version

ROOT = Path(__file__).parents[2]
as_root = pytest.mark.skipif(find_server_user() is None, reason="only root hands the server over")

# Another process: starts or attaches, tells the postmaster's id, then lives until it is killed.
STARTER = """
import asyncio, sys
from pathlib import Path
from shared.database.embedded import EmbeddedServer

async def main():
    binaries = Path(sys.argv[2]) if sys.argv[2] else None
    server = await EmbeddedServer.start(Path(sys.argv[1]), binaries=binaries)
    print(server.process_ids()[0], int(server.is_owner), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""

SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"

Start = Callable[..., Awaitable[EmbeddedServer]]


@pytest.fixture(params=VERSIONS, ids=IDS)
def binaries(request: pytest.FixtureRequest) -> Path | None:
    return require_version(request.param)


@pytest.fixture
async def start(tmp_path: Path, binaries: Path | None) -> AsyncIterator[Start]:
    """Starts servers on one folder, and at the end whatever runs there is stopped."""
    started: list[EmbeddedServer] = []

    async def start_one(**options: bool) -> EmbeddedServer:
        server = await EmbeddedServer.start(tmp_path / "data", binaries=binaries, **options)
        started.append(server)
        return server

    yield start_one
    for server in started:
        await server.stop()


@pytest.fixture
def spawn(tmp_path: Path, binaries: Path | None) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a server on the same folder from a process of its own."""
    spawned: list[subprocess.Popen[str]] = []

    def spawn_one() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", STARTER, str(tmp_path / "data"), str(binaries or "")]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        spawned.append(process)
        return process

    yield spawn_one
    for process in spawned:
        process.kill()
        process.communicate()


async def connect(url: URL) -> asyncpg.Connection:
    host, port = url.query.get("host", url.host), url.query.get("port", url.port)
    return await asyncpg.connect(
        host=str(host),
        port=int(str(port)),
        user=url.username,
        password=url.password,
        database=url.database,
    )


async def query(server: EmbeddedServer, statement: str) -> object:
    connection = await connect(server.admin_url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def first_line(process: subprocess.Popen[str]) -> tuple[int, bool]:
    assert process.stdout is not None
    line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), 30)
    number, is_owner = line.split()
    return int(number), is_owner == "1"


def is_gone(path: Path) -> bool:
    return not path.exists()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


async def test_a_wrong_password_is_refused(start: Start) -> None:
    server = await start()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(server.admin_url.set(password="wrong"))
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(server.admin_url.set(password=""))
    assert await query(server, "SHOW data_checksums") == "on"
    assert await query(server, "SHOW server_encoding") == "UTF8"


async def test_nothing_of_ours_is_open_and_nothing_else_is_changed(
    start: Start, tmp_path: Path, binaries: Path | None
) -> None:
    source = binaries or packaged_binaries()
    others = {*tmp_path.parents, tmp_path, source, *source.parents, *source.iterdir()}

    def modes() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_mode, path.stat().st_uid) for path in others}

    before = modes()
    server = await start()
    assert modes() == before
    socket_folder = Path(str(server.admin_url.query["host"]))
    for path in (tmp_path / "data", server.folder.cluster, socket_folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    assert stat.S_IMODE(server.folder.password_file.stat().st_mode) == 0o600
    assert len(os.fsencode(socket_folder / ".s.PGSQL.5432")) < 104
    await server.stop()
    assert modes() == before
    assert is_gone(socket_folder)


@as_root
async def test_as_root_it_runs_unprivileged_even_below_a_closed_folder(
    start: Start, tmp_path: Path
) -> None:
    user = find_server_user()
    assert user is not None
    os.chmod(tmp_path, 0o700)
    assert not user.can_traverse(tmp_path)
    server = await start()
    owners = {}
    for pid in server.process_ids():
        # A worker of the server's may end by itself while we look; the postmaster does not.
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            owners[pid] = (set(process.uids()), set(process.gids()))
    assert server.process_ids()[0] in owners
    assert all(one == ({user.user_id}, {user.group_id}) for one in owners.values())
    # The password is root's alone, and so is our environment.
    assert server.folder.password_file.stat().st_uid == 0
    assert set(psutil.Process(server.process_ids()[0]).environ()) <= {
        *("PATH", "LC_ALL", "TZ", "PGDATA", "PG_GRANDPARENT_PID", "LD_LIBRARY_PATH"),
        *("LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME"),
    }


@as_root
async def test_as_root_programs_out_of_reach_are_copied_and_left_alone(tmp_path: Path) -> None:
    original = packaged_binaries()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = closed / original.parents[1].name
    shutil.copytree(original.parent, package / original.parent.name)
    libraries = original.parents[1].with_name(package.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, closed / libraries.name)
    out_of_reach = package / original.parent.name / "bin"
    server = await EmbeddedServer.start(tmp_path / "data", binaries=out_of_reach)
    copy = server.installation.binaries
    try:
        assert copy != out_of_reach
        assert await query(server, "SELECT 1") == 1
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert {path.name for path in copy.iterdir()} == {"postgres", "initdb"}
        assert copy.stat().st_uid == 0
        mark = (copy / "postgres").stat().st_ino
        await server.stop()
        server = await EmbeddedServer.start(tmp_path / "data", binaries=out_of_reach)
        assert (server.installation.binaries / "postgres").stat().st_ino == mark
    finally:
        await server.stop()
        shutil.rmtree(copy.parents[2])


async def test_rows_outlive_a_stop_and_a_start(start: Start) -> None:
    server = await start()
    await query(server, "CREATE TABLE kept AS SELECT 7 AS number")
    await server.stop()
    again = await start()
    assert await query(again, "SELECT number FROM kept") == 7


async def test_a_second_starter_attaches_and_does_not_stop_it(start: Start) -> None:
    owner, guest = await start(), await start()
    assert (owner.is_owner, guest.is_owner) == (True, False)
    assert guest.admin_url == owner.admin_url
    await guest.stop()
    assert await query(owner, "SELECT 1") == 1


async def test_starting_at_once_on_an_empty_folder_makes_one_server(
    start: Start, spawn: Callable[[], subprocess.Popen[str]]
) -> None:
    processes = [spawn(), spawn()]
    server = await start()
    lines = [await first_line(process) for process in processes]
    assert {pid for pid, _ in lines} == {server.process_ids()[0]}
    assert [server.is_owner, *(is_owner for _, is_owner in lines)].count(True) == 1


async def test_after_kill_9_of_the_owner_the_next_start_takes_the_server_over(
    start: Start, spawn: Callable[[], subprocess.Popen[str]]
) -> None:
    process = spawn()
    postmaster, is_owner = await first_line(process)
    assert is_owner
    kill(process.pid)
    process.wait()
    server = await start()
    assert server.process_ids()[0] == postmaster
    assert server.is_owner
    await server.stop()
    assert server.process_ids() == []


async def test_after_kill_9_of_both_sides_nothing_committed_is_lost(
    start: Start, spawn: Callable[[], subprocess.Popen[str]]
) -> None:
    process = spawn()
    await first_line(process)
    guest = await start()
    await query(guest, "CREATE TABLE kept (number integer)")
    busy = await connect(guest.admin_url)
    await busy.execute("INSERT INTO kept VALUES (1)")
    await busy.execute("BEGIN; INSERT INTO kept VALUES (2)")
    endless = asyncio.create_task(busy.execute("SELECT pg_sleep(600)"))

    async def is_busy() -> bool:
        return bool(await query(guest, SLEEPING))

    await eventually(is_busy)
    kill(guest.process_ids()[0])
    kill(process.pid)
    process.wait()
    assert await guest.restart_if_dead()
    assert guest.is_owner
    assert await query(guest, "SELECT array_agg(number) FROM kept") == [1]
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await endless


async def test_a_dead_postmaster_is_noticed_and_started_at_the_same_address(
    start: Start,
) -> None:
    server = await start()
    address = server.admin_url
    assert not await server.restart_if_dead()
    watching = asyncio.create_task(server.watch(interval_seconds=0.05))
    try:
        for _ in range(2):
            dead = server.process_ids()[0]
            kill(dead)
            await until_another_answers(server, dead)
            assert server.admin_url == address
            assert await query(server, "SELECT 1") == 1
    finally:
        watching.cancel()


async def until_another_answers(server: EmbeddedServer, dead: int) -> None:
    async def another_answers() -> bool:
        with contextlib.suppress(*NO_ANSWER):
            return await query(server, "SELECT 1") == 1 and server.process_ids()[0] != dead
        return False

    await eventually(another_answers)


async def test_a_pid_file_proves_nothing(start: Start) -> None:
    server = await start()
    await server.stop()
    # What a power cut leaves, with the number meanwhile given to somebody else: to us.
    (server.folder.cluster / "postmaster.pid").write_text(f"{os.getpid()}\n/x\n0\n5432\n\n\n\n")
    (server.folder.path / "endpoint.json").write_text('{"host": "/nowhere", "port": 5432}')
    again = await start()
    assert await query(again, "SELECT 1") == 1
    assert again.admin_url.query["host"] != "/nowhere"


async def test_a_killed_first_start_leaves_no_half_cluster(start: Start, tmp_path: Path) -> None:
    half = tmp_path / "data" / "cluster.partial"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("1")
    server = await start()
    assert await query(server, "SELECT 1") == 1
    assert not half.exists()


async def test_it_listens_on_loopback_where_there_are_no_sockets(start: Start) -> None:
    server = await start(use_tcp=True)
    assert server.admin_url.host == "127.0.0.1"
    assert await query(server, "SHOW listen_addresses") == "127.0.0.1"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(server.admin_url.set(password="wrong"))
    address = server.admin_url
    kill(server.process_ids()[0])
    assert await server.restart_if_dead()
    assert server.admin_url == address


async def test_its_log_quotes_no_statement_and_no_value(start: Start) -> None:
    server = await start()
    await query(server, "CREATE TABLE secret (phone text UNIQUE)")
    await query(server, "INSERT INTO secret VALUES ('13800000000')")
    with pytest.raises(asyncpg.UniqueViolationError):
        await query(server, "INSERT INTO secret VALUES ('13800000000')")
    log = (server.folder.path / "server.log").read_text()
    assert "duplicate key" in log
    assert "13800000000" not in log


async def test_what_cannot_work_says_what_to_do(start: Start, tmp_path: Path) -> None:
    server = await start()
    await server.stop()
    server.folder.password_file.rename(tmp_path / "password")
    with pytest.raises(EmbeddedServerError, match="Put the file back"):
        await start()
    (tmp_path / "password").rename(server.folder.password_file)
    (server.folder.cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedServerError, match="pg_dump"):
        await start()
    with pytest.raises(EmbeddedServerError, match="no PostgreSQL in"):
        await EmbeddedServer.start(tmp_path / "data", binaries=tmp_path)
