"""POST /api/jobs in one API process, beside a bare FastAPI handler with one INSERT."""

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import httpx

from tests.benchmarks.jobs.load import CLIENTS
from tests.benchmarks.jobs.servers import API, Servers
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
    with servers.serving("tests.benchmarks.jobs.bare_insert:app", migrated=False) as bare:
        return _load(bare.port, "/things", {"body": {"operations": OPERATIONS}})


def _wavemill(servers: Servers) -> dict[str, float]:
    servers.empty_redis()
    with servers.serving(API, migrated=True) as api:
        sent = httpx.post(f"{api.url}/api/uploads", files={"file": ("voice.wav", b"no audio")}, trust_env=False)
        sent.raise_for_status()
        body = {"operations": OPERATIONS, "input": {"type": "upload", "id": sent.json()["id"]}}
        return _load(api.port, "/api/jobs", body)


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
