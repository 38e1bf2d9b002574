"""What Redis knows of the messages that are underway, told by the transport of our own."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection, Consumer, Producer, Queue
from kombu.asynchronous import Hub, get_event_loop, set_event_loop
from redis import Redis

from deploy.local.servers import RedisServer
from services.worker.transport import LastingTransport

QUEUE = Queue("acknowledgements", routing_key="acknowledgements")


@pytest.fixture
def connection(redis_server: RedisServer, redis: Redis) -> Iterator[Connection]:
    with Connection(redis_server.url, transport=LastingTransport) as connection:
        yield connection


@pytest.fixture
def hub() -> Iterator[Hub]:
    """The loop of a worker's parent; what a test does not run of it does not happen."""
    before, hub = get_event_loop(), Hub()
    set_event_loop(hub)
    yield hub
    hub.close()
    set_event_loop(before)


def consumed(connection: Connection, channel: Any, count: int) -> list[Any]:
    messages: list[Any] = []
    with Producer(connection.channel()) as producer:
        for number in range(count):
            producer.publish({"number": number}, exchange="", routing_key=QUEUE.name)
    with Consumer(channel, [QUEUE], on_message=messages.append, prefetch_count=count):
        while len(messages) < count:
            connection.drain_events(timeout=10)
    return messages


def underway(redis: Redis) -> set[str]:
    client: Any = redis  # whose answers are typed as whatever any configuration may give
    noted = {tag.decode() for tag in client.hkeys("unacked")}
    assert noted == {tag.decode() for tag in client.zrange("unacked_index", 0, -1)}
    return noted


def calls(redis: Redis, *commands: str) -> dict[str, int]:
    client: Any = redis  # as above
    stats = client.info("commandstats")
    return {command: stats.get(f"cmdstat_{command}", {}).get("calls", 0) for command in commands}


def test_a_message_that_waits_is_taken_and_noted_in_one_step(connection: Connection, redis: Redis, hub: Hub) -> None:
    client: Any = redis  # as above
    client.config_resetstat()
    (message,) = consumed(connection, connection.channel(), 1)
    assert calls(redis, "eval", "evalsha", "brpop") == {"eval": 1, "evalsha": 0, "brpop": 0}
    # Word for word what kombu notes (kombu/transport/redis.py, QoS.append).
    noted = json.loads(client.hget("unacked", message.delivery_tag))
    assert noted == [message._raw, "", QUEUE.name]
    assert client.zscore("unacked_index", message.delivery_tag) == pytest.approx(time.time(), abs=5)
    message.ack()


def test_the_next_one_that_comes_is_waited_for(
    connection: Connection, redis_server: RedisServer, redis: Redis, hub: Hub
) -> None:
    messages: list[Any] = []
    channel: Any = connection.channel()
    with Consumer(channel, [QUEUE], on_message=messages.append), Connection(redis_server.url) as other:
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.2)
        with Producer(other.channel()) as producer:
            producer.publish({}, exchange="", routing_key=QUEUE.name)
        connection.drain_events(timeout=10)
    (message,) = messages
    assert underway(redis) == {message.delivery_tag}
    message.ack()


def test_a_redis_that_has_forgotten_the_script_is_told_it_again(connection: Connection, redis: Redis, hub: Hub) -> None:
    client: Any = redis  # as above
    channel: Any = connection.channel()
    (first,) = consumed(connection, channel, 1)
    first.ack()
    client.script_flush()
    client.config_resetstat()
    (second,) = consumed(connection, channel, 1)
    # Whatever came of the script, the acknowledgement is not lost.
    assert underway(redis) == {second.delivery_tag}
    second.ack()
    (third,) = consumed(connection, channel, 1)
    assert underway(redis) == {third.delivery_tag}
    assert calls(redis, "evalsha", "eval", "brpop") == {"evalsha": 1, "eval": 1, "brpop": 1}
    third.ack()


def test_where_no_script_may_run_messages_come_as_kombu_takes_them(redis_server: RedisServer, redis: Redis) -> None:
    client: Any = redis  # as above
    client.execute_command("ACL SETUSER", "default", "-eval", "-evalsha")
    try:
        with Connection(redis_server.url, transport=LastingTransport) as connection:
            first, second = consumed(connection, connection.channel(), 2)
            assert underway(redis) == {first.delivery_tag, second.delivery_tag}
            first.ack()
            second.ack()
    finally:
        client.execute_command("ACL SETUSER", "default", "+eval", "+evalsha")


def test_a_loop_that_still_knows_another_connection_by_its_number_hears_of_the_new_one(
    connection: Connection, redis: Redis, hub: Hub
) -> None:
    messages: list[Any] = []
    with Consumer(connection.channel(), [QUEUE], on_message=messages.append):
        transport: Any = connection.transport
        transport.register_with_event_loop(connection.connection, hub)
        turn = next(iter(hub.on_tick))
        turn()
        readers: Any = hub.readers
        (fileno,) = readers
        readers[fileno] = (lambda _: None, (fileno,))
        turn()
        assert readers[fileno] == (transport.on_readable, (fileno,))


def test_an_acknowledgement_goes_with_the_next_message(connection: Connection, redis: Redis, hub: Hub) -> None:
    channel: Any = connection.channel()
    (first,) = consumed(connection, channel, 1)
    assert underway(redis) == {first.delivery_tag}
    first.ack()
    assert underway(redis) == {first.delivery_tag}
    (second,) = consumed(connection, channel, 1)
    assert underway(redis) == {second.delivery_tag}
    second.ack()


def test_without_a_next_message_it_goes_soon_by_itself(connection: Connection, redis: Redis, hub: Hub) -> None:
    first, second = consumed(connection, connection.channel(), 2)
    first.ack()
    second.ack()
    assert underway(redis) == {first.delivery_tag, second.delivery_tag}
    until = time.monotonic() + 10
    while underway(redis) and time.monotonic() < until:
        time.sleep(0.02)
        hub.fire_timers()
    assert underway(redis) == set()


def test_it_goes_at_the_latest_when_the_channel_is_closed(connection: Connection, redis: Redis, hub: Hub) -> None:
    channel: Any = connection.channel()
    (message,) = consumed(connection, channel, 1)
    message.ack()
    channel.close()
    assert underway(redis) == set()
    # Nor is it given back, as a message is that was not acknowledged.
    assert redis.llen(QUEUE.name) == 0


def test_a_message_that_was_not_acknowledged_is_given_back(connection: Connection, redis: Redis, hub: Hub) -> None:
    channel: Any = connection.channel()
    first, second = consumed(connection, channel, 2)
    first.ack()
    channel.close()
    assert underway(redis) == set()
    assert redis.llen(QUEUE.name) == 1
    assert second.delivery_tag in str(redis.lrange(QUEUE.name, 0, -1))


def test_without_a_loop_it_goes_at_once(connection: Connection, redis: Redis) -> None:
    before = get_event_loop()
    set_event_loop(None)
    try:
        (message,) = consumed(connection, connection.channel(), 1)
        message.ack()
        assert underway(redis) == set()
    finally:
        set_event_loop(before)


def test_a_connection_that_is_gone_is_no_error(redis_server: RedisServer, redis: Redis, hub: Hub) -> None:
    connection = Connection(redis_server.url, transport=LastingTransport)
    channel: Any = connection.channel()
    (message,) = consumed(connection, channel, 1)
    redis_server.stop()
    try:
        message.ack()
        channel.qos.flush_if_possible()
    finally:
        redis_server.start()
