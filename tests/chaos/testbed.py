"""What the chaos happens to: servers, the network before them, and the services, each of which can be hit by itself."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from deploy.local.processes import LOCALHOST, ChildProcess, free_port
from deploy.local.servers import PostgresServer, RedisServer
from tests.chaos import audit
from tests.chaos.proxy import Proxy
from tests.system import ROOT, System

LEASE_SECONDS = 6.0
RECONCILE_SECONDS = 1.0
CHILDREN = 2
# The defaults' proportions, at a fifth of their length: what happens in minutes of a day happens in a short run.
SETTINGS: Mapping[str, object] = {
    "lease_seconds": LEASE_SECONDS,
    "redis_timeout_seconds": 1,
    "database_connect_timeout_seconds": 2,
    "database_statement_timeout_seconds": 3,
    "reconcile_interval_seconds": RECONCILE_SECONDS,
    "leadership_seconds": 4,
    "undispatched_grace_seconds": 3,
    "worker_soft_shutdown_seconds": 2,
    "retry_backoff_base_seconds": 1,
    # Each new child is a fork of the same parent: some come by themselves too.
    "worker_max_tasks_per_child": 20,
}
_STOP_SECONDS = 30.0


class Service:
    """A service that is kept running; the lock is held by whoever stops and starts it."""

    def __init__(self, name: str, system: System, start: Callable[[], ChildProcess]) -> None:
        self.name = name
        self.lock = asyncio.Lock()
        self._system = system
        self._start = start
        self._process: ChildProcess | None = None
        self.deaths: list[str] = []

    @property
    def process(self) -> ChildProcess:
        """The process that runs now."""
        assert self._process is not None
        return self._process

    async def start(self) -> None:
        """Start it, and wait until it lives: on a slow machine it would be hit again before it had begun."""
        self._process = await asyncio.to_thread(self._start)

    def note_death(self) -> None:
        """Write down if it has ended by itself."""
        if not self.process.running:
            last = self.process.last_lines()[-500:]
            self.deaths.append(f"{self.name} ended by itself with {self.process.exit_code}: {last}")

    async def replace_killed(self) -> None:
        """SIGKILL to the whole process group, and a new one."""
        self.note_death()
        await asyncio.to_thread(self._system.kill, self.process)
        await self.start()

    async def replace_orphaning(self) -> ChildProcess:
        """SIGKILL to the leader alone, and a new one. Gives the one whose children are left, for `bury`."""
        self.note_death()
        left = self.process
        if left.running:
            os.kill(left.pid, signal.SIGKILL)
        await asyncio.to_thread(left.wait, _STOP_SECONDS)
        await self.start()
        return left

    async def bury(self, left: ChildProcess) -> bool:
        """Wait for the children that a killed leader left behind. False where they had to be forced."""
        deadline = time.monotonic() + _STOP_SECONDS
        # A process that is nobody's child here cannot be waited for; it can be asked after.
        while (alive := _group_lives(left.pid)) and time.monotonic() < deadline:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.2)
        await asyncio.to_thread(self._system.kill, left)
        return not alive

    async def replace_ended(self) -> bool:
        """SIGTERM to the leader, and a new one once it has ended. False where it had to be forced."""
        self.note_death()
        self.process.ask_to_stop()
        in_time = await asyncio.to_thread(self.process.wait, _STOP_SECONDS)
        await asyncio.to_thread(self._system.kill, self.process)
        await self.start()
        return in_time


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Testbed:
    """Everything that runs."""

    system: System
    redis: RedisServer
    postgres: PostgresServer
    redis_network: Proxy
    postgres_network: Proxy
    api: Service
    workers: tuple[Service, ...]
    monitors: tuple[Service, ...]
    scraped: Mapping[str, Sequence[int]]
    """Ports of the services' metrics, by the jobs of Prometheus."""

    @property
    def database_url(self) -> str:
        """The database, past the proxy: for those who look on."""
        return self.postgres.url

    @property
    def blobs(self) -> Path:
        """Folder of the blob store."""
        return self.system.folder / "data" / "blobs"

    @property
    def services(self) -> tuple[Service, ...]:
        """All of them."""
        return (self.api, *self.workers, *self.monitors)


@asynccontextmanager
async def opened(folder: Path, *, checkout: Path = ROOT, workers: int = 2, monitors: int = 2) -> AsyncIterator[Testbed]:
    """A running testbed. Everything ends with the context, whatever happened in it; the servers' data goes with it.

    The services run a copy of the checkout's code: it may be worked on while they are killed and started again.
    """
    code = await asyncio.to_thread(_copied, checkout, folder / "code")
    async with AsyncExitStack() as stack:
        postgres = await asyncio.to_thread(stack.enter_context, PostgresServer())
        redis = await asyncio.to_thread(stack.enter_context, RedisServer(append_only=True))
        await asyncio.to_thread(_migrate, postgres.url, code)
        await audit.install(postgres.url)
        redis_network = await stack.enter_async_context(Proxy(redis.port))
        postgres_network = await stack.enter_async_context(Proxy(postgres.port))
        system = System(
            folder,
            database_url=_through(postgres_network, postgres.url),
            redis=redis,
            checkout=code,
            api_metrics_port=(api_port := free_port()),
            **SETTINGS,
        )
        system.environment = {**system.environment, "REDIS_PORT": str(redis_network.port)}
        # In a thread: the services that end still need the proxies, which this loop serves.
        stack.push_async_callback(asyncio.to_thread, system.__exit__, None, None, None)
        worker_ports = [free_port() for _ in range(workers)]
        monitor_ports = [free_port() for _ in range(monitors)]
        testbed = Testbed(
            system=system,
            redis=redis,
            postgres=postgres,
            redis_network=redis_network,
            postgres_network=postgres_network,
            api=Service("API", system, system.start_api),
            workers=tuple(_worker(system, f"worker-{number + 1}", port) for number, port in enumerate(worker_ports)),
            monitors=tuple(_monitor(system, number + 1, port) for number, port in enumerate(monitor_ports)),
            scraped={"api": [api_port], "worker": worker_ports, "monitor": monitor_ports},
        )
        # So that there is something to take away from the first moment on.
        (testbed.blobs / "artifacts").mkdir(parents=True)
        for service in testbed.services:
            await service.start()
        yield testbed


def _copied(checkout: Path, folder: Path) -> Path:
    for package in ("services", "shared"):
        shutil.copytree(checkout / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def _migrate(url: str, code: Path) -> None:
    environment = {**os.environ, "DATABASE_URL": url}
    subprocess.run([sys.executable, "-m", "shared.store.migrate"], cwd=code, env=environment, check=True)


def _worker(system: System, name: str, metrics_port: int) -> Service:
    heartbeat_file = system.folder / f"{name}.alive"

    def start() -> ChildProcess:
        heartbeat_file.unlink(missing_ok=True)
        worker = system.start_worker(
            name, concurrency=CHILDREN, heartbeat_file=heartbeat_file, metrics_port=metrics_port
        )
        system.wait_until_alive(worker, heartbeat_file)
        return worker

    return Service(name, system, start)


def _monitor(system: System, number: int, port: int) -> Service:
    return Service(f"monitor-{number}", system, lambda: system.start_monitor(port))


def _through(network: Proxy, url: str) -> str:
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{credentials}@{LOCALHOST}:{network.port}"))


@asynccontextmanager
async def looking(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection for one look at the database."""
    connection = await asyncpg.connect(database_url, timeout=5, command_timeout=30)
    try:
        yield connection
    finally:
        connection.terminate()
