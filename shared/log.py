"""Structured log: constant event names, identifiers only, never a person's data."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, cast

import structlog

from shared.errors import AppError

LIBRARY_LINE = "%(levelname)s:%(name)s:%(message)s"
# A library that tries again ten times a second says so each time.
SELDOM_SECONDS = 10.0
# Their texts are ours or name types only. Any other error may quote a value, so a person.
SPEAKABLE = (AppError, TypeError, AttributeError, NameError, ImportError, AssertionError)


def configure_log(*, level: str, style: str) -> None:
    """Once per process, by the runtime."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if style == "json" else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _tell_exceptions,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        # Asked at every line: whoever redirects the stream, or closes it, is followed.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter((_ReticentJson if style == "json" else _Reticent)(LIBRARY_LINE))
    handler.addFilter(_Seldom())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of one room."""
    return cast(structlog.stdlib.BoundLogger, structlog.get_logger(room=name))


def tell_error(error: BaseException | None) -> str:
    """Where it broke and what kind of error it is, cause by cause, without its text's values."""
    told: list[str] = []
    while error is not None and len(told) < 10:
        frames = "".join(traceback.format_tb(error.__traceback__))
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        told.append(f"{frames}{kind}: {_text_of(error)}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nbecause of\n".join(told)


def _text_of(error: BaseException) -> str:
    if isinstance(error, SPEAKABLE):
        return str(error)
    database = getattr(error, "orig", error)
    names = (getattr(database, name, None) for name in ("sqlstate", "constraint_name"))
    return " ".join(str(name) for name in names if name) or "(text withheld)"


def _tell_exceptions(
    _: Any, __: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    given = line.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        line["exception"] = tell_error(error)
    return line


class _Reticent(logging.Formatter):
    """What libraries log by themselves: uvicorn the errors of requests, asyncio those of tasks."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == "asyncio":  # its second line repeats the error with its text
            record.msg, record.args = record.getMessage().partition("\n")[0], None
        return super().format(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802, the name is the library's
        return tell_error(ei[1])


class _ReticentJson(_Reticent):
    """The same, with the keys of our own lines."""

    def format(self, record: logging.LogRecord) -> str:
        super().format(record)
        line = {
            "room": record.name,
            "event": record.message,
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        if record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line, ensure_ascii=False)


class _Seldom(logging.Filter):
    """One line of a kind in ten seconds, with the number of those left out; errors with a trace
    always pass."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            return True
        kind = (record.name, str(record.msg))
        told_at, left_out = self._told.get(kind, (0.0, 0))
        if record.created - told_at < SELDOM_SECONDS:
            self._told[kind] = (told_at, left_out + 1)
            return False
        if len(self._told) > 1000:  # texts that a library composes are each a kind of their own
            self._told.clear()
        self._told[kind] = (record.created, 0)
        if left_out:
            record.msg = f"{record.msg} (and {left_out} more like it)"
        return True
