"""The PostgreSQL versions that our SQL is tested on: the packaged one, and Debian's 15."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import skip_or_fail

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
IDS = ("packaged", "15")
VERSIONS = (None, DEBIAN_15)


def require_version(binaries: Path | None) -> Path | None:
    """The folder as `EmbeddedServer.start` takes it; skips if this version is not installed, where
    skipping is allowed."""
    if binaries is not None and not binaries.is_dir():
        skip_or_fail(f"PostgreSQL is not installed in {binaries}")
    return binaries
