"""The processes that play the clients, so that no client shares an interpreter with what measures it."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

import httpx

from tests.benchmarks.jobs.servers import Served
from tests.conftest import ROOT

_END_SECONDS = 60.0


@dataclass
class Paced:
    """Requests at a steady rate; the figures are there when the block has ended."""

    figures: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return float(self.figures[name])

    @property
    def faults(self) -> tuple[str, ...]:
        """Requests that were not answered as they should be."""
        count = self.figures["errors"]
        return (f"{count} requests failed: {self.figures['first_error']}",) if count else ()


@contextmanager
def asking(api: Served, paths: Sequence[str], *, rate: float) -> Iterator[Paced]:
    """Requests at a steady rate (see paced.py) for as long as the block runs."""
    paced = Paced()
    with _client("paced", api.port, rate) as process, _ended_with(process):
        stdin, stdout = _pipes(process)
        _say(stdin, json.dumps(paths))
        _hear(process, stdout)
        yield paced
        stdin.close()
        paced.figures = json.loads(_hear(process, stdout))


@dataclass(frozen=True)
class Streams:
    """Event streams that are open."""

    process: subprocess.Popen[str]

    def look(self) -> dict[str, int]:
        """How many are open, and how many of those have heard something since the last look."""
        stdin, _ = _pipes(self.process)
        _say(stdin, "look")
        return self.said()

    def said(self) -> dict[str, int]:
        """The next answer."""
        _, stdout = _pipes(self.process)
        looked: dict[str, int] = json.loads(_hear(self.process, stdout))
        return looked


@contextmanager
def following(api: Served, paths: Sequence[str]) -> Iterator[Streams]:
    """Streams (see followers.py), all open when the block begins."""
    with _client("followers", api.port) as process, _ended_with(process):
        stdin, _ = _pipes(process)
        _say(stdin, json.dumps(paths))
        streams = Streams(process)
        streams.said()
        yield streams
        stdin.close()


def send(api: Served, number: int, size: int) -> dict[str, Any]:
    """One upload (see sender.py), with the seconds that it took."""
    command = [sys.executable, "-m", "tests.benchmarks.api.sender", str(api.port), str(number), str(size)]
    sent = subprocess.run(command, stdout=subprocess.PIPE, cwd=ROOT, check=True)
    answer: dict[str, Any] = json.loads(sent.stdout)
    return answer


def submit_waiting_jobs(api: Served, count: int) -> list[str]:
    """Jobs that no worker takes; their ids."""
    with httpx.Client(base_url=api.url, timeout=60, trust_env=False) as client:
        upload = client.post("/api/uploads", files={"file": ("voice.wav", b"no audio")})
        upload.raise_for_status()
        spec = {"operations": [{"op": "loudness"}], "input": {"type": "upload", "id": upload.json()["id"]}}
        ids = []
        for _ in range(count):
            job = client.post("/api/jobs", json=spec)
            job.raise_for_status()
            ids.append(job.json()["id"])
    return ids


def _client(module: str, *arguments: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"tests.benchmarks.api.{module}", *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=ROOT)


@contextmanager
def _ended_with(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
        process.wait(_END_SECONDS)
    finally:
        process.kill()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _say(stdin: IO[str], line: str) -> None:
    stdin.write(f"{line}\n")
    stdin.flush()


def _hear(process: subprocess.Popen[str], stdout: IO[str]) -> str:
    line = stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended by itself with {process.wait()}")
    return line
