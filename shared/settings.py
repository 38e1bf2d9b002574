"""Every setting of every service, read once from the environment (and `.env`)."""

import re
from functools import cache
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from shared.addresses import AddressRule

PREFIX = "WAVEMILL_"
_DRIVERS = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}
MEBIBYTE = 1024 * 1024
_SHORTEST_KEY = 16


def _unprefixed(name: str) -> AliasChoices:
    """The names that the outside world gives a few settings have no prefix."""
    return AliasChoices(name)


class Settings(BaseSettings):
    """Read from variables named WAVEMILL_*, but for the database's and Redis's, which have names of their own."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        populate_by_name=True,
    )

    # Where the truth, the messages and the bytes are.
    data_dir: Path = Field(default=Path("data"), description="Folder of the embedded defaults (SQLite, blobs).")
    database_url: str = Field(
        default="",
        validation_alias=_unprefixed("DATABASE_URL"),
        description="postgresql://user:password@host/name or sqlite:///file; SQLite in the data folder when unset.",
    )
    redis_host: str = Field(
        default="localhost", validation_alias=_unprefixed("REDIS_HOST"), description="Where Redis is."
    )
    redis_port: int = Field(
        default=6379, ge=1, le=65535, validation_alias=_unprefixed("REDIS_PORT"), description="Its port."
    )
    redis_db: int = Field(default=0, ge=0, validation_alias=_unprefixed("REDIS_DB"), description="Its database.")
    redis_password: SecretStr | None = Field(
        default=None, validation_alias=_unprefixed("REDIS_PASSWORD"), description="Its password."
    )
    blob_url: str = Field(
        default="",
        description="file:///folder or s3://bucket/prefix (credentials by the AWS_* variables); "
        "a folder in the data folder when unset.",
    )

    # Stores: pools and time limits.
    database_pool_size: int = Field(default=5, ge=1, le=200, description="Connections kept by each process.")
    database_pool_overflow: int = Field(default=5, ge=0, le=200, description="Further ones under load.")
    database_connect_timeout_seconds: float = Field(default=5.0, gt=0, description="To connect, or get one.")
    database_statement_timeout_seconds: float = Field(default=15.0, gt=0, le=60, description="For each statement.")
    redis_pool_size: int = Field(
        default=20, ge=2, le=1000, description="Connections of each process, beside those of Celery."
    )
    redis_timeout_seconds: float = Field(default=5.0, gt=0, description="To connect, and for each command.")
    blob_idle_timeout_seconds: float = Field(
        default=10.0, gt=0, description="To connect to an S3 blob store, and for it to send the next byte."
    )
    blob_request_timeout_seconds: float = Field(
        default=300.0, gt=0, description="For a whole request to it, such as the fetching of an input."
    )

    # API.
    api_host: str = Field(default="127.0.0.1", description="Address that `make run` serves the API on.")
    api_port: int = Field(default=8000, ge=1, le=65535, description="Port that `make run` serves the API on.")
    max_upload_bytes: int = Field(
        default=2048 * MEBIBYTE, ge=1, description="A larger upload in one request is refused with 413."
    )
    max_input_bytes: int = Field(
        default=10_240 * MEBIBYTE,
        ge=1,
        description="The same for one that comes otherwise: resumable, presigned or from a URL.",
    )
    presigned_seconds: float = Field(
        default=3600.0,
        gt=0,
        le=604_800,
        description="How long a URL is good that leads to a bucket: to send an input there, or to fetch a result.",
    )
    presigned_downloads: bool = Field(
        default=False,
        description="Results in a bucket are fetched there: the API redirects to a URL that is good for a while.",
    )
    max_spec_bytes: int = Field(default=MEBIBYTE, ge=1024, description="A larger job spec is refused with 413.")
    max_batch_bytes: int = Field(
        default=32 * MEBIBYTE, ge=1024, description="A larger body of a batch is refused with 413."
    )
    upload_idle_seconds: float = Field(
        default=30.0, gt=0, description="A request of whose body no byte comes for so long is ended with 408."
    )
    min_upload_bytes_per_second: int = Field(
        default=1024,
        ge=0,
        description="The same for one that, after that time, has come slower than this on average; 0 is no limit.",
    )
    max_queued_jobs: int = Field(
        default=100_000, ge=0, description="While so many jobs wait, new ones are refused with 429; 0 is no limit."
    )
    max_queued_bytes: int = Field(
        default=1024 * 1024 * MEBIBYTE, ge=0, description="The same by the bytes of their inputs; 0 is no limit."
    )
    min_free_bytes: int = Field(
        default=512 * MEBIBYTE,
        ge=0,
        description="With less room on the disk of a local blob store, new work is refused with 507; 0 is no limit.",
    )
    require_keys: bool = Field(
        default=False,
        description="Also on this machine nobody is let in without an API key; others never are.",
    )
    bootstrap_key: SecretStr | None = Field(
        default=None,
        description="Secret of the first API key, which `python -m shared.store.migrate --first-key` makes.",
    )
    key_requests_per_second: float = Field(
        default=50.0, ge=0, description="Requests a second of one API key, unless it has a limit of its own; 0: none."
    )
    key_burst: int = Field(default=200, ge=1, description="The same at once, after a time without any.")
    key_max_queued_jobs: int = Field(
        default=20_000, ge=0, description="The same for jobs of one key that wait; 0 is no limit."
    )
    key_max_stored_bytes: int = Field(
        default=0, ge=0, description="The same for the bytes of its inputs and results; 0 is no limit."
    )
    events_heartbeat_seconds: float = Field(
        default=15.0, gt=0, description="A comment is sent on an idle event stream this often."
    )

    # What browsers may do with the API's answers.
    cors_origins: str = Field(
        default="",
        description="Origins of pages whose scripts may use the API, with commas between them; * for all; "
        "none when unset.",
    )
    frame_ancestors: str = Field(
        default="'none'", description="Which pages may show the API's in a frame, as Content-Security-Policy has it."
    )
    hsts_seconds: int = Field(
        default=0, ge=0, description="Browsers are told to use HTTPS alone for so long; 0: they are not."
    )

    # Jobs.
    max_delay_days: float = Field(
        default=30.0, gt=0, description="A job's not_before is at most so far ahead; else it is refused with 422."
    )
    max_presets: int = Field(default=200, ge=0, description="Presets that one key may have.")
    max_attempts: int = Field(default=4, ge=1, le=20, description="The first and at most 3 retries, unless set.")
    retry_backoff_base_seconds: float = Field(default=5.0, gt=0, description="Largest first wait; doubles each time.")
    retry_backoff_max_seconds: float = Field(default=600.0, gt=0, description="No wait is longer.")
    lease_seconds: float = Field(
        default=30.0, ge=2, description="A worker that is silent for so long has lost its job."
    )
    heartbeat_seconds: float = Field(default=1.0, gt=0, description="Lease renewal, progress and cancel check.")

    # Worker.
    worker_concurrency: int = Field(default=2, ge=1, le=512, description="Children of one worker.")
    task_time_limit_seconds: int = Field(default=3600, ge=1, description="A child is killed after this.")
    task_soft_time_limit_seconds: int = Field(default=3300, ge=1, description="A job is failed after this.")
    visibility_timeout_seconds: int = Field(
        default=7200, ge=1, description="Redis hands out an unacknowledged message again after this."
    )
    result_expires_seconds: int = Field(default=3600, ge=1, description="Redis keeps what a task returned so long.")
    worker_max_tasks_per_child: int = Field(default=50, ge=1, description="A child is replaced after so many jobs.")
    worker_max_memory_per_child_kib: int = Field(
        default=1024 * 1024, ge=65536, description="A child that holds more after a job is replaced."
    )
    worker_address_space_mib: int = Field(
        default=8192, ge=512, description="Memory that a child may map; a job that needs more fails."
    )
    worker_soft_shutdown_seconds: float = Field(
        default=20.0, ge=0, description="Running jobs may still end in this time after SIGTERM."
    )
    worker_heartbeat_file: Path | None = Field(
        default=None, description="Touched every second while the worker's main loop runs, for health checks."
    )
    scratch_dir: Path | None = Field(
        default=None, description="Folder for files of running jobs; the system's if unset."
    )
    max_decoded_samples: int = Field(
        default=2**32, ge=1, description="Seconds x sample rate x channels that one job may decode."
    )
    max_channels: int = Field(default=8, ge=1, le=64, description="Channels of an input.")
    max_sample_rate: int = Field(default=384_000, ge=8000, description="Hz of an input.")

    # Requests to others: URL inputs and webhooks.
    outbound_allowed_networks: str = Field(
        default="",
        description="Networks, addresses and host names, parted by commas, that may be reached though they are not on "
        "the internet, as `10.1.0.0/16,files.example`.",
    )
    outbound_max_redirects: int = Field(default=5, ge=0, le=20, description="How often a URL may lead to another.")
    outbound_connect_seconds: float = Field(default=10.0, gt=0, description="To find a server and to connect to it.")
    outbound_idle_seconds: float = Field(default=30.0, gt=0, description="For the next byte to come.")
    fetch_seconds: float = Field(default=3000.0, gt=0, description="For the whole of a URL input, in one attempt.")

    # Monitor.
    monitor_host: str = Field(default="127.0.0.1", description="Address that the monitor serves on.")
    monitor_port: int = Field(default=9108, ge=1, le=65535, description="Its port.")
    admin_key: SecretStr | None = Field(
        default=None,
        description="Key of the operations page, 16 characters or more; without one it only shows, and only locally.",
    )
    monitor_read_only: bool = Field(default=False, description="The operations page shows, and does nothing.")
    reconcile_interval_seconds: float = Field(default=2.0, gt=0, description="Pause between two repairs.")
    keep_inputs_days: float = Field(
        default=7.0, ge=0, description="Inputs are removed so long after their last job ended; 0 keeps them for ever."
    )
    keep_artifacts_days: float = Field(
        default=30.0, ge=0, description="Files that a job made are removed so long after its end; 0: never."
    )
    keep_jobs_days: float = Field(
        default=90.0, ge=0, description="Jobs are forgotten, with all they have, so long after their end; 0: never."
    )
    stray_grace_seconds: float = Field(
        default=86_400.0,
        ge=0,
        description="Files that no record names are left alone until they are so old; an upload of several requests "
        "must be whole in this time.",
    )
    sweep_interval_seconds: float = Field(
        default=3600.0, gt=0, description="Pause between two searches of the blob store for such files."
    )
    reconcile_batch: int = Field(default=500, ge=1, le=10_000, description="Rows that one repair touches at most.")
    undispatched_grace_seconds: float = Field(
        default=5.0, gt=0, description="A queued job that no message carries after this is published again."
    )
    leadership_seconds: float = Field(default=10.0, ge=1, description="Lease of the one active reconciler.")

    # Webhooks.
    webhook_timeout_seconds: float = Field(
        default=15.0, gt=0, le=60, description="For a receiver to take a message, and to answer."
    )
    webhook_retry_days: float = Field(
        default=3.0, gt=0, le=30, description="A message that is not taken is tried for so long, then given up."
    )
    webhook_backoff_base_seconds: float = Field(
        default=5.0, gt=0, description="Largest wait before the second attempt; it is four times as long each time."
    )
    webhook_backoff_max_seconds: float = Field(default=28_800.0, gt=0, description="No wait is longer.")
    keep_deliveries_days: float = Field(
        default=30.0, gt=0, description="What became of a message is known for so long after its end."
    )

    # Telemetry.
    metrics_host: str = Field(
        default="127.0.0.1", description="Address that the API and the worker serve their metrics on, for Prometheus."
    )
    api_metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the API's metrics, which clients are kept from; 0: none."
    )
    worker_metrics_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port of a worker's metrics; each worker of a host needs its own; 0: none.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error."
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="json (one object a line), or console for people."
    )
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias=_unprefixed("OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="OpenTelemetry collector (OTLP over HTTP); tracing is off when unset.",
    )

    @field_validator("database_url")
    @classmethod
    def _has_a_known_driver(cls, value: str) -> str:
        if not value:
            return value
        try:
            url = make_url(value)
        except ArgumentError:
            # The URL holds a password: it is not repeated here.
            raise ValueError("not a database URL; use postgresql://user:password@host/name or sqlite:///file") from None
        if url.drivername not in _DRIVERS:
            raise ValueError(f"no driver for {url.drivername!r}; use postgresql:// or sqlite:///")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        for origin in filter(None, map(str.strip, value.split(","))):
            # As browsers write it: one with a path or a slash at its end would never be met.
            if origin != "*" and not re.fullmatch(r"https?://[^/\s*]+", origin):
                raise ValueError("give origins like https://app.example.com, with commas between them, or *")
        return value

    @field_validator("frame_ancestors")
    @classmethod
    def _is_one_directive(cls, value: str) -> str:
        if not re.fullmatch(r"[!-+\--:<-~]+( [!-+\--:<-~]+)*", value):
            raise ValueError(
                "give what Content-Security-Policy's frame-ancestors takes, like 'self' or https://example.com"
            )
        return value

    @field_validator("admin_key")
    @classmethod
    def _is_hard_to_guess(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < _SHORTEST_KEY:
            raise ValueError(f"a key has {_SHORTEST_KEY} characters or more, as `openssl rand -hex 32` makes one")
        return value

    @field_validator("outbound_allowed_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        AddressRule.of(value)
        return value

    @field_validator("blob_url")
    @classmethod
    def _has_a_known_scheme(cls, value: str) -> str:
        if value and not value.startswith(("file://", "s3://")):
            raise ValueError("use file:///folder or s3://bucket/prefix")
        return value

    @model_validator(mode="after")
    def _limits_are_in_order(self) -> Self:
        if not self.task_soft_time_limit_seconds < self.task_time_limit_seconds < self.visibility_timeout_seconds:
            raise ValueError(
                f"{PREFIX}TASK_SOFT_TIME_LIMIT_SECONDS < {PREFIX}TASK_TIME_LIMIT_SECONDS < "
                f"{PREFIX}VISIBILITY_TIMEOUT_SECONDS must hold"
            )
        if self.heartbeat_seconds * 2 > self.lease_seconds:
            raise ValueError(f"{PREFIX}LEASE_SECONDS must be at least twice {PREFIX}HEARTBEAT_SECONDS")
        return self

    @property
    def sqlalchemy_url(self) -> URL:
        """The database's URL with the async driver in it."""
        if not self.database_url:
            return URL.create("sqlite+aiosqlite", database=str((self.data_dir / "wavemill.db").resolve()))
        url = make_url(self.database_url)
        return url.set(drivername=_DRIVERS[url.drivername])

    @property
    def cors_allowed_origins(self) -> tuple[str, ...]:
        """The origins of `cors_origins`, one by one."""
        return tuple(origin.strip() for origin in self.cors_origins.split(",") if origin.strip())

    @property
    def redis_url(self) -> str:
        """Redis's URL, with the password in it."""
        password = self.redis_password.get_secret_value() if self.redis_password else ""
        credentials = f":{quote(password, safe='')}@" if password else ""
        host = f"[{self.redis_host}]" if ":" in self.redis_host else self.redis_host
        return f"redis://{credentials}{host}:{self.redis_port}/{self.redis_db}"

    @property
    def blobs_url(self) -> str:
        """The blob store's URL."""
        return self.blob_url or (self.data_dir / "blobs").resolve().as_uri()


def variable_name(field: str) -> str:
    """The environment variable that sets a field."""
    alias = Settings.model_fields[field].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"{PREFIX}{field.upper()}"


@cache
def settings() -> Settings:
    """The settings of this process.

    Raises:
        SystemExit: a value is bad; the message names each one, in a sentence.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SystemExit("\n".join(_sentences(error))) from None


def _sentences(error: ValidationError) -> list[str]:
    sentences = []
    for problem in error.errors(include_url=False):
        message = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:
            sentences.append(f"The settings do not fit together: {message}.")
            continue
        location = str(problem["loc"][0])
        name = variable_name(location) if location in Settings.model_fields else location
        sentences.append(f"The setting {name} is not usable: {message}.")
    return sentences
