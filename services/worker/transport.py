"""Kombu's transport over Redis, with which a worker outlives a lost connection also in the middle of a task.

It also asks less of the worker's one parent, through which every message goes: see `ThriftyQoS`.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty
from typing import Any

from kombu.asynchronous import get_event_loop
from kombu.transport import redis
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads

# How long an acknowledgement waits for a message to go to Redis with.
_FLUSH_SECONDS = 0.05

# Takes the next message of the first queue that has one, and notes it as underway as kombu does; before that, it
# acknowledges what is done with. KEYS: the set of delivery times, the hash of messages underway, the queues in their
# order. ARGV: the time now, the acknowledged delivery tags. A message that cannot be noted comes without its tag.
_TAKE = """
local function note(message)
  local properties = cjson.decode(message)['properties']
  local delivery = properties['delivery_info']
  local origin = cjson.encode({delivery['exchange'], delivery['routing_key']})
  redis.call('ZADD', KEYS[1], ARGV[1], properties['delivery_tag'])
  redis.call('HSET', KEYS[2], properties['delivery_tag'], '[' .. message .. ',' .. string.sub(origin, 2))
  return properties['delivery_tag']
end
for i = 2, #ARGV do
  redis.call('ZREM', KEYS[1], ARGV[i])
  redis.call('HDEL', KEYS[2], ARGV[i])
end
for i = 3, #KEYS do
  local message = redis.call('RPOP', KEYS[i])
  if message then
    local is_noted, tag = pcall(note, message)
    return {KEYS[i], message, is_noted and tag or nil}
  end
end
"""
_TAKE_SHA1 = hashlib.sha1(_TAKE.encode(), usedforsecurity=False).hexdigest()


class ThriftyQoS(redis.QoS):
    """Goes to Redis once for a message, where kombu goes thrice: to take it, to note it underway, to acknowledge it.

    A message that waits is taken and noted in one step (`LastingChannel`). An acknowledgement goes with the next
    message, and by itself if none comes soon. One that is lost on the way, with the connection or with the process,
    leaves a message that is delivered again and does nothing, as any may be. The two journeys more were half of what
    the parent does for a short job (`make bench-jobs`).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Kombu's stubs know little of it.
        self._channel: Any = self.channel
        self._acknowledged: list[str] = []
        self._flush_is_due = False
        self._noted: str | None = None

    def acknowledged(self) -> list[str]:
        """The delivery tags of the acknowledgements that wait, for someone who sends them now."""
        acknowledged, self._acknowledged = self._acknowledged, []
        return acknowledged

    def acknowledge_later(self, delivery_tags: Sequence[str]) -> None:
        """Have acknowledgements that Redis refused wait again."""
        self._acknowledged.extend(delivery_tags)

    def expect_noted(self, delivery_tag: str) -> None:
        """Hear of the message that comes next that Redis has noted it already."""
        self._noted = delivery_tag

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note that a message is underway."""
        if delivery_tag != self._noted:
            self._note(message, delivery_tag)
        # Past kombu's own, which would note it once more.
        super(redis.QoS, self).append(message, delivery_tag)

    def _note(self, message: Any, delivery_tag: str) -> None:
        delivery = message.delivery_info
        underway = dumps([message._raw, delivery["exchange"], delivery["routing_key"]])  # noqa: SLF001 - as kombu does
        with self._channel.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            pipe.zadd(self.unacked_index_key, {delivery_tag: time.time()})
            pipe.hset(self.unacked_key, delivery_tag, underway)
            self._execute_with_acknowledgements(pipe)

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
        acknowledged = self.acknowledged()
        if acknowledged:
            pipe.zrem(self.unacked_index_key, *acknowledged)
            pipe.hdel(self.unacked_key, *acknowledged)
        pipe.execute()


class LastingChannel(redis.Channel):
    """Says what is wrong where kombu 5.7 breaks, and takes a message that waits and notes it in one step.

    A task that is underway when its connection is lost wants to give its message back, or to acknowledge it, over a
    transport that has been taken apart. That is an AttributeError, which ends the whole worker; as an error of the
    connection it is passed over, by kombu and by Celery. Nothing is lost: the reconciler finds jobs without a message.
    """

    QoS = ThriftyQoS
    _client_of_pool: Any = None
    _is_taking = False
    _is_script_known = False
    _acknowledging: Sequence[str] = ()
    # Kombu's own, of which its stubs know nothing.
    qos: Any
    connection: Any
    connection_errors: tuple[type[Exception], ...]
    _queue_cycle: Any
    _q_for_pri: Any
    _in_poll: Any
    _closing: bool

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

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Ask for a message: for one that waits, taken and noted at once; where none does, for the next that comes."""
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        keys = [self._q_for_pri(queue, step) for step in self.priority_steps for queue in queues]
        keys = [self.unacked_index_key, self.unacked_key, *keys]
        self._in_poll = self.client.connection
        self._brpop_sent_at = time.monotonic()
        self._is_taking = True
        self._acknowledging = self.qos.acknowledged()
        script = ("EVALSHA", _TAKE_SHA1) if self._is_script_known else ("EVAL", _TAKE)
        self._in_poll.send_command(*script, len(keys), *keys, time.time(), *self._acknowledging)

    def _brpop_read(self, **options: Any) -> bool:
        """Read the answer, and deliver the message.

        Raises:
            Empty: there is none yet.
            kombu's connection errors: Redis is away.
        """
        if not self._is_taking:
            return bool(super()._brpop_read(**options))  # type: ignore[misc]  # not in kombu's stubs
        self._is_taking = False
        taken = self._taken(**options)
        if taken is None:
            if not self._closing:
                super()._brpop_start()  # type: ignore[misc]  # not in kombu's stubs
            raise Empty
        queue, message, *noted = map(bytes_to_str, taken)
        if noted:
            self.qos.expect_noted(*noted)
        self.connection._deliver(loads(message), queue)  # noqa: SLF001 - as kombu does
        return True

    def _taken(self, **options: Any) -> Any:
        connection, self._in_poll = self._in_poll, None
        try:
            taken = self.client.parse_response(connection, "EVAL", **options)
        except self.connection_errors:
            connection.disconnect()
            raise
        except self.ResponseError:
            # Redis has started anew, or is full, or lets this user run no script: then as kombu does it.
            self._is_script_known = False
            self.qos.acknowledge_later(self._acknowledging)
            return None
        self._is_script_known = True
        return taken

    def close(self) -> None:
        """Close the channel. Acknowledgements that wait are sent first."""
        if isinstance(self._qos, ThriftyQoS) and not self.closed:
            self._qos.flush_if_possible()
        super().close()


class LastingTransport(redis.Transport):
    """The transport of such channels."""

    Channel = LastingChannel

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Be heard by a worker's loop."""
        super().register_with_event_loop(connection, _Once(loop))


class _Once:
    """A loop that is told of a reader once. Kombu tells it all of them at each turn."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def add_reader(self, fileno: int, callback: Any, *arguments: Any) -> None:
        if self._loop.readers.get(fileno) != (callback, arguments):
            self._loop.add_reader(fileno, callback, *arguments)
