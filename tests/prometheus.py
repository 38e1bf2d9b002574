"""Questions to a real Prometheus and a real Alertmanager, over HTTP."""

import time
from collections.abc import Callable
from typing import Any

import httpx

from deploy.local.monitoring_servers import AlertmanagerServer, PrometheusServer
from tests.programs import program

Series = list[dict[str, Any]]


def needs_prometheus() -> None:
    """Leave the test out where Debian's two packages are missing; CI fails instead."""
    program("prometheus")
    program("prometheus-alertmanager")


def series(server: PrometheusServer, expression: str) -> Series:
    """What an expression gives now; it is one that Prometheus takes."""
    answer = httpx.post(f"{server.url}/api/v1/query", data={"query": expression}, timeout=30, trust_env=False)
    assert answer.is_success, f"{expression}: {answer.text}"
    found: Series = answer.json()["data"]["result"]
    return found


def firing(server: PrometheusServer) -> set[str]:
    """The alerts that fire."""
    return {one["metric"]["alertname"] for one in series(server, 'ALERTS{alertstate="firing"}')}


def told(server: AlertmanagerServer) -> set[str]:
    """The alerts that somebody is told of: those that Alertmanager has and does not inhibit."""
    answer = httpx.get(
        f"{server.url}/api/v2/alerts",
        params={"active": "true", "inhibited": "false", "silenced": "false"},
        timeout=30,
        trust_env=False,
    )
    answer.raise_for_status()
    return {alert["labels"]["alertname"] for alert in answer.json()}


def wait_until(condition: Callable[[], bool], what: Callable[[], str], *, seconds: float = 90.0) -> None:
    """Until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what()}"
        time.sleep(0.3)
