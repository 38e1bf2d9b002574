"""One trace from the HTTP request through Redis into the worker's steps, as a collector receives it."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.audio_files import recording
from tests.remote_server import RemoteServer, answer
from tests.system import System

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


class Collector:
    """Receives spans by OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, str, str, str, str]] = []  # service, name, trace, span, parent
        self.links: dict[str, list[str]] = {}  # of a span, to others
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.receive(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def receive(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            service = next(
                attribute.value.string_value
                for attribute in resource.resource.attributes
                if attribute.key == "service.name"
            )
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.links[span.span_id.hex()] = [link.span_id.hex() for link in span.links]
                    self.spans.append(
                        (service, span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                    )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def test_one_trace_from_the_request_into_the_workers_steps_and_to_the_webhook(
    system: System, collector: Collector
) -> None:
    system.environment = {
        **system.environment,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "WAVEMILL_OUTBOUND_ALLOWED_NETWORKS": "127.0.0.1",
    }
    system.client.headers["traceparent"] = f"00-{TRACE_ID}-b7ad6b7169203331-01"
    worker = system.start_worker(concurrency=1)
    api, monitor = system.start_api(), system.start_monitor()
    with RemoteServer() as receiver:
        receiver.handlers["/hook"] = answer(204)
        spec = {"operations": [{"op": "loudness"}, {"op": "waveform"}], "webhook": {"url": receiver.url("/hook")}}
        submitted = system.client.post(
            "/api/jobs", data={"spec": json.dumps(spec)}, files={"file": ("talk.wav", recording().read_bytes())}
        ).json()
        job = system.finished(submitted["id"])
        assert job["status"] == "succeeded"
        deliveries = f"/api/webhooks/{job['webhook']['id']}/deliveries"
        deadline = time.monotonic() + 60
        while [each["status"] for each in system.client.get(deliveries).json()["deliveries"]] != ["delivered"]:
            assert time.monotonic() < deadline, system.log()[-4000:]
            time.sleep(0.1)
    monitor.stop()
    worker.stop()
    api.stop()
    ours = {
        span: (service, name, parent) for service, name, trace, span, parent in collector.spans if trace == TRACE_ID
    }
    by_name = {name: span for span, (_, name, _) in ours.items()}

    def ancestors(span: str) -> list[tuple[str, str]]:
        """Service and name of the span and of those above it, up to the client's."""
        service, name, parent = ours[span]
        return [(service, name), *(ancestors(parent) if parent in ours else [("client", parent)])]

    for step in ("claim", "fetch blob", "process", "store artifacts", "finish"):
        above = ancestors(by_name[step])
        assert above[:2] == [("wavemill-worker", step), ("wavemill-worker", "job")]
        assert above[-2:] == [("wavemill-api", "POST /api/jobs"), ("client", "b7ad6b7169203331")]
    above = ancestors(by_name["send"])
    assert above[:2] == [("wavemill-worker", "send"), ("wavemill-worker", "deliver webhook")]
    assert above[-2:] == [("wavemill-api", "POST /api/jobs"), ("client", "b7ad6b7169203331")]
    for part in ("decode", "meter", "waveform"):
        assert ancestors(by_name[part])[:2] == [("wavemill-worker", part), ("wavemill-worker", "process")]
    assert {line["trace_id"] for line in system.logged(job_id=job["id"], event="attempt ended")} == {TRACE_ID}


def test_another_attempt_links_to_the_first(system: System, collector: Collector) -> None:
    system.environment = {
        **system.environment,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "WAVEMILL_RETRY_BACKOFF_BASE_SECONDS": "0.1",
    }
    system.client.headers["traceparent"] = f"00-{TRACE_ID}-b7ad6b7169203331-01"
    scratch = system.folder / "scratch"
    api, monitor, worker = system.start_api(), system.start_monitor(), system.start_worker(concurrency=1)
    # Where the scratch folder is to be, there is a file: trouble of the machine, which passes.
    scratch.rmdir()
    scratch.touch()
    job_id = system.submit(recording(), {"op": "probe"})["id"]
    system.wait_until(job_id, lambda job: any(attempt["outcome"] == "retried" for attempt in job["attempts"]))
    scratch.unlink()
    scratch.mkdir()
    job = system.finished(job_id)
    assert job["status"] == "succeeded"
    for process in (worker, api, monitor):
        process.stop()
    spans = [span for _, name, trace, span, _ in collector.spans if (name, trace) == ("job", TRACE_ID)]
    links = [collector.links[span] for span in spans if collector.links[span]]
    assert len(links) == len(job["attempts"]) - 1 >= 1
    (first,) = {other for others in links for other in others}
    assert first in spans
    assert collector.links[first] == []
