import threading
import time
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from services.api import dispatcher
from services.api.dispatcher import Dispatcher
from shared.broker import BrokerUnavailable, JobMessage, Message, Publisher, make_app
from shared.settings import Settings


class Recorder(Publisher):
    """Publishes into a list; waits at a gate, or fails, where it is told to. Real Redis: tests/integration/api."""

    def __init__(self) -> None:
        super().__init__(make_app(Settings()))
        self.batches: list[list[Message]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.is_publishing = threading.Event()
        self.errors: list[Exception] = []

    def publish(self, messages: Iterable[Message]) -> None:
        self.is_publishing.set()
        self.gate.wait(10)
        if self.errors:
            raise self.errors.pop(0)
        self.batches.append(list(messages))

    @property
    def messages(self) -> list[Message]:
        return [message for batch in self.batches for message in batch]


def messages(count: int) -> list[JobMessage]:
    return [JobMessage(uuid4(), "default") for _ in range(count)]


def test_all_are_published_in_order_and_in_batches() -> None:
    publisher = Recorder()
    publisher.gate.clear()
    sender = Dispatcher(publisher)
    sender.start()
    sent = messages(500)
    for message in sent:
        sender.dispatch(message)
    publisher.gate.set()
    sender.close(10)
    assert publisher.messages == sent
    # The first came alone or with few; the rest waited and went together.
    assert len(publisher.batches) <= 5


def test_what_soon_follows_goes_together() -> None:
    publisher = Recorder()
    sender = Dispatcher(publisher)
    sender.start()
    sent = messages(100)
    for message in sent:
        sender.dispatch(message)
        time.sleep(0.001)
    sender.close(10)
    assert publisher.messages == sent
    # One for about five milliseconds; a slow machine makes fewer of them.
    assert len(publisher.batches) <= 50


def test_errors_do_not_end_it() -> None:
    publisher = Recorder()
    publisher.errors = [BrokerUnavailable("away"), RuntimeError("a fault")]
    sender = Dispatcher(publisher)
    sender.start()
    for message in messages(2):
        sender.dispatch(message)
        while publisher.errors and publisher.errors[0].args == ("away",):
            threading.Event().wait(0.01)
    while publisher.errors:
        threading.Event().wait(0.01)
    last = messages(1)
    sender.dispatch(last[0])
    sender.close(10)
    assert publisher.messages == last


def test_what_does_not_fit_is_dropped_and_nobody_waits(monkeypatch: Any) -> None:
    monkeypatch.setattr(dispatcher, "_QUEUE_SIZE", 10)
    publisher = Recorder()
    publisher.gate.clear()
    sender = Dispatcher(publisher)
    sender.start()
    sent = messages(51)
    sender.dispatch(sent[0])
    assert publisher.is_publishing.wait(10)
    for message in sent[1:]:
        sender.dispatch(message)
    publisher.gate.set()
    sender.close(10)
    # The one that was on its way, and the ten that fitted.
    assert publisher.messages == sent[:11]


def test_the_end_does_not_wait_for_a_publisher_that_hangs() -> None:
    publisher = Recorder()
    publisher.gate.clear()
    sender = Dispatcher(publisher)
    sender.start()
    sender.dispatch(messages(1)[0])
    sender.close(0.2)
    assert publisher.messages == []
    publisher.gate.set()
