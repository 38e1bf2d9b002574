"""The API while Redis, the database or the blob store is away, and how it ends."""

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx
import pytest
from redis import Redis

from deploy.local.servers import PostgresServer, RedisServer
from tests.conftest import migrate
from tests.integration.api.driving import Store, client_of, files_under, problem, submit
from tests.integration.api.event_stream import followed, told
from tests.system import System


@pytest.fixture(params=["stopped", "silent"])
def away(request: pytest.FixtureRequest, own_system: System, own_redis: RedisServer) -> Iterator[str]:
    """Redis refuses connections, or takes them and answers nothing."""
    if request.param == "stopped":
        own_redis.stop()
    else:
        own_redis.pause()
    yield request.param
    own_redis.resume()


async def test_jobs_are_taken_shown_and_followed_without_redis(
    own_api: httpx.AsyncClient, own_store: Store, away: str
) -> None:
    began = time.monotonic()
    job = await submit(own_api)
    assert (await own_api.get(f"/api/jobs/{job['id']}")).json() == job
    # Well below the time that Redis is given to answer.
    assert time.monotonic() - began < 1.5
    answer = await own_api.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["checks"] == {"database": "ok", "redis": "unavailable", "blobs": "ok"}
    async with followed(own_api, job["id"]) as stream:
        assert told(await stream.next()) == ("status", "queued", 0.0)
        began = time.monotonic()
        assert (await own_api.post(f"/api/jobs/{job['id']}/cancel")).status_code == 202
        assert time.monotonic() - began < 1.5
        assert told(await stream.next()) == ("status", "canceled", 0.0)
        assert await stream.ends()


async def test_messages_and_news_come_again_after_redis_did(
    own_api: httpx.AsyncClient, own_store: Store, own_redis: RedisServer
) -> None:
    job = await submit(own_api)
    async with followed(own_api, job["id"]) as stream:
        await stream.next()
        own_redis.restart()
        await submit(own_api)
        client = Redis.from_url(own_redis.url)
        for _ in range(200):
            if client.pubsub_numpat():  # the pattern is subscribed to again
                break
            await asyncio.sleep(0.05)
        event = await own_store.jobs.cancel(UUID(job["id"]))
        assert event is not None
        await own_store.events.publish(event.model_copy(update={"error_message": "by redis"}))
        assert json.loads((await stream.next()).data)["error_message"] == "by redis"
    later = await submit(own_api)
    for _ in range(200):
        waiting = [json.loads(message)["headers"]["job_id"] for message in client.lrange("default", 0, -1)]
        if later["id"] in waiting:
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("no message was published after Redis came back")
    client.close()


async def test_the_blob_store_is_away(own_system: System, own_api: httpx.AsyncClient) -> None:
    blobs = own_system.folder / "data" / "blobs"
    shutil.rmtree(blobs)
    # A file where the folder was: also root cannot write below it.
    blobs.write_text("")
    answer = await own_api.post("/api/uploads", files={"file": ("a", b"x")})
    assert "blob store" in problem(answer, 503, "unavailable")["detail"]
    assert answer.headers["retry-after"] == "5"
    body = problem(await own_api.get("/readyz"), 503, "not-ready")
    assert body["checks"] == {"database": "ok", "redis": "ok", "blobs": "unavailable"}
    assert (await own_api.get("/healthz")).status_code == 200


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that the test may stop."""
    with PostgresServer() as server:
        migrate(server.url)
        yield server


async def test_the_database_is_away(tmp_path: Path, own_postgres: PostgresServer, redis_server: RedisServer) -> None:
    with System(tmp_path, database_url=own_postgres.url, redis=redis_server) as system:
        system.start_api()
        async with client_of(system) as api:
            job = await submit(api)
            path = f"/api/jobs/{job['id']}"
            own_postgres.stop()
            upload = {"file": ("a", b"never kept")}
            before = files_under(tmp_path / "data" / "blobs")
            for answer in (
                await api.get(path),
                await api.get("/api/jobs"),
                await api.get(f"{path}/events"),
                await api.get(f"{path}/artifacts/a"),
                await api.post(f"{path}/cancel"),
                await api.post("/api/uploads", files=upload),
                await api.post("/api/jobs", files=upload, data={"spec": '{"operations": [{"op": "probe"}]}'}),
                await api.post(
                    "/api/jobs",
                    json={"input": {"id": job["input"]["id"]}, "operations": [{"op": "probe"}]},
                ),
            ):
                assert "database" in problem(answer, 503, "unavailable")["detail"]
                assert answer.headers["retry-after"] == "5"
            assert files_under(tmp_path / "data" / "blobs") == before
            assert problem(await api.get("/readyz"), 503, "not-ready")["checks"]["database"] == "unavailable"
            assert (await api.get("/healthz")).status_code == 200
            own_postgres.start()
            assert (await api.get(path)).json() == job
            assert (await api.get("/readyz")).json()["status"] == "ready"


async def test_the_database_is_too_slow(tmp_path: Path, postgres_url: str, redis_server: RedisServer) -> None:
    with System(
        tmp_path, database_url=postgres_url, redis=redis_server, database_statement_timeout_seconds=0.5
    ) as system:
        system.start_api()
        blocker = await asyncpg.connect(postgres_url)
        async with client_of(system) as api, blocker.transaction():
            await blocker.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
            assert "database" in problem(await api.get("/api/jobs"), 503, "unavailable")["detail"]
        async with client_of(system) as api:
            assert (await api.get("/api/jobs")).status_code == 200
        await blocker.close()


async def test_a_statement_that_is_wrong_is_not_the_client_s_fault(
    tmp_path: Path, postgres_url: str, redis_server: RedisServer
) -> None:
    with System(tmp_path, database_url=postgres_url, redis=redis_server) as system:
        system.start_api()
        connection = await asyncpg.connect(postgres_url)
        await connection.execute("ALTER TABLE jobs RENAME COLUMN progress TO advance")
        await connection.close()
        async with client_of(system) as api:
            body = problem(await api.get("/api/jobs"), 500)
        # The operator finds the occurrence in the log, with all that the client is not told.
        (line,) = system.logged(instance=body["instance"])
        assert "UndefinedColumnError" in line["exception"]
