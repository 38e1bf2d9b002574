"""How much of the API one key may use."""

import asyncio
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from deploy.local.servers import RedisServer
from tests.integration.api.driving import PROBE, files_under, problem, store_of, submit
from tests.integration.api.keyed import Keyed
from tests.system import System

# draft-ietf-httpapi-ratelimit-headers-10: lists of items that are strings, with integers as parameters.
POLICY = re.compile(r'"key";q=(\d+);w=(\d+)')
LIMIT = re.compile(r'"key";r=(\d+);t=(\d+)')


async def test_a_key_has_so_many_requests_at_once_and_is_told_when_it_may_go_on(keyed: Keyed) -> None:
    # One token in a minute: none comes back while the test runs.
    key = await keyed.make(limits={"requests_per_second": 1 / 60, "burst": 5})
    async with keyed.client(key.secret) as client, keyed.client() as others:
        for left in (4, 3, 2):
            answer = await client.get("/api/jobs")
            assert POLICY.fullmatch(answer.headers["ratelimit-policy"]).groups() == ("5", "300")  # type: ignore[union-attr]
            assert LIMIT.fullmatch(answer.headers["ratelimit"])[1] == str(left)  # type: ignore[index]
        # Errors cost as much, and say it too.
        missing = await client.get("/api/jobs/0190163d-8694-739b-aea5-966c26f8ad91")
        assert (missing.status_code, LIMIT.fullmatch(missing.headers["ratelimit"])[1]) == (404, "1")  # type: ignore[index]
        assert (await client.get("/api/nothing")).status_code == 404
        answers = await asyncio.gather(*(client.get("/api/jobs") for _ in range(20)))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 429: 19}
        refused = next(answer for answer in answers if answer.status_code == 429)
        problem(refused, 429, "too-many-requests")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert LIMIT.fullmatch(refused.headers["ratelimit"])[1] == "0"  # type: ignore[index]
        assert (await others.get("/api/jobs")).status_code == 200
        assert "ratelimit" not in (await client.get("/healthz")).headers


async def test_tokens_come_back_at_the_keys_rate(keyed: Keyed) -> None:
    key = await keyed.make(limits={"requests_per_second": 4, "burst": 1})
    async with keyed.client(key.secret) as client:
        began = time.monotonic()
        taken = 0
        while time.monotonic() < began + 3:
            answer = await client.get("/api/jobs")
            if answer.status_code == 200:
                taken += 1
            else:
                assert answer.headers["retry-after"] == "1"
                await asyncio.sleep(0.01)
        # The first, and four in each second of at most what has passed.
        assert 2 <= taken <= 1 + 4 * (time.monotonic() - began)


async def test_all_processes_count_together_and_each_alone_while_redis_is_away(
    tmp_path: Path, postgres_url: str, own_redis: RedisServer
) -> None:
    with (
        System(tmp_path / "one", database_url=postgres_url, redis=own_redis) as one,
        System(tmp_path / "two", database_url=postgres_url, redis=own_redis) as two,
    ):
        keyed = Keyed(one)
        one.start_api()
        two.start_api()
        limits = {"requests_per_second": 1 / 60, "burst": 10}
        together, alone = await keyed.make(limits=limits), await keyed.make(limits=limits)
        assert await _let_through([one, two], together.secret, 15) == 10
        own_redis.stop()
        assert 10 <= await _let_through([one, two], alone.secret, 30) <= 20
        # The gates are not open.
        assert await _let_through([one, two], alone.secret, 5) == 0
        assert '"level": "error"' not in one.log() + two.log()


async def _let_through(systems: list[System], secret: str, each: int) -> int:
    statuses: Counter[int] = Counter()
    for system in systems:
        headers = {"Authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(base_url=system.client.base_url, trust_env=False, timeout=60) as client:
            answers = await asyncio.gather(*(client.get("/api/jobs", headers=headers) for _ in range(each)))
        statuses.update(answer.status_code for answer in answers)
    assert statuses.keys() <= {200, 429}, statuses
    return statuses[200]


async def test_while_too_many_jobs_of_a_key_wait_no_more_are_taken(keyed: Keyed) -> None:
    key = await keyed.make(limits={"max_queued_jobs": 3})
    other = await keyed.make()
    async with keyed.client(key.secret) as client, keyed.client(other.secret) as others:
        first = await submit(client)
        more = await asyncio.gather(*(_post(client) for _ in range(10)))
        assert Counter(answer.status_code for answer in more) == {202: 2, 429: 8}
        refused = next(answer for answer in more if answer.status_code == 429)
        assert "3 jobs" in problem(refused, 429, "key-queue-full")["detail"]
        assert int(refused.headers["retry-after"]) > 0
        await submit(others)
        # An upload is no job.
        assert (await client.post("/api/uploads", files={"file": ("a", b"x")})).status_code == 201
        assert (await client.post(f"/api/jobs/{first['id']}/cancel")).status_code == 202
        problem(await client.post(f"/api/jobs/{first['id']}/retry"), 429, "key-queue-full")
        deadline = time.monotonic() + 20
        while (answer := await _post(client)).status_code != 202:
            assert time.monotonic() < deadline, answer.text
            await asyncio.sleep(0.1)


async def _post(client: httpx.AsyncClient, data: bytes = b"some audio") -> httpx.Response:
    return await client.post("/api/jobs", data={"spec": PROBE}, files={"file": ("a.wav", data)})


async def test_a_key_keeps_so_many_bytes_of_inputs_and_results(keyed: Keyed) -> None:
    key = await keyed.make(limits={"max_stored_bytes": 1000})
    async with keyed.client(key.secret) as client:
        assert (await _post(client, b"a" * 600)).status_code == 202
        before = files_under(keyed.system.folder / "data" / "blobs")
        for answer in (await _post(client, b"b" * 401), await _upload(client, b"c" * 401)):
            assert "1000 bytes" in problem(answer, 507, "key-storage-full")["detail"]
        assert files_under(keyed.system.folder / "data" / "blobs") == before
        job = (await _post(client, b"d" * 100)).json()
        # What jobs make counts too.
        store = store_of(keyed.system)
        await store.succeed(job["id"], {"a.txt": ("text/plain", b"e" * 299)})
        await store.close()
        deadline = time.monotonic() + 20
        while (answer := await _upload(client, b"f")).status_code != 507:
            assert time.monotonic() < deadline, answer.text
            await asyncio.sleep(0.2)
        problem(answer, 507, "key-storage-full")


async def _upload(client: httpx.AsyncClient, data: bytes) -> httpx.Response:
    files: dict[str, Any] = {"file": ("a.wav", data)}
    return await client.post("/api/uploads", files=files)
