"""Files in a bucket. Uploads and downloads go there past the API."""

import hashlib
import io
import shutil
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from tusclient.client import TusClient

from deploy.local.servers import RedisServer
from tests.audio_files import recording
from tests.bucket_server import BucketServer
from tests.remote_server import RemoteServer, answer
from tests.system import Job, System

PATH = "/api/uploads/presigned"


@pytest.fixture(scope="module")
def bucket() -> Iterator[BucketServer]:
    with BucketServer() as server:
        yield server


@pytest.fixture(scope="module")
def system(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, redis_server: RedisServer, bucket: BucketServer
) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("bucket")
    shutil.copyfile(sqlite_template, folder / "wavemill.db")
    settings: dict[str, Any] = {"blob_url": "s3://audio/wavemill", "presigned_downloads": True}
    settings["outbound_allowed_networks"] = "127.0.0.1"
    with System(folder, database_url=f"sqlite:///{folder / 'wavemill.db'}", redis=redis_server, **settings) as system:
        system.environment = {**system.environment, **bucket.environment}
        system.start()
        yield system


@pytest.fixture(scope="module")
def speech() -> bytes:
    return recording().read_bytes()


def begin(system: System, size: int, **more: str) -> dict[str, Any]:
    begun = system.client.post(PATH, json={"filename": "talk.wav", "size_bytes": size, **more})
    assert begun.status_code == 201, begun.text
    found: dict[str, Any] = begun.json()
    return found


def sent(upload: dict[str, Any], data: bytes) -> None:
    """Without a key and past the API, as a browser does it."""
    assert httpx.put(upload["url"], content=data, trust_env=False).is_success


def job_on(system: System, upload_id: str, *operations: dict[str, Any]) -> Job:
    body = {"input": {"id": upload_id}, "operations": operations or ({"op": "probe"},)}
    created = system.client.post("/api/jobs", json=body)
    assert created.status_code == 202, created.text
    return system.finished(created.json()["id"])


def test_a_file_goes_to_the_bucket_and_its_result_is_fetched_there(
    system: System, bucket: BucketServer, speech: bytes
) -> None:
    upload = begin(system, len(speech), sha256=hashlib.sha256(speech).hexdigest())
    assert urlsplit(upload["url"]).netloc == urlsplit(bucket.url).netloc
    sent(upload, speech)
    done = system.client.post(upload["complete_url"])
    assert (done.status_code, done.json()["id"]) == (200, upload["id"])
    assert done.json()["sha256"] == hashlib.sha256(speech).hexdigest()
    # To say it again, or to send something else now, changes nothing.
    sent(upload, b"something else")
    assert system.client.post(upload["complete_url"]).json() == done.json()
    job = job_on(system, upload["id"], {"op": "transcode", "format": "flac"})
    assert job["status"] == "succeeded", job

    (artifact,) = job["artifacts"]
    answer = system.client.get(artifact["url"])
    assert (answer.status_code, answer.headers["cache-control"]) == (307, "no-store")
    fetched = httpx.get(answer.headers["location"], trust_env=False)
    assert hashlib.sha256(fetched.content).hexdigest() == artifact["sha256"]
    assert fetched.headers["content-type"] == artifact["media_type"]
    assert fetched.headers["content-disposition"] == "attachment; filename=talk-transcode.flac"
    part = httpx.get(answer.headers["location"], headers={"Range": "bytes=4-7"}, trust_env=False)
    assert (part.status_code, part.content) == (206, fetched.content[4:8])
    # The link is of this one file, and of its hour.
    other = answer.headers["location"].replace("transcode.flac", "probe.json")
    assert "<Code>SignatureDoesNotMatch</Code>" in httpx.get(other, trust_env=False).text
    bucket.ahead = timedelta(hours=1, seconds=1)
    late = httpx.get(answer.headers["location"], trust_env=False)
    bucket.ahead = timedelta()
    assert (late.status_code, "Request has expired" in late.text) == (403, True)
    # What the client has already is not fetched, and HEAD is answered here.
    tag = {"If-None-Match": f'"{artifact["sha256"]}"'}
    assert system.client.get(artifact["url"], headers=tag).status_code == 304
    assert system.client.head(artifact["url"]).headers["content-length"] == str(artifact["size_bytes"])


@pytest.mark.parametrize(
    ("announced", "data", "status", "words"),
    [
        ({"size": 5}, None, 409, "Nothing has come"),
        ({"size": 5}, b"four", 422, "5 bytes were announced, and 4 have come"),
        ({"size": 4, "sha256": "ab" * 32}, b"four", 422, "not those that were announced"),
    ],
)
def test_what_is_not_there_or_not_what_was_announced_is_no_upload(
    system: System, announced: dict[str, Any], data: bytes | None, status: int, words: str
) -> None:
    upload = begin(system, **announced)
    if data is not None:
        sent(upload, data)
    refused = system.client.post(upload["complete_url"])
    assert refused.status_code == status
    assert words in refused.json()["detail"]
    body = {"input": {"id": upload["id"]}, "operations": [{"op": "probe"}]}
    assert system.client.post("/api/jobs", json=body).status_code == 422


def test_too_large_and_unknown_ones_are_told(system: System) -> None:
    assert system.client.post(PATH, json={"size_bytes": 6 * 1024**3}).status_code == 413
    assert system.client.post(PATH, json={"size_bytes": -1}).status_code == 422
    assert system.client.post(f"{PATH}/{uuid4()}/complete").status_code == 404


def test_resumable_and_fetched_inputs_come_to_the_bucket_too(system: System, speech: bytes) -> None:
    uploader = TusClient(f"http://127.0.0.1:{system.api_port}/api/uploads/tus").uploader(
        str(recording()), chunk_size=1_000_000
    )
    uploader.upload()
    job = job_on(system, str(uploader.url).rpartition("/")[2])
    assert (job["status"], job["input"]["sha256"]) == ("succeeded", hashlib.sha256(speech).hexdigest())
    with RemoteServer() as remote:
        remote.handlers["/talk.wav"] = answer(200, speech)
        body = {"input": {"type": "url", "url": remote.url("/talk.wav")}, "operations": [{"op": "probe"}]}
        job = system.finished(system.client.post("/api/jobs", json=body).json()["id"])
    assert (job["status"], job["input"]["sha256"]) == ("succeeded", hashlib.sha256(speech).hexdigest())


def test_an_artifact_in_the_bucket_is_an_input(system: System, speech: bytes) -> None:
    first = system.finished(system.submit(speech, {"op": "transcode", "format": "flac"})["id"])
    given = {"type": "artifact", "job_id": first["id"], "name": first["artifacts"][0]["name"]}
    created = system.client.post("/api/jobs", json={"input": given, "operations": [{"op": "probe"}]})
    assert system.finished(created.json()["id"])["results"]["probe"]["container"] == "flac"


def archive(system: System, path: str) -> dict[str, bytes]:
    """What is in an archive; each file's checksum is right."""
    answer = system.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip"), answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        assert found.testzip() is None
        return {name: found.read(name) for name in found.namelist()}


def test_archives_are_made_of_what_is_in_the_bucket(system: System, bucket: BucketServer, speech: bytes) -> None:
    upload = system.client.post("/api/uploads", files={"file": ("talk.wav", speech)}).json()
    operations = [{"op": "transcode", "format": "flac"}, {"op": "waveform", "formats": ["json"]}]
    body = {"defaults": {"operations": operations}, "jobs": [{"input": {"id": upload["id"]}}] * 2}
    batch = system.client.post("/api/batches", json=body).json()
    listed = system.client.get(f"/api/batches/{batch['id']}/jobs").json()["jobs"]
    jobs = [system.finished(job["id"]) for job in listed]
    digests = [{each["name"]: each["sha256"] for each in job["artifacts"]} for job in jobs]
    assert [list(each) for each in digests] == [["transcode.flac", "waveform.json"]] * 2

    of_job = archive(system, f"/api/jobs/{jobs[0]['id']}/artifacts.zip")
    assert {name: hashlib.sha256(data).hexdigest() for name, data in of_job.items()} == digests[0]
    folders = [f"talk-{UUID(job['id']).hex[-12:]}" for job in jobs]
    of_batch = archive(system, f"/api/batches/{batch['id']}/artifacts.zip")
    assert {name: hashlib.sha256(data).hexdigest() for name, data in of_batch.items()} == {
        f"{folder}/{name}": digest for folder, of in zip(folders, digests, strict=True) for name, digest in of.items()
    }
    # What somebody takes out of the bucket is named; the others come all the same.
    store = bucket.opened()
    kept = [item["path"] for page in store.list(f"wavemill/artifacts/{jobs[0]['id']}/") for item in page]
    store.delete([path for path in kept if path.endswith("/transcode.flac")])
    of_job = archive(system, f"/api/jobs/{jobs[0]['id']}/artifacts.zip")
    assert list(of_job) == ["waveform.json", "_gone.txt"]
    assert b"transcode.flac" in of_job["_gone.txt"]
