"""Which queues the worker takes jobs from: those that it was started with, less what operators have said.

Operators say it in the store (shared.store.queue_pauses, shared.store.workers), not over Celery's remote control: it
then holds also for a worker that starts later, and after Redis was emptied. The presence thread reads it there; here
the main loop, which alone may touch Celery's consumer, acts on it. What is not taken stays in Redis, in its order.
"""

from collections.abc import Sequence
from typing import Any

import structlog

log = structlog.get_logger()


class Consumption:
    """What is wanted, and how the consumer is brought to it."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self.queues: Sequence[str] = tuple(worker.app.amqp.queues.consume_from)
        """The queues that the worker was started with, in the order in which they are served."""
        self.wanted: Sequence[str] = self.queues
        """Those of them that jobs are to be taken from now; set by another thread."""

    def heed(self) -> None:
        """Take from the wanted queues, and no others. Only the main loop may call this.

        Raises:
            kombu's connection errors: Redis is away. Another call goes on with it.
        """
        wanted, consumer = tuple(self.wanted), self._worker.consumer
        # While it connects again there is none; it then begins with what is selected.
        if consumer is None or consumer.task_consumer is None:
            return
        taken = tuple(consumer.app.amqp.queues.consume_from)
        active = tuple(queue for queue in wanted if consumer.task_consumer.consuming_from(queue))
        if taken == active == wanted:
            return
        log.info("takes jobs from", queues=wanted)
        # All of them anew: Redis is asked for the queues in the order in which they were added.
        for queue in taken:
            consumer.cancel_task_queue(queue)
        for queue in wanted:
            consumer.add_task_queue(queue)
