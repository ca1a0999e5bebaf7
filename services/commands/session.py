"""A command's short session on the ground: open, do, close."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import click
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import SystemClock
from shared.errors import AppError
from shared.ground import Ground
from shared.log import configure_log
from shared.service import Service
from shared.settings import Settings

Result = TypeVar("Result")


def with_ground(services: Sequence[Service], act: Callable[[Ground], Awaitable[Result]]) -> Result:
    """Run `act` on open ground; an expected error is told in one line with its advice."""

    async def run() -> Result:
        settings = Settings.load()
        configure_log(level="warning", style="console")
        ground = Ground(services, settings, SystemClock())
        try:
            await ground.open()
            return await act(ground)
        finally:
            await ground.close()

    try:
        return asyncio.run(run())
    except AppError as error:
        raise click.ClickException(f"{error.detail}. {error.advice}".strip()) from error


def with_admin(act: Callable[[AsyncEngine], Awaitable[Result]]) -> Result:
    """Run `act` with the administrator's engine."""
    return with_ground([], lambda ground: act(ground.admin_engine()))
