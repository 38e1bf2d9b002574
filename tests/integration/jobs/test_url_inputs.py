"""Inputs that Wavemill fetches, from a real server that does what servers do: drop, lie, refuse, stall."""

import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.processes import ChildProcess
from deploy.local.servers import RedisServer
from tests.audio_files import recording
from tests.guide_pages import examples
from tests.remote_server import Asked, Handler, RemoteServer, answer, head
from tests.system import Job, System

MAX_INPUT = 6_000_000
PROBE = [{"op": "probe"}]


@pytest.fixture(scope="module")
def system(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, redis_server: RedisServer
) -> Iterator[System]:
    """All services, for the tests of this module; what fails is tried again soon."""
    folder = tmp_path_factory.mktemp("fetching")
    shutil.copyfile(sqlite_template, folder / "wavemill.db")
    settings: dict[str, Any] = {"outbound_allowed_networks": "127.0.0.1/32", "max_input_bytes": MAX_INPUT}
    settings |= {"retry_backoff_base_seconds": 0.1, "retry_backoff_max_seconds": 0.2, "reconcile_interval_seconds": 0.2}
    settings |= {"max_attempts": 2, "heartbeat_seconds": 0.2, "worker_soft_shutdown_seconds": 0.5}
    with System(folder, database_url=f"sqlite:///{folder / 'wavemill.db'}", redis=redis_server, **settings) as system:
        system.start()
        yield system


@pytest.fixture
def remote() -> Iterator[RemoteServer]:
    with RemoteServer() as server:
        yield server


@pytest.fixture(scope="module")
def speech() -> bytes:
    return recording().read_bytes()


def submit(system: System, url: str, **more: Any) -> Job:
    body = {"input": {"type": "url", "url": url}, "operations": PROBE} | more
    answer = system.client.post("/api/jobs", json=body)
    assert answer.status_code == 202, answer.text
    job: Job = answer.json()
    assert job["status"] == "fetching"
    assert job["input"] is None
    return job


def ended(system: System, url: str) -> Job:
    return system.finished(submit(system, url)["id"])


def outcomes(job: Job) -> list[str | None]:
    return [attempt["outcome"] for attempt in job["attempts"]]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def blobs(system: System, prefix: str) -> list[Path]:
    return [path for path in (system.folder / "data" / "blobs" / prefix).rglob("*") if path.is_file()]


def dropping(data: bytes, *, at: int, tag: str | None = '"1"', resumes: bool = True) -> Handler:
    """Hangs up at a byte, and goes on from wherever it is asked to."""

    async def write(asked: Asked, writer: asyncio.StreamWriter) -> None:
        more = {"etag": tag} if tag else {}
        begin = asked.headers.get("range", "").removeprefix("bytes=").removesuffix("-")
        if begin and resumes and asked.headers.get("if-range") == tag:
            start = int(begin)
            of = f"bytes {start}-{len(data) - 1}/{len(data)}"
            rest = data[start:]
            writer.write(head(206, content_length=str(len(rest)), content_range=of, **more) + rest)
        else:
            writer.write(head(200, content_length=str(len(data)), **more) + data[:at])

    return write


def in_turn(*handlers: Handler) -> Handler:
    """The first for the first request, and so on; the last for all others."""
    left = list(handlers)

    async def write(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(asked, writer)

    return write


def test_a_url_is_fetched_and_worked_on(system: System, remote: RemoteServer, speech: bytes) -> None:
    named = "attachment; filename*=UTF-8''Gr%C3%B6%C3%9Fe.wav"
    remote.handlers["/download?token=secret"] = answer(200, speech, content_disposition=named)
    job = ended(system, remote.url("/download?token=secret"))
    assert job["status"] == "succeeded", job
    assert (job["input"]["sha256"], job["input"]["filename"]) == (sha256(speech), "Größe.wav")
    assert job["source_url"] == remote.url("/download")
    assert outcomes(job) == ["fetched", "succeeded"]
    assert job["results"]["probe"]["container"] == "wav"
    assert "token=secret" not in system.log()


@pytest.mark.parametrize(
    ("path", "filename"), [("/a/talk%20one.wav?x=y.mp3", "talk one.wav"), ("/a/", None), ("/..%2F..%2Fb.wav", "b.wav")]
)
def test_without_a_name_the_url_gives_one(
    system: System, remote: RemoteServer, speech: bytes, path: str, filename: str | None
) -> None:
    remote.handlers[path] = answer(200, speech)
    assert ended(system, remote.url(path))["input"]["filename"] == filename


def test_a_dropped_connection_is_taken_up_where_it_broke(system: System, remote: RemoteServer, speech: bytes) -> None:
    remote.handlers["/"] = dropping(speech, at=len(speech) // 2)
    job = ended(system, remote.url())
    assert (job["status"], job["input"]["sha256"]) == ("succeeded", sha256(speech))
    assert outcomes(job) == ["fetched", "succeeded"]
    first, second = remote.asked
    assert "range" not in first.headers
    # As much as had come, and of this very file.
    assert 0 < int(second.headers["range"].removeprefix("bytes=").removesuffix("-")) <= len(speech) // 2
    assert second.headers["if-range"] == '"1"'


def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(
    system: System, remote: RemoteServer, speech: bytes
) -> None:
    other = speech + bytes(1000)
    remote.handlers["/"] = in_turn(
        dropping(speech, at=1_000_000), answer(200, other, etag='"2"'), answer(200, other, etag='"2"')
    )
    job = ended(system, remote.url())
    assert (job["status"], job["input"]["sha256"]) == ("succeeded", sha256(other))
    assert outcomes(job) == ["retried", "fetched", "succeeded"]


@pytest.mark.parametrize("tag", [None, 'W/"1"'])
def test_where_nothing_names_the_version_all_is_fetched_again(
    system: System, remote: RemoteServer, speech: bytes, tag: str | None
) -> None:
    named: dict[str, str] = {"etag": tag} if tag else {}
    remote.handlers["/"] = in_turn(dropping(speech, at=1_000_000, tag=tag), answer(200, speech, **named))
    job = ended(system, remote.url())
    assert job["input"]["sha256"] == sha256(speech)
    assert outcomes(job) == ["retried", "fetched", "succeeded"]
    assert all("range" not in asked.headers for asked in remote.asked)


def test_a_part_that_was_not_asked_for_is_not_taken(system: System, remote: RemoteServer, speech: bytes) -> None:
    rest = speech[500:]
    wrong = answer(206, rest, content_range=f"bytes 500-{len(speech) - 1}/{len(speech)}", etag='"1"')
    remote.handlers["/"] = in_turn(dropping(speech, at=1_000_000), wrong, answer(200, speech, etag='"1"'))
    job = ended(system, remote.url())
    assert job["input"]["sha256"] == sha256(speech)
    assert outcomes(job) == ["retried", "fetched", "succeeded"]


def test_what_passes_is_tried_again(system: System, remote: RemoteServer, speech: bytes) -> None:
    remote.handlers["/"] = in_turn(answer(503), answer(200, speech))
    job = ended(system, remote.url())
    assert outcomes(job) == ["retried", "fetched", "succeeded"]


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (answer(404), ("url_answer_refused", "answered 404 (Not Found) instead of sending the file", 1)),
        (answer(401), ("url_answer_refused", "answered 401 (Unauthorized)", 1)),
        (answer(204), ("url_answer_refused", "answered 204 (No Content)", 1)),
        (answer(500), ("url_answer_failed", "answered 500 (Internal Server Error). It was tried 2 times.", 2)),
        (answer(429), ("url_answer_failed", "answered 429 (Too Many Requests)", 2)),
        (answer(302, location="http://127.0.0.2/x"), ("address_refused", "is not on the internet", 1)),
        (answer(302, location="http://169.254.169.254/"), ("address_refused", "is not on the internet", 1)),
        (answer(302, location="file:///etc/passwd"), ("url_refused", "does not begin with https", 1)),
        (answer(302, location="/"), ("too_many_redirects", "leads elsewhere more than 5 times", 1)),
        (answer(200, b"x", content_length=str(MAX_INPUT + 1)), ("answer_too_large", f"larger than the {MAX_INPUT}", 1)),
        (answer(200, bytes(MAX_INPUT + 1), content_length=""), ("answer_too_large", f"larger than the {MAX_INPUT}", 1)),
        (answer(200, b"x", content_encoding="gzip"), ("url_answer_encoded", "packed", 1)),
        (answer(200, b"half", content_length="8"), ("connection_broke_off", "broke off. It was tried 2 times.", 2)),
        (answer(200, b"no audio"), ("not_audio", "", 2)),
    ],
)
def test_what_does_not_come_fails_and_says_why(
    system: System, remote: RemoteServer, handler: Handler, expected: tuple[str, str, int]
) -> None:
    code, words, tried = expected
    remote.handlers["/"] = handler
    job = ended(system, remote.url())
    assert (job["status"], job["error_code"]) == ("failed", code)
    assert words in job["error_message"]
    assert len(job["attempts"]) == tried
    assert not job["poisoned"]


def test_nothing_is_left_of_what_was_not_whole(system: System) -> None:
    """After all of the above."""
    assert blobs(system, "incoming") == []
    assert system.scratch_files() == []


async def _stall(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(head(200, content_length="1000000") + bytes(500_000))
    await writer.drain()
    await asyncio.sleep(120)


def test_its_progress_is_seen_and_it_can_be_canceled(system: System, remote: RemoteServer) -> None:
    remote.handlers["/"] = _stall
    job_id = submit(system, remote.url())["id"]
    job = system.wait_until(job_id, lambda job: job["progress"] > 0)
    assert (job["status"], job["progress"]) == ("fetching", 0.5)
    asked = time.monotonic()
    assert system.client.post(f"/api/jobs/{job_id}/cancel").status_code == 202
    job = system.finished(job_id)
    assert time.monotonic() - asked < 10
    assert (job["status"], outcomes(job)) == ("canceled", ["canceled"])
    assert blobs(system, "incoming") == []


def test_a_fetcher_that_dies_is_replaced(system: System, remote: RemoteServer, speech: bytes) -> None:
    remote.handlers["/"] = in_turn(_stall, answer(200, speech))
    job_id = submit(system, remote.url())["id"]
    job = system.wait_until(job_id, lambda job: job["progress"] > 0)
    os.kill(int(job["attempts"][-1]["worker"].split("/")[1]), signal.SIGKILL)
    job = system.finished(job_id)
    assert (job["status"], outcomes(job)) == ("succeeded", ["lost", "fetched", "succeeded"])


def test_a_fetch_that_failed_is_begun_anew_when_the_user_wants_it(
    system: System, remote: RemoteServer, speech: bytes
) -> None:
    remote.handlers["/"] = in_turn(answer(404), answer(200, speech))
    job_id = submit(system, remote.url())["id"]
    assert system.finished(job_id)["status"] == "failed"
    again = system.client.post(f"/api/jobs/{job_id}/retry")
    assert (again.status_code, again.json()["status"]) == (202, "fetching")
    job = system.finished(job_id)
    assert (job["status"], outcomes(job)) == ("succeeded", ["failed", "fetched", "succeeded"])


def test_an_artifact_is_the_next_jobs_input_and_equal_bytes_are_stored_once(
    system: System, remote: RemoteServer, speech: bytes
) -> None:
    first = system.finished(system.submit(speech, {"op": "transcode", "format": "flac"}, filename="talk.wav")["id"])
    (made,) = first["artifacts"]
    body = {"input": {"type": "artifact", "job_id": first["id"], "name": made["name"]}, "operations": PROBE}
    jobs = [system.client.post("/api/jobs", json=body).json() for _ in range(2)]
    for job in jobs:
        done = system.finished(job["id"])
        assert (done["status"], done["results"]["probe"]["container"]) == ("succeeded", "flac")
        assert (done["input"]["sha256"], done["input"]["filename"]) == (made["sha256"], "talk-transcode.flac")
    digests = [path.name for path in blobs(system, "inputs")]
    assert digests.count(made["sha256"]) == digests.count(sha256(speech)) == 1


def test_the_page_on_inputs_can_be_run_from_top_to_bottom(system: System, tmp_path: Path) -> None:
    script = examples("docs/inputs.md").replace("http://127.0.0.1:8000", str(system.client.base_url))
    before = {job["id"] for job in system.client.get("/api/jobs").json()["jobs"]}
    done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "talk-transcode.flac").read_bytes().startswith(b"fLaC")
    made = [job for job in system.client.get("/api/jobs").json()["jobs"] if job["id"] not in before]
    ends = [system.finished(job["id"]) for job in made]
    # The one on a URL that nobody has; the others each by another way.
    assert sorted(job["status"] for job in ends) == ["failed", *["succeeded"] * 6]


def test_a_worker_that_is_told_to_stop_hands_the_fetch_back(
    system: System, remote: RemoteServer, speech: bytes
) -> None:
    """Last: the worker ends."""
    remote.handlers["/"] = in_turn(_stall, answer(200, speech))
    job_id = submit(system, remote.url())["id"]
    system.wait_until(job_id, lambda job: job["progress"] > 0)
    worker: ChildProcess = system.process("worker")
    worker.ask_to_stop()
    job = system.wait_until(job_id, lambda job: bool(job["attempts"][-1]["outcome"]))
    assert (job["status"], outcomes(job)) == ("fetching", ["handed_back"])
    system.start_worker("heir")
    assert outcomes(system.finished(job_id)) == ["handed_back", "fetched", "succeeded"]
