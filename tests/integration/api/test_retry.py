import json
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from redis import Redis

from shared.blobs import input_key
from shared.store.records import Usage
from shared.store.retention import Retention
from tests.integration.api.driving import Store, pointers, problem, submit
from tests.integration.api.event_stream import followed, told


async def fail(store: Store, job_id: str) -> None:
    claim = await store.claim(job_id)
    await store.jobs.fail(claim.lease, code="not_audio", message="No audio.", usage=Usage())


async def test_a_failed_job_is_done_again(api: httpx.AsyncClient, store: Store, redis: Redis) -> None:
    job = await submit(api)
    path = f"/api/jobs/{job['id']}"
    await fail(store, job["id"])
    # The message of its first attempt is gone.
    assert redis.blpop(["default"], timeout=10) is not None
    answer = await api.post(f"{path}/retry")
    assert answer.status_code == 202
    shown = answer.json()
    assert (shown["status"], shown["error_code"], shown["error_message"]) == ("queued", None, None)
    assert [(attempt["number"], attempt["outcome"]) for attempt in shown["attempts"]] == [(1, "failed")]
    assert (await api.get(path)).json() == shown
    popped = redis.blpop(["default"], timeout=10)
    assert popped is not None
    assert json.loads(popped[1])["headers"]["job_id"] == job["id"]
    await store.succeed(job["id"], {"a.mp3": ("audio/mpeg", b"mp3")})
    assert (await api.get(f"{path}/artifacts/a.mp3")).content == b"mp3"
    assert [attempt["outcome"] for attempt in (await api.get(path)).json()["attempts"]] == ["failed", "succeeded"]


async def test_a_canceled_job_is_done_again_and_followers_hear_of_it(api: httpx.AsyncClient, store: Store) -> None:
    job = await submit(api)
    assert (await api.post(f"/api/jobs/{job['id']}/cancel")).status_code == 202
    canceled = await store.views.event(UUID(job["id"]))
    assert canceled is not None
    answer = await api.post(f"/api/jobs/{job['id']}/retry")
    assert (answer.status_code, answer.json()["cancel_requested"]) == (202, False)
    async with followed(api, job["id"]) as stream:
        first = await stream.next()
        assert told(first) == ("status", "queued", 0.0)
        assert json.loads(first.data)["version"] == canceled.version + 1
        assert (await api.post(f"/api/jobs/{job['id']}/cancel")).status_code == 202
        assert told(await stream.next()) == ("status", "canceled", 0.0)


async def test_a_job_that_has_not_failed_is_not(api: httpx.AsyncClient, store: Store) -> None:
    job = await submit(api)
    path = f"/api/jobs/{job['id']}/retry"
    assert "queued" in problem(await api.post(path), 409, "not-retryable")["detail"]
    await store.succeed(job["id"], {})
    assert "succeeded" in problem(await api.post(path), 409, "not-retryable")["detail"]
    problem(await api.post(f"/api/jobs/{uuid4()}/retry"), 404, "job-not-found")
    assert pointers(problem(await api.post("/api/jobs/x/retry"), 422, "invalid-request")) == ["#/job_id"]


@pytest.mark.parametrize("left", [None, b"half of i"])
async def test_a_job_whose_input_is_gone_is_not(
    api: httpx.AsyncClient, store: Store, blobs_folder: Path, left: bytes | None
) -> None:
    job = await submit(api, f"input that goes: {left!r}".encode())
    await fail(store, job["id"])
    await store.blobs.delete([input_key(job["input"]["sha256"])])
    if left is not None:
        (blobs_folder / input_key(job["input"]["sha256"])).parent.mkdir(exist_ok=True)
        (blobs_folder / input_key(job["input"]["sha256"])).write_bytes(left)
    answer = await api.post(f"/api/jobs/{job['id']}/retry")
    assert "no longer stored" in problem(answer, 409, "input-gone")["detail"]
    assert (await api.get(f"/api/jobs/{job['id']}")).json()["status"] == "failed"


async def test_an_input_that_was_kept_long_enough_takes_no_more_jobs(api: httpx.AsyncClient, store: Store) -> None:
    job = await submit(api, b"kept long enough")
    assert (await api.post(f"/api/jobs/{job['id']}/cancel")).status_code == 202
    await Retention(store.database).expire(UUID(job["input"]["id"]))
    problem(await api.post(f"/api/jobs/{job['id']}/retry"), 409, "input-gone")
    answer = await api.post("/api/jobs", json={"input": {"id": job["input"]["id"]}, "operations": [{"op": "probe"}]})
    body = problem(answer, 422, "invalid-request")
    assert pointers(body) == ["#/input/id"]
    assert "no longer stored" in body["detail"]
    # The same bytes, sent again, are another upload.
    again = await submit(api, b"kept long enough")
    assert again["input"]["sha256"] == job["input"]["sha256"]
    assert again["input"]["id"] != job["input"]["id"]
