"""What a log line tells of an error: where it broke, never with which values."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import BaseModel, ValidationError

from shared.errors import NotFound
from shared.log import configure_log, logger, tell_error

PLANTED = "欧阳种植"


class Named(BaseModel):
    number: int


def test_the_text_of_an_error_is_withheld_along_its_whole_chain() -> None:
    told = ""
    try:
        try:
            Named.model_validate({"number": PLANTED})
        except ValidationError as error:
            raise KeyError(PLANTED) from error
    except KeyError as error:
        told = tell_error(error)
    assert PLANTED not in told
    assert "builtins.KeyError" in told
    assert "ValidationError" in told
    assert "test_log.py" in told


def test_our_own_errors_keep_their_text() -> None:
    assert "no such case" in tell_error(NotFound("no such case"))


def test_database_errors_are_told_by_their_code() -> None:
    error = ValueError(f"Key (value)=({PLANTED}) already exists")
    error.sqlstate = "23505"  # type: ignore[attr-defined]
    error.constraint_name = "uq_identifier"  # type: ignore[attr-defined]
    told = tell_error(error)
    assert "23505 uq_identifier" in told
    assert PLANTED not in told


@pytest.mark.parametrize("style", ["json", "console"])
def test_no_line_of_the_log_quotes_the_value_that_broke_something(
    style: str, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_log(level="info", style=style)
    try:
        int(PLANTED)
    except ValueError:
        logger("test").exception("request_failed", route="/intake/scans")
    line = capfd.readouterr().err
    assert PLANTED not in line
    assert "ValueError" in line
    if style == "json":
        assert json.loads(line)["event"] == "request_failed"


@contextmanager
def bare_root() -> Iterator[None]:
    """The root logger as a new process has it; pytest hangs handlers of its own on it."""
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    try:
        yield
    finally:
        root.handlers = before


@pytest.mark.parametrize("style", ["json", "console"])
def test_what_libraries_log_quotes_no_value_either(
    style: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with bare_root():
        configure_log(level="info", style=style)
        try:
            int(PLANTED)
        except ValueError as error:
            logging.getLogger("uvicorn.error").error(
                "Exception in ASGI application", exc_info=error
            )
            loop = asyncio.new_event_loop()
            loop.call_exception_handler(
                {"message": "Task broke", "exception": error, "task": error}
            )
            loop.close()
    lines = capfd.readouterr().err
    assert "Exception in ASGI application" in lines
    assert "Task broke" in lines
    assert PLANTED not in lines
    if style == "json":
        told = [json.loads(line) for line in lines.splitlines()]
        assert [line["level"] for line in told] == ["error", "error"]
        assert all("ValueError" in line["exception"] for line in told)


def test_a_library_that_repeats_itself_is_counted_not_quoted(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with bare_root():
        configure_log(level="info", style="json")
        log = logging.getLogger("aiokafka.consumer")
        (handler,) = logging.getLogger().handlers
        for second in (0.0, 0.1, 9.9, 10.0):
            record = log.makeRecord(
                log.name, logging.ERROR, "", 0, "no coordinator %s", (15,), None
            )
            record.created = 1_000_000.0 + second
            handler.handle(record)
        log.error("another thing")
    told = [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()]
    assert told == [
        "no coordinator 15",
        "no coordinator 15 (and 2 more like it)",
        "another thing",
    ]
