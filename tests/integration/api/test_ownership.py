"""What a key has is not there for another: 404, never 403, and no sign that it exists."""

import json
import re
from typing import Any

import httpx

from tests.integration.api.driving import problem, store_of, submit
from tests.integration.api.event_stream import followed_at
from tests.integration.api.keyed import Key, Keyed

UNKNOWN = "0190163d-8694-739b-aea5-966c26f8ad91"
# Else tus would tell first what is missing.
TUS = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
BODY = {"operations": [{"op": "probe"}]}


async def _job_with_artifact(keyed: Keyed, owner: Key) -> dict[str, Any]:
    async with keyed.client(owner.secret) as client:
        job = await submit(client)
        store = store_of(keyed.system)
        await store.succeed(job["id"], {"a.txt": ("text/plain", b"hello")})
        await store.close()
        shown = await client.get(f"/api/jobs/{job['id']}")
        assert shown.json()["artifacts"][0]["name"] == "a.txt"
        return job


async def test_a_stranger_finds_nothing_at_any_address_with_an_id(keyed: Keyed) -> None:
    owner, stranger = await keyed.make(), await keyed.make()
    job = await _job_with_artifact(keyed, owner)
    async with keyed.client(stranger.secret) as client, keyed.client(owner.secret) as owners:
        begun = await owners.post("/api/uploads/tus", headers={**TUS, "Upload-Length": "5"})
        batch = {"jobs": [{"input": {"id": job["input"]["id"]}, **BODY}]}
        webhook = (await owners.post("/api/webhooks", json={"url": "https://example.com/told"})).json()
        delivery = (await owners.post(f"/api/webhooks/{webhook['id']}/ping")).json()
        known = {
            "job_id": job["id"],
            "upload_id": begun.headers["location"].rpartition("/")[2],
            "batch_id": (await owners.post("/api/batches", json=batch)).json()["id"],
            "webhook_id": webhook["id"],
            "delivery_id": delivery["id"],
            "name": "a.txt",
        }
        unknown = {**dict.fromkeys(known, UNKNOWN), "name": "a.txt"}
        document = (await client.get("/openapi.json")).json()
        tried = set()
        for path, methods in document["paths"].items():
            names = set(re.findall(r"{(\w+)}", path))
            if not any(name.endswith("_id") for name in names) or path.startswith("/api/keys/"):
                continue
            assert names <= known.keys(), f"{path}: say in `known` what its parameters are in this test"
            # As the owner would ask.
            asked: dict[str, Any] = {"headers": TUS} if "/tus" in path else {"json": {}}
            for method in methods:
                answers = [await client.request(method, path.format(**ids), **asked) for ids in (known, unknown)]
                assert {answer.status_code for answer in answers} == {404}, (method, path, answers[0].text)
                texts = answers[0].text, answers[1].text
                for shown in known.values():
                    texts = texts[0].replace(shown, UNKNOWN), texts[1].replace(shown, UNKNOWN)
                assert texts[0] == texts[1], "a stranger could tell it from one that is not there"
                tried.add((method, path))
        assert {
            ("get", "/api/jobs/{job_id}"),
            ("patch", "/api/uploads/tus/{upload_id}"),
            ("get", "/api/jobs/{job_id}/events"),
            ("get", "/api/jobs/{job_id}/artifacts/{name}"),
            ("head", "/api/jobs/{job_id}/artifacts/{name}"),
            ("post", "/api/jobs/{job_id}/cancel"),
            ("post", "/api/jobs/{job_id}/retry"),
            ("head", "/api/uploads/tus/{upload_id}"),
            ("patch", "/api/uploads/tus/{upload_id}"),
            ("delete", "/api/uploads/tus/{upload_id}"),
            ("post", "/api/uploads/presigned/{upload_id}/complete"),
            ("get", "/api/batches/{batch_id}/jobs"),
            ("get", "/api/batches/{batch_id}/artifacts.zip"),
            ("patch", "/api/webhooks/{webhook_id}"),
            ("post", "/api/webhooks/{webhook_id}/deliveries/{delivery_id}/replay"),
        } <= tried
        # Nothing of it has changed, and its owner has it all.
        assert (await owners.get(f"/api/jobs/{job['id']}")).json()["status"] == "succeeded"
        assert (await owners.get(f"/api/jobs/{job['id']}/artifacts/a.txt")).text == "hello"
        assert (await owners.head(begun.headers["location"], headers=TUS)).status_code == 200


async def test_a_strangers_upload_is_as_one_that_does_not_exist(keyed: Keyed) -> None:
    owner, stranger = await keyed.make(), await keyed.make()
    async with keyed.client(owner.secret) as client:
        upload = (await client.post("/api/uploads", files={"file": ("a", b"of the owner")})).json()
    async with keyed.client(stranger.secret) as client:
        refused = await client.post("/api/jobs", json={"input": {"id": upload["id"]}, **BODY})
        body = problem(refused, 422, "invalid-request")
        assert [error["pointer"] for error in body["errors"]] == ["#/input/id"]
        assert (await client.get("/api/jobs")).json()["jobs"] == []
    for mayor in (owner.secret, keyed.secret):
        async with keyed.client(mayor) as client:
            answer = await client.post("/api/jobs", json={"input": {"id": upload["id"]}, **BODY})
            assert answer.status_code == 202


async def test_each_key_lists_its_own_and_an_administrator_all(keyed: Keyed) -> None:
    one, other = await keyed.make(), await keyed.make()
    made: dict[str, list[str]] = {}
    for key in (one, other):
        async with keyed.client(key.secret) as client:
            made[key.id] = [(await submit(client))["id"] for _ in range(3)]
    for key in (one, other):
        async with keyed.client(key.secret) as client:
            assert await _listed(client) == made[key.id][::-1]
            assert await _listed(client, status="queued") == made[key.id][::-1]
            assert await _listed(client, status="failed") == []
    async with keyed.client() as administrator:
        newest = (await administrator.get("/api/jobs", params={"limit": 6})).json()["jobs"]
        assert [job["id"] for job in newest] == [*made[other.id][::-1], *made[one.id][::-1]]


async def _listed(client: httpx.AsyncClient, **filters: str) -> list[str]:
    """All pages."""
    found: list[str] = []
    parameters: dict[str, Any] = {"limit": 2, **filters}
    while True:
        page = (await client.get("/api/jobs", params=parameters)).json()
        found += [job["id"] for job in page["jobs"]]
        if page["next_cursor"] is None:
            return found
        parameters["cursor"] = page["next_cursor"]


async def test_a_strangers_batches_and_webhooks_are_in_no_list(keyed: Keyed) -> None:
    owner, stranger = await keyed.make(), await keyed.make()
    hook = {"url": "https://example.com/"}
    async with keyed.client(owner.secret) as client:
        upload = (await client.post("/api/uploads", files={"file": ("a", b"of the owner")})).json()
        job = {"input": {"id": upload["id"]}, **BODY}
        batch = (await client.post("/api/batches", json={"jobs": [job], "webhook": hook})).json()
        webhook = (await client.post("/api/webhooks", json=hook)).json()
        assert batch["counts"]["queued"] == 1
    async with keyed.client(stranger.secret) as client:
        assert (await client.get(f"/api/webhooks/{batch['webhook']['id']}")).status_code == 404
        assert (await client.get("/api/batches")).json()["batches"] == []
        assert (await client.get("/api/webhooks")).json()["webhooks"] == []
        # Nor does a stranger's upload go into a batch.
        refused = await client.post("/api/batches", json={"jobs": [job]})
        assert problem(refused, 422, "invalid-request")["errors"][0]["pointer"] == "#/jobs/0/input/id"
    async with keyed.client(owner.secret) as client:
        assert (await client.get(f"/api/webhooks/{webhook['id']}")).json()["enabled"]
        assert (await client.get(f"/api/batches/{batch['id']}")).json()["counts"]["queued"] == 1


async def test_the_stream_of_a_key_tells_of_its_own_jobs_alone(keyed: Keyed) -> None:
    owner, stranger = await keyed.make(), await keyed.make()
    async with (
        keyed.client(owner.secret) as client,
        keyed.client(stranger.secret) as other,
        followed_at(client, "/api/events") as stream,
    ):
        foreign = await submit(other)
        own = await submit(client)
        seen = [json.loads((await stream.next()).data)["job_id"]]
        while own["id"] not in seen:
            seen.append(json.loads((await stream.next()).data)["job_id"])
        assert foreign["id"] not in seen
