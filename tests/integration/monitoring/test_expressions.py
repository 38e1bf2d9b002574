"""Every expression of the rules and of the dashboards, asked of a real Prometheus that watches real services."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from redis import Redis

from deploy.local.monitoring_servers import RULES, PrometheusServer
from deploy.local.processes import free_port
from deploy.local.servers import RedisServer
from tests.audio_files import noise
from tests.prometheus import needs_prometheus, series, wait_until
from tests.system import ROOT, System

# What Grafana puts in: a choice of all, and an interval of several scrapes.
_VARIABLES = {"$queue": ".*", "$operation": ".*", "$worker": ".*", "$monitor": ".*", "$__rate_interval": "1m"}
_DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))


def _panels() -> Iterator[tuple[str, str]]:
    """Expressions with the panel that each is of."""
    for file in _DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", []):
                expression = target["expr"]
                for name, value in _VARIABLES.items():
                    expression = expression.replace(name, value)
                yield f"{file.stem}: {panel['title']} ({target['legendFormat']})", expression


def _rules() -> Iterator[dict[str, Any]]:
    for file in sorted(RULES.glob("*.yml")):
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from group["rules"]


@dataclass(frozen=True)
class Watched:
    """A Wavemill, and the Prometheus that watches it."""

    system: System
    prometheus: PrometheusServer


@pytest.fixture
def watched(postgres_url: str, redis_server: RedisServer, redis: Redis, tmp_path: Path) -> Iterator[Watched]:
    needs_prometheus()
    api_port, worker_port = free_port(), free_port()
    with System(
        tmp_path / "system",
        database_url=postgres_url,
        redis=redis_server,
        api_metrics_port=api_port,
        worker_metrics_port=worker_port,
        reconcile_interval_seconds=0.5,
    ) as system:
        targets = {"api": [api_port], "worker": [worker_port], "monitor": [system.monitor_port]}
        with PrometheusServer(targets=targets, interval_seconds=1) as prometheus:
            system.start(concurrency=2)
            # Counters are to be seen before they count: an increase from nothing to 1 is none to Prometheus.
            wait_until(lambda: len(series(prometheus, "up == 1")) == 4, lambda: str(series(prometheus, "up")))
            yield Watched(system, prometheus)


class _Load:
    """Jobs that succeed and jobs that fail, one of each a turn."""

    def __init__(self, system: System, folder: Path) -> None:
        self._system = system
        self._good = noise(folder / "noise.wav", seconds=2, channels=1, rate=8000)
        self._bad = b"this is no audio at all" * 40

    def turn(self) -> None:
        good = self._system.submit(self._good, {"op": "loudness"}, {"op": "transcode", "format": "flac"})
        bad = self._system.submit(self._bad, {"op": "loudness"})
        assert self._system.client.get("/api/jobs/nonsense").is_client_error
        ended = [self._system.finished(job["id"]) for job in (good, bad)]
        assert [job["status"] for job in ended] == ["succeeded", "failed"]
        self._system.artifact(ended[0], "transcode.flac")


@pytest.mark.timeout(180)
def test_every_expression_parses_and_every_panel_returns_series(watched: Watched, tmp_path: Path) -> None:
    prometheus, load = watched.prometheus, _Load(watched.system, tmp_path)
    unanswered = dict(_panels())
    assert len(unanswered) >= 50

    def all_answered() -> bool:
        nonlocal unanswered
        # Again and again: a rate is seen where a figure grows from one scrape to the next.
        load.turn()
        unanswered = {
            panel: expression for panel, expression in unanswered.items() if not _has_values(prometheus, expression)
        }
        return not unanswered

    wait_until(all_answered, lambda: "\n".join(f"{panel}: {expression}" for panel, expression in unanswered.items()))
    for rule in _rules():
        series(prometheus, rule["expr"])
    for rule in _rules():
        # An alert returns nothing while all is well; what it looks at has to be there.
        if "record" in rule:
            assert series(prometheus, rule["record"]), rule["record"]
    assert _missing(prometheus) == set()
    health = httpx.get(f"{prometheus.url}/api/v1/rules", trust_env=False).json()["data"]["groups"]
    assert {rule["health"] for group in health for rule in group["rules"]} == {"ok"}


def _has_values(prometheus: PrometheusServer, expression: str) -> bool:
    return any(found["value"][1] != "NaN" for found in series(prometheus, expression))


def _missing(prometheus: PrometheusServer) -> set[str]:
    """Selectors of the alerts, without the values that come with trouble, that select nothing."""
    named = {
        name for rule in _rules() for name in re.findall(r"\b(?:wavemill_\w+|\w+:wavemill_\w+:\w+)\b", rule["expr"])
    }
    return {name for name in named if not series(prometheus, name)}
