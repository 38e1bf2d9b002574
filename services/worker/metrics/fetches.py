"""What a child counts and measures of the inputs that it fetches."""

import time

from prometheus_client import CollectorRegistry, Counter, Histogram

from services.worker.metrics.attempts import Outcome
from shared.telemetry.metrics import LONG_SECONDS

_FETCHED = "fetched"


class FetchMeter:
    """What an attempt takes, from its start on."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.received_bytes = 0

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.perf_counter() - self._began


class FetchMetrics:
    """The metrics of one child. They hold counts alone, which can be added up over the children; no gauge."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._duration = Histogram(
            "wavemill_worker_fetch_duration_seconds",
            "Time that an attempt at fetching a job's inputs took, by how it ended.",
            ["outcome"],
            buckets=LONG_SECONDS,
            registry=registry,
        )
        self._received = Counter(
            "wavemill_worker_fetched_bytes", "Bytes that came from the URLs of inputs.", registry=registry
        )
        # Series that are there from the beginning: an increase from nothing to 1 is none to Prometheus.
        for outcome in (_FETCHED, *(outcome for outcome in Outcome if outcome is not Outcome.SUCCEEDED)):
            self._duration.labels(outcome)

    def ended(self, outcome: str, meter: FetchMeter) -> None:
        """An attempt ended."""
        self._duration.labels(outcome).observe(meter.seconds)
        self._received.inc(meter.received_bytes)
