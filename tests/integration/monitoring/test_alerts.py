"""Real faults, a real Prometheus and Alertmanager with the product's rules and routes: what is told, what is not.

One thing differs from the product: what `for:` says is divided by 15, so that the test waits seconds, not minutes.
Expressions, their windows, labels and routes are the product's own.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.local.monitoring_servers import RULES, AlertmanagerServer, PrometheusServer
from deploy.local.processes import ChildProcess, free_port
from deploy.local.servers import RedisServer
from tests.audio_files import noise
from tests.prometheus import firing, needs_prometheus, series, told, wait_until
from tests.system import System

_FASTER = 15
_SECONDS = {"m": 60, "h": 3600}
# Longer than the longest look at the stores and two evaluations: what was to come as well has come by then.
_SETTLED_SECONDS = 6.0
_LEASE_SECONDS = 6


def _sooner(found: re.Match[str]) -> str:
    return f"for: {int(found[1]) * _SECONDS[found[2]] // _FASTER}s"


def _rules_in_a_hurry(folder: Path) -> Path:
    folder.mkdir()
    for file in RULES.glob("*.yml"):
        text, count = re.subn(r"\bfor: (\d+)([mh])$", _sooner, file.read_text(), flags=re.MULTILINE)
        assert count == text.count("for: ")
        (folder / file.name).write_text(text)
    return folder


@dataclass
class Watched:
    """A Wavemill of two workers, and who watches it."""

    system: System
    redis: RedisServer
    prometheus: PrometheusServer
    alertmanager: AlertmanagerServer
    worker_ports: list[int]
    workers: list[ChildProcess] = field(default_factory=list)

    def start_workers(self) -> None:
        for number, port in enumerate(self.worker_ports):
            self.workers.append(self.system.start_worker(f"worker-{number}", concurrency=2, metrics_port=port))

    def wait_for_targets(self) -> None:
        wait_until(lambda: not series(self.prometheus, "up == 0"), lambda: str(series(self.prometheus, "up == 0")))

    def expect(self, *alerts: str) -> None:
        """Until exactly these fire and are told; and then they still are."""
        expected = set(alerts)
        wait_until(lambda: told(self.alertmanager) == expected, lambda: self._complaint(expected))
        time.sleep(_SETTLED_SECONDS)
        assert told(self.alertmanager) == firing(self.prometheus) == expected

    def _complaint(self, expected: set[str]) -> str:
        fires = firing(self.prometheus)
        return f"told {told(self.alertmanager)}, not {expected}; firing {fires}\n{self.system.log()[-3000:]}"


@pytest.fixture
def watched(postgres_url: str, tmp_path: Path) -> Iterator[Watched]:
    needs_prometheus()
    api_port, worker_ports = free_port(), [free_port(), free_port()]
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(append_only=True))
        system = stack.enter_context(
            System(
                tmp_path / "system",
                database_url=postgres_url,
                redis=redis,
                api_metrics_port=api_port,
                lease_seconds=_LEASE_SECONDS,
                redis_timeout_seconds=1,
                reconcile_interval_seconds=0.5,
            )
        )
        alertmanager = stack.enter_context(AlertmanagerServer())
        prometheus = stack.enter_context(
            PrometheusServer(
                targets={"api": [api_port], "worker": worker_ports, "monitor": [system.monitor_port]},
                rules=_rules_in_a_hurry(tmp_path / "rules"),
                alertmanager=alertmanager,
                interval_seconds=1,
            )
        )
        watched = Watched(system, redis, prometheus, alertmanager, worker_ports)
        watched.start_workers()
        system.start_api()
        system.start_monitor()
        watched.wait_for_targets()
        yield watched


def _submit(system: System, audio: Path, count: int) -> list[str]:
    operations = ({"op": "normalize", "format": "mp3"}, {"op": "transcode", "format": "opus"})
    return [system.submit(audio, *operations)["id"] for _ in range(count)]


def _running(system: System) -> int:
    return len(system.client.get("/api/jobs", params={"status": "running", "limit": 50}).json()["jobs"])


def _soon(condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, lambda: what)


@pytest.mark.timeout(280)
def test_faults_raise_the_alerts_that_they_should_and_no_others(watched: Watched, tmp_path: Path) -> None:
    system = watched.system
    audio = noise(tmp_path / "noise.wav", seconds=300, channels=2, rate=44100)

    for job_id in _submit(system, noise(tmp_path / "short.wav", seconds=2), 4):
        assert system.finished(job_id)["status"] == "succeeded"
    watched.expect()

    watched.redis.stop()
    accepted = _submit(system, audio, 1)
    watched.expect("RedisDown")
    watched.redis.start()
    watched.expect()
    assert system.finished(accepted[0])["status"] == "succeeded"

    waiting = _submit(system, audio, 12)
    _soon(lambda: _running(system) >= 4, "four jobs that run")
    for worker in watched.workers:
        system.kill(worker)
    watched.expect("AttemptsLost", "QueueWithoutWorkers", "TargetDown", "WorkerSilent")

    watched.start_workers()
    # They have the names of those that died, and so their places. That attempts were lost is told for 15 minutes.
    watched.expect("AttemptsLost")
    for job_id in waiting:
        system.client.post(f"/api/jobs/{job_id}/cancel")
