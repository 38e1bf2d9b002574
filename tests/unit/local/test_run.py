"""`make run` starts the real stack, says where it is, and leaves nothing behind, however it ends."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.local.processes import ChildProcess, free_port
from deploy.local.stack import Plan, Stack
from tests.unit.local.watching import processes_of, until

CHECKOUT = Path(__file__).parents[3]


class Run:
    """A `make run` in a data folder of its own, by which its processes are known."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.data = folder / "data"
        self._output = folder / "output"
        self.api_port, self.monitor_port = free_port(), free_port()
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("WAVEMILL_", "REDIS_", "DATABASE_"))
        }
        self.environment: Mapping[str, str] = {
            **kept,
            "WAVEMILL_DATA_DIR": str(self.data),
            "WAVEMILL_API_PORT": str(self.api_port),
            "WAVEMILL_MONITOR_PORT": str(self.monitor_port),
            "WAVEMILL_WORKER_CONCURRENCY": "1",
            **environment,
        }
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.local.run", *arguments],
                cwd=CHECKOUT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def until(self, condition: Callable[[], bool], seconds: float = 180) -> None:
        until(condition, seconds, lambda: self.output)

    def wait_until_ready(self) -> None:
        self.until(lambda: "Wavemill is ready" in self.output or self.process.poll() is not None)
        assert self.process.poll() is None, self.output

    def processes(self) -> list[psutil.Process]:
        """All that is left of it."""
        return processes_of(self.data)

    def child(self, words: str) -> psutil.Process:
        """The process with these words in its command line."""
        return next(process for process in self.processes() if words in " ".join(process.cmdline()))

    def exit_code(self) -> int:
        return self.process.wait(timeout=60)

    def end_by_force(self) -> None:
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()


@contextlib.contextmanager
def running(folder: Path, *arguments: str, **environment: str) -> Iterator[Run]:
    run = Run(folder, *arguments, **environment)
    try:
        yield run
    finally:
        run.end_by_force()


def test_a_signal_ends_everything_in_order(tmp_path: Path) -> None:
    with running(tmp_path, WORKERS="2") as run:
        run.wait_until_ready()
        assert httpx.get(f"http://127.0.0.1:{run.api_port}/readyz").is_success
        assert f"http://127.0.0.1:{run.api_port}/docs" in run.output
        assert f"http://127.0.0.1:{run.monitor_port}/metrics" in run.output
        for words in ("uvicorn", "worker1@", "worker2@", "services.monitor", "redis-server"):
            assert run.child(words).is_running()
        run.until(lambda: all(re.search(rf"worker{number}@\S+ ready", run.output) for number in (1, 2)))
        run.process.send_signal(signal.SIGTERM)
        assert run.exit_code() == 0
        assert run.processes() == []
        assert run.output.rstrip().endswith("Wavemill has ended.")
        assert "killed" not in run.output
        assert "\x1b[" not in run.output  # no colours where there is no terminal
        endings = [
            r"^api      \| .*Finished server process",
            r"^worker[12]  \| .*Warm shutdown",
            r"^monitor  \| .*Finished server process",
            r"^redis    \| .*ready to exit",
        ]
        found = [re.search(ending, run.output, re.MULTILINE) for ending in endings]
        places = [ending.start() for ending in found if ending]
        assert len(places) == len(endings)
        assert places == sorted(places)
    assert (run.data / "redis").is_dir()


def test_killing_the_runner_ends_everything(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.wait_until_ready()
        run.process.kill()
        run.process.wait()
        run.until(lambda: run.processes() == [], 30)


def test_a_service_that_ends_by_itself_ends_the_rest(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.wait_until_ready()
        run.child("services.monitor").kill()
        assert run.exit_code() == 1
        assert "monitor ended by itself (signal 9)." in run.output
        assert run.processes() == []


@pytest.mark.parametrize("variable", ["WAVEMILL_API_PORT", "WAVEMILL_MONITOR_PORT", "REDIS_PORT"])
def test_a_taken_port_is_said_before_anything_starts(variable: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with running(tmp_path, **{variable: str(port)}) as run:
            assert run.exit_code() == 1
            assert run.output == (
                f"Port {port} is taken by another program; set {variable} to a free one, "
                f"as in `{variable}={port + 1} make run`.\n"
            )
            assert not run.data.exists()


@pytest.mark.parametrize("workers", ["many", "0", "-1", "65"])
def test_a_number_of_workers_that_is_none_is_refused(workers: str, tmp_path: Path) -> None:
    with running(tmp_path, WORKERS=workers) as run:
        assert run.exit_code() == 1
        assert run.output == f"WORKERS is the number of workers, 1 to 64, not {workers!r}.\n"


def test_a_named_redis_that_does_not_answer_is_said(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, REDIS_HOST="127.0.0.1", REDIS_PORT=str(port)) as run:
        assert run.exit_code() == 1
        assert (
            run.output == f"Redis cannot be reached at 127.0.0.1:{port}; start it, or set REDIS_HOST and REDIS_PORT.\n"
        )


def test_two_runs_do_not_share_a_data_folder_and_ctrl_c_ends_a_start(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        first.until(lambda: "Ready to accept connections" in first.output)
        (tmp_path / "second").mkdir()
        with running(tmp_path / "second", WAVEMILL_DATA_DIR=str(first.data)) as second:
            assert second.exit_code() == 1
            assert second.output.startswith("Another Wavemill uses the data folder ")
        first.process.send_signal(signal.SIGINT)
        assert first.exit_code() == 0
        assert first.processes() == []
        assert first.output.rstrip().endswith("Wavemill has ended.")


def test_the_second_request_to_stop_kills_at_once() -> None:
    lines: list[str] = []
    stack = Stack(Plan(environment=os.environ), lambda _, line: lines.append(line))
    stubborn = ChildProcess(
        "worker1", ["sh", "-c", "trap '' TERM; echo deaf; sleep 300"], sink=lines.append, stop_seconds=120
    )
    stubborn.start()
    stack._services.append(stubborn)
    while "deaf" not in lines:
        time.sleep(0.01)
    stack.request_stop()
    assert stubborn.running
    stack.request_stop()
    begun = time.monotonic()
    stack.stop()
    assert time.monotonic() - begun < 60
    assert stubborn.exit_code == -signal.SIGKILL
