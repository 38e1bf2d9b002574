"""What the API counts and measures of its requests, in a middleware around all of them."""

import time

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.telemetry.metrics import SHORT_SECONDS, process_registry

# Labels have few, known values: what clients make up is put together.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER_METHOD = "other"
_UNMATCHED = "unmatched"
# As nginx has it: the client left before there was an answer.
_CLIENT_LEFT = 499
# The refusals for the system's sake, and those of callers; others have a series once they have happened.
_LIMITS = (
    "disk-full",
    "key-queue-full",
    "key-storage-full",
    "not-ready",
    "only-local",
    "scope-missing",
    "too-large",
    "too-many-requests",
    "too-much-queued",
    "too-slow",
    "unauthorized",
    "unavailable",
)


class ApiMetrics:
    """The metrics of one API process."""

    def __init__(self) -> None:
        self.registry = process_registry()
        self.requests = Counter(
            "wavemill_http_requests",
            "Requests that were answered, by method, route and status; 499: the client left before the answer.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.duration = Histogram(
            "wavemill_http_request_duration_seconds",
            "Time from a request's arrival to the start of its answer, without the waiting for the client's bytes.",
            ["method", "route"],
            buckets=SHORT_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "wavemill_http_requests_in_flight",
            "Requests whose answer has not ended, open event streams among them.",
            registry=self.registry,
        )
        self.received = Counter(
            "wavemill_http_received_bytes", "Bytes of request bodies: uploads.", ["route"], registry=self.registry
        )
        self.sent = Counter(
            "wavemill_http_sent_bytes", "Bytes of answers' bodies: downloads.", ["route"], registry=self.registry
        )
        self.event_streams = Gauge("wavemill_event_streams", "Open streams of events.", registry=self.registry)
        self.rate_limit_fallbacks = Counter(
            "wavemill_rate_limit_fallbacks",
            "Requests that were counted towards their key's limit by this process alone: Redis did not answer at once.",
            registry=self.registry,
        )
        self._rejections = Counter(
            "wavemill_http_rejections",
            "Requests that were refused, by the name of the problem.",
            ["reason"],
            registry=self.registry,
        )
        for reason in _LIMITS:
            # There from the beginning: an increase from nothing to 1 is none to Prometheus.
            self._rejections.labels(reason)

    def rejected(self, reason: str) -> None:
        """A request was refused."""
        self._rejections.labels(reason).inc()


class _Series:
    """The series of one kind of request, looked up once."""

    def __init__(self, metrics: ApiMetrics, method: str, route: str, status: int) -> None:
        self.requests = metrics.requests.labels(method, route, status)
        self.duration = metrics.duration.labels(method, route)
        self.received = metrics.received.labels(route)
        self.sent = metrics.sent.labels(route)


class MetricsMiddleware:
    """Observes each request from outside, at the cost of some microseconds."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics
        self._series: dict[tuple[str, str, int], _Series] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        clock = time.perf_counter
        status = received = sent = 0
        waited = took = 0.0

        async def timed_receive() -> Message:
            nonlocal received, waited
            asked = clock()
            try:
                message = await receive()
            finally:
                # Also when nothing came, and the waiting was given up.
                waited += clock() - asked
            received += len(message.get("body", b""))
            return message

        async def noted_send(message: Message) -> None:
            nonlocal sent, status, took
            if message["type"] == "http.response.start":
                status, took = message["status"], clock() - began - waited
            else:
                sent += len(message.get("body", b""))
            await send(message)

        self._metrics.in_flight.inc()
        began = clock()
        try:
            await self._app(scope, timed_receive, noted_send)
        except Exception:
            # Its answer comes from further outside, unless it has begun.
            status, took = status or 500, took or clock() - began - waited
            raise
        finally:
            self._metrics.in_flight.dec()
            series = self._series_of(scope, status or _CLIENT_LEFT)
            series.requests.inc()
            series.received.inc(received)
            series.sent.inc(sent)
            if status:
                series.duration.observe(took)

    def _series_of(self, scope: Scope, status: int) -> _Series:
        method = scope["method"] if scope["method"] in _METHODS else _OTHER_METHOD
        # The template of the path, never the path itself.
        key = method, getattr(scope.get("route"), "path", _UNMATCHED), status
        if key not in self._series:
            self._series[key] = _Series(self._metrics, *key)
        return self._series[key]
