import asyncio
from uuid import UUID, uuid4

import httpx
import pytest

from shared.store.records import Usage
from tests.integration.api.driving import Store, pointers, problem, submit


async def test_a_job_shows_its_life(api: httpx.AsyncClient, store: Store) -> None:
    job = await submit(api)
    path = f"/api/jobs/{job['id']}"
    claim = await store.claim(job["id"])
    await store.jobs.heartbeat(claim.lease, progress=0.5, lease_seconds=60)
    shown = (await api.get(path)).json()
    assert (shown["status"], shown["progress"]) == ("running", 0.5)
    assert [(attempt["number"], attempt["outcome"]) for attempt in shown["attempts"]] == [(1, None)]
    await store.jobs.fail(
        claim.lease, code="not_audio", message="No audio stream was found in the file.", usage=Usage(None, 0.2)
    )
    shown = (await api.get(path)).json()
    assert (shown["status"], shown["error_code"]) == ("failed", "not_audio")
    assert shown["error_message"] == "No audio stream was found in the file."
    assert [(attempt["number"], attempt["outcome"]) for attempt in shown["attempts"]] == [(1, "failed")]
    assert shown["finished_at"] is not None


@pytest.mark.parametrize("path", ["", "/events", "/artifacts/a.mp3"])
async def test_an_id_that_is_none_and_one_that_is_unknown(api: httpx.AsyncClient, path: str) -> None:
    assert pointers(problem(await api.get(f"/api/jobs/17{path}"), 422, "invalid-request")) == ["#/job_id"]
    problem(await api.get(f"/api/jobs/{uuid4()}{path}"), 404, "job-not-found")


async def test_cancel_of_one_that_waits(api: httpx.AsyncClient) -> None:
    job = await submit(api)
    answer = await api.post(f"/api/jobs/{job['id']}/cancel")
    assert answer.status_code == 202
    assert answer.json()["status"] == "canceled"
    assert answer.json()["finished_at"] is not None
    assert (await api.get(f"/api/jobs/{job['id']}")).json() == answer.json()
    # It has ended now.
    body = problem(await api.post(f"/api/jobs/{job['id']}/cancel"), 409, "job-ended")
    assert "canceled" in body["detail"]


async def test_cancel_of_one_that_runs(api: httpx.AsyncClient, store: Store) -> None:
    job = await submit(api)
    claim = await store.claim(job["id"])
    answer = await api.post(f"/api/jobs/{job['id']}/cancel")
    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["cancel_requested"]) == ("running", True)
    assert await store.jobs.heartbeat(claim.lease, progress=0.1, lease_seconds=60)
    # Twice is no error while it has not stopped.
    assert (await api.post(f"/api/jobs/{job['id']}/cancel")).status_code == 202
    await store.jobs.finish_canceled(claim.lease, usage=Usage())
    problem(await api.post(f"/api/jobs/{job['id']}/cancel"), 409, "job-ended")


async def test_cancel_of_one_that_is_not_there(api: httpx.AsyncClient) -> None:
    problem(await api.post(f"/api/jobs/{uuid4()}/cancel"), 404, "job-not-found")
    assert pointers(problem(await api.post("/api/jobs/x/cancel"), 422, "invalid-request")) == ["#/job_id"]


async def test_pages_hold_each_job_once_while_jobs_are_made(api: httpx.AsyncClient) -> None:
    upload = (await api.post("/api/uploads", files={"file": ("a", b"pages")})).json()
    body = {"input": {"id": upload["id"]}, "operations": [{"op": "probe"}]}
    made = [(await api.post("/api/jobs", json=body)).json()["id"] for _ in range(25)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = (await api.get("/api/jobs", params={"limit": 4} | ({"cursor": cursor} if cursor else {}))).json()
        assert len(page["jobs"]) == 4 or page["next_cursor"] is None
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert UUID(page["jobs"][-1]["id"]).hex not in cursor
        # Others submit meanwhile; the pages that follow do not move by it.
        await api.post("/api/jobs", json=body)
    assert seen[:25] == made[::-1]
    assert len(set(seen)) == len(seen)


async def test_the_last_page_is_known_to_be_the_last(api: httpx.AsyncClient) -> None:
    upload = (await submit(api))["input"]
    body = {"input": {"id": upload["id"]}, "operations": [{"op": "probe"}], "metadata": {"pages": "two"}}
    for _ in range(2):
        assert (await api.post("/api/jobs", json=body)).status_code == 202
    wanted = {"metadata": "pages=two"}
    page = (await api.get("/api/jobs", params={**wanted, "limit": 2})).json()
    assert (len(page["jobs"]), page["next_cursor"]) == (2, None)
    page = (await api.get("/api/jobs", params={**wanted, "limit": 1})).json()
    assert page["next_cursor"] is not None
    page = (await api.get("/api/jobs", params={**wanted, "cursor": page["next_cursor"]})).json()
    assert (len(page["jobs"]), page["next_cursor"]) == (1, None)


async def test_jobs_by_status(api: httpx.AsyncClient, store: Store) -> None:
    waiting, running, done = [(await submit(api, filename=f"{name}.wav"))["id"] for name in ("w", "r", "d")]
    await store.claim(running)
    await store.succeed(done, {})
    for status, job_id in (("queued", waiting), ("running", running), ("succeeded", done)):
        jobs = (await api.get("/api/jobs", params={"status": status, "limit": 200})).json()["jobs"]
        assert {job["status"] for job in jobs} == {status}
        assert jobs[0]["id"] == job_id
    assert jobs[0]["filename"] == "d.wav"


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "#/limit"),
        ("limit=201", "#/limit"),
        ("limit=many", "#/limit"),
        ("status=sleeping", "#/status/0"),
        ("status=queued&status=sleeping", "#/status/1"),
        ("preset=Not%20One", "#/preset"),
        ("metadata=customer", "#/metadata/0"),
        ("metadata=customer%3D1&metadata==2", "#/metadata/1"),
        ("metadata=a%3D1&metadata=a%3D2", "#/metadata/1"),
        ("metadata=a%3D%00", "#/metadata/0"),
        ("created_after=yesterday", "#/created_after"),
        ("created_after=2026-01-01T00:00:00", "#/created_after"),
        ("created_before=0001-01-01T00:00:00Z", "#/created_before"),
        ("cursor=", "#/cursor"),
        ("cursor=!!!!", "#/cursor"),
        ("cursor=AAAA", "#/cursor"),
        ("cursor=%00", "#/cursor"),
        ("cursor=" + "A" * 70, "#/cursor"),
        ("cursor=%F0%9F%8E%B5", "#/cursor"),
    ],
)
async def test_wrong_parameters(api: httpx.AsyncClient, query: str, pointer: str) -> None:
    body = problem(await api.get(f"/api/jobs?{query}"), 422, "invalid-request")
    assert pointers(body) == [pointer]
    assert body["errors"][0]["source"] == "query"


async def test_many_at_once(api: httpx.AsyncClient) -> None:
    jobs = await asyncio.gather(*(submit(api, f"audio {number}".encode()) for number in range(40)))
    page = (await api.get("/api/jobs", params={"limit": 40})).json()
    assert {job["id"] for job in page["jobs"]} == {job["id"] for job in jobs}
