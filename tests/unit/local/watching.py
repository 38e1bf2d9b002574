"""Waiting for a condition, and the processes that a run has left."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import psutil


def until(condition: Callable[[], bool], seconds: float = 60, output: Callable[[], str] = str) -> None:
    """Wait for a condition; what was printed so far is in the failure."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain; the output so far:\n{output()}"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def processes_of(data: Path) -> list[psutil.Process]:
    """All processes whose data folder is here: by their environment, but Redis, which works in it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            folder = process.environ().get("WAVEMILL_DATA_DIR")
            if any(Path(place).is_relative_to(data) for place in (folder, process.cwd()) if place):
                found.append(process)
    return found
