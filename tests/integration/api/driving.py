"""What the tests do to the API, and how they look at its answers."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from shared.blobs import Blobs, artifact_key
from shared.events import EventPublisher, connect
from shared.settings import Settings
from shared.store.database import Database
from shared.store.job_views import JobViews
from shared.store.jobs import Jobs
from shared.store.records import Claim, NewArtifact, Usage
from shared.store.uploads import Uploads
from tests.system import System

MAX_UPLOAD = 300_000
MAX_SPEC = 4096
PROBE = json.dumps({"operations": [{"op": "probe"}]})


class Store:
    """What a worker would do to the API's jobs."""

    def __init__(self, settings: Settings) -> None:
        self.database = Database.from_settings(settings)
        self.jobs = Jobs(self.database)
        self.views = JobViews(self.database)
        self.uploads = Uploads(self.database)
        self.blobs = Blobs.from_settings(settings)
        self.redis = connect(settings)
        self.events = EventPublisher(self.redis)

    async def claim(self, job_id: str) -> Claim:
        """Begin an attempt at a queued job."""
        claim = await self.jobs.claim(UUID(job_id), worker="test@host", lease_seconds=60)
        assert claim is not None
        return claim

    async def keys(self, job_id: str, name: str) -> list[str]:
        """Where the artifact of a name is stored, of every attempt."""
        return [blob.key async for blob in self.blobs.list(f"artifacts/{job_id}/") if blob.key.endswith(f"/{name}")]

    async def succeed(self, job_id: str, files: dict[str, tuple[str, bytes]]) -> None:
        """Have the job succeed, with these artifacts (name to media type and bytes)."""
        claim = await self.claim(job_id)
        made = []
        for name, (media_type, data) in files.items():
            key = artifact_key(UUID(job_id), claim.lease.attempt, claim.lease.token, name)

            async def whole(data: bytes = data) -> AsyncIterator[bytes]:
                yield data

            await self.blobs.put_stream(key, whole())
            made.append(NewArtifact(name, key, media_type, len(data), hashlib.sha256(data).hexdigest()))
        await self.events.publish(claim.event)
        event = await self.jobs.succeed(claim.lease, results={}, made=made, usage=Usage(1.0, 0.1))
        await self.events.publish(event)

    async def close(self) -> None:
        """Close the connections."""
        await self.redis.aclose()
        await self.database.close()


def client_of(system: System) -> httpx.AsyncClient:
    """A client of a system's API."""
    return httpx.AsyncClient(base_url=system.client.base_url, timeout=30, trust_env=False)


def store_of(system: System) -> Store:
    """The store of a system."""
    environment = system.environment
    return Store(
        Settings.model_validate(
            {
                "database_url": environment["DATABASE_URL"],
                "redis_host": environment["REDIS_HOST"],
                "redis_port": environment["REDIS_PORT"],
                "data_dir": environment["WAVEMILL_DATA_DIR"],
            }
        )
    )


async def submit(api: httpx.AsyncClient, data: bytes = b"some audio", *, filename: str = "a.wav") -> dict[str, Any]:
    """A new job."""
    answer = await api.post("/api/jobs", data={"spec": PROBE}, files={"file": (filename, data)})
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def problem(answer: httpx.Response, status: int, name: str | None = None) -> dict[str, Any]:
    """The problem that an answer is; it is a whole one, and of this kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["type"] == (f"urn:wavemill:problem:{name}" if name else "about:blank")
    assert body["title"]
    assert body["detail"]
    for secret in ("Traceback", "/tmp", ".py", "sqlite", "SELECT"):
        assert secret not in answer.text
    return body


def pointers(body: dict[str, Any]) -> list[str]:
    """Where the values are that a problem says are wrong."""
    return [error["pointer"] for error in body["errors"]]


def files_under(folder: Path) -> set[str]:
    """Every file below a folder, by its path in it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def stopping(port: int, path: str, content_type: str, sent: bytes) -> tuple[bytes, bytes]:
    """Send a part of a body and wait; gives the status line and the body of the answer, after which it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n"
    writer.write(f"{head}Content-Length: {len(sent) + 1}\r\n\r\n".encode() + sent)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    status, _, rest = answer.partition(b"\r\n")
    return status, rest.partition(b"\r\n\r\n")[2]
