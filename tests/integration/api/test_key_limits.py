"""How much of the API one key may use."""

import asyncio
import re
import time
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import httpx
from redis.asyncio import Redis

from deploy.local.servers import RedisServer
from services.api.access.caller import Limits
from services.api.access.rate_limit import RateLimiter
from tests.integration.api.driving import PROBE, files_under, problem, store_of, submit
from tests.integration.api.keyed import Keyed
from tests.system import System

# draft-ietf-httpapi-ratelimit-headers-10: lists of items that are strings, with integers as parameters.
POLICY = re.compile(r'"key";q=(\d+);w=(\d+)')
# One token in a minute: none comes back while a test runs.
LIMITS = Limits(requests_per_second=1 / 60, burst=10)
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


async def test_all_processes_count_together_and_each_alone_while_redis_is_away(own_redis: RedisServer) -> None:
    fallbacks: list[None] = []
    clients = [Redis.from_url(own_redis.url) for _ in range(2)]
    limiters = [RateLimiter(client, lambda: fallbacks.append(None)) for client in clients]
    # Scripts are there from the first call on.
    for limiter in limiters:
        await limiter.spend(uuid4(), LIMITS)
    together, alone = uuid4(), uuid4()
    assert await _allowed(limiters, together, 15) + await _allowed(limiters, together, 15) == 10
    assert await _allowed(limiters, alone, 2) == 4
    assert fallbacks == []
    own_redis.stop()
    # Each goes on from what it saw last: 7 and 6 of the 10 were left.
    assert await _allowed(limiters, alone, 30) == 13
    # The gates are not open.
    assert await _allowed(limiters, alone, 5) == 0
    assert len(fallbacks) == 70
    for client in clients:
        await client.aclose()


async def _allowed(limiters: list[RateLimiter], key_id: UUID, each: int) -> int:
    spent = [await limiter.spend(key_id, LIMITS) for _ in range(each) for limiter in limiters]
    return sum(one.allowed for one in spent)


async def test_without_redis_requests_are_answered_within_their_limit(
    own_system: System, own_redis: RedisServer
) -> None:
    keyed = await asyncio.to_thread(Keyed.on, own_system)
    key = await keyed.make(limits={"requests_per_second": 1 / 60, "burst": 4})
    own_redis.stop()
    async with keyed.client(key.secret) as client:
        statuses = [(await client.get("/api/jobs")).status_code for _ in range(6)]
    assert statuses == [200, 200, 200, 200, 429, 429]


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
