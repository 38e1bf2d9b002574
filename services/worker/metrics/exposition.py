"""The parent's side: it adds up what the children have counted, looks at the children, and serves both."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from celery import bootsteps
from celery.worker import state
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from services.worker.metrics.sharing import WorkerFolder
from services.worker.metrics.slots import holders
from services.worker.silence import Silence
from shared.settings import settings
from shared.telemetry.metrics import MetricsServer, process_registry


class Children(Collector):
    """What the parent sees of its children at a scrape."""

    def __init__(self, worker: Any, folder: Path) -> None:
        self._worker = worker
        self._folder = folder

    def describe(self) -> Iterable[Metric]:
        """Nothing to check names against."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        busy = len(state.active_requests)
        yield GaugeMetricFamily(
            "wavemill_worker_slots", "Children that this worker keeps.", value=self._worker.pool.num_processes
        )
        yield GaugeMetricFamily("wavemill_worker_slots_busy", "Children that run a job.", value=busy)
        yield GaugeMetricFamily(
            "wavemill_worker_prefetched_messages",
            "Messages that this worker holds and has given to no child yet.",
            value=max(0, len(state.reserved_requests) - busy),
        )
        yield CounterMetricFamily(
            "wavemill_worker_consumer_restarts",
            "Times that the worker connected to Redis again because jobs waited and none came.",
            value=Silence.restarts,
        )
        memory = GaugeMetricFamily(
            "wavemill_worker_slot_memory_bytes", "Resident memory of the child in this slot.", labels=["slot"]
        )
        for slot, pid in holders(self._folder).items():
            with suppress(psutil.NoSuchProcess):
                memory.add_metric([str(slot)], psutil.Process(pid).memory_info().rss)
        yield memory


class MetricsStep(bootsteps.StartStopStep):
    """Serves the metrics of a worker while it runs, if there is a port for them."""

    requires = ("celery.worker.components:Pool",)
    conditional = True

    def __init__(self, worker: Any, **_: Any) -> None:
        # Of all steps the first part, before one of them makes a child.
        self.enabled = settings().worker_metrics_port != 0
        self._server: MetricsServer | None = None
        if self.enabled:
            self._folder = WorkerFolder(settings())

    def start(self, parent: Any) -> None:
        """Begin, once there are children."""
        registry = process_registry()
        MultiProcessCollector(registry, path=str(self._folder.path))  # type: ignore[no-untyped-call]  # as there
        registry.register(Children(parent, self._folder.path))
        self._server = MetricsServer(registry, host=settings().metrics_host, port=settings().worker_metrics_port)
        self._server.start()

    def stop(self, parent: Any) -> None:
        """End."""
        if self._server is not None:
            self._server.stop()

    def terminate(self, parent: Any) -> None:
        """End."""
        self.stop(parent)
