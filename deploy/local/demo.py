"""`make demo`: the whole of Wavemill for one recording, on free ports and in a temporary folder."""

import importlib.util
import json
import os
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
from httpx_sse import connect_sse
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from deploy.local.demo_report import results_table
from deploy.local.errors import LocalError, StackError
from deploy.local.processes import free_port
from deploy.local.servers import RedisServer
from deploy.local.stack import Plan, Stack, StopRequested
from shared.schema.events import JobEvent
from shared.schema.jobs import JobStatus, JobView
from shared.settings import settings

OPERATIONS: list[dict[str, Any]] = [
    {"op": "probe"},
    {"op": "loudness"},
    {"op": "waveform", "formats": ["dat", "json"]},
    {"op": "transcode", "name": "mp3", "format": "mp3"},
    {"op": "transcode", "name": "opus", "format": "opus"},
    {"op": "normalize", "name": "master", "format": "flac", "target_lufs": -16},
]
RECORDING_PACKAGE = "moonshine_voice"
LOG_LINES_SHOWN = 40
STALL_SECONDS = 90.0


class DemoError(Exception):
    """The demo cannot go on; the message is a sentence."""


class LogFile:
    """Keeps the services' logs out of sight until something fails."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def __call__(self, service: str, line: str) -> None:
        """Add a line."""
        with self._lock, self.path.open("a", encoding="utf-8") as file:
            file.write(f"{service:<8} | {line}\n")

    def last_lines(self) -> str:
        """What stands at its end."""
        if not self.path.exists():
            return ""
        with self.path.open(encoding="utf-8") as file:
            return "".join(deque(file, maxlen=LOG_LINES_SHOWN))


def main(arguments: list[str]) -> int:
    """Exit code 0 when the job succeeded."""
    out, err = Console(), Console(stderr=True)
    saved_to = settings().data_dir / "demo"
    try:
        recording = _recording(arguments)
    except DemoError as error:
        err.print(str(error), markup=False, highlight=False)
        return 2
    with tempfile.TemporaryDirectory(prefix="wavemill-demo-") as folder:
        log = LogFile(Path(folder) / "services.log")
        try:
            stack = Stack(_plan(Path(folder), log), log)
            _stop_on_signals(stack)
            try:
                with out.status("Starting Redis, the API, a worker and the monitor …"):
                    stack.start()
                job = _process(recording, stack, out)
                if job.status is not JobStatus.SUCCEEDED:
                    raise DemoError(f"The job {job.status}: {job.error_message or 'no reason was given'}")
                folder_of_job = _save_artifacts(job, recording, stack, saved_to)
            finally:
                with out.status("Ending the services …"):
                    stack.stop()
        except StopRequested:
            err.print("The demo was stopped.")
            return 130
        except DemoError as error:
            err.print(str(error), markup=False, highlight=False)
            return 1
        except (LocalError, httpx.HTTPError) as error:
            err.print(log.last_lines(), markup=False, highlight=False, soft_wrap=True)
            err.print(f"The demo failed: {error}", markup=False, highlight=False)
            return 1
    out.print(results_table(job))
    out.print(f"The files are in {folder_of_job}/", markup=False, highlight=False, soft_wrap=True)
    return 0


def _recording(arguments: list[str]) -> Path:
    if len(arguments) > 1:
        raise DemoError('One file at a time: make demo FILE="my recording.wav"')
    if arguments and arguments[0]:
        file = Path(arguments[0]).expanduser()
        if not file.is_file():
            raise DemoError(f"There is no file {file}.")
        return file
    # Not imported: the package is wanted for its recording alone, and loads a speech model's runtime.
    package = importlib.util.find_spec(RECORDING_PACKAGE)
    if package is None or package.origin is None:
        raise DemoError("The demo's recording is not installed; name one of yours: make demo FILE=recording.wav")
    return Path(package.origin).parent / "assets" / "two_cities.wav"


def _plan(folder: Path, log: LogFile) -> Plan:
    """A stack that shares nothing with what the user's environment or `.env` names."""
    api_port, monitor_port = free_port(), free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WAVEMILL_", "OTEL_"))}
    return Plan(
        environment={
            **kept,
            "DATABASE_URL": f"sqlite:///{folder / 'wavemill.db'}",
            "REDIS_DB": "0",
            "WAVEMILL_DATA_DIR": str(folder),
            "WAVEMILL_BLOB_URL": (folder / "blobs").as_uri(),
            "WAVEMILL_LOG_FORMAT": "console",
            "WAVEMILL_API_PORT": str(api_port),
            "WAVEMILL_MONITOR_PORT": str(monitor_port),
            "PYTHONUNBUFFERED": "1",
        },
        redis=RedisServer(folder / "redis", password=secrets.token_urlsafe(16), sink=lambda line: log("redis", line)),
        api_port=api_port,
        monitor_port=monitor_port,
    )


def _stop_on_signals(stack: Stack) -> None:
    def request_stop(_number: int, _frame: FrameType | None) -> None:
        stack.request_stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, request_stop)


def _process(recording: Path, stack: Stack, out: Console) -> JobView:
    with httpx.Client(base_url=stack.plan.api_url, timeout=30, trust_env=False) as client:
        with out.status(f"Uploading {recording.name} …"):
            job = _submit(client, recording)
        with _progress_bar(out) as progress:
            bar = progress.add_task(recording.name, total=1.0, state=job.status)
            for event in _events(client, job, stack):
                progress.update(bar, completed=event.progress, state=event.status)
        return JobView.model_validate(client.get(f"/api/jobs/{job.id}").raise_for_status().json())


def _submit(client: httpx.Client, recording: Path) -> JobView:
    with recording.open("rb") as file:
        answer = client.post(
            "/api/jobs",
            files={
                "spec": (None, json.dumps({"operations": OPERATIONS}), "application/json"),
                "file": (recording.name, file, "application/octet-stream"),
            },
        )
    if answer.is_client_error:
        problem = answer.json()
        raise DemoError(f"The API refused the file: {problem.get('detail') or problem.get('title')}")
    return JobView.model_validate(answer.raise_for_status().json())


def _events(client: httpx.Client, job: JobView, stack: Stack) -> Iterator[JobEvent]:
    """What happens to the job, as it happens; ends with the job.

    Raises:
        StackError: a service ended by itself, or nothing happens any more.
        StopRequested: the user wants the demo to stop.
    """
    # A short wait, then a look at the services, then the stream anew: a dead worker sends no event.
    timeout = httpx.Timeout(30, read=2)
    position, moved_at = (-1, 0.0), time.monotonic()
    while True:
        stack.check()
        if time.monotonic() - moved_at > STALL_SECONDS:
            raise StackError(f"the job has not moved for {STALL_SECONDS:.0f} s.")
        try:
            with connect_sse(client, "GET", f"/api/jobs/{job.id}/events", timeout=timeout) as source:
                source.response.raise_for_status()
                for message in source.iter_sse():
                    event = JobEvent.model_validate_json(message.data)
                    yield event
                    if event.status.is_terminal:
                        return
                    if event.position > position:
                        position, moved_at = event.position, time.monotonic()
                    stack.check()
        except (httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.ReadError):
            continue


def _progress_bar(out: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
        console=out,
        disable=not out.is_terminal,
    )


def _save_artifacts(job: JobView, recording: Path, stack: Stack, saved_to: Path) -> Path:
    """Fetch what the job made; the folder that it is in."""
    folder = saved_to / recording.stem
    folder.mkdir(parents=True, exist_ok=True)
    with httpx.Client(base_url=stack.plan.api_url, timeout=60, trust_env=False) as client:
        for artifact in job.artifacts:
            with client.stream("GET", artifact.url) as answer, (folder / artifact.name).open("wb") as file:
                answer.raise_for_status()
                for part in answer.iter_bytes():
                    file.write(part)
    return folder


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
