"""A child process in a process group of its own, which never outlives its owner, and free TCP ports."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from deploy.local import guard
from deploy.local.unprivileged import UnprivilegedUser

LOCALHOST = "127.0.0.1"
TAIL_LINES = 40
LineSink = Callable[[str], None]


class ChildProcess:
    """A program that runs as the leader of its own process group, its output read line by line.

    A Ctrl-C at the terminal does not reach it (its group is not the terminal's): its owner decides the order in
    which things end. When the owner itself is killed, the guard ends the group.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        user: UnprivilegedUser | None = None,
        standard_input: str = "",
        sink: LineSink | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_seconds: float = 10.0,
    ) -> None:
        """Nothing is started yet.

        Args:
            name: what the process is called in messages.
            command: program and arguments.
            environment: all of its environment; the owner's when None.
            folder: its working directory.
            user: whom to run it as; needs root.
            standard_input: what it reads; its standard input ends after that.
            sink: gets each line of its output (both streams), from a thread of its own.
            stop_signal: asks it to end in an orderly way; sent to the leader alone, for a Celery or
                PostgreSQL parent ends its children itself.
            stop_seconds: how long it may take for that.
        """
        self.name = name
        self._command = [str(part) for part in command]
        self._environment = None if environment is None else dict(environment)
        self._folder = folder
        self._user = user
        self._standard_input = standard_input
        self._sink = sink
        self._stop_signal = stop_signal
        self._stop_seconds = stop_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    def start(self) -> None:
        """Start the program.

        Raises:
            OSError: it cannot be started.
        """
        identity = self._user.popen_arguments() if self._user else {}
        process = subprocess.Popen(
            self._command,
            env=self._environment,
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            **identity,  # type: ignore[call-overload]  # user, group, extra_groups
        )
        _guard.watch(process.pid)
        self._process = process
        self._tail.clear()
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        self._reader.start()
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(self._standard_input.encode())

    def _read(self, output: IO[bytes]) -> None:
        with output:
            for raw in output:
                line = raw.decode(errors="replace").rstrip("\r\n")
                self._tail.append(line)
                if self._sink is not None:
                    try:
                        self._sink(line)
                    except OSError:
                        # Nobody reads us any more (`make run | head`); the child must not block on a full pipe.
                        self._sink = None

    @property
    def pid(self) -> int:
        """Process id of the leader, and so the id of the group.

        Raises:
            RuntimeError: it was not started.
        """
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended, as `subprocess` counts (-9: by SIGKILL); None while it runs, or before it was started."""
        return None if self._process is None else self._process.poll()

    @property
    def running(self) -> bool:
        """Whether the leader is there."""
        return self._process is not None and self.exit_code is None

    def last_lines(self) -> str:
        """The end of its output, for the report of a failure."""
        if self._reader is not None and not self.running:
            self._reader.join(timeout=1)
        return "\n".join(self._tail)

    def wait(self, seconds: float) -> bool:
        """Wait for it to end by itself; False when it still runs after that long."""
        if self._process is not None:
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                return False
        return True

    def ask_to_stop(self) -> None:
        """Send the stop signal; do not wait. A paused process is let go on, to hear it."""
        if self._process is not None:
            self._process.send_signal(self._stop_signal)
            self.resume()

    def stop(self) -> bool:
        """Ask it to end, and see to it that it does; False where force was needed."""
        self.ask_to_stop()
        return self.finish()

    def finish(self) -> bool:
        """Wait for a process that was asked to stop, at most `stop_seconds`; then nothing of its group is left.

        Returns:
            False where force was needed.
        """
        in_time = self.wait(self._stop_seconds)
        self.kill()
        return in_time

    def kill(self) -> None:
        """SIGKILL to the whole group, also to what a dead leader left behind."""
        if self._process is None:
            return
        self.signal_group(signal.SIGKILL)
        self._process.wait()
        _guard.forget(self._process.pid)
        if self._reader is not None:
            self._reader.join(timeout=5)

    def pause(self) -> None:
        """SIGSTOP to the whole group: it is there, and does not answer."""
        self.signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT to the whole group."""
        self.signal_group(signal.SIGCONT)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the leader and its children; safe to call from a signal handler."""
        # PermissionError is what macOS says of a group that holds only zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


class _Guard:
    """The pipe to this process's guard, which is started with the first child."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def watch(self, group: int) -> None:
        self._say(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._say(f"-{group}\n")

    def _say(self, message: str) -> None:
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                # In a session of its own: what ends the owner's group or terminal does not end its guard.
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", guard.__file__], stdin=subprocess.PIPE, start_new_session=True
                )
            if self._process.stdin is not None:
                self._process.stdin.write(message.encode())
                self._process.stdin.flush()


_guard = _Guard()


def port_is_free(port: int, host: str = LOCALHOST) -> bool:
    """Whether a server could listen on the port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do: a port whose last connections are in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


# Between the choice of a port and its server's start, seconds may pass. Two processes of sixteen in a row choose from
# ports of their own meanwhile, and one gives none of its latest again.
_SLICES = 16
_PORTS_OF_SLICE = 12_000 // _SLICES
_given: deque[int] = deque(maxlen=_PORTS_OF_SLICE // 2)


def free_port() -> int:
    """A free port of 127.0.0.1 for a server, which this process and those started beside it do not choose again soon.

    It lies below the range that the kernel takes ports of outgoing connections from, so that a server which is
    stopped for a while finds its port still free.

    Raises:
        OSError: none was found.
    """
    first = 20_000 + os.getpid() % _SLICES * _PORTS_OF_SLICE
    for port in random.sample(range(first, first + _PORTS_OF_SLICE), _PORTS_OF_SLICE):
        if port not in _given and port_is_free(port):
            _given.append(port)
            return port
    raise OSError("no free TCP port between 20000 and 32000 was found on 127.0.0.1")
