"""What the API says of its requests, on a port that its clients do not see."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from deploy.local.processes import free_port
from deploy.local.servers import RedisServer
from tests.integration.api.driving import PROBE, client_of, problem, stopping, submit
from tests.integration.api.event_stream import followed
from tests.scrape import Scrape
from tests.system import System

IDLE_SECONDS = 1.0


@pytest.fixture
def port() -> int:
    return free_port()


@pytest_asyncio.fixture
async def measured(
    tmp_path: Path, sqlite_url: str, redis_server: RedisServer, port: int
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API with metrics and small limits."""
    limits: dict[str, Any] = {"max_queued_jobs": 2, "max_spec_bytes": 2048, "upload_idle_seconds": IDLE_SECONDS}
    with System(tmp_path, database_url=sqlite_url, redis=redis_server, api_metrics_port=port, **limits) as system:
        system.start_api()
        async with client_of(system) as api:
            yield api


async def eventually(port: int, condition: Callable[[Scrape], bool]) -> Scrape:
    """A scrape of which the condition holds: a request is counted after its client has the answer."""
    deadline = time.monotonic() + 20
    while not condition(scrape := Scrape(port)):
        assert time.monotonic() < deadline, scrape.text
        await asyncio.sleep(0.1)
    return scrape


async def test_requests_are_counted_by_the_template_of_their_route(measured: httpx.AsyncClient, port: int) -> None:
    sent = 0
    for _ in range(3):
        answer = await measured.post("/api/uploads", files={"file": ("a.wav", b"x" * 10_000)})
        assert answer.status_code == 201
        sent += int(answer.request.headers["content-length"])
    ids = [str(uuid4()) for _ in range(4)]
    for job_id in ids:
        problem(await measured.get(f"/api/jobs/{job_id}"), 404, "job-not-found")
        problem(await measured.get(f"/nothing/{job_id}"), 404)
    assert (await measured.request("PROPFIND", "/api/jobs")).status_code == 405
    sizes = [len((await measured.get("/api/operations")).content) for _ in range(2)]

    sent_by_api = {"route": "/api/operations"}
    scrape = await eventually(port, lambda scrape: scrape.value("http_sent_bytes_total", **sent_by_api) == sum(sizes))
    labels = {"method": "POST", "route": "/api/uploads"}
    assert scrape.value("http_requests_total", status="201", **labels) == 3
    assert scrape.value("http_request_duration_seconds_count", **labels) == 3
    assert scrape.value("http_received_bytes_total", route="/api/uploads") == sent
    assert scrape.value("http_requests_total", method="GET", route="/api/jobs/{job_id}", status="404") == 4
    assert scrape.value("http_requests_total", method="GET", route="unmatched", status="404") == 4
    assert scrape.total("http_requests_total", method="other", status="405") == 1
    assert scrape.value("http_rejections_total", reason="job-not-found") == 4
    assert scrape.value("http_requests_in_flight") == 0
    assert "PROPFIND" not in scrape.text
    assert not [job_id for job_id in ids if job_id in scrape.text]


async def test_refusals_are_counted_by_their_reason(measured: httpx.AsyncClient, port: int) -> None:
    limits = ("disk-full", "not-ready", "too-large", "too-much-queued", "too-slow", "unavailable")
    assert {reason: Scrape(port).value("http_rejections_total", reason=reason) for reason in limits} == dict.fromkeys(
        limits, 0
    )
    problem(await measured.post("/api/jobs", json={"operations": "x" * 3000}), 413, "too-large")

    status, _ = await stopping(measured.base_url.port or 0, "/api/jobs", "application/json", b'{"operations"')
    assert b" 408 " in status
    accepted = 0
    deadline = time.monotonic() + 30
    while (answer := await measured.post("/api/jobs", data={"spec": PROBE}, files={"file": ("a", b"x")})).is_success:
        accepted += 1
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
    problem(answer, 429, "too-much-queued")

    scrape = await eventually(port, lambda scrape: scrape.value("http_rejections_total", reason="too-much-queued") == 1)
    assert scrape.value("http_rejections_total", reason="too-large") == 1
    assert scrape.value("http_rejections_total", reason="too-slow") == 1
    route = {"method": "POST", "route": "/api/jobs"}
    assert scrape.value("http_requests_total", status="202", **route) == accepted
    assert scrape.value("http_request_duration_seconds_count", **route) == accepted + 3
    # What the client took its time for is not the API's.
    slow = scrape.value("http_request_duration_seconds_bucket", le="0.5", **route)
    assert slow == accepted + 3


async def test_open_event_streams_are_counted(measured: httpx.AsyncClient, port: int) -> None:
    job = await submit(measured)
    async with followed(measured, job["id"]) as stream:
        await stream.next()
        scrape = Scrape(port)
        assert scrape.value("event_streams") == 1
        assert scrape.value("http_requests_in_flight") == 1
    await eventually(port, lambda scrape: scrape.value("event_streams") == 0)
    await eventually(port, lambda scrape: scrape.value("http_requests_in_flight") == 0)


async def test_clients_see_no_metrics(measured: httpx.AsyncClient) -> None:
    problem(await measured.get("/metrics"), 404)


def test_a_port_that_is_taken_does_not_keep_the_api_from_its_work(
    tmp_path: Path, sqlite_url: str, redis_server: RedisServer
) -> None:
    taken = redis_server.port
    with System(tmp_path, database_url=sqlite_url, redis=redis_server, api_metrics_port=taken) as system:
        system.start_api()
        assert [line["port"] for line in system.logged(event="metrics are not served")] == [taken]
