"""API keys over HTTP: who gets in, and for what."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from shared.key_secrets import digest_of, new_secret
from tests.integration.api.driving import problem, submit
from tests.integration.api.event_stream import followed, told
from tests.integration.api.keyed import Keyed

UNKNOWN = "0190163d-8694-739b-aea5-966c26f8ad91"
# What needs which scope; each is called with a key that lacks it.
ROUTES = {
    "submit": [("POST", "/api/jobs"), ("POST", "/api/uploads"), ("POST", f"/api/jobs/{UNKNOWN}/cancel")],
    "read": [("GET", "/api/jobs"), ("GET", f"/api/jobs/{UNKNOWN}"), ("GET", f"/api/jobs/{UNKNOWN}/events")],
    "admin": [("POST", "/api/keys"), ("GET", "/api/keys"), ("DELETE", f"/api/keys/{UNKNOWN}")],
}


async def test_without_a_valid_key_every_address_of_the_api_is_closed_in_the_same_words(keyed: Keyed) -> None:
    expired = await keyed.make(expires_at=(datetime.now(UTC) - timedelta(seconds=1)).isoformat())
    right = await keyed.make()
    sent = {
        "nothing": [],
        "an unknown secret": [f"Bearer {new_secret()}"],
        "an expired key": [f"Bearer {expired.secret}"],
        "one character less": [f"Bearer {right.secret[:-1]}"],
        "one character more": [f"Bearer {right.secret}A"],
        "the digest": [f"Bearer {digest_of(right.secret)}"],
        "another scheme": [f"Basic {right.secret}"],
        "no scheme": [right.secret],
        "two of them": [f"Bearer {right.secret}", f"Bearer {right.secret}"],
        "NUL": ["Bearer wm_\xff"],
    }
    async with keyed.client() as administrator:
        document = (await administrator.get("/openapi.json")).json()
    bodies = set()
    # Without its version tus would be told of that first.
    tus = {"Tus-Resumable": "1.0.0"}
    async with httpx.AsyncClient(base_url=keyed.system.client.base_url, trust_env=False, headers=tus) as client:
        for what, values in sent.items():
            headers = httpx.Headers([(b"authorization", value.encode("latin-1")) for value in values])
            answer = await client.get("/api/jobs", headers=headers)
            assert answer.status_code == 401, what
            assert answer.headers["www-authenticate"] == 'Bearer realm="wavemill"'
            bodies.add(answer.text)
        assert len(bodies) == 1
        for path, methods in document["paths"].items():
            for method in methods:
                answer = await client.request(method, path.replace("{job_id}", UNKNOWN).replace("{key_id}", UNKNOWN))
                is_open = path in ("/healthz", "/readyz", "/api/operations")
                assert (answer.status_code == 401) is not is_open, (method, path, answer.status_code)
    async with keyed.client(right.secret) as client:
        assert (await client.get("/api/jobs")).status_code == 200
        # RFC 9110: the name of a scheme may be written in any case.
        assert (await client.get("/api/jobs", headers={"Authorization": f"bEARER {right.secret}"})).status_code == 200


@pytest.mark.parametrize("lacking", ROUTES)
async def test_a_key_is_good_for_its_scopes_alone(keyed: Keyed, lacking: str) -> None:
    key = await keyed.make(scopes=[scope for scope in ("submit", "read") if scope != lacking])
    async with keyed.client(key.secret) as client:
        for method, path in ROUTES[lacking]:
            body = problem(await client.request(method, path), 403, "scope-missing")
            assert f"'{lacking}'" in body["detail"]
        for scope in {"submit", "read"} - {lacking}:
            for method, path in ROUTES[scope]:
                assert (await client.request(method, path)).status_code not in (401, 403)


async def test_a_revoked_key_is_refused_within_a_second_and_its_streams_end(keyed: Keyed) -> None:
    key = await keyed.make()
    async with keyed.client(key.secret) as client, keyed.client() as administrator:
        job = await submit(client)
        following = asyncio.create_task(_follow(client, job["id"]))
        assert (await client.get("/api/jobs")).status_code == 200
        began = time.monotonic()
        answer = await administrator.delete(f"/api/keys/{key.id}")
        assert answer.json()["revoked_at"] is not None
        revoked = time.monotonic()
        while (await client.get("/api/jobs")).status_code != 401:
            assert time.monotonic() < revoked + 1.0, "the key still serves after a second"
        assert time.monotonic() - began < 10
        assert await following == ["queued"]
        again = await administrator.delete(f"/api/keys/{key.id}")
        assert again.json()["revoked_at"] == answer.json()["revoked_at"]
        problem(await administrator.post(f"/api/keys/{key.id}/rotate", json={}), 409, "key-ended")


async def _follow(client: httpx.AsyncClient, job_id: str) -> list[str]:
    async with followed(client, job_id) as stream:
        statuses = [told(await stream.next())[1]]
        # Long before the next heartbeat is due.
        assert await stream.ends()
        return statuses


async def test_a_key_ends_when_it_expires(keyed: Keyed) -> None:
    key = await keyed.make(expires_at=(datetime.now(UTC) + timedelta(seconds=3)).isoformat())
    async with keyed.client(key.secret) as client:
        assert (await client.get("/api/jobs")).status_code == 200
        deadline = time.monotonic() + 20
        while (await client.get("/api/jobs")).status_code == 200:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


async def test_a_rotated_key_keeps_what_it_has_and_the_old_secret_serves_for_the_overlap(keyed: Keyed) -> None:
    key = await keyed.make()
    async with keyed.client(key.secret) as before, keyed.client() as administrator:
        job = await submit(before)
        answer = await administrator.post(f"/api/keys/{key.id}/rotate", json={"overlap_seconds": 600})
        assert answer.headers["cache-control"] == "no-store"
        second = answer.json()
        assert second["id"] == key.id
        assert second["secret"] != key.secret
        assert (await before.get("/api/jobs")).status_code == 200
        third = (await administrator.post(f"/api/keys/{key.id}/rotate", json={})).json()
        for secret in (key.secret, second["secret"]):
            async with keyed.client(secret) as old:
                await _refused_soon(old)
        async with keyed.client(third["secret"]) as after:
            assert (await after.get(f"/api/jobs/{job['id']}")).status_code == 200


async def _refused_soon(client: httpx.AsyncClient) -> None:
    deadline = time.monotonic() + 10
    while (await client.get("/api/jobs")).status_code != 401:
        assert time.monotonic() < deadline


async def test_secrets_are_shown_once_and_kept_nowhere(keyed: Keyed) -> None:
    key = await keyed.make(name="podcast site", limits={"max_running_jobs": 4, "burst": 7})
    async with keyed.client() as administrator:
        listed = await administrator.get("/api/keys")
        shown = await administrator.get(f"/api/keys/{key.id}")
        problem(await administrator.get(f"/api/keys/{UNKNOWN}"), 404, "key-not-found")
    for answer in (listed, shown):
        assert key.secret not in answer.text
        assert digest_of(key.secret) not in answer.text
    assert shown.json()["prefix"] == key.secret[:11]
    assert shown.json()["limits"] == {
        "requests_per_second": None,
        "burst": 7,
        "max_queued_jobs": None,
        "max_running_jobs": 4,
        "max_stored_bytes": None,
    }
    async with keyed.client(key.secret) as client:
        await client.get("/api/jobs", headers={"X-Made-Up": key.secret})
        await client.get(f"/api/jobs/{key.secret}")
    for path in keyed.system.folder.rglob("*"):
        if path.is_file():
            assert key.secret.encode() not in path.read_bytes(), f"{path.name} holds the secret"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/name"),
        ({"name": ""}, "#/name"),
        ({"name": "a\nb"}, "#/name"),
        ({"name": "a", "scopes": []}, "#/scopes"),
        ({"name": "a", "scopes": ["root"]}, "#/scopes/0"),
        ({"name": "a", "scopes": ["read", "read"]}, "#"),
        ({"name": "a", "expires_at": "2030-01-01T00:00:00"}, "#/expires_at"),
        ({"name": "a", "limits": {"burst": 0}}, "#/limits/burst"),
        ({"name": "a", "limits": {"max_running_jobs": -1}}, "#/limits/max_running_jobs"),
        ({"name": "a", "secret": "wm_x"}, "#/secret"),
    ],
)
async def test_a_bad_key_is_refused(keyed: Keyed, body: dict[str, object], pointer: str) -> None:
    async with keyed.client() as administrator:
        refused = problem(await administrator.post("/api/keys", json=body), 422, "invalid-request")
    assert [error["pointer"] for error in refused["errors"]] == [pointer]
