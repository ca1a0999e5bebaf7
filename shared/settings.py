"""Settings of a process, read once by the runtime from the environment, `.env` files or secret
files.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every name is prefixed `OUTPOST_`; a secret may also stand in a file of the same name under
    `OUTPOST_SECRETS_DIR` (how the compose file hands them over)."""

    model_config = SettingsConfigDict(env_prefix="OUTPOST_", extra="ignore")

    database_url: SecretStr | None = Field(
        default=None, description="Admin URL of PostgreSQL 15+; empty: the embedded server"
    )
    database_secret: SecretStr | None = Field(
        default=None,
        description="Master secret of the service roles' passwords; embedded makes its own",
    )
    migrate_at_start: bool = Field(
        default=True, description="False where a job migrates and services have no admin URL"
    )
    kafka_brokers: str = Field(default="", description="host:port,…; empty: the embedded log")
    kafka_replication: int = Field(default=1, ge=1, description="3 in production")
    data_dir: Path = Field(
        default=Path("var"), description="Where the embedded server keeps its data"
    )
    session_secret: SecretStr | None = Field(default=None, description="Signs staff sessions")
    vault_key: SecretStr | None = Field(
        default=None, description="Base64 of 32 bytes: encrypts names and numbers in intake's vault"
    )
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8000, ge=0, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    member_slots: int = Field(default=16, ge=1, description="Processes of one service at most")
    pool_size: int = Field(
        default=8, ge=1, description="Database connections per service and process"
    )
    writes_in_flight: int = Field(
        default=64, ge=1, description="HTTP writes at once per service before 503 with Retry-After"
    )
    dead_letter_ratio: float = Field(
        default=0.2, gt=0, le=1, description="Share of bad records at which a consumer stops"
    )
    dead_letter_minimum: int = Field(
        default=50, ge=1, description="Records seen before the ratio counts"
    )
    clock_start_at: datetime | None = Field(default=None, description="Business clock of a drill")
    clock_speed: float = Field(default=1.0, gt=0)
    session_cookie_secure: bool = Field(default=False, description="True behind TLS")
    copy_stale_seconds: float = Field(
        default=30.0,
        gt=0,
        description="Without news from a copy's topic for so long, verdicts say check",
    )

    tracing_city_mb: int = Field(
        default=2048, ge=0, description="Memory for movements; above it SQL answers; 0: always SQL"
    )
    tracing_city_days: int = Field(default=30, ge=1, description="Look-back of that memory")
    tracing_city_from_visits: int = Field(
        default=20_000, ge=0, description="With fewer visits SQL is as good, and nothing is read"
    )
    tracing_watched_stays: int = Field(
        default=200_000, ge=0, description="Stays of cases in memory; above it SQL; 0: always SQL"
    )

    alerts_url: str = Field(
        default="", description="Where the console finds alerts; empty: this process"
    )
    intake_url: str = Field(default="", description="Where the console finds intake")
    tracing_url: str = Field(default="", description="Where the console finds tracing")
    quarantine_url: str = Field(default="", description="Where the console finds quarantine")

    @classmethod
    def load(cls) -> Settings:
        """From the environment and, where `OUTPOST_SECRETS_DIR` names one, a folder of secret
        files.
        """
        folder = os.environ.get("OUTPOST_SECRETS_DIR")
        return cls(_secrets_dir=folder) if folder else cls()

    @property
    def embedded_database(self) -> bool:
        return self.database_url is None

    @property
    def embedded_log(self) -> bool:
        return not self.kafka_brokers
