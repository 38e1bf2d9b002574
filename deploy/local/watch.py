"""The part of `make up-monitoring` that watches: Prometheus with the product's rules, and Alertmanager."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from deploy.local.errors import StackError
from deploy.local.monitoring_servers import AlertmanagerServer, PrometheusServer
from deploy.local.processes import LOCALHOST, port_is_free
from deploy.local.stack import Plan, ServiceLog
from shared.settings import Settings

# Where the images have them too; the monitor's own is between.
_API_METRICS_PORT = 9107
_WORKER_METRICS_PORT = 9109


class Watch:
    """Watches the stack of a plan; a context manager, entered when the stack runs."""

    def __init__(self, plan: Plan, configured: Settings, environment: Mapping[str, str], log: ServiceLog) -> None:
        """Nothing is started yet.

        Raises:
            StackError: a port is taken, or no number.
            ServerError: there is no Prometheus or no Alertmanager.
        """
        self.plan = replace(
            plan,
            api_metrics_port=plan.api_metrics_port or _API_METRICS_PORT,
            worker_metrics_port=plan.worker_metrics_port or _WORKER_METRICS_PORT,
        )
        """The plan with metrics of all services."""
        _check_free(self.plan.api_metrics_port, "WAVEMILL_API_METRICS_PORT")
        for port in self.plan.worker_metrics_ports:
            _check_free(port, "WAVEMILL_WORKER_METRICS_PORT")
        folder = configured.data_dir.resolve() / "monitoring"
        self._alertmanager = AlertmanagerServer(
            folder,
            port=_port(environment, "ALERTMANAGER_PORT", 9093),
            sink=lambda line: log("alertmanager", line),
        )
        self._prometheus = PrometheusServer(
            folder,
            port=_port(environment, "PROMETHEUS_PORT", 9090),
            targets={
                "api": [self.plan.api_metrics_port],
                "worker": self.plan.worker_metrics_ports,
                "monitor": [self.plan.monitor_port],
            },
            alertmanager=self._alertmanager,
            sink=lambda line: log("prometheus", line),
        )
        self._held = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            starting.enter_context(self._alertmanager)
            starting.enter_context(self._prometheus)
            self._held = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held.close()

    def say_where(self) -> None:
        """Print where they are."""
        print(
            f"  Prometheus    {self._prometheus.url}/alerts\n  Alertmanager  {self._alertmanager.url}/\n",
            flush=True,
        )


def _port(environment: Mapping[str, str], variable: str, default: int) -> int:
    written = environment.get(variable) or str(default)
    if not written.isdecimal() or not 1 <= int(written) <= 65535:
        raise StackError(f"{variable} is a port, 1 to 65535, not {written!r}.")
    _check_free(int(written), variable)
    return int(written)


def _check_free(port: int, variable: str) -> None:
    if not port_is_free(port, LOCALHOST):
        raise StackError(
            f"Port {port} is taken by another program; set {variable} to a free one, "
            f"as in `{variable}={port + 10} make up-monitoring`."
        )
