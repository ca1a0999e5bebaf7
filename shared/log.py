"""Structured log: constant event names, identifiers only, never a person's data."""

from __future__ import annotations

import logging
import sys
from typing import cast

import structlog


def configure_log(*, level: str, style: str) -> None:
    """Once per process, by the runtime."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        # Plain: the rich one prints local variables, and those are persons.
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if style == "json" else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of one room."""
    return cast(structlog.stdlib.BoundLogger, structlog.get_logger(room=name))
