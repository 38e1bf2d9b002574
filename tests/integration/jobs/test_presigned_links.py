"""Links to a bucket that are used twice, changed, or too late: the bucket checks signatures here."""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from deploy.local.servers import RedisServer
from tests.bucket_server import BucketServer
from tests.system import System

PATH = "/api/uploads/presigned"
DATA = b"ten bytes!"
AN_HOUR = timedelta(hours=1, seconds=1)


@pytest.fixture(scope="module")
def bucket() -> Iterator[BucketServer]:
    with BucketServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _in_time(bucket: BucketServer) -> Iterator[None]:
    yield
    bucket.ahead = timedelta()


@pytest.fixture(scope="module")
def system(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, redis_server: RedisServer, bucket: BucketServer
) -> Iterator[System]:
    """The API alone: no monitor clears up behind what is tried."""
    folder = tmp_path_factory.mktemp("links")
    shutil.copyfile(sqlite_template, folder / "wavemill.db")
    url = f"sqlite:///{folder / 'wavemill.db'}"
    with System(folder, database_url=url, redis=redis_server, blob_url="s3://audio/wavemill") as system:
        system.environment = {**system.environment, **bucket.environment}
        system.start_api()
        yield system


def begin(system: System) -> dict[str, Any]:
    begun = system.client.post(PATH, json={"filename": "talk.wav", "size_bytes": len(DATA)})
    assert begun.status_code == 201, begun.text
    found: dict[str, Any] = begun.json()
    return found


def put(url: str, data: bytes = DATA) -> httpx.Response:
    return httpx.put(url, content=data, trust_env=False)


def problem(answer: httpx.Response, status: int, kind: str) -> str:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert answer.json()["type"] == f"urn:wavemill:problem:{kind}"
    detail: str = answer.json()["detail"]
    return detail


def refused(answer: httpx.Response, code: str) -> None:
    assert answer.status_code == 403
    assert f"<Code>{code}</Code>" in answer.text


def in_bucket(bucket: BucketServer, prefix: str) -> dict[str, bytes]:
    store = bucket.opened()
    found = [each["path"] for page in store.list(f"wavemill/{prefix}") for each in page]
    return {path.removeprefix("wavemill/"): bytes(store.get(path).bytes()) for path in found}


def rows(system: System, upload_id: str) -> int:
    """Uploads of this id that jobs can name."""
    with sqlite3.connect(system.folder / "wavemill.db") as database:
        (count,) = database.execute("SELECT count(*) FROM uploads WHERE id = ?", [UUID(upload_id).hex]).fetchone()
    assert isinstance(count, int)
    return count


def expire(system: System, upload_id: str) -> None:
    with sqlite3.connect(system.folder / "wavemill.db", timeout=10) as database:
        changed = database.execute(
            "UPDATE unfinished_uploads SET expires_at = created_at WHERE id = ?", [UUID(upload_id).hex]
        )
    assert changed.rowcount == 1


def no_job_can_have(system: System, upload_id: str) -> None:
    body = {"input": {"id": upload_id}, "operations": [{"op": "probe"}]}
    assert system.client.post("/api/jobs", json=body).status_code == 422


def test_one_that_was_not_complete_in_time_is_gone(system: System) -> None:
    upload = begin(system)
    assert put(upload["url"]).is_success
    expire(system, upload["id"])
    assert "begin it again" in problem(system.client.post(upload["complete_url"]), 410, "upload-expired")
    assert rows(system, upload["id"]) == 0
    no_job_can_have(system, upload["id"])


def test_one_that_was_complete_in_time_stays(system: System) -> None:
    upload = begin(system)
    assert put(upload["url"]).is_success
    done = system.client.post(upload["complete_url"])
    assert done.status_code == 200, done.text
    expire(system, upload["id"])
    again = system.client.post(upload["complete_url"])
    assert (again.status_code, again.json()) == (200, done.json())


def test_a_link_to_send_to_is_refused_after_its_hour(system: System, bucket: BucketServer) -> None:
    upload = begin(system)
    bucket.ahead = AN_HOUR
    refused(put(upload["url"]), "AccessDenied")
    assert f"incoming/{upload['id']}" not in in_bucket(bucket, "incoming")
    problem(system.client.post(upload["complete_url"]), 409, "not-sent")
    assert rows(system, upload["id"]) == 0
    no_job_can_have(system, upload["id"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/incoming/", "/inputs/"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=604800"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
    ],
    ids=["another place", "a longer time", "another signature"],
)
def test_a_link_that_was_changed_is_refused(system: System, bucket: BucketServer, old: str, new: str) -> None:
    upload = begin(system)
    before = in_bucket(bucket, "")
    assert old in upload["url"]
    refused(put(upload["url"].replace(old, new)), "SignatureDoesNotMatch")
    # Nor is it one to fetch by, or to another upload.
    refused(httpx.get(upload["url"], trust_env=False), "SignatureDoesNotMatch")
    refused(put(upload["url"].replace(upload["id"], str(uuid4()))), "SignatureDoesNotMatch")
    assert in_bucket(bucket, "") == before
    problem(system.client.post(upload["complete_url"]), 409, "not-sent")


def test_a_link_that_is_used_again_changes_nothing_and_leaves_nothing(system: System, bucket: BucketServer) -> None:
    upload = begin(system)
    assert put(upload["url"], b"other data").is_success
    # Until it is complete, the last that was sent counts.
    assert put(upload["url"]).is_success
    done = system.client.post(upload["complete_url"]).json()
    kept = in_bucket(bucket, "inputs")
    assert DATA in kept.values()
    assert put(upload["url"], b"other data").is_success
    assert system.client.post(upload["complete_url"]).json() == done
    assert rows(system, upload["id"]) == 1
    assert in_bucket(bucket, "inputs") == kept
    assert f"incoming/{upload['id']}" not in in_bucket(bucket, "incoming")
    # And where nobody says again that it is complete, the monitor finds it.
    assert put(upload["url"], b"other data").is_success
    expire(system, upload["id"])
    system.environment = {
        **system.environment,
        "WAVEMILL_STRAY_GRACE_SECONDS": "0",
        "WAVEMILL_SWEEP_INTERVAL_SECONDS": "0.1",
    }
    monitor = system.start_monitor()
    deadline = time.monotonic() + 30
    while in_bucket(bucket, "incoming"):
        assert time.monotonic() < deadline, "what was sent too late is still there"
        time.sleep(0.1)
    # What other tests left in the bucket are strays to this monitor.
    assert DATA in in_bucket(bucket, "inputs").values()
    monitor.stop()
    problem(system.client.post(upload["complete_url"]), 404, "upload-not-found")
