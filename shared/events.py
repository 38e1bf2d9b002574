"""Job events over Redis pub/sub. They are news, not the truth: one that is lost is made good from the store."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self
from uuid import UUID

import structlog
from pydantic import ValidationError
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.cancellation import cancel
from shared.schema.events import JobEvent
from shared.settings import Settings

log = structlog.get_logger()

_CHANNEL = "wavemill:job:"
_EVERY_CHANNEL = f"{_CHANNEL}*"
# RuntimeError is what uvloop says of a write to a connection that was reset.
_REDIS_AWAY = (RedisError, OSError, RuntimeError)
_RECONNECT_SECONDS = 1.0
# A listener waits so long for a subscription that is not there yet, then goes on without.
_SUBSCRIBE_SECONDS = 0.5
_IDLE_SECONDS = 5.0
# A listener that falls behind by so many events starts dropping the oldest: it will see a later state anyway.
_QUEUE_SIZE = 256
# One that listens to all jobs passes them on at once, and is held up by other work of its loop only.
_LARGE_QUEUE_SIZE = 10_000


def connect(settings: Settings) -> "Redis":
    """A Redis client for the loop that it is first used on."""
    return Redis.from_pool(
        # Of many that publish at a time some wait for a connection, rather than that each opens one.
        BlockingConnectionPool.from_url(
            settings.redis_url,
            max_connections=settings.redis_pool_size,
            timeout=settings.redis_timeout_seconds,
            socket_timeout=settings.redis_timeout_seconds,
            socket_connect_timeout=settings.redis_timeout_seconds,
            health_check_interval=15,
            retry=Retry(NoBackoff(), 1),
        )
    )


class EventPublisher:
    """Tells the news, by a connection of its own on which Redis answers nothing.

    To wait for the answer took a short job a tenth of its time, and it says nothing that anybody acts upon.
    """

    def __init__(self, redis: "Redis") -> None:
        self._pool: ConnectionPool = redis.connection_pool
        self._connection: AbstractConnection | None = None
        self._connecting = asyncio.Lock()

    async def publish(self, event: JobEvent) -> None:
        """Tell it to whoever listens. Redis being away is no error: the store knows."""
        try:
            connection = await self._connected()
            await _send(connection, "PUBLISH", f"{_CHANNEL}{event.job_id}", event.model_dump_json())
        except _REDIS_AWAY as error:
            log.warning("event not published", job_id=str(event.job_id), reason=type(error).__name__)

    async def _connected(self) -> "AbstractConnection":
        connection = self._connection
        if connection is not None and _is_open(connection):
            return connection
        async with self._connecting:
            if self._connection is None or not _is_open(self._connection):
                await self._give_back()
                connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]  # as there
                # Before anything is awaited: the pool gets it back also if it breaks at once.
                self._connection = connection
                await _send(connection, "CLIENT", "REPLY", "OFF")
            return self._connection

    async def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Whoever gets it next hears answers again.
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)


async def _send(connection: "AbstractConnection", *command: str) -> None:
    packed = connection.pack_command(*command)
    writer = connection._writer  # noqa: SLF001 - its send_command() takes a task and a timer for each
    if writer is None or writer.transport.get_write_buffer_size():
        await connection.send_packed_command(packed, check_health=False)
        return
    # The kernel takes it at once.
    writer.writelines(packed)
    if writer.transport.is_closing():
        raise ConnectionError("Redis closed the connection")


def _is_open(connection: "AbstractConnection") -> bool:
    # Redis sends nothing here: all that can be read is that it has closed the connection.
    reader = connection._reader  # noqa: SLF001 - its can_read() takes a timer and a cancelled read to say the same
    return connection.is_connected and reader is not None and not reader.at_eof() and reader.exception() is None


class EventHub:
    """Hears the news of all jobs by one subscription, and passes it on to each job's listeners, and to those of all.

    One pattern rather than a channel for each job: one task alone may touch the connection, for redis-py's loses its
    writer under a second one while it connects again. The pattern is subscribed to while somebody listens.
    """

    def __init__(self, redis: "Redis") -> None:
        self._pubsub = redis.pubsub(ignore_subscribe_messages=True)
        self._listeners: dict[str, set[asyncio.Queue[JobEvent]]] = {}
        self._wanted = asyncio.Event()
        self._subscribed = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._reader = asyncio.create_task(self._read(), name="event hub")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reader is not None:
            await cancel(self._reader)
        with contextlib.suppress(*_REDIS_AWAY):
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]

    @asynccontextmanager
    async def listen(self, job_id: UUID) -> AsyncIterator[asyncio.Queue[JobEvent]]:
        """A queue of the job's events from now on. While Redis is away it stays empty; poll the store beside it."""
        async with self._listening(f"{_CHANNEL}{job_id}", _QUEUE_SIZE) as queue:
            yield queue

    @asynccontextmanager
    async def listen_to_all(self) -> AsyncIterator[asyncio.Queue[JobEvent]]:
        """The same of every job."""
        async with self._listening(_EVERY_CHANNEL, _LARGE_QUEUE_SIZE) as queue:
            yield queue

    @asynccontextmanager
    async def _listening(self, channel: str, size: int) -> AsyncIterator[asyncio.Queue[JobEvent]]:
        queue: asyncio.Queue[JobEvent] = asyncio.Queue(size)
        listeners = self._listeners.setdefault(channel, set())
        listeners.add(queue)
        self._wanted.set()
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._subscribed.wait(), _SUBSCRIBE_SECONDS)
            yield queue
        finally:
            listeners.discard(queue)
            if not listeners and self._listeners.get(channel) is listeners:
                del self._listeners[channel]

    async def _read(self) -> None:
        while True:
            try:
                await self._wanted.wait()
                if not self._subscribed.is_set():
                    await self._pubsub.psubscribe(_EVERY_CHANNEL)
                    self._subscribed.set()
                message = await self._pubsub.get_message(timeout=_IDLE_SECONDS)
                if message is not None:
                    self._pass_on(message["channel"].decode(), message["data"])
                if not self._listeners:
                    self._wanted.clear()
                    self._subscribed.clear()
                    await self._pubsub.punsubscribe()
            except _REDIS_AWAY as error:
                log.warning("event connection lost", reason=type(error).__name__)
                await asyncio.sleep(_RECONNECT_SECONDS)

    def _pass_on(self, channel: str, data: bytes) -> None:
        listeners = [queue for heard in (channel, _EVERY_CHANNEL) for queue in self._listeners.get(heard, ())]
        if not listeners:
            return
        try:
            event = JobEvent.model_validate_json(data)
        except ValidationError:
            # Of another version of Wavemill, perhaps. The store knows.
            log.warning("event not understood", channel=channel)
            return
        for queue in listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)
