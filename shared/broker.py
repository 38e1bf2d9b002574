"""Celery over Redis: the one configuration that every app opening the broker uses, and publishing to it.

A message carries a job's id and its trace context, nothing else: PostgreSQL is the truth.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

import structlog
from celery import Celery
from kombu import Producer, Queue, uuid
from kombu.exceptions import KombuError

from shared.schema.jobs import JobSpec, Priority
from shared.settings import Settings

log = structlog.get_logger()

RUN_JOB = "wavemill.run_job"
FETCH_INPUT = "wavemill.fetch_input"
DELIVER_WEBHOOK = "wavemill.deliver_webhook"
JOB_ID_HEADER = "job_id"
IO_QUEUE = "io"
SPEECH_QUEUE = "speech"
MEDIA_QUEUES = tuple(str(priority) for priority in Priority)
QUEUES = (*MEDIA_QUEUES, IO_QUEUE, SPEECH_QUEUE)


def queue_of(spec: JobSpec) -> str:
    """Where a job waits for its turn once its inputs are there."""
    return str(spec.priority)


class BrokerUnavailable(Exception):
    """Redis did not take the messages; the reconciler publishes them when it is back."""


@dataclass(frozen=True, slots=True)
class JobMessage:
    """What is said to the workers of one job."""

    job_id: UUID
    queue: str
    traceparent: str | None = None

    @property
    def task(self) -> str:
        """What is to be done. While a job waits on the queue `io` it is to be fetched, and nowhere else."""
        return FETCH_INPUT if self.queue == IO_QUEUE else RUN_JOB

    @property
    def argument(self) -> str:
        """What the task is called with."""
        return str(self.job_id)

    @property
    def headers(self) -> dict[str, str]:
        """By which a message that waits is known."""
        return {JOB_ID_HEADER: str(self.job_id)}


@dataclass(frozen=True, slots=True)
class DeliveryMessage:
    """What is said to the workers of the queue `io` of one message to a webhook."""

    delivery_id: UUID
    traceparent: str | None = None
    task: ClassVar[str] = DELIVER_WEBHOOK
    queue: ClassVar[str] = IO_QUEUE
    headers: ClassVar[dict[str, str]] = {}

    @property
    def argument(self) -> str:
        """What the task is called with."""
        return str(self.delivery_id)


Message = JobMessage | DeliveryMessage


def make_app(settings: Settings) -> Celery:
    """A Celery app with the whole of the design's configuration."""
    app = Celery("wavemill", broker=settings.redis_url, backend=settings.redis_url)
    visibility = {"visibility_timeout": settings.visibility_timeout_seconds}
    sockets = {
        "socket_connect_timeout": settings.redis_timeout_seconds,
        "socket_timeout": settings.redis_timeout_seconds,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }
    app.conf.update(
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        timezone="UTC",
        task_default_queue=Priority.DEFAULT.value,
        task_queues=[Queue(name) for name in QUEUES],
        task_create_missing_queues=False,
        task_time_limit=settings.task_time_limit_seconds,
        task_soft_time_limit=settings.task_soft_time_limit_seconds,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_track_started=False,
        result_expires=settings.result_expires_seconds,
        # The shortest visibility timeout of any client that opens the broker wins for all (celery#5935,
        # celery#9339), so it stands in all three places, and every app is made here.
        visibility_timeout=settings.visibility_timeout_seconds,
        broker_transport_options={
            **visibility,
            **sockets,
            # Queues are asked in the order they are listed, so `high` is served first.
            "queue_order_strategy": "priority",
            # Each queue is one list in Redis. kombu would make four, for priorities within a queue.
            "priority_steps": [0],
        },
        result_backend_transport_options={**visibility, "global_keyprefix": "wavemill:"},
        redis_socket_timeout=settings.redis_timeout_seconds,
        redis_socket_connect_timeout=settings.redis_timeout_seconds,
        redis_socket_keepalive=True,
        broker_connection_timeout=settings.redis_timeout_seconds,
        broker_connection_retry_on_startup=True,
        # Workers wait for Redis for as long as it takes; nobody has to restart them.
        broker_connection_max_retries=None,
        # A publisher does not wait: what it cannot publish the reconciler will.
        task_publish_retry=False,
        worker_concurrency=settings.worker_concurrency,
        # With late acknowledgement a worker so holds as many messages as it has children, and no more.
        # worker_disable_prefetch counts them once more: it adds nothing to this, and took a fifth of the throughput.
        worker_prefetch_multiplier=1,
        worker_max_tasks_per_child=settings.worker_max_tasks_per_child,
        worker_max_memory_per_child=settings.worker_max_memory_per_child_kib,
        worker_soft_shutdown_timeout=settings.worker_soft_shutdown_seconds,
        worker_enable_soft_shutdown_on_idle=False,
        # How long the parent waits for a result of a child that has died.
        worker_lost_wait=1.0,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # Events cost as much as the messages. Who watches (Flower does) turns the workers' on meanwhile.
        worker_send_task_events=False,
        task_send_sent_event=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    return app


class Publisher:
    """Sends messages. Blocking: on an event loop, call it in a thread."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def publish(self, messages: Iterable[Message]) -> None:
        """Send the messages together, in one journey to Redis for a hundred or so.

        Raises:
            BrokerUnavailable: Redis cannot be reached or refuses; some messages may have been sent.
        """
        try:
            with self._app.producer_or_acquire() as producer, producer.batch():
                for message in messages:
                    self._send(producer, message)
        except (KombuError, OSError) as error:
            raise BrokerUnavailable(str(error)) from error

    def _send(self, producer: Producer, message: Message) -> None:
        # What app.send_task does, without the routing: the queue is known, and is declared by who reads it.
        task = self._app.amqp.as_task_v2(
            uuid(),
            message.task,
            args=(message.argument,),
            argsrepr=message.argument,
            kwargsrepr="",
            # The store has the result.
            ignore_result=True,
        )
        headers = task.headers | message.headers
        if message.traceparent is not None:
            headers["traceparent"] = message.traceparent
        producer.publish(
            task.body, exchange="", routing_key=message.queue, serializer="json", headers=headers, **task.properties
        )

    async def offer(self, messages: Sequence[Message]) -> bool:
        """Send the messages without holding up the loop. False when Redis does not take them: no harm is done."""
        try:
            await asyncio.to_thread(self.publish, messages)
        except BrokerUnavailable as error:
            log.warning("messages not published; the reconciler will", messages=len(messages), reason=str(error))
            return False
        return True

    def close(self) -> None:
        """Close the connections."""
        self._app.close()
