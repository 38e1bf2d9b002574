"""The examples of the guides to the API as they stand, and the README's tour by the generated client."""

import json
import re
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.client.generation import PACKAGE, generate
from deploy.local.servers import PostgresServer, RedisServer
from tests.audio_files import ffmpeg, sine
from tests.conftest import new_database
from tests.guide_pages import examples, run, run_shell
from tests.remote_server import Asked, RemoteServer, answer
from tests.system import System


@pytest.fixture(scope="module")
def system(
    postgres_server: PostgresServer, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """One for all pages, whose webhooks reach this machine."""
    with (
        new_database(postgres_server) as url,
        System(
            tmp_path_factory.mktemp("guides"),
            database_url=url,
            redis=redis_server,
            outbound_allowed_networks="127.0.0.1",
            reconcile_interval_seconds=0.2,
        ) as system,
    ):
        system.start()
        yield system


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_the_guide_to_the_api(system: System, tmp_path: Path) -> None:
    said = run_shell(examples("docs/api.md"), tmp_path, system.client.base_url)
    assert "event: status" in said
    ffmpeg("-i", tmp_path / "tone.opus", "-f", "null", "-")

    (tmp_path / "tour.py").write_text(examples("docs/api.md", "python"))
    generate(tmp_path)
    # Typed: the tour, and all of the client that it was generated with.
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(tmp_path / "cache")]
    run([*mypy, "tour.py", PACKAGE], tmp_path)
    said = run([sys.executable, "tour.py", str(system.client.base_url)], tmp_path)
    assert re.match(r"-\d+\.\d+ LUFS\n\d+ operations\n", said)
    ffmpeg("-i", tmp_path / "client.opus", "-f", "null", "-")


def test_the_page_on_batches(system: System, tmp_path: Path) -> None:
    with RemoteServer() as receiver:
        receiver.handlers["/season-3"] = answer(204)
        script = examples("docs/batches.md").replace("https://example.com/", receiver.url())
        said = run_shell(script, tmp_path, system.client.base_url)
        _wait_for(system, _json(tmp_path / "batch.json")["webhook"]["id"], "batch.ended")
        assert [each.path for each in receiver.asked] == ["/season-3"]
    assert "event: batch" in said
    assert '"has_ended":true' in said
    night = system.client.get(f"/api/batches/{_json(tmp_path / 'night.json')['id']}").json()
    assert night["counts"]["canceled"] == 2
    (name,) = zipfile.ZipFile(tmp_path / "Season 3.zip").namelist()
    assert re.fullmatch(r"second-[0-9a-f]{12}/transcode\.opus", name)


def test_the_page_on_webhooks(system: System, tmp_path: Path) -> None:
    sine(tmp_path / "talk.wav", dbfs=-23)
    with RemoteServer() as receiver:
        for path in ("/wavemill", "/done"):
            receiver.handlers[path] = answer(204)
        script = examples("docs/webhooks.md").replace("https://example.com/", receiver.url())
        run_shell(script, tmp_path, system.client.base_url)
        job = _json(tmp_path / "job.json")
        _wait_for(system, job["webhook"]["id"], "job.succeeded")
        webhook = _json(tmp_path / "webhook.json")
        _wait_for(system, webhook["id"], "ping")
        done = next(each for each in receiver.asked if each.path == "/done")
        ping = next(each for each in receiver.asked if each.path == "/wavemill" and b'"ping"' in each.body)
    assert _verified(job["webhook"]["secret"], done, tmp_path)["data"]["id"] == job["id"]
    assert _verified(webhook["secret"], ping, tmp_path)["data"]["webhook_id"] == webhook["id"]
    assert _json(tmp_path / "rotated.json")["secret"] != webhook["secret"]


def _wait_for(system: System, webhook_id: str, event: str) -> None:
    """Wait until a message of this kind is delivered."""
    deadline = time.monotonic() + 60
    while True:
        listed = system.client.get(f"/api/webhooks/{webhook_id}/deliveries").json()["deliveries"]
        # A batch of the page before may end late, and be told as well.
        if (event, "delivered") in [(each["event"], each["status"]) for each in listed]:
            return
        assert time.monotonic() < deadline, listed
        time.sleep(0.1)


def _verified(secret: str, asked: Asked, folder: Path) -> dict[str, Any]:
    """A message as the page's example in Python verifies it."""
    example = examples("docs/webhooks.md", "python")
    assert example.count("whsec_…") == 1
    given = f"request_body, request_headers = {asked.body!r}, {dict(asked.headers)!r}\n"
    program = given + example.replace("whsec_…", secret) + "import json; print(json.dumps(message))\n"
    message: dict[str, Any] = json.loads(run([sys.executable, "-c", program], folder))
    return message
