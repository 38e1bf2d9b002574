"""What the operations page shows and does, on both databases: a monitor as a process, asked over HTTP."""

import asyncio
import re
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from uuid import UUID

import pytest
from redis import Redis

from deploy.local.servers import PostgresServer, RedisServer
from shared.schema.jobs import JobStatus
from shared.store.audit import AuditTrail
from shared.store.queue_pauses import QueuePauses
from shared.store.records import NewArtifact, Usage
from shared.store.tables import uploads
from shared.store.uploads import Uploads
from shared.store.workers import Workers
from tests.conftest import migrate
from tests.integration.monitor.conftest import SPEC, House
from tests.integration.monitor.monitor_process import MonitorProcess
from tests.operator import KEY, Operator

HOSTILE = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>.mp3"


@pytest.fixture
def operator(house: House, database_url: str, redis_server: RedisServer, tmp_path: Path) -> Iterator[Operator]:
    """Logged in."""
    settings = {"admin_key": KEY, "reconcile_interval_seconds": 0.2}
    monitor = MonitorProcess(database_url=database_url, redis=redis_server, folder=tmp_path, **settings)
    with monitor, Operator(monitor.port) as operator:
        # Both stores are looked at.
        monitor.wait_for(1, "database_up")
        monitor.wait_for(1, "redis_up")
        assert operator.log_in().status_code == 200
        yield operator


async def fail(house: House, code: str = "not_audio", message: str = "Not an audio file.") -> UUID:
    (job_id,) = await house.create()
    await house.jobs.fail(await house.claim(job_id), code=code, message=message, usage=Usage())
    return job_id


def section(page: str, name: str) -> str:
    """The text of a section of the board, one word after the other."""
    found = re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)
    assert found is not None
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", found[0])).split())


async def test_the_board_says_what_waits_runs_and_failed(operator: Operator, house: House) -> None:
    waiting = await house.create(3, queue="low")
    await house.age(waiting[:1], due_at=125)
    house.publish(waiting, queue="low")
    (job_id,) = await house.create()
    lease = await house.claim(job_id)
    await house.jobs.heartbeat(lease, progress=0.42, lease_seconds=30)
    await Workers(house.database).beat(
        name="worker1@host", queues=["high", "default"], concurrency=4, busy=0, processes=["host/9/9", "host/1/2"]
    )
    failed = await fail(house, message="It ended <b>before</b> the header did.")
    await QueuePauses(house.database).pause("speech")

    # The watches look every 2 seconds, ends are counted every 5, and the board is kept for one.
    deadline = time.monotonic() + 60
    while True:
        page = operator.page("/")
        queues, throughput = section(page, "queues"), section(page, "throughput")
        if "low no worker 3 2 min" in queues and "3 + 0" in queues and "0 succeeded 1 failed 0 canceled" in throughput:
            break
        assert time.monotonic() < deadline, page
        await asyncio.sleep(0.2)
    assert "speech paused 0" in section(page, "queues")
    workers = section(page, "workers")
    assert "worker1@host 1 of 4 busy · high, default" in workers
    assert f"{str(job_id)[:13]}… loudness 42 % 42 % attempt 1" in workers
    assert "Not known whose" not in workers
    assert f"{str(failed)[:13]}… failed voice.wav loudness default 1 of 4 not_audio It ended <b>before</b>" in section(
        page, "failed"
    )
    assert page.count(str(waiting[0])) > 0
    assert f"{waiting[2]}" in page


async def test_nothing_that_a_client_wrote_is_markup(operator: Operator, house: House) -> None:
    upload = await Uploads(house.database).add(sha256="ab" * 32, size_bytes=3, filename=HOSTILE)
    created = await house.jobs.create(SPEC, upload_id=upload.id, queue="default", max_attempts=4)
    job_id = created.job_id
    await house.jobs.fail(await house.claim(job_id), code="<i>x</i>", message=HOSTILE, usage=Usage())
    await Workers(house.database).beat(name=HOSTILE, queues=["<u>"], concurrency=1, busy=0, processes=[])
    # The board is kept for a second.
    await asyncio.sleep(1.1)
    pages = {
        path: operator.page(path)
        for path in ("/", "/jobs", "/jobs?status=failed", f"/jobs/{job_id}", f"/search?job={HOSTILE[:9]}")
    }
    pages["requeue"] = operator.act("requeue", "<i>x</i>")
    pages["drain"] = operator.act("drain", HOSTILE)
    pages["audit"] = operator.page("/audit")
    for path, page in pages.items():
        for markup in ("<img src=x", "<script>alert", "<i>x", "<u>", "'><", "\"'"):
            assert markup not in page, (path, markup)
    for path in ("/", "/jobs", f"/jobs/{job_id}", "audit"):
        assert "&lt;script&gt;alert(2)" in pages[path], path


async def test_a_job_is_shown_whole(operator: Operator, house: House) -> None:
    (job_id,) = await house.create()
    lease = await house.claim(job_id)
    await house.jobs.retry(lease, code="io_error", message="Its disk was full.", delay_seconds=0, usage=Usage())
    lease = await house.claim(job_id)
    made = NewArtifact("talk.opus", f"artifacts/{job_id}/2/talk.opus", "audio/ogg", 3 * 2**20, "cd" * 32)
    await house.jobs.succeed(lease, results={}, made=[made], usage=Usage(audio_seconds=90, cpu_seconds=1.25))
    text = section(operator.page(f"/jobs/{job_id}"), "job")
    for expected in (
        "succeeded File voice.wav (3 B) SHA-256 " + "ab" * 32,
        "Attempts 2 of 4 spent",
        "1 retried host/1/2",
        "Its disk was full.",
        "2 succeeded host/1/2",
        "1 min 30 s 1.25 s",
        "talk.opus audio/ogg 3.0 MiB",
    ):
        assert expected in text, text
    happened = text[text.index("Timeline") :]
    order = [
        "accepted",
        "attempt 1 began",
        "attempt 1 failed, to be",
        "attempt 2 began",
        "attempt 2 succeeded",
        "the job",
    ]
    places = [happened.index(what) for what in order]
    assert places == sorted(places)
    missing = operator.client.get(f"/jobs/{UUID(int=7)}")
    assert (missing.status_code, "There is no job" in missing.text) == (404, True)


async def test_a_job_is_found_by_its_id_or_its_beginning(operator: Operator, house: House) -> None:
    job_ids = await house.create(2)
    for asked in (str(job_ids[0]), job_ids[0].hex, f"  {job_ids[0]}".upper(), str(job_ids[0])[:-1]):
        answer = operator.client.get("/search", params={"job": asked})
        assert answer.url.path == f"/jobs/{job_ids[0]}", asked
    both = operator.client.get("/search", params={"job": str(job_ids[0])[:6]}).text
    assert all(str(job_id) in both for job_id in job_ids)
    for asked in ("zebra", "", "ffffffff", "0" * 33, "%", "_", "\x00"):
        answer = operator.client.get("/search", params={"job": asked})
        assert answer.status_code == 200
        assert "There is none" in answer.text, asked


async def test_lists_go_by_status_and_error_a_page_at_a_time(operator: Operator, house: House) -> None:
    job_ids = (await house.create(60))[::-1]
    failed = await fail(house, code="other")
    page = operator.page("/jobs")
    listed = re.findall(r'class="id" href="/jobs/([0-9a-f-]{36})"', page)
    assert listed == [str(job_id) for job_id in [failed, *job_ids[:49]]]
    older = re.search(r'rel="next" href="(.*?)"', page)
    assert older is not None
    listed = re.findall(r'class="id" href="/jobs/([0-9a-f-]{36})"', operator.page(unescape(older[1])))
    assert listed == [str(job_id) for job_id in job_ids[49:]]
    for query, expected in (("status=failed", 1), ("status=failed&code=other", 1), ("status=failed&code=x", 0)):
        assert operator.page(f"/jobs?{query}").count('class="id"') == expected, query
    for query in ("status=x", "before=x", "code=%00", "code=" + "x" * 101):
        assert operator.client.get(f"/jobs?{query}").status_code == 422, query


async def test_to_ask_whether_an_action_is_meant_does_nothing(operator: Operator, house: House) -> None:
    (job_id,) = await house.create()
    page = operator.client.get("/confirm", params={"act": "cancel", "target": str(job_id)}).text
    assert "Cancel a job?" in page
    assert (await house.view(job_id)).status == "queued"
    for act, target in (
        ("cancel", "x"),
        ("pause", "nothing"),
        ("explode", "low"),
        ("requeue", ""),
        ("drain", "a\x00"),
        ("drain", "x" * 256),
    ):
        answer = operator.client.get("/confirm", params={"act": act, "target": target})
        assert answer.status_code == 422, act
        fields = {"csrf": operator.token(), "act": act, "target": target}
        assert operator.client.post("/actions", data=fields).status_code == 422, act
    assert await AuditTrail(house.database).page(before=None, limit=9) == []


async def test_a_job_is_canceled_and_retried_and_that_is_on_record(operator: Operator, house: House) -> None:
    (job_id,) = await house.create()
    assert "The job is canceled." in operator.act("cancel", str(job_id))
    assert (await house.view(job_id)).status == "canceled"
    assert "had ended already" in operator.act("cancel", str(job_id))
    assert "waits for a worker" in operator.act("retry", str(job_id))
    assert (await house.view(job_id)).status == "queued"
    assert house.carried() == [job_id]
    assert "Only a job that has failed" in operator.act("retry", str(job_id))
    running = await house.claim(job_id)
    assert "Its worker stops" in operator.act("cancel", str(job_id))
    assert await house.jobs.heartbeat(running, progress=0.5, lease_seconds=30), "it hears of it"
    entries = await AuditTrail(house.database).page(before=None, limit=9)
    assert [(entry.action, entry.outcome) for entry in entries] == [
        ("cancel", "done"),
        ("retry", "refused"),
        ("retry", "done"),
        ("cancel", "refused"),
        ("cancel", "done"),
    ]
    assert {entry.who for entry in entries} == {"Ada (127.0.0.1)"}
    assert {entry.target for entry in entries} == {str(job_id)}
    assert operator.page("/audit").count("Ada (127.0.0.1)") == 5


async def test_all_failed_jobs_of_an_error_code_are_requeued(operator: Operator, house: House) -> None:
    failed = [await fail(house, code="storage_unavailable") for _ in range(5)]
    other = await fail(house, code="not_audio")
    assert "5 jobs wait for a worker." in operator.act("requeue", "storage_unavailable")
    assert {(await house.view(job_id)).status for job_id in failed} == {JobStatus.QUEUED}
    assert (await house.view(other)).status == "failed"
    assert sorted(house.carried()) == sorted(failed)
    assert "No job of this error code" in operator.act("requeue", "storage_unavailable")
    # Without its input a job cannot begin.
    async with house.database.write() as connection:
        await connection.execute(uploads.update().values(expired_at=house.database.now()))
    assert "No job of this error code" in operator.act("requeue", "not_audio")
    assert (await house.view(other)).status == "failed"


async def test_queues_are_paused_and_workers_drained_in_the_store(operator: Operator, house: House) -> None:
    workers, pauses = Workers(house.database), QueuePauses(house.database)
    await workers.beat(name="w@host", queues=["default"], concurrency=2, busy=0, processes=[])
    for act, target, refusal in (
        ("pause", "default", "was paused already"),
        ("resume", "default", "was not paused"),
        ("drain", "w@host", "drains already"),
        ("undrain", "w@host", "takes jobs already"),
    ):
        page = operator.act(act, target)
        assert refusal not in page
        assert list(await pauses.all()) == (["default"] if act == "pause" else [])
        assert await workers.is_draining("w@host") == (act == "drain")
        assert ("drained" in section(page, "workers")) == (act == "drain"), "shown at once"
        assert ("paused" in section(page, "queues")) == (act == "pause"), "shown at once"
        assert refusal in operator.act(act, target)


def test_while_the_database_is_away_it_says_so_and_comes_back(
    redis_server: RedisServer, redis: Redis, tmp_path: Path
) -> None:
    with PostgresServer() as postgres:
        migrate(postgres.url)
        settings = {"admin_key": KEY, "database_connect_timeout_seconds": 1}
        monitor = MonitorProcess(database_url=postgres.url, redis=redis_server, folder=tmp_path, **settings)
        with monitor, Operator(monitor.port) as operator:
            operator.log_in()
            operator.page("/")
            postgres.kill()
            monitor.wait_for(0, "database_up")
            for path in ("/jobs", "/audit", f"/jobs/{UUID(int=7)}", "/search?job=0"):
                answer = operator.client.get(path)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "5"), path
                assert "The database cannot be reached" in answer.text
            assert operator.client.get("/healthz").status_code == 200
            postgres.start()
            monitor.wait_until(lambda: operator.client.get("/").status_code == 200, "the page")
