"""The endpoint that does nothing: the same FastAPI and uvicorn, the same bytes in and out.

`python -m bench.noop PORT`, the answer on stdin.
"""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI, Request, Response


def build(answer: bytes) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.post("/intake/scans")
    async def take(request: Request) -> Response:
        async for _ in request.stream():
            pass
        return Response(answer, 202, media_type="application/json")

    return app


def main() -> None:
    uvicorn.run(
        build(sys.stdin.buffer.read()), host="127.0.0.1", port=int(sys.argv[1]), log_config=None,
        access_log=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
