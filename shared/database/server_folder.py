"""What the embedded server keeps on disk: its folder, and the private folder of its socket."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.database.installation import ServerUser

# A socket's path is at most 103 bytes on macOS, 107 on Linux.
SOCKET_PATH_BYTES = 100
LOG_BYTES = 5_000_000


@dataclass(frozen=True)
class Endpoint:
    """Where the server listens: ``host`` is a socket folder, or an address for TCP."""

    host: str
    port: int

    @property
    def is_socket(self) -> bool:
        """True if the server listens on a Unix socket only."""
        return os.path.isabs(self.host)


class OwnerLock:
    """An exclusive lock on a file, freed by the kernel when this process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """True while this object holds the lock."""
        return self._descriptor is not None

    def try_acquire(self) -> bool:
        """Take the lock unless another holder lives. Never waits."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Free the lock; nothing happens if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class ServerFolder:
    """The files of one server, each owned by whom it must be owned by.

    Only folders made here get an owner or a mode; no other folder's is ever changed.
    """

    def __init__(self, path: Path, user: ServerUser | None) -> None:
        path = path.resolve()
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)
        self.path = path
        self.user = user
        self.cluster = path / "cluster"
        self.password_file = path / "password"
        self.lock = OwnerLock(path / "owner.lock")

    def password(self) -> str:
        """The administrator's password. Raises FileNotFoundError before the first start."""
        return self.password_file.read_text().strip()

    def ensure_password(self) -> None:
        """Make the administrator's password unless there is one."""
        if not self.password_file.exists():
            self._write_privately("password", secrets.token_urlsafe(32))

    def read_endpoint(self) -> Endpoint | None:
        """Where the owner last started the server; None if it was stopped properly."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Endpoint(**json.loads((self.path / "endpoint.json").read_text()))
        return None

    def write_endpoint(self, endpoint: Endpoint) -> None:
        """Tell the other processes where the server is."""
        self._write_privately("endpoint.json", json.dumps(asdict(endpoint)))

    def remove_endpoint(self, endpoint: Endpoint | None) -> None:
        """Forget where the server was, socket folder included."""
        if endpoint is not None and endpoint.is_socket:
            shutil.rmtree(endpoint.host, ignore_errors=True)
        (self.path / "endpoint.json").unlink(missing_ok=True)

    def remove_pid_files(self, endpoint: Endpoint) -> None:
        """Forget the process that was last here; it must be dead."""
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        if endpoint.is_socket:
            for path in Path(endpoint.host).glob(".s.PGSQL.*"):
                path.unlink(missing_ok=True)

    def prepare_endpoint(self, old: Endpoint | None, *, use_tcp: bool) -> Endpoint:
        """The address of before if it can be had again, so that open pools find the server."""
        if use_tcp:
            return old if old and not old.is_socket else Endpoint("127.0.0.1", _find_free_port())
        if old is not None and old.is_socket and self._is_private(Path(old.host)):
            return old
        with contextlib.suppress(OSError):
            return Endpoint(str(self.make_temporary_folder()), 5432)
        return Endpoint("127.0.0.1", _find_free_port())

    def make_temporary_folder(self) -> Path:
        """A short folder that the server user alone can enter. Raises OSError if there is none."""
        for root in _temporary_roots(self.user):
            if len(os.fsencode(root / "outpost-12345678" / ".s.PGSQL.5432")) > SOCKET_PATH_BYTES:
                continue
            with contextlib.suppress(OSError):
                folder = Path(tempfile.mkdtemp(prefix="outpost-", dir=root))
                self.give_to_server(folder)
                return folder
        raise OSError("no folder for the server's socket")

    def make_server_folder(self, path: Path) -> None:
        """Make an empty folder of the server user's."""
        path.mkdir(mode=0o700)
        self.give_to_server(path)

    def give_to_server(self, path: Path) -> None:
        """Hand a path that we made to the server user."""
        if self.user is not None and sys.platform != "win32":
            os.chown(path, self.user.user_id, self.user.group_id)

    @contextlib.contextmanager
    def reachable(self, folder: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
        """How the server names ``folder``, and the descriptors it must inherit for that.

        As root the folder's ancestors may be closed to the server user (``/root`` is). Changing
        their modes is not ours to do; an inherited descriptor reaches the folder without them.
        """
        if self.user is None or not Path("/proc/self/fd").is_dir():
            yield str(folder), ()
            return
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{descriptor}", (descriptor,)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def open_log(self) -> Iterator[int]:
        """A descriptor for the server's messages; a log that has grown big begins anew."""
        path = self.path / "server.log"
        keep = os.O_APPEND if path.exists() and path.stat().st_size < LOG_BYTES else os.O_TRUNC
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | keep, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def log_tail(self) -> str:
        """The last five lines of the server's messages, for an error text."""
        with contextlib.suppress(OSError):
            lines = (self.path / "server.log").read_text(errors="replace").splitlines()
            return " | ".join(lines[-5:])
        return "there is no log"

    def _write_privately(self, name: str, text: str) -> None:
        """Write a 0600 file that is either absent or whole."""
        partial = self.path / f"{name}.partial"
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path / name)

    def _is_private(self, folder: Path) -> bool:
        """True if nobody but the server user can enter; the folder is made if it is not there.

        A restart of the computer empties the places where we put such folders.
        """
        if folder.parent not in _temporary_roots(self.user):
            return False
        try:
            if not folder.exists():
                self.make_server_folder(folder)
            status = folder.lstat()
        except OSError:
            return False
        is_ours = status.st_uid == (self.user.user_id if self.user else os.getuid())
        return is_ours and stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077


def _temporary_roots(user: ServerUser | None) -> list[Path]:
    """Folders for sockets, best first; all of them reachable by the server user."""
    system = Path(tempfile.gettempdir())
    if user is None:
        return [path for path in (system, Path("/tmp")) if path.is_dir()]
    candidates = (Path("/run"), system, Path("/tmp"), Path("/var/tmp"))
    return [path for path in candidates if path.is_dir() and user.can_traverse(path)]


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
