"""A whole Wavemill of its own for one test: real processes, started and ended one by one, or killed."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil

from deploy.local.processes import LOCALHOST, ChildProcess, free_port
from deploy.local.servers import RedisServer

ROOT = Path(__file__).resolve().parent.parent
TERMINAL = frozenset({"succeeded", "failed", "canceled"})
Job = dict[str, Any]


class System(AbstractContextManager["System"]):
    """The services over one database, one Redis and one folder. Everything ends with the context."""

    def __init__(
        self, folder: Path, *, database_url: str, redis: RedisServer, checkout: Path = ROOT, **settings: object
    ) -> None:
        """Nothing is started yet; the services' code is the checkout's."""
        self.folder = folder
        self._checkout = checkout
        self.api_port = free_port()
        self.monitor_port = free_port()
        self.client = httpx.Client(base_url=f"http://{LOCALHOST}:{self.api_port}", timeout=60, trust_env=False)
        self.environment: Mapping[str, str] = {
            **os.environ,
            **redis.environment,
            "DATABASE_URL": database_url,
            "WAVEMILL_DATA_DIR": str(folder / "data"),
            "WAVEMILL_SCRATCH_DIR": str(folder / "scratch"),
            "WAVEMILL_MONITOR_PORT": str(self.monitor_port),
            **{f"WAVEMILL_{name.upper()}": str(value) for name, value in settings.items()},
        }
        (folder / "scratch").mkdir(parents=True)
        self._log = (folder / "services.log").open("a", buffering=1)
        self._processes: list[ChildProcess] = []

    def start_api(self) -> ChildProcess:
        """Start the API, and wait until it answers."""
        api = self._start(
            "api", "-m", "uvicorn", "services.api.app:app", "--host", LOCALHOST, "--port", str(self.api_port)
        )
        self._wait_for_answer(api, f"http://{LOCALHOST}:{self.api_port}/healthz")
        return api

    def start_monitor(self, port: int | None = None) -> ChildProcess:
        """Start a monitor, on `monitor_port` if nothing else is said, and wait until it answers."""
        port = port or self.monitor_port
        monitor = self._start("monitor", "-m", "services.monitor", WAVEMILL_MONITOR_PORT=str(port))
        self._wait_for_answer(monitor, f"http://{LOCALHOST}:{port}/healthz")
        return monitor

    def start_worker(
        self,
        name: str = "worker",
        *,
        concurrency: int = 2,
        heartbeat_file: Path | None = None,
        redis_port: int | None = None,
        app: str = "services.worker.app",
        metrics_port: int | None = None,
    ) -> ChildProcess:
        """Start a worker; it is ready a little later, and messages wait for it."""
        arguments = ("--loglevel=info", f"--concurrency={concurrency}", "-n", f"{name}@%h", "-Q", "high,default,low,io")
        more = {} if heartbeat_file is None else {"WAVEMILL_WORKER_HEARTBEAT_FILE": str(heartbeat_file)}
        if redis_port is not None:
            more["REDIS_PORT"] = str(redis_port)
        if metrics_port is not None:
            more["WAVEMILL_WORKER_METRICS_PORT"] = str(metrics_port)
        return self._start(name, "-m", "celery", "-A", app, "worker", *arguments, **more)

    def start(self, *, concurrency: int = 2) -> None:
        """Start one of each."""
        self.start_worker(concurrency=concurrency)
        self.start_api()
        self.start_monitor()

    def submit(self, audio: Path | bytes, *operations: Mapping[str, object], filename: str | None = None) -> Job:
        """Submit a job over HTTP; it is accepted."""
        data = audio.read_bytes() if isinstance(audio, Path) else audio
        name = filename or (audio.name if isinstance(audio, Path) else "input.bin")
        answer = self.client.post(
            "/api/jobs",
            data={"spec": json.dumps({"operations": operations})},
            files={"file": (name, data)},
        )
        assert answer.status_code == 202, answer.text
        job: Job = answer.json()
        return job

    def job(self, job_id: str) -> Job:
        """The job as it is now."""
        answer = self.client.get(f"/api/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        job: Job = answer.json()
        return job

    def wait_until(self, job_id: str, condition: Callable[[Job], bool], *, seconds: float = 120.0) -> Job:
        """The job, once the condition holds."""
        deadline = time.monotonic() + seconds
        while not condition(job := self.job(job_id)):
            if time.monotonic() > deadline:
                raise AssertionError(f"after {seconds} s the job is still {job}\n{self.log()[-8000:]}")
            time.sleep(0.05)
        return job

    def finished(self, job_id: str, *, seconds: float = 120.0) -> Job:
        """The job, once it has ended."""
        return self.wait_until(job_id, lambda job: job["status"] in TERMINAL, seconds=seconds)

    def artifact(self, job: Job, name: str) -> bytes:
        """The bytes of an artifact."""
        url = next(artifact["url"] for artifact in job["artifacts"] if artifact["name"] == name)
        answer = self.client.get(url)
        assert answer.status_code == 200, answer.text
        return answer.content

    def scratch_files(self) -> list[Path]:
        """What jobs have in the scratch folder now."""
        return [path for path in (self.folder / "scratch").rglob("*") if path.is_file()]

    def log(self) -> str:
        """What the services have said."""
        return (self.folder / "services.log").read_text()

    def log_lines(self) -> Iterator[dict[str, Any]]:
        """The JSON lines of the log."""
        for line in self.log().splitlines():
            if line.startswith("{"):
                yield json.loads(line)

    def logged(self, **fields: object) -> list[dict[str, Any]]:
        """The lines that have these fields, once there is one: a line comes a moment after what it tells of."""
        deadline = time.monotonic() + 10
        while True:
            lines = [line for line in self.log_lines() if fields.items() <= line.items()]
            if lines:
                return lines
            assert time.monotonic() < deadline, f"no line of the log has {fields}:\n{self.log()[-4000:]}"
            time.sleep(0.05)

    def wait_until_alive(self, worker: ChildProcess, heartbeat_file: Path) -> None:
        """Wait until a worker has touched its heartbeat file: its code is loaded, and its main loop turns."""
        deadline = time.monotonic() + 120
        while not heartbeat_file.exists():
            if not worker.running or time.monotonic() > deadline:
                raise AssertionError(f"{worker.name} did not start:\n{worker.last_lines()}")
            time.sleep(0.1)

    def children(self, worker: ChildProcess) -> list[int]:
        """Process ids of a worker's children."""
        return [child.pid for child in psutil.Process(worker.pid).children()]

    def process(self, name: str) -> ChildProcess:
        """The process of a name."""
        return next(process for process in self._processes if process.name == name)

    def kill(self, process: ChildProcess) -> None:
        """SIGKILL to a process and all of its group; its id may be another's afterwards, and is not used again."""
        process.kill()
        self._processes.remove(process)

    def stop(self) -> None:
        """End every process, also what one that ended by itself has left behind."""
        for process in self._processes:
            if process.running:
                process.ask_to_stop()
        for process in self._processes:
            process.stop()
        self._processes.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        self.client.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def _start(self, name: str, *arguments: str, **more: str) -> ChildProcess:
        process = ChildProcess(
            name,
            [sys.executable, *arguments],
            environment={**self.environment, **more},
            folder=self._checkout,
            sink=lambda line: print(line, file=self._log),
        )
        process.start()
        self._processes.append(process)
        return process

    def _wait_for_answer(self, process: ChildProcess, url: str) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if not process.running:
                break
            try:
                if httpx.get(url, trust_env=False).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(f"{process.name} did not start:\n{process.last_lines()}")
