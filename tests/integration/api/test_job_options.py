"""What a client may say of a job beside its operations, and what of it lists find."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.integration.api.driving import Store, pointers, problem

PROBE = [{"op": "probe"}]


async def upload(api: httpx.AsyncClient, data: bytes = b"options") -> str:
    sent = await api.post("/api/uploads", files={"file": ("a.wav", data)})
    upload_id: str = sent.json()["id"]
    return upload_id


async def create(api: httpx.AsyncClient, **options: Any) -> httpx.Response:
    body = {"input": {"id": await upload(api)}, **({} if "preset" in options else {"operations": PROBE}), **options}
    return await api.post("/api/jobs", json=body)


async def created(api: httpx.AsyncClient, **options: Any) -> dict[str, Any]:
    answer = await create(api, **options)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


async def listed(api: httpx.AsyncClient, query: str) -> list[str]:
    answer = await api.get(f"/api/jobs?limit=200&{query}")
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["jobs"]]


async def test_what_was_said_of_a_job_is_shown(api: httpx.AsyncClient) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    job = await created(api, metadata={"customer": "42"}, not_before=later.isoformat(), expires_in=3600)
    assert (job["metadata"], job["expires_in"], job["expires_at"]) == ({"customer": "42"}, 3600, None)
    assert datetime.fromisoformat(job["not_before"]) == later
    assert (await api.get(f"/api/jobs/{job['id']}")).json() == job


async def test_a_job_for_later_waits_for_its_time(api: httpx.AsyncClient, store: Store) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    waiting = await created(api, not_before=later.isoformat())
    past = await created(api, not_before="2020-01-01T00:00:00Z")
    assert past["not_before"] is None
    assert waiting["status"] == past["status"] == "queued"
    with pytest.raises(AssertionError):
        await store.claim(waiting["id"])
    await store.claim(past["id"])


async def test_lists_by_metadata_preset_status_and_time(api: httpx.AsyncClient, store: Store) -> None:
    mark = uuid4().hex
    first = await created(api, metadata={"mark": mark, "show": "news"}, preset="podcast")
    second = await created(api, metadata={"mark": mark})
    await created(api, metadata={"mark": mark + "0"})
    await store.claim(second["id"])
    ids = [second["id"], first["id"]]
    pair = f"metadata=mark%3D{mark}"
    assert await listed(api, pair) == ids
    assert await listed(api, f"{pair}&metadata=show%3Dnews") == ids[1:]
    assert await listed(api, f"{pair}&preset=podcast") == ids[1:]
    assert await listed(api, f"{pair}&status=running") == ids[:1]
    assert await listed(api, f"{pair}&status=running&status=queued") == ids
    assert await listed(api, f"{pair}&status=failed") == []
    made = httpx.QueryParams({"created_after": second["created_at"]})
    assert await listed(api, f"{pair}&{made}") == ids[:1]
    made = httpx.QueryParams({"created_before": second["created_at"]})
    assert await listed(api, f"{pair}&{made}") == ids[1:]
    page = (await api.get(f"/api/jobs?{pair}&limit=1")).json()
    assert [job["id"] for job in page["jobs"]] == ids[:1]
    assert page["jobs"][0]["metadata"] == {"mark": mark}
    rest = (await api.get(f"/api/jobs?{pair}&limit=1&cursor={page['next_cursor']}")).json()
    assert ([job["id"] for job in rest["jobs"]], rest["next_cursor"]) == (ids[1:], None)


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"metadata": {"a b": "1"}}, "#/metadata/a b"),
        ({"metadata": {"k" * 41: "1"}}, "#/metadata/" + "k" * 41),
        ({"metadata": {"a": 1}}, "#/metadata/a"),
        ({"metadata": {"a": "1" * 501}}, "#/metadata/a"),
        ({"metadata": {"a": "\0"}}, "#/metadata/a"),
        ({"metadata": {f"k{n}": "1" for n in range(51)}}, "#/metadata"),
        ({"metadata": None}, "#/metadata"),
        ({"not_before": "2030-01-01T00:00:00"}, "#/not_before"),
        ({"not_before": "9999-12-31T23:59:59Z"}, "#/not_before"),
        ({"not_before": (datetime.now(UTC) + timedelta(days=31)).isoformat()}, "#/not_before"),
        ({"expires_in": 59}, "#/expires_in"),
        ({"expires_in": 31 * 86_400}, "#/expires_in"),
        ({"expires_in": 2**63}, "#/expires_in"),
        ({"priority": "urgent"}, "#/priority"),
        ({"preset": "no-such"}, "#/preset"),
        ({"preset": "No such"}, "#/preset"),
        ({"preset": "podcast", "operations": PROBE}, "#/operations"),
        ({"overrides": {"probe": {}}}, "#/overrides"),
        ({"preset": "podcast", "overrides": {"nothing": {}}}, "#/overrides/nothing"),
        ({"preset": "podcast", "overrides": {"podcast": {"channels": 9}}}, "#/overrides/podcast/channels"),
        ({"preset": "podcast", "overrides": {"podcast": {"x": 9}}}, "#/overrides/podcast/x"),
        ({"preset": "podcast", "overrides": {"podcast": {"op": "probe"}}}, "#/overrides/podcast/op"),
        ({"preset": "podcast", "overrides": {"podcast": {"name": "w"}}}, "#/overrides/podcast/name"),
    ],
)
async def test_options_that_cannot_be(api: httpx.AsyncClient, options: dict[str, Any], pointer: str) -> None:
    body = problem(await create(api, **options), 422, "invalid-request")
    assert pointers(body) == [pointer]


async def test_neither_operations_nor_a_preset(api: httpx.AsyncClient) -> None:
    body = problem(await api.post("/api/jobs", json={"input": {"id": await upload(api)}}), 422, "invalid-request")
    assert pointers(body) == ["#/operations"]
    assert "preset" in body["detail"]


async def test_a_spec_is_validated_without_being_done(api: httpx.AsyncClient) -> None:
    before = (await api.get("/api/jobs?limit=1")).json()["jobs"]
    spec = {
        "operations": [
            {"op": "transcode", "format": "opus"},
            {"op": "transcode", "format": "mp3", "name": "listen"},
            {"op": "waveform", "formats": ["json", "dat"]},
            {"op": "loudness"},
        ],
        "priority": "high",
        "expires_in": 3600,
    }
    answer = await api.post("/api/jobs:validate", json=spec)
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    assert [operation["name"] for operation in plan["operations"]] == ["transcode", "listen", "waveform", "loudness"]
    assert plan["operations"][2]["bits"] == 8
    files = [(file["operation"], file["name"], file["media_type"]) for file in plan["artifacts"]]
    assert files == [
        ("transcode", "transcode.opus", "audio/ogg"),
        ("listen", "listen.mp3", "audio/mpeg"),
        ("waveform", "waveform.json", "application/json"),
        ("waveform", "waveform.dat", "application/octet-stream"),
    ]
    assert (plan["queue"], plan["priority"], plan["expires_in"], plan["max_attempts"]) == ("high", "high", 3600, 4)
    bad = await api.post("/api/jobs:validate", json={"operations": [{"op": "transcode", "format": "wav2"}]})
    assert pointers(problem(bad, 422, "invalid-request")) == ["#/operations/0/format"]
    problem(await api.post("/api/jobs:validate", content="x"), 415, "unsupported-media-type")
    assert (await api.get("/api/jobs?limit=1")).json()["jobs"] == before


async def test_a_job_that_has_ended_can_be_deleted(api: httpx.AsyncClient, store: Store) -> None:
    job = await created(api)
    path = f"/api/jobs/{job['id']}"
    body = problem(await api.delete(path), 409, "job-not-ended")
    assert "queued" in body["detail"]
    assert "cancel it first" in body["detail"]
    await store.succeed(job["id"], {"a.mp3": ("audio/mpeg", b"abc")})
    assert (await api.get(f"{path}/artifacts/a.mp3")).content == b"abc"
    assert [blob async for blob in store.blobs.list(f"artifacts/{job['id']}/")]
    answer = await api.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert [blob async for blob in store.blobs.list(f"artifacts/{job['id']}/")] == []
    for gone in (path, f"{path}/artifacts/a.mp3", f"{path}/events"):
        problem(await api.get(gone), 404, "job-not-found")
    problem(await api.delete(path), 404, "job-not-found")
    # Its input is there for others.
    again = await api.post("/api/jobs", json={"input": {"id": job["input"]["id"]}, "operations": PROBE})
    assert again.status_code == 202


async def test_a_job_that_runs_is_not_deleted(api: httpx.AsyncClient, store: Store) -> None:
    job = await created(api)
    await store.claim(job["id"])
    assert "running" in problem(await api.delete(f"/api/jobs/{job['id']}"), 409, "job-not-ended")["detail"]
    assert (await api.get(f"/api/jobs/{job['id']}")).json()["status"] == "running"
