"""The servers that Wavemill and its peers share, and the processes that a round starts."""

import asyncio
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import psutil
from redis import Redis

from deploy.local.processes import LOCALHOST, ChildProcess, free_port
from deploy.local.servers import PostgresServer, RedisServer
from shared.settings import Settings
from tests.conftest import ROOT, make_settings, migrate

WAIT_SECONDS = 300.0
API = "services.api.app:app"


@dataclass(frozen=True)
class Served:
    """A web application in one process, with a database and a folder of its own."""

    port: int
    process: ChildProcess
    settings: Settings

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{LOCALHOST}:{self.port}"


@dataclass(frozen=True)
class Servers:
    """One PostgreSQL, which syncs to disk as it does by default, and one Redis, for all peers alike."""

    postgres: PostgresServer
    redis: RedisServer

    @contextmanager
    def database(self, *, migrated: bool) -> Iterator[str]:
        """URL of a database of its own; dropped afterwards."""
        name = f"bench_{secrets.token_hex(4)}"
        asyncio.run(execute(self.postgres.url, f'CREATE DATABASE "{name}"'))
        url = self.postgres.url_of(name)
        if migrated:
            migrate(url)
        try:
            yield url
        finally:
            asyncio.run(execute(self.postgres.url, f'DROP DATABASE "{name}" WITH (FORCE)'))

    def settings(self, database_url: str, folder: Path, **more: object) -> Settings:
        """Settings of a Wavemill over these servers."""
        return make_settings(database_url, self.redis, folder, **more)

    def environment(self, database_url: str, folder: Path, **more: object) -> Mapping[str, str]:
        """The same for a process."""
        return {
            **os.environ,
            **self.redis.environment,
            "DATABASE_URL": database_url,
            "WAVEMILL_DATA_DIR": str(folder),
            "REDIS_URL": self.redis.url,
            **{f"WAVEMILL_{name.upper()}": str(value) for name, value in more.items()},
        }

    @contextmanager
    def serving(self, app: str, *, migrated: bool, **more: object) -> Iterator[Served]:
        """An application that answers, without limits on what may wait; all that it has is removed afterwards."""
        port = free_port()
        arguments = ("-m", "uvicorn", app, "--host", LOCALHOST, "--port", str(port), "--no-access-log")
        unlimited = {"max_queued_jobs": 0, "max_queued_bytes": 0, **more}
        with tempfile.TemporaryDirectory() as name, self.database(migrated=migrated) as url:
            folder = Path(name)
            environment = self.environment(url, folder, **unlimited)
            with running("api", *arguments, environment=environment) as process:
                served = Served(port, process, self.settings(url, folder, **unlimited))

                def answers() -> bool:
                    try:
                        return httpx.get(f"{served.url}/docs", trust_env=False).is_success
                    except httpx.TransportError:
                        return False

                wait_until(answers, process, pause_seconds=0.1)
                yield served

    def empty_redis(self) -> None:
        """As at its start."""
        with Redis.from_url(self.redis.url) as client:
            client.flushall()


@contextmanager
def running(name: str, *arguments: str, environment: Mapping[str, str]) -> Iterator[ChildProcess]:
    """A Python process, ended afterwards."""
    process = ChildProcess(name, [sys.executable, *arguments], environment=environment, folder=ROOT, stop_seconds=30)
    process.start()
    try:
        yield process
    finally:
        process.stop()


def wait_until(condition: Callable[[], bool], *processes: ChildProcess, pause_seconds: float = 0.01) -> None:
    """Wait for something that the processes bring about.

    Raises:
        RuntimeError: one of them ended, or it took too long.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        for process in processes:
            if not process.running:
                raise RuntimeError(f"{process.name} ended by itself:\n{process.last_lines()}")
        if time.monotonic() > deadline:
            said = "\n".join(process.last_lines() for process in processes)
            raise RuntimeError(f"it took more than {WAIT_SECONDS:.0f} s:\n{said}")
        time.sleep(pause_seconds)


async def execute(url: str, statement: str) -> None:
    """Run a statement over a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and of the children that it has now."""
    total = 0.0
    for process in (parent := psutil.Process(pid), *parent.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total
