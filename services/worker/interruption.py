"""What can stop an attempt from outside, and how the engine hears of it."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum


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


@contextmanager
def heeding_signals(interruption: Interruption, *, soft_time_limit_seconds: float) -> Iterator[None]:
    """Let SIGTERM (shutdown) and SIGUSR1 (Celery's soft time limit) set the interruption.

    Celery would raise an exception from its signal handler, in the middle of whatever the event loop does;
    what the loop is asked to do runs between two of its callbacks. Outside, Celery's own handlers are back.
    """
    loop = asyncio.get_running_loop()
    started = time.monotonic()

    def time_is_up() -> None:
        # One that was sent to the job before this one, and came late, is not meant for it.
        if time.monotonic() - started >= soft_time_limit_seconds - 1:
            interruption.set(Reason.TIME_LIMIT)

    handlers: dict[signal.Signals, Callable[[], None]] = {
        signal.SIGTERM: lambda: interruption.set(Reason.SHUTDOWN),
        signal.SIGUSR1: time_is_up,
    }

    def hand_to_the_loop(number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(handlers[signal.Signals(number)])

    # Not loop.add_signal_handler: it looks through all signals each time, which takes as long as a statement.
    previous = {number: signal.signal(number, hand_to_the_loop) for number in handlers}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)
