"""A consumer that has fallen silent: messages wait for the worker, a child is free, and nothing comes.

Celery's consumers on Redis have done so after a reconnect more than once (celery#8030, kombu#2498), and one whose
connection a firewall has forgotten waits for an answer that never comes.
"""

import time
from collections.abc import Sequence

import structlog
from celery.worker import state
from redis.asyncio import Redis

log = structlog.get_logger()

_SILENT_SECONDS = 10.0


class Silence:
    """Watched from the presence thread, over a connection of its own; ended by the main loop."""

    restarts = 0
    """How often the consumer of this process was started again for it."""

    def __init__(self, *, slots: int) -> None:
        self._slots = slots
        self._received = -1
        self._since = time.monotonic()
        self.is_noticed = False
        """Whether the consumer has been silent for too long; whoever restarts it sets it back."""

    async def listen(self, redis: "Redis", queues: Sequence[str]) -> None:
        """Take a look.

        Raises:
            redis.exceptions.RedisError, OSError: Redis cannot be asked.
        """
        received = sum(state.total_count.values())
        is_full = len(state.reserved_requests) >= self._slots
        if received != self._received or is_full or not await _waits_in(redis, queues):
            self._received = received
            self._since = time.monotonic()
        elif time.monotonic() - self._since > _SILENT_SECONDS and not self.is_noticed:
            log.warning("jobs wait and none comes: the consumer starts again", queues=list(queues))
            self._since = time.monotonic()
            self.is_noticed = True

    def end(self) -> None:
        """Have Celery connect again, where that is needed. Only the main loop may call this.

        Raises:
            ConnectionError: what makes Celery's consumer connect again.
        """
        if self.is_noticed:
            self.is_noticed = False
            Silence.restarts += 1
            raise ConnectionError("jobs wait in Redis and none comes")


async def _waits_in(redis: "Redis", queues: Sequence[str]) -> bool:
    for queue in queues:
        if await redis.llen(queue):
            return True
    return False
