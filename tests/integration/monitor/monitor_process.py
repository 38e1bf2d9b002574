"""A monitor as operators run it, for the tests: a process, asked over HTTP."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from deploy.local.processes import LOCALHOST, ChildProcess, free_port
from deploy.local.servers import RedisServer
from tests.scrape import Samples, parsed

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 60.0


class MonitorProcess:
    """`python -m services.monitor`; a context manager."""

    def __init__(self, *, database_url: str, redis: RedisServer, folder: Path, **settings: object) -> None:
        self.port = free_port()
        self.process = ChildProcess(
            "monitor",
            [sys.executable, "-m", "services.monitor"],
            environment={
                **os.environ,
                **redis.environment,
                "DATABASE_URL": database_url,
                "WAVEMILL_DATA_DIR": str(folder),
                "WAVEMILL_MONITOR_PORT": str(self.port),
                **{f"WAVEMILL_{name.upper()}": str(value) for name, value in settings.items()},
            },
            folder=ROOT,
        )
        self._client = httpx.Client(base_url=f"http://{LOCALHOST}:{self.port}", timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        self.process.start()
        try:
            self.wait_until(self._answers, "an answer")
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()
        if self.process.running:
            self.process.stop()
        self.process.kill()

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self._client.get(path, headers=headers)

    def samples(self) -> Samples:
        """What a scrape gives, by Prometheus's own parser."""
        answer = self.get("/metrics")
        assert answer.status_code == 200
        return parsed(answer.text)

    def sample(self, name: str, **labels: str) -> float | None:
        """One value of a scrape; None where it is missing."""
        return self.samples().get((f"wavemill_{name}", frozenset(labels.items())))

    def wait_for(self, value: float | None, name: str, **labels: str) -> None:
        """Until a metric has the value."""
        self.wait_until(lambda: self.sample(name, **labels) == value, f"{name}{labels} = {value}")

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Until the condition holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline or not self.process.running:
                raise AssertionError(f"waited in vain for {what}:\n{self.process.last_lines()}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return self.get("/healthz").is_success
        except httpx.TransportError:
            return False


def labelled(samples: Samples, name: str, label: str) -> Mapping[str, float]:
    """The values of a metric by one of its labels."""
    return {dict(labels)[label]: value for (found, labels), value in samples.items() if found == f"wavemill_{name}"}
