"""What can stop an attempt from outside, and how the engine hears of it."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from types import FrameType
from typing import Any


class Reason(Enum):
    """Why an attempt was interrupted."""

    CANCELED = "the user canceled the job"
    LEASE_LOST = "another attempt holds the job"
    TIME_LIMIT = "the soft time limit was reached"
    SHUTDOWN = "the worker shuts down"


class Interruption:
    """A flag that the engine polls. The first reason counts."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason: Reason | None = None

    def set(self, reason: Reason) -> None:
        """Ask the engine to stop."""
        if self.reason is None:
            self.reason = reason
            self._event.set()

    def is_set(self) -> bool:
        """Whether the engine should stop."""
        return self._event.is_set()


class Signals:
    """Lets SIGTERM (shutdown) and SIGUSR1 (Celery's soft time limit) interrupt the attempt that runs.

    Celery would raise an exception from its signal handler, in the middle of whatever the event loop does;
    what the loop is asked to do runs between two of its callbacks. Between attempts a signal is Celery's as before.
    """

    def __init__(self, *, soft_time_limit_seconds: float) -> None:
        self._soft_time_limit_seconds = soft_time_limit_seconds
        self._celerys: dict[int, Any] = {}
        self._interrupt: Callable[[signal.Signals], None] | None = None

    @contextmanager
    def interrupting(self, interruption: Interruption) -> Iterator[None]:
        """For the time of one attempt, on the loop that runs it."""
        loop = asyncio.get_running_loop()
        started = time.monotonic()

        def time_is_up() -> None:
            # One that was sent to the job before this one, and came late, is not meant for it.
            if time.monotonic() - started >= self._soft_time_limit_seconds - 1:
                interruption.set(Reason.TIME_LIMIT)

        def interrupt(number: signal.Signals) -> None:
            on_time_limit = number is signal.SIGUSR1
            loop.call_soon_threadsafe(time_is_up if on_time_limit else lambda: interruption.set(Reason.SHUTDOWN))

        if not self._celerys:
            # Once, after Celery's own, and for good: to set and restore them costs more than to look for the attempt.
            self._celerys = {number: signal.signal(number, self._handle) for number in (signal.SIGTERM, signal.SIGUSR1)}
        self._interrupt = interrupt
        try:
            yield
        finally:
            self._interrupt = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        celerys = self._celerys[number]
        if self._interrupt is not None:
            self._interrupt(signal.Signals(number))
        elif callable(celerys):
            celerys(number, frame)
        elif celerys == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
