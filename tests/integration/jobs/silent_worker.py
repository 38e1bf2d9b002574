"""A worker whose consumer falls silent at SIGUSR2: it asks Redis for nothing more, until it connects again."""

import signal
from typing import Any

from celery import Celery, signals

from services.worker.assembly import make_worker
from services.worker.audio.engine import process
from shared.settings import settings

app: Celery = make_worker(settings(), process)


def fall_silent_at_a_signal(sender: Any, **_: Any) -> None:
    """Celery's consumers have done this by themselves; nothing but a fault in the process makes them."""

    def fall_silent(*_: object) -> None:
        sender.task_consumer.channel.qos.can_consume = lambda: False

    signal.signal(signal.SIGUSR2, fall_silent)


signals.worker_ready.connect(fall_silent_at_a_signal, weak=False)
