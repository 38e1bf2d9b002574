"""Opens hostile files in a process of their own, and tells what became of each, whatever becomes of the process."""

import json
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.damage import Hostile

CPU_SECONDS = 30
ADDRESS_SPACE_MIB = 3072
WALL_TICKS = 240
_FILES_A_PROCESS = 500


@dataclass(frozen=True)
class Verdict:
    """What became of one file.

    Attributes:
        outcome: `done`, the code of an AudioError, `no memory`, or what must not happen.
        is_fault: whether it must not happen.
        peak_mib: resident memory of the process at most, meanwhile; None where it died.
    """

    outcome: str
    is_fault: bool
    peak_mib: int | None


class Sandbox:
    """One process at a time; a new one when it has died or is old."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "input"
        self._child: subprocess.Popen[str] | None = None
        self._opened = 0
        self.deaths = 0

    def open(self, file: Hostile, operation: int) -> Verdict:
        """Let it be processed; `operation` chooses what is done besides measuring."""
        if self._opened >= _FILES_A_PROCESS:
            self.close()
        child = self._child or self._start()
        self._opened += 1
        self._path.write_bytes(file.content)
        line = json.dumps({"path": str(self._path), "name": file.name, "operation": operation})
        assert child.stdin is not None
        # One that is dead already says so by its empty answer.
        with suppress(BrokenPipeError):
            child.stdin.write(line + "\n")
            child.stdin.flush()
        answer = self._answer(child)
        if answer is None:
            child.kill()
            self.close()
            return Verdict("hangs without using the processor", is_fault=True, peak_mib=None)
        if answer:
            said = json.loads(answer)
            return Verdict(said["outcome"], said["outcome"].startswith("unexpected"), said["peak_mib"])
        return Verdict(self._death(child), is_fault=True, peak_mib=None)

    @property
    def pid(self) -> int:
        """Of the process, which is started if there is none."""
        return (self._child or self._start()).pid

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            assert self._child.stdin is not None
            assert self._child.stdout is not None
            with suppress(BrokenPipeError):
                self._child.stdin.close()
            self._child.wait()
            self._child.stdout.close()
            self._child = None

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.fuzz.inside", str(CPU_SECONDS), str(ADDRESS_SPACE_MIB)]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._opened = 0
        return self._child

    def _answer(self, child: subprocess.Popen[str]) -> str | None:
        """A line, an empty one from a process that died, or None from one that says nothing."""
        assert child.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            # In ticks, and not by the clock: whoever stops this process for a while stops the waiting too.
            if not any(selector.select(timeout=1) for _ in range(WALL_TICKS)):
                return None
        return child.stdout.readline()

    def _death(self, child: subprocess.Popen[str]) -> str:
        self.deaths += 1
        code = child.wait()
        if child.stdout is not None:
            child.stdout.close()
        if child.stdin is not None:
            with suppress(BrokenPipeError):
                child.stdin.close()
        self._child = None
        if code == -signal.SIGXCPU:
            return f"needs more than {CPU_SECONDS} s of processor time"
        return f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"


@contextmanager
def sandbox(folder: Path) -> Iterator[Sandbox]:
    """A sandbox that is closed at the end."""
    opened = Sandbox(folder)
    try:
        yield opened
    finally:
        opened.close()
