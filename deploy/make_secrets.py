"""Writes the random secrets that docker-compose.yml hands to the containers.

A secret that exists is never replaced: another vault key would make every stored name unreadable.
The folder is closed to everyone but its owner (0700): that is what protects the files on the host.
The files in it are 0444, because a container sees the file without the folder and reads it
under an unprivileged user of its own.
"""

from __future__ import annotations

import argparse
import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "secrets"


def random_text() -> str:
    return secrets.token_urlsafe(32)


def random_key() -> str:
    """Base64 of 32 bytes, the shape of an AES-256 key."""
    return base64.b64encode(secrets.token_bytes(32)).decode("ascii")


MAKERS: dict[str, Callable[[], str]] = {
    "postgres_password": random_text,
    "outpost_database_secret": random_text,
    "outpost_session_secret": random_text,
    "outpost_vault_key": random_key,
}


def make_secrets(folder: Path) -> list[str]:
    """Write what is missing; returns the names written."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    written = [name for name, make in MAKERS.items() if _write_new(folder / name, make())]
    password = (folder / "postgres_password").read_text(encoding="ascii").strip()
    address = f"postgresql+asyncpg://postgres:{password}@postgres:5432/outpost"
    if _write_new(folder / "outpost_database_url", address):
        written.append("outpost_database_url")
    return written


def _write_new(path: Path, content: str) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(content)
        os.fchmod(descriptor, 0o444)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    folder: Path = parser.parse_args().folder
    written = make_secrets(folder)
    print(
        f"{folder}: " + (f"wrote {', '.join(written)}" if written else "all there, nothing changed")
    )


if __name__ == "__main__":
    main()
