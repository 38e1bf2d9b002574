"""The job messages that stand in Redis, in kombu's format (kombu/transport/redis.py).

A queue is a list of its name, pushed at the left and popped at the right. A message that was delivered and not
acknowledged stands in the hash `unacked` by its delivery tag, as [message, exchange, routing key], and the sorted set
`unacked_index` has the time of its delivery.
"""

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

from pydantic_core import from_json
from redis.asyncio import Redis

from shared.broker import JOB_ID_HEADER, QUEUES

# A worker claims the job as soon as its message is delivered. One whose job is still queued after this is dead.
DELIVERY_SECONDS = 15.0

_UNACKNOWLEDGED = "unacked"
_DELIVERY_TIMES = "unacked_index"
# About a mebibyte.
_PAGE = 1000
_128_BITS = 2**128 - 1


class CarriedJobs:
    """The jobs that have a message: a set of ids in bounded memory.

    One bit for each id in a bitmap (a Bloom filter with a single hash). It may say of a job without a message that
    it has one, for at most one job in 128 up to a million messages. The hash is another one each time, so the next
    set says it right.
    """

    _SMALLEST_BITS = 2**20
    _LARGEST_BITS = 2**27
    _BITS_FOR_EACH = 128

    def __init__(self, expected: int) -> None:
        wanted = max(self._SMALLEST_BITS, expected * self._BITS_FOR_EACH)
        bits = min(self._LARGEST_BITS, 1 << (wanted - 1).bit_length())
        self._bitmap = bytearray(bits // 8)
        # Multiply-shift hashing (Dietzfelbinger et al., 1997): a random odd factor, and the product's top bits.
        self._factor = secrets.randbits(128) | 1
        self._shift = 128 - (bits - 1).bit_length()

    def _place(self, job_id: UUID) -> tuple[int, int]:
        bit = (job_id.int * self._factor & _128_BITS) >> self._shift
        return bit >> 3, 1 << (bit & 7)

    def add(self, job_id: UUID) -> None:
        """The job has a message."""
        byte, bit = self._place(job_id)
        self._bitmap[byte] |= bit

    def __contains__(self, job_id: UUID) -> bool:
        byte, bit = self._place(job_id)
        return bool(self._bitmap[byte] & bit)


class Messages:
    """Questions about the messages. Every method raises redis.exceptions.RedisError when Redis cannot be reached."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def depths(self) -> Mapping[str, int]:
        """How many messages wait in each queue."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for queue in QUEUES:
                pipeline.llen(queue)
            return dict(zip(QUEUES, await pipeline.execute(), strict=True))

    async def unacknowledged(self) -> Mapping[str, int]:
        """How many messages of each queue were delivered and not acknowledged.

        There are about as many as the workers have places, so all of them are read.
        """
        counts: Counter[str] = Counter()
        async for _tag, raw in self._redis.hscan_iter(_UNACKNOWLEDGED, count=_PAGE):
            counts[str(from_json(raw)[2])] += 1
        return {queue: counts[queue] for queue in QUEUES}

    async def carried(self) -> CarriedJobs:
        """The jobs with a message that waits, or that was delivered just now."""
        carried = CarriedJobs(sum((await self.depths()).values()))
        for queue in QUEUES:
            async for message in self._waiting(queue):
                _add(carried, message)
        # After the queues: a message that was delivered in the meantime is seen here.
        async for message in self._just_delivered():
            _add(carried, message)
        return carried

    async def _waiting(self, queue: str) -> AsyncIterator[Mapping[str, Any]]:
        """From the left, where messages are pushed: that moves others further on, and so none is passed over."""
        start = 0
        while page := await self._redis.lrange(queue, start, start + _PAGE - 1):
            for raw in page:
                yield from_json(raw)
            start += len(page)

    async def _just_delivered(self) -> AsyncIterator[Mapping[str, Any]]:
        seconds, microseconds = await self._redis.time()
        now = seconds + microseconds / 1e6
        # The workers' clocks set these times. One that is ahead is no reason to believe its messages for ever.
        tags: list[Any] = await self._redis.zrangebyscore(
            _DELIVERY_TIMES, now - DELIVERY_SECONDS, now + DELIVERY_SECONDS
        )
        for start in range(0, len(tags), _PAGE):
            for raw in await self._redis.hmget(_UNACKNOWLEDGED, tags[start : start + _PAGE]):
                if raw is not None:
                    yield from_json(raw)[0]


def _add(carried: CarriedJobs, message: Mapping[str, Any]) -> None:
    try:
        carried.add(UUID(message["headers"][JOB_ID_HEADER]))
    except (KeyError, TypeError, ValueError):
        # Not one of ours: somebody else's task in our queue.
        return
