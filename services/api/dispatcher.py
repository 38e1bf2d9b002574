"""Publishes job messages from a thread of its own: no request waits for Redis."""

import queue
import threading
import time
from collections.abc import Sequence

import structlog

from shared.broker import BrokerUnavailable, JobMessage, Publisher

log = structlog.get_logger()

_QUEUE_SIZE = 10_000
_BATCH = 200
# Under load a journey to Redis for each message would take half of the processor time of accepting a job.
_GATHER_SECONDS = 0.005


class Dispatcher:
    """Takes messages at once and publishes them a moment later: the first at once, and together what soon follows it.

    What it cannot publish it drops: the rows are there, and the reconciler publishes what no message carries.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._messages: queue.Queue[Sequence[JobMessage] | None] = queue.Queue(_QUEUE_SIZE)
        self._is_dropping = False
        # A daemon: an end of the process does not wait for a Redis that does not answer.
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def dispatch(self, message: JobMessage) -> None:
        """Have a message published. Never blocks."""
        self.dispatch_all((message,))

    def dispatch_all(self, messages: Sequence[JobMessage]) -> None:
        """The same of messages that go together."""
        try:
            self._messages.put_nowait(messages)
        except queue.Full:
            # Said once: a line for each would drown the log while Redis is away.
            if not self._is_dropping:
                log.warning("job messages are dropped, too many wait; the reconciler will publish them")
            self._is_dropping = True
        else:
            self._is_dropping = False

    def close(self, timeout_seconds: float) -> None:
        """Publish what waits, as far as it can be done in the time, and end. Blocking."""
        try:
            self._messages.put(None, timeout=timeout_seconds)
        except queue.Full:
            return
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        gathered_until = 0.0
        while (messages := self._messages.get()) is not None:
            time.sleep(max(0.0, gathered_until - time.monotonic()))
            batch = list(messages)
            ended = self._take_waiting(batch)
            for start in range(0, len(batch), _BATCH):
                self._publish(batch[start : start + _BATCH])
            gathered_until = time.monotonic() + _GATHER_SECONDS
            if ended:
                break
        self._publisher.close()

    def _take_waiting(self, batch: list[JobMessage]) -> bool:
        """Add what waits to a batch. True when the end was among it."""
        while len(batch) < _BATCH:
            try:
                messages = self._messages.get_nowait()
            except queue.Empty:
                return False
            if messages is None:
                return True
            batch += messages
        return False

    def _publish(self, batch: list[JobMessage]) -> None:
        try:
            self._publisher.publish(batch)
        except BrokerUnavailable as error:
            log.warning("job messages not published, the reconciler will", messages=len(batch), reason=str(error))
        except Exception:
            # The thread must live: without it no job would be dispatched at once any more.
            log.exception("job messages not published", messages=len(batch))
