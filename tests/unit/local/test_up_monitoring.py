"""`make up-monitoring`: the stack, with a Prometheus that reaches all of it and an Alertmanager that it tells."""

import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.processes import free_port
from tests.prometheus import needs_prometheus
from tests.unit.local.test_run import Run, running


def _free_ports() -> dict[str, str]:
    variables = ("PROMETHEUS_PORT", "ALERTMANAGER_PORT", "WAVEMILL_API_METRICS_PORT", "WAVEMILL_WORKER_METRICS_PORT")
    return {variable: str(free_port()) for variable in variables}


def _asked(run: Run, what: str) -> Any:
    url = f"http://127.0.0.1:{run.environment['PROMETHEUS_PORT']}/api/v1/{what}"
    return httpx.get(url, timeout=30, trust_env=False).raise_for_status().json()["data"]


def _health(run: Run) -> dict[str, str]:
    return {one["labels"]["job"]: one["health"] for one in _asked(run, "targets?state=active")["activeTargets"]}


def test_everything_is_watched_and_ends_with_it(tmp_path: Path) -> None:
    needs_prometheus()
    jobs = ("alertmanager", "api", "monitor", "prometheus", "worker")
    with running(tmp_path, "--monitoring", **_free_ports()) as run:
        run.wait_until_ready()
        run.until(lambda: _health(run) == dict.fromkeys(jobs, "up"))
        groups = {group["name"] for group in _asked(run, "rules")["groups"]}
        assert {"wavemill-api", "wavemill-jobs", "wavemill-workers", "wavemill-redis"} <= groups
        (alertmanager,) = _asked(run, "alertmanagers")["activeAlertmanagers"]
        assert f":{run.environment['ALERTMANAGER_PORT']}/" in alertmanager["url"]
        assert f"http://127.0.0.1:{run.environment['PROMETHEUS_PORT']}/alerts" in run.output
        run.process.send_signal(signal.SIGINT)
        assert run.exit_code() == 0
        assert run.processes() == []


@pytest.mark.parametrize("program", ["prometheus", "alertmanager"])
def test_a_missing_program_is_said_before_anything_starts(program: str, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    present = {"prometheus": "alertmanager", "alertmanager": "prometheus"}[program]
    (programs / present).symlink_to("/bin/true")
    with running(tmp_path, "--monitoring", **_free_ports(), PATH=str(programs)) as run:
        assert run.exit_code() == 1
        assert "apt-get install prometheus prometheus-alertmanager" in run.output
        assert program in run.output
