"""Kombu's transport over Redis, with which a worker outlives a lost connection also in the middle of a task.

It also asks less of the worker's one parent, through which every message goes: see `ThriftyQoS`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kombu.asynchronous import get_event_loop
from kombu.transport import redis
from kombu.utils.json import dumps

# How long an acknowledgement waits for a message to go to Redis with.
_FLUSH_SECONDS = 0.05


class ThriftyQoS(redis.QoS):
    """Goes to Redis once for a message, where kombu goes twice: to note it as underway, and to acknowledge it.

    An acknowledgement goes with the next message, and by itself if none comes soon. One that is lost on the way, with
    the connection or with the process, leaves a message that is delivered again and does nothing, as any may be.
    The two journeys were half of what the parent does for a short job (`make bench-jobs`).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Kombu's stubs know little of it.
        self._channel: Any = self.channel
        self._acknowledged: list[str] = []
        self._flush_is_due = False

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note that a message is underway."""
        delivery = message.delivery_info
        underway = dumps([message._raw, delivery["exchange"], delivery["routing_key"]])  # noqa: SLF001 - as kombu does
        with self._channel.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            pipe.zadd(self.unacked_index_key, {delivery_tag: time.time()})
            pipe.hset(self.unacked_key, delivery_tag, underway)
            self._execute_with_acknowledgements(pipe)
        # Past kombu's own, which would note it once more.
        super(redis.QoS, self).append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message: it is done with."""
        loop = get_event_loop()
        self._acknowledged.append(delivery_tag)
        super(redis.QoS, self).ack(delivery_tag)
        if loop is None:
            self.flush()
        elif not self._flush_is_due:
            self._flush_is_due = True
            loop.call_later(_FLUSH_SECONDS, self._flush_late)

    def flush(self) -> None:
        """Send the acknowledgements that wait."""
        if self._acknowledged:
            with self._channel.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
                self._execute_with_acknowledgements(pipe)

    def flush_if_possible(self) -> None:
        """The same; a connection that is lost is no error."""
        with suppress(*self._channel.connection.connection_errors):
            self.flush()

    def _flush_late(self) -> None:
        self._flush_is_due = False
        if not self._channel.closed:
            self.flush_if_possible()

    def _execute_with_acknowledgements(self, pipe: Any) -> None:
        acknowledged, self._acknowledged = self._acknowledged, []
        if acknowledged:
            pipe.zrem(self.unacked_index_key, *acknowledged)
            pipe.hdel(self.unacked_key, *acknowledged)
        pipe.execute()


class LastingChannel(redis.Channel):
    """Says what is wrong where kombu 5.7 breaks.

    A task that is underway when its connection is lost wants to give its message back, or to acknowledge it, over a
    transport that has been taken apart. That is an AttributeError, which ends the whole worker; as an error of the
    connection it is passed over, by kombu and by Celery. Nothing is lost: the reconciler finds jobs without a message.
    """

    QoS = ThriftyQoS
    _client_of_pool: Any = None

    def _connparams(self, asynchronous: bool = False) -> Any:
        if self.connection.client is None:
            raise ConnectionError("the connection to Redis was lost and is closed")
        return super()._connparams(asynchronous=asynchronous)  # type: ignore[misc]  # not in kombu's stubs

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """A client of the channel's pool: always the same. Kombu makes one for each use, which takes as long as it."""
        if client is None:
            client = self._client_of_pool
            if client is None or client.connection_pool is not self.pool:
                client = self._client_of_pool = self._create_client()  # type: ignore[attr-defined]  # not in kombu's stubs
        yield client

    def close(self) -> None:
        """Close the channel. Acknowledgements that wait are sent first."""
        if isinstance(self._qos, ThriftyQoS) and not self.closed:
            self._qos.flush_if_possible()
        super().close()


class LastingTransport(redis.Transport):
    """The transport of such channels."""

    Channel = LastingChannel
