"""The header Idempotency-Key: a request that is sent again is done once."""

import asyncio
import json
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select

from shared.store.idempotency import IdempotencyKeys
from shared.store.tables import idempotency_keys
from shared.store.webhooks import MOST_WEBHOOKS
from tests.integration.api.driving import PROBE, Store, files_under, problem, store_of
from tests.integration.api.keyed import Keyed


def _header(key: str | None = None) -> dict[str, str]:
    return {"Idempotency-Key": f'"{key or uuid4()}"'}


async def _post(
    client: httpx.AsyncClient,
    headers: dict[str, str],
    *,
    data: bytes = b"audio",
    spec: str = PROBE,
    name: str = "a",
) -> httpx.Response:
    return await client.post("/api/jobs", data={"spec": spec}, files={"file": (name, data)}, headers=headers)


async def _jobs(client: httpx.AsyncClient) -> int:
    return len((await client.get("/api/jobs", params={"limit": 200})).json()["jobs"])


async def test_a_form_that_is_sent_again_gets_the_same_answer_and_no_second_job(keyed: Keyed) -> None:
    key = await keyed.make()
    async with keyed.client(key.secret) as client:
        headers = _header()
        first = await _post(client, headers)
        assert first.status_code == 202
        # What becomes of the job changes nothing of the answer.
        assert (await client.post(f"/api/jobs/{first.json()['id']}/cancel")).status_code == 202
        again = await _post(client, headers)
        assert (again.status_code, again.content, again.headers["location"]) == (
            202,
            first.content,
            first.headers["location"],
        )
        assert again.headers["idempotent-replayed"] == "true"
        assert "idempotent-replayed" not in first.headers
        # The draft's quotes may be missing: many clients send the bare text.
        bare = await _post(client, {"Idempotency-Key": headers["Idempotency-Key"].strip('"')})
        assert bare.content == first.content
        assert await _jobs(client) == 1
        other_spec = '{"operations":[{"op":"loudness"}]}'
        for answer in (
            await _post(client, headers, data=b"other"),
            await _post(client, headers, spec=other_spec),
            await _post(client, headers, name="b.wav"),
            await client.post("/api/uploads", files={"file": ("a", b"audio")}, headers=headers),
        ):
            problem(answer, 422, "idempotency-key-reused")
        assert await _jobs(client) == 1
    assert {name for name in files_under(keyed.system.folder / "data" / "blobs") if "incoming" in name} == set()


async def test_json_and_uploads_too(keyed: Keyed) -> None:
    key = await keyed.make()
    async with keyed.client(key.secret) as client:
        headers = _header()
        uploads = [await client.post("/api/uploads", files={"file": ("a", b"x")}, headers=headers) for _ in range(2)]
        assert uploads[0].status_code == uploads[1].status_code == 201
        assert uploads[0].content == uploads[1].content
        body = {"input": {"id": uploads[0].json()["id"]}, "operations": [{"op": "probe"}]}
        headers = _header()
        made = [await client.post("/api/jobs", json=body, headers=headers) for _ in range(2)]
        assert made[0].status_code == made[1].status_code == 202
        assert (made[0].content, made[0].headers["location"]) == (made[1].content, made[1].headers["location"])
        assert await _jobs(client) == 1
        other = await client.post("/api/jobs", json={**body, "priority": "low"}, headers=headers)
        problem(other, 422, "idempotency-key-reused")


@pytest.mark.parametrize("given", [None, "whsec_" + "c2VjcmV0" * 4])
async def test_a_webhooks_secret_is_answered_again_and_kept_with_the_webhook_alone(
    keyed: Keyed, given: str | None
) -> None:
    key = await keyed.make()
    store = store_of(keyed.system)
    async with keyed.client(key.secret) as client:
        upload = (await client.post("/api/uploads", files={"file": ("a", b"x")})).json()
        target = {"url": "https://example.com/done", "secret": given}
        silence = {"op": "silence", "min_seconds": 0.1, "threshold_dbfs": -61.7}
        # What is kept is taken apart and put together again: letters beyond ASCII, and all kinds of numbers.
        job = {"input": {"id": upload["id"]}, "operations": [silence], "metadata": {"show": 'Ä "secret":null'}}
        forms = {"spec": json.dumps({"operations": [silence], "webhook": target})}
        requests: list[tuple[str, dict[str, Any]]] = [
            ("/api/jobs", {"json": job | {"webhook": target}}),
            ("/api/jobs", {"data": forms, "files": {"file": ("a", b"x")}}),
            ("/api/batches", {"json": {"name": "Ä", "jobs": [job] * 2, "webhook": target}}),
        ]
        for path, body in requests:
            headers = _header()
            first = await client.post(path, **body, headers=headers)
            assert first.status_code == 202, first.text
            secret = first.json()["webhook"]["secret"]
            assert secret == given or given is None
            assert secret not in await _kept(store, key.id)
            again = await client.post(path, **body, headers=headers)
            assert (again.status_code, again.content) == (202, first.content)
            assert again.headers["idempotent-replayed"] == "true"
            # Where the client has another secret made, that is the one that it needs.
            webhook = f"/api/webhooks/{first.json()['webhook']['id']}"
            rotated = (await client.post(f"{webhook}/rotate")).json()["secret"]
            again = await client.post(path, **body, headers=headers)
            assert again.json() == first.json() | {"webhook": first.json()["webhook"] | {"secret": rotated}}
        # With its job a webhook goes, and its secret.
        headers = _header()
        first = await client.post("/api/jobs", **requests[0][1], headers=headers)
        await client.post(f"/api/jobs/{first.json()['id']}/cancel")
        assert (await client.delete(f"/api/jobs/{first.json()['id']}")).status_code == 204
        again = await client.post("/api/jobs", **requests[0][1], headers=headers)
        assert (again.status_code, again.json()["webhook"]["secret"]) == (202, None)
    await store.close()


@pytest.mark.parametrize("given", [None, "whsec_" + "c2VjcmV0" * 4])
async def test_a_standing_webhook_is_made_once_and_its_secret_kept_with_it_alone(
    keyed: Keyed, given: str | None
) -> None:
    key = await keyed.make()
    store = store_of(keyed.system)
    async with keyed.client(key.secret) as client:
        asked = {"url": "https://example.com/done", "description": "Ä", "secret": given}
        headers = _header()
        first = await client.post("/api/webhooks", json=asked, headers=headers)
        assert first.status_code == 201, first.text
        secret = first.json()["secret"]
        assert secret == given or given is None
        assert secret not in await _kept(store, key.id)
        answers = await asyncio.gather(*(client.post("/api/webhooks", json=asked, headers=headers) for _ in range(4)))
        for again in answers:
            assert (again.status_code, again.content, again.headers["location"]) == (
                201,
                first.content,
                first.headers["location"],
            )
            assert again.headers["idempotent-replayed"] == "true"
        assert len((await client.get("/api/webhooks")).json()["webhooks"]) == 1
        other = await client.post("/api/webhooks", json={**asked, "description": "other"}, headers=headers)
        problem(other, 422, "idempotency-key-reused")
        assert len((await client.get("/api/webhooks")).json()["webhooks"]) == 1
        # With the webhook its secret goes.
        assert (await client.delete(first.headers["location"])).status_code == 204
        again = await client.post("/api/webhooks", json=asked, headers=headers)
        assert (again.status_code, again.json()) == (201, first.json() | {"secret": None})
    await store.close()


async def test_a_webhook_that_is_refused_leaves_the_key_free(keyed: Keyed) -> None:
    key = await keyed.make()
    async with keyed.client(key.secret) as client:
        asked = {"url": "https://example.com/done"}
        made = [(await client.post("/api/webhooks", json=asked)).headers["location"] for _ in range(MOST_WEBHOOKS)]
        headers = _header()
        problem(await client.post("/api/webhooks", json=asked, headers=headers), 409, "too-many-webhooks")
        assert (await client.delete(made[0])).status_code == 204
        assert (await client.post("/api/webhooks", json=asked, headers=headers)).status_code == 201
        malformed = await client.post("/api/webhooks", json=asked, headers={"Idempotency-Key": "two words"})
        problem(malformed, 400, "malformed-idempotency-key")


async def _kept(store: Store, key_id: str) -> str:
    """All that is kept of the requests of a key."""
    query = select(idempotency_keys).where(idempotency_keys.c.scope == key_id)
    async with store.database.read() as connection:
        kept = str((await connection.execute(query)).all())
    assert "https://example.com/done" in kept
    return kept


async def test_of_many_at_a_time_one_makes_a_job(keyed: Keyed) -> None:
    key = await keyed.make()
    async with keyed.client(key.secret) as client:
        headers = _header()
        answers = await asyncio.gather(*(_post(client, headers) for _ in range(16)))
        statuses = Counter(answer.status_code for answer in answers)
        assert statuses.keys() <= {202, 409}
        assert statuses[202] >= 1
        assert len({answer.content for answer in answers if answer.status_code == 202}) == 1
        assert await _jobs(client) == 1


async def test_while_a_request_is_in_flight_another_is_told_to_wait(keyed: Keyed) -> None:
    key = await keyed.make()
    store = store_of(keyed.system)
    name = str(uuid4())
    async with keyed.client(key.secret) as client:
        upload = (await client.post("/api/uploads", files={"file": ("a", b"x")})).json()
        body = {"input": {"id": upload["id"]}, "operations": [{"op": "probe"}]}
        done = await client.post("/api/jobs", json=body, headers=_header())
        assert done.status_code == 202
        # As another process would that is doing the same.
        fingerprint = await _fingerprint(store, key.id)
        keys = IdempotencyKeys(store.database)
        reserved = await keys.reserve(name, key_id=UUID(key.id), fingerprint=fingerprint)
        waiting = await client.post("/api/jobs", json=body, headers=_header(name))
        problem(waiting, 409, "request-in-flight")
        assert waiting.headers["retry-after"] == "1"
        await keys.release(reserved)  # type: ignore[arg-type]
        assert (await client.post("/api/jobs", json=body, headers=_header(name))).status_code == 202
    await store.close()


async def _fingerprint(store: Store, key_id: str) -> str:
    """Of the only request of a key."""
    query = select(idempotency_keys.c.fingerprint).where(idempotency_keys.c.scope == key_id)
    async with store.database.read() as connection:
        return str((await connection.execute(query)).scalar_one())


async def test_a_refused_request_can_be_sent_again_corrected(keyed: Keyed) -> None:
    key = await keyed.make()
    async with keyed.client(key.secret) as client:
        headers = _header()
        body = {"input": {"id": str(uuid4())}, "operations": [{"op": "probe"}]}
        problem(await client.post("/api/jobs", json=body, headers=headers), 422, "invalid-request")
        problem(await client.post("/api/jobs", json={}, headers=headers), 422, "invalid-request")
        assert (await _post(client, headers)).status_code == 202


async def test_what_was_done_is_answered_also_when_no_more_is_taken(keyed: Keyed) -> None:
    key = await keyed.make(limits={"max_queued_jobs": 1, "max_stored_bytes": 5})
    async with keyed.client(key.secret) as client:
        headers = _header()
        first = await _post(client, headers)
        assert first.status_code == 202
        problem(await _post(client, _header()), 429, "key-queue-full")
        assert (await _post(client, headers)).content == first.content


async def test_what_one_key_makes_up_is_no_concern_of_another(keyed: Keyed) -> None:
    headers = _header()
    ids = set()
    for key in (await keyed.make(), await keyed.make()):
        async with keyed.client(key.secret) as client:
            ids.add((await _post(client, headers)).json()["id"])
    assert len(ids) == 2


@pytest.mark.parametrize(
    "values",
    [
        [""],
        ['""'],
        ['"open'],
        ['a"b'],
        ["two words"],
        ['"a", "b"'],
        ['"\\n"'],
        ["ümlaut"],
        [f'"{"a" * 256}"'],
        ["a" * 256],
        ['"a"', '"b"'],
        ['"a"', '"a"'],
    ],
)
async def test_a_malformed_key_is_refused(keyed: Keyed, values: list[str]) -> None:
    headers = httpx.Headers([(b"idempotency-key", value.encode("latin-1")) for value in values])
    async with keyed.client() as client:
        answer = await client.post("/api/uploads", files={"file": ("a", b"x")}, headers=headers)
        problem(answer, 400, "malformed-idempotency-key")
