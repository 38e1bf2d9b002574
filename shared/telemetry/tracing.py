"""Traces: from the HTTP request through Redis into the worker's steps. Off unless a collector is set."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from shared.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_propagator = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("wavemill")
_tracing_is_on = False


def configure_tracing(service: str, settings: Settings) -> "TracerProvider | None":
    """Export spans to the settings' collector.

    Call it after a fork: the exporter's thread does not cross one. The caller shuts the provider down.
    """
    if settings.otlp_endpoint is None:
        return None
    # Most run without: they need not spend a tenth of their start on it.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - see above
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    # The exporter adds /v1/traces to the endpoint when it reads the variable itself.
    os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", settings.otlp_endpoint)
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: f"wavemill-{service}"}))
    global _tracing_is_on  # noqa: PLW0603 - as OpenTelemetry's provider, which a process has one of
    _tracing_is_on = True
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


@contextmanager
def span(
    name: str,
    *,
    traceparent: str | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: dict[str, AttributeValue] | None = None,
) -> Iterator[Span]:
    """A span around a step; below the given W3C parent, else below the current span."""
    if traceparent is None and not _is_traced():
        # Even the span that does nothing costs a sixth of a statement.
        yield INVALID_SPAN
        return
    parent = _propagator.extract({"traceparent": traceparent}) if traceparent else None
    with _tracer.start_as_current_span(name, context=parent, kind=kind, attributes=attributes) as current:
        yield current


def _is_traced() -> bool:
    # Asked without an SDK for its provider, OpenTelemetry reads the environment each time.
    return _tracing_is_on or trace.get_current_span().get_span_context().is_valid


def past_span(name: str, *, began_ns: int, ended_ns: int, attributes: dict[str, AttributeValue]) -> None:
    """A span of something that has ended, below the current one; its times are Unix times in nanoseconds."""
    if trace.get_current_span().is_recording():
        _tracer.start_span(name, start_time=began_ns, attributes=attributes).end(ended_ns)


def link(current: Span, traceparent: str) -> None:
    """Link a span to another one, which is not above it."""
    linked = trace.get_current_span(_propagator.extract({"traceparent": traceparent}))
    current.add_link(linked.get_span_context())


def current_traceparent() -> str | None:
    """The W3C context of the current span, to be sent along; None outside any trace."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")
