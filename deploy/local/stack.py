"""All of Wavemill on one machine: Redis, then the API, the workers and the monitor, as child processes."""

import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from deploy.local.errors import StackError
from deploy.local.processes import LOCALHOST, ChildProcess
from deploy.local.servers import RedisServer

CHECKOUT = Path(__file__).resolve().parents[2]
QUEUES = "high,default,low,io"
# A machine that does other work as well may take a minute to import the services.
START_SECONDS = 120.0
POLL_SECONDS = 0.05
ServiceLog = Callable[[str, str], None]


class StopRequested(Exception):
    """The stack was asked to stop while it started or ran."""


@dataclass(frozen=True)
class Plan:
    """What to start, and where."""

    environment: Mapping[str, str]
    """All of the services' environment, but for what a private Redis adds."""
    redis: RedisServer | None = None
    """A Redis of the stack's own; None where the environment names another."""
    api_host: str = LOCALHOST
    api_port: int = 8000
    monitor_host: str = LOCALHOST
    monitor_port: int = 9108
    workers: int = 1
    concurrency: int = 2
    worker_stop_seconds: float = 10.0
    api_metrics_port: int = 0
    """0: the API serves no metrics."""
    worker_metrics_port: int = 0
    """Port of the first worker's metrics, each further one has the next; 0: no worker serves any."""

    @property
    def worker_metrics_ports(self) -> list[int]:
        """Port of each worker's metrics; empty where they serve none."""
        first = self.worker_metrics_port
        return list(range(first, first + self.workers)) if first else []

    @property
    def api_url(self) -> str:
        """Where the API answers."""
        return f"http://{_reachable(self.api_host)}:{self.api_port}"

    @property
    def monitor_url(self) -> str:
        """Where the monitor answers."""
        return f"http://{_reachable(self.monitor_host)}:{self.monitor_port}"


class Stack:
    """Starts and ends the parts of a plan, in order; a context manager.

    `request_stop` may be called from a signal handler at any time: it only sets a flag, which every wait here
    looks at, and the second call kills what is left at once.
    """

    def __init__(self, plan: Plan, log: ServiceLog) -> None:
        """Nothing is started yet; `log` gets a service's name and a line of its log, from several threads."""
        self.plan = plan
        self._log = log
        self._services: list[ChildProcess] = []
        self._stop_requests = 0
        self._environment = dict(plan.environment)
        if plan.redis is not None:
            self._environment |= plan.redis.environment

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything, and wait until the API and the monitor answer.

        Raises:
            StackError: a part ended or did not answer in time.
            ServerError: Redis did not start.
            StopRequested: see `request_stop`.
        """
        if self.plan.redis is not None:
            self.plan.redis.start()
        self._migrate()
        metrics = {"WAVEMILL_API_METRICS_PORT": str(self.plan.api_metrics_port)}
        api = self._start("api", self._api_command(), stop_seconds=10, more=metrics)
        for number in range(self.plan.workers):
            self._start_worker(number)
        monitor = self._start("monitor", [sys.executable, "-m", "services.monitor"], stop_seconds=5)
        self._wait_for_answer(api, f"{self.plan.api_url}/readyz")
        self._wait_for_answer(monitor, f"{self.plan.monitor_url}/metrics")

    def check(self) -> None:
        """Look whether everything still runs.

        Raises:
            StackError: a part ended by itself.
            StopRequested: see `request_stop`.
        """
        if self._stop_requests:
            raise StopRequested
        redis = self.plan.redis.process if self.plan.redis else None
        for process in (redis, *self._services):
            if process is not None and not process.running:
                raise StackError(f"{process.name} ended by itself ({_ending(process)}).")

    def wait(self) -> None:
        """Wait until something ends by itself or a stop is requested; always raises, as `check` does."""
        while True:
            self.check()
            time.sleep(0.2)

    def request_stop(self) -> None:
        """Ask the stack to stop; asked again, kill what is left."""
        self._stop_requests += 1
        if self._stop_requests > 1:
            for service in self._services:
                service.signal_group(signal.SIGKILL)

    def stop(self) -> None:
        """End everything: first what takes in work, then what does it, then what both need."""
        api = [service for service in self._services if service.name == "api"]
        workers = [service for service in self._services if service.name.startswith("worker")]
        others = [service for service in self._services if service not in api + workers]
        for group in (api, workers, others):
            for service in group:
                service.ask_to_stop()
            for service in group:
                if not service.finish() and self._stop_requests < 2:
                    self._log(service.name, "did not end in time and was killed")
        self._services.clear()
        if self.plan.redis is not None:
            self.plan.redis.close()

    def _api_command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "uvicorn", "services.api.app:app"),
            *("--host", self.plan.api_host, "--port", str(self.plan.api_port)),
            # An open event stream would hold up the end for ever.
            *("--timeout-graceful-shutdown", "3"),
        ]

    def _worker_command(self, name: str) -> list[str]:
        return [
            # Quiet: no banner of a page. The log lines come all the same.
            *(sys.executable, "-m", "celery", "--quiet", "-A", "services.worker.app", "worker"),
            *("--loglevel=info", f"--concurrency={self.plan.concurrency}", "-Q", QUEUES, "-n", f"{name}@%h"),
        ]

    def _start_worker(self, number: int) -> None:
        name = f"worker{number + 1}"
        ports = self.plan.worker_metrics_ports
        metrics = {"WAVEMILL_WORKER_METRICS_PORT": str(ports[number] if ports else 0)}
        self._start(name, self._worker_command(name), stop_seconds=self.plan.worker_stop_seconds, more=metrics)

    def _start(
        self, name: str, command: list[str], *, stop_seconds: float, more: Mapping[str, str] | None = None
    ) -> ChildProcess:
        service = ChildProcess(
            name,
            command,
            environment={**self._environment, **(more or {})},
            folder=CHECKOUT,
            sink=lambda line: self._log(name, line),
            stop_seconds=stop_seconds,
        )
        service.start()
        self._services.append(service)
        return service

    def _migrate(self) -> None:
        migration = self._start("migrate", [sys.executable, "-m", "shared.store.migrate"], stop_seconds=5)
        self._services.remove(migration)
        try:
            while migration.running:
                self.check()
                time.sleep(POLL_SECONDS)
        finally:
            migration.stop()
        if migration.exit_code != 0:
            raise StackError("The database could not be brought up to date; the lines of `migrate` above say why.")

    def _wait_for_answer(self, service: ChildProcess, url: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.check()
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(url, timeout=5, trust_env=False).is_success:
                    return
            time.sleep(POLL_SECONDS)
        raise StackError(f"{service.name} did not get ready within {START_SECONDS:.0f} s ({url}).")


@contextlib.contextmanager
def folder_to_oneself(folder: Path) -> Iterator[None]:
    """Hold a data folder, so that no second Redis writes to the same log.

    Raises:
        StackError: another run holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                f"Another Wavemill uses the data folder {folder}; end it, or set WAVEMILL_DATA_DIR to another folder."
            ) from None
        yield
    finally:
        os.close(descriptor)


def _reachable(host: str) -> str:
    """The address to ask a server at that listens on `host`."""
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104 - compared, not listened on
        return LOCALHOST
    return f"[{host}]" if ":" in host else host


def _ending(process: ChildProcess) -> str:
    code = process.exit_code
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
