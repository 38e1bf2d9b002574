"""Prometheus and Alertmanager as child processes, for `make up-monitoring` and for the tests.

Each listens on a port of 127.0.0.1 only, and uses the product's own rules and routes.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from deploy.local.processes import LOCALHOST, ChildProcess, LineSink
from deploy.local.programs import find_alertmanager, find_prometheus
from deploy.local.servers import Server

_DEPLOY = Path(__file__).resolve().parents[1]
RULES = _DEPLOY / "prometheus" / "rules"
ROUTES = _DEPLOY / "alertmanager" / "alertmanager.yml"


class _WebServer(Server):
    """One that says over HTTP that it is ready."""

    @property
    def url(self) -> str:
        """Its page, and the root of its HTTP API."""
        return f"http://{LOCALHOST}:{self.port}"

    def _is_ready(self, process: ChildProcess) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/-/ready", timeout=5, trust_env=False).is_success
        return False


class AlertmanagerServer(_WebServer):
    """An Alertmanager, alone."""

    title = "Alertmanager"

    def __init__(
        self,
        folder: Path | None = None,
        *,
        port: int | None = None,
        routes: Path = ROUTES,
        sink: LineSink | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            folder: for its data; a temporary one, removed by `close`, when None.
            port: a free one when None.
            routes: its configuration.
            sink: gets each line of its log.

        Raises:
            ServerError: there is no Alertmanager.
        """
        self._program = find_alertmanager()
        super().__init__(folder, port)
        self._routes = routes
        self._sink = sink

    def _new_process(self) -> ChildProcess:
        command: list[str | Path] = [
            self._program,
            f"--config.file={self._routes}",
            f"--storage.path={self.folder / 'alertmanager'}",
            f"--web.listen-address={LOCALHOST}:{self.port}",
            # One alone: no gossip.
            "--cluster.listen-address=",
        ]
        return ChildProcess("alertmanager", command, sink=self._sink)


class PrometheusServer(_WebServer):
    """A Prometheus that scrapes services of this machine."""

    title = "Prometheus"

    def __init__(
        self,
        folder: Path | None = None,
        *,
        targets: Mapping[str, Sequence[int]],
        port: int | None = None,
        rules: Path | None = RULES,
        alertmanager: AlertmanagerServer | None = None,
        interval_seconds: int = 5,
        sink: LineSink | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            folder: for its data; a temporary one, removed by `close`, when None.
            targets: ports of 127.0.0.1 by job, as the rules know them: api, worker, worker-io, monitor.
            port: a free one when None.
            rules: folder of its rules; None for no rules.
            alertmanager: who is told of alerts.
            interval_seconds: pause between two scrapes, and between two evaluations of the rules.
            sink: gets each line of its log.

        Raises:
            ServerError: there is no Prometheus.
        """
        self._program = find_prometheus()
        super().__init__(folder, port)
        self._targets = targets
        self._rules = rules
        self._alertmanager = alertmanager
        self._interval_seconds = interval_seconds
        self._sink = sink

    def _new_process(self) -> ChildProcess:
        configuration = self.folder / "prometheus.yml"
        # JSON is YAML too.
        configuration.write_text(json.dumps(self._configuration(), indent=2))
        command: list[str | Path] = [
            self._program,
            f"--config.file={configuration}",
            f"--storage.tsdb.path={self.folder / 'prometheus'}",
            f"--web.listen-address={LOCALHOST}:{self.port}",
            "--log.level=warn",
        ]
        return ChildProcess("prometheus", command, sink=self._sink)

    def _configuration(self) -> dict[str, Any]:
        interval = f"{self._interval_seconds}s"
        jobs = {**self._targets, "prometheus": [self.port]}
        if self._alertmanager is not None:
            jobs["alertmanager"] = [self._alertmanager.port]
        told = [] if self._alertmanager is None else [{"static_configs": [_at([self._alertmanager.port])]}]
        return {
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "rule_files": [] if self._rules is None else [str(self._rules / "*.yml")],
            "alerting": {"alertmanagers": told},
            "scrape_configs": [{"job_name": job, "static_configs": [_at(ports)]} for job, ports in jobs.items()],
        }


def _at(ports: Sequence[int]) -> dict[str, list[str]]:
    return {"targets": [f"{LOCALHOST}:{port}" for port in ports]}
