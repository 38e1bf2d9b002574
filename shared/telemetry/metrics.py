"""Metrics: served to Prometheus on a port of their own, which is opened to nobody else."""

from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)

log = structlog.get_logger()

# A gauge beside each series that says when it began, which nobody asks for: as many series again.
disable_created_metrics()  # type: ignore[no-untyped-call]  # as there


def powers_of_two(smallest: int, largest: int) -> tuple[float, ...]:
    """Upper bounds of buckets: 2^smallest, and so on up to 2^largest.

    They are those of Prometheus's native histograms of schema 0, so that to go over to these changes no quantile.
    """
    return tuple(2.0**exponent for exponent in range(smallest, largest + 1))


# 8 ms to 68 minutes, for what may take as long as a job; 1 ms to 32 s, for what a client waits for.
LONG_SECONDS = powers_of_two(-7, 12)
SHORT_SECONDS = powers_of_two(-10, 5)


def process_registry() -> CollectorRegistry:
    """A registry that begins with what every process tells: its memory, processor time, files and garbage."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


class MetricsServer:
    """Answers scrapes in a thread: in Prometheus's text format, or in OpenMetrics."""

    def __init__(self, registry: CollectorRegistry, *, host: str, port: int) -> None:
        """Nothing is served yet, and nothing ever on port 0."""
        self._registry = registry
        self._host = host
        self._port = port
        self._server: WSGIServer | None = None

    def start(self) -> None:
        """Begin to answer."""
        if not self._port:
            return
        try:
            self._server, _ = start_http_server(self._port, self._host, self._registry)
        except OSError as error:
            # The work is worth more than its figures; Prometheus tells that it cannot reach them.
            log.error("metrics are not served", port=self._port, reason=error.strerror)  # noqa: TRY400 - no fault of ours

    def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
