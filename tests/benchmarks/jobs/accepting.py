"""POST /api/jobs in one API process, beside a bare FastAPI handler with one INSERT."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from deploy.local.processes import LOCALHOST, free_port
from tests.benchmarks.jobs.load import CLIENTS
from tests.benchmarks.jobs.servers import Servers, running, wait_until
from tests.benchmarks.report import Row
from tests.conftest import ROOT

OPERATIONS = [{"op": "loudness"}, {"op": "transcode", "format": "opus", "bitrate_kbps": 64}]


def measure(servers: Servers, *, rounds: int) -> tuple[Sequence[Row], dict[str, Any]]:
    """The row, and all rounds."""
    taken: dict[str, list[dict[str, float]]] = {"bare": [], "wavemill": []}
    for _ in range(rounds):
        taken["bare"].append(_bare(servers))
        taken["wavemill"].append(_wavemill(servers))
        print(f"  bare, wavemill: {taken['bare'][-1]} {taken['wavemill'][-1]}", flush=True)  # noqa: T201 - a command
    rates = {name: [each["requests_per_second"] for each in of_peer] for name, of_peer in taken.items()}
    row = Row(
        what=f"`POST /api/jobs`, JSON, known input, one API process, {CLIENTS} clients, beside one bare INSERT",
        wavemill=f"{statistics.median(rates['wavemill']):.0f} requests/s",
        beside=f"{statistics.median(rates['bare']):.0f} requests/s",
        compared="ratio",
        rounds=tuple(ours / theirs for ours, theirs in zip(rates["wavemill"], rates["bare"], strict=True)),
        must=0.35,
        aim=0.6,
        better="higher",
    )
    return (row,), taken


def _bare(servers: Servers) -> dict[str, float]:
    with _serving(servers, "tests.benchmarks.jobs.bare_insert:app", migrated=False) as port:
        return _load(port, "/things", {"body": {"operations": OPERATIONS}})


def _wavemill(servers: Servers) -> dict[str, float]:
    servers.empty_redis()
    with _serving(servers, "services.api.app:app", migrated=True) as port:
        sent = httpx.post(
            f"http://{LOCALHOST}:{port}/api/uploads", files={"file": ("voice.wav", b"no audio")}, trust_env=False
        )
        sent.raise_for_status()
        body = {"operations": OPERATIONS, "input": {"type": "upload", "id": sent.json()["id"]}}
        return _load(port, "/api/jobs", body)


@contextmanager
def _serving(servers: Servers, app: str, *, migrated: bool) -> Iterator[int]:
    port = free_port()
    arguments = ("-m", "uvicorn", app, "--host", LOCALHOST, "--port", str(port), "--no-access-log")
    with tempfile.TemporaryDirectory() as folder, servers.database(migrated=migrated) as url:
        environment = servers.environment(url, Path(folder), max_queued_jobs=0, max_queued_bytes=0)
        with running("api", *arguments, environment=environment) as api:

            def answers() -> bool:
                try:
                    return httpx.get(f"http://{LOCALHOST}:{port}/docs", trust_env=False).is_success
                except httpx.TransportError:
                    return False

            wait_until(answers, api, pause_seconds=0.1)
            yield port


def _load(port: int, path: str, body: dict[str, Any]) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.jobs.load", str(port), path, "202"],
        input=json.dumps(body).encode(),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        check=True,
    )
    measured: dict[str, float] = json.loads(done.stdout)
    return measured
