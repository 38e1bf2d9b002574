"""docs/metrics.md, beside what the services expose."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from deploy.local.processes import free_port
from deploy.local.servers import RedisServer
from tests.audio_files import noise
from tests.integration.jobs.test_worker_metrics import wait_for
from tests.metrics_page import PAGE, rows, rows_of_the_page
from tests.scrape import Scrape
from tests.system import System


@pytest.fixture
def ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture
def watched(
    postgres_url: str, redis_server: RedisServer, redis: Redis, tmp_path: Path, ports: tuple[int, int]
) -> Iterator[System]:
    """The services, each with its metrics."""
    api_port, worker_port = ports
    with System(
        tmp_path,
        database_url=postgres_url,
        redis=redis_server,
        api_metrics_port=api_port,
        worker_metrics_port=worker_port,
    ) as system:
        system.start(concurrency=1)
        yield system


def test_the_page_says_what_the_services_expose(watched: System, ports: tuple[int, int], tmp_path: Path) -> None:
    api_port, worker_port = ports
    audio = noise(tmp_path / "noise.wav", seconds=1, channels=1, rate=8000)
    assert watched.finished(watched.submit(audio, {"op": "loudness"})["id"])["status"] == "succeeded"
    expected = rows_of_the_page()
    wait_for(worker_port, lambda scrape: scrape.value("worker_attempts_total", outcome="succeeded") == 1, "the attempt")
    # The first sweep of the blob store, and the first look at each store.
    monitor = wait_for(
        watched.monitor_port,
        lambda scrape: (
            scrape.value("blob_store_files", prefix="inputs") is not None
            and None not in (scrape.value("database_up"), scrape.value("redis_up"))
            and scrape.value("reconciler_actions_total", kind="stray_blobs") is not None
        ),
        "a sweep",
    )
    exposed = rows(Scrape(api_port).text) | rows(Scrape(worker_port).text) | rows(monitor.text)
    differing = [row for name, row in exposed.items() if expected.get(name) != row]
    assert not differing, "the page lacks, or has otherwise:\n" + "\n".join(differing)
    assert sorted(expected.keys() - exposed.keys()) == []


def test_the_counterparts_of_other_exporters_metrics_are_there() -> None:
    page = PAGE.read_text()
    ours = {name.removesuffix("_count") for name in re.findall(r"wavemill_[a-z_]+[a-z]", page)}
    assert ours - rows_of_the_page().keys() == set()
    # What they expose: danihodovic/celery-exporter's src/exporter.py and flower/events.py, of 2026.
    celery_exporter = (
        "task_sent_total task_received_total task_started_total task_succeeded_total task_failed_total "
        "task_rejected_total task_revoked_total task_retried_total worker_up worker_tasks_active task_runtime "
        "queue_length active_consumer_count active_worker_count active_process_count"
    )
    flower = (
        "events_total task_runtime_seconds task_prefetch_time_seconds worker_prefetched_tasks worker_online "
        "worker_number_of_currently_executing_tasks"
    )
    theirs = {f"celery_{name}" for name in celery_exporter.split()} | {f"flower_{name}" for name in flower.split()}
    assert {name for name in theirs if not re.search(rf"^\| `{name}` \| .*`wavemill_", page, re.MULTILINE)} == set()
