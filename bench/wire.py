"""One HTTP/1.1 connection that is kept, and nothing else.

The generator shares the two cores with what it measures: a comfortable client would be measured
with it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

READ_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


class Link:
    """A connection to `host:port`; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> Link:
        return cls(*await asyncio.open_connection(host, port, limit=4 * 1024 * 1024))

    async def post(self, path: str, body: bytes, *, key: str) -> Answer:
        head = (
            f"POST {path} HTTP/1.1\r\nhost: outpost\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        async with asyncio.timeout(READ_SECONDS):
            return await self._read()

    async def _read(self) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head.split(b" ", 2)[1])
        at = head.index(b"content-length:") + len(b"content-length:")
        length = int(head[at : head.index(b"\r", at)])
        return Answer(status, await self._reader.readexactly(length))

    def close(self) -> None:
        self._writer.close()
