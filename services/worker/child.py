"""What a worker's child process has for its whole life: one event loop, and one connection pool on it.

Both are made after the fork: a connection never crosses a fork or a loop.
"""

import asyncio
import gc
import os
from functools import cached_property
from uuid import UUID

import uvloop

from services.worker import address_space
from services.worker.attempt import AttemptRunner, Engine
from services.worker.deliver import DeliveryRunner
from services.worker.ending import Ending
from services.worker.fetch import FetchRunner
from services.worker.heartbeat import Heartbeat
from services.worker.materials import Materials
from services.worker.metrics.sharing import ChildMetrics
from services.worker.outbound import Outbound
from services.worker.scratch import Scratch
from shared.blobs import Blobs
from shared.broker import Publisher, make_app
from shared.events import EventPublisher, connect
from shared.ingest import Ingest
from shared.settings import Settings, settings
from shared.store.database import Database
from shared.store.deliveries import Deliveries
from shared.store.fetches import Fetches
from shared.store.jobs import Jobs
from shared.store.uploads import Uploads
from shared.telemetry.tracing import configure_tracing

# Python's own is 700; what a job leaves in cycles is small beside its samples, which are freed without the collector.
_ALLOCATIONS_A_COLLECTION = 20_000


class Child:
    """The child of this process."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.pid = os.getpid()
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._tracing = configure_tracing("worker", settings)
        self._database = Database.from_settings(settings)
        self._redis = connect(settings)
        self._scratch = Scratch(settings.scratch_dir)
        self._publisher = Publisher(make_app(settings))
        self._metrics = ChildMetrics(settings)
        self._settings = settings
        self._jobs = Jobs(self._database)
        self._blobs = Blobs.from_settings(settings)
        self._events = EventPublisher(self._redis)
        metrics = self._metrics.attempts
        self._ending = Ending(jobs=self._jobs, publisher=self._publisher, settings=settings, metrics=metrics)
        self._attempts = AttemptRunner(
            engine,
            settings=settings,
            jobs=self._jobs,
            materials=Materials(self._blobs),
            scratch=self._scratch,
            events=self._events,
            ending=self._ending,
            metrics=metrics,
        )

    @cached_property
    def _fetches(self) -> FetchRunner:
        """Made by the first message that asks for it: media workers get none, and need no client."""
        settings, metrics = self._settings, self._metrics.attempts
        return FetchRunner(
            settings=settings,
            fetches=Fetches(self._database),
            ingest=Ingest(self._blobs, Uploads(self._database), max_bytes=settings.max_input_bytes),
            heartbeat=Heartbeat(jobs=self._jobs, events=self._events, settings=settings, metrics=metrics),
            events=self._events,
            publisher=self._publisher,
            ending=self._ending,
            metrics=self._metrics.fetches,
        )

    def run(self, job_id: str, *, traceparent: str | None) -> str:
        """Run one attempt at a job, and say what became of it."""
        # Not Runner.run, which sets the handler of Ctrl-C anew each time: in a worker that is its parent's.
        return self._runner.get_loop().run_until_complete(self._attempts.run(UUID(job_id), traceparent=traceparent))

    def fetch(self, job_id: str, *, traceparent: str | None) -> str:
        """Run one attempt at fetching a job's inputs, and say what became of it."""
        return self._runner.get_loop().run_until_complete(self._fetches.run(UUID(job_id), traceparent=traceparent))

    def deliver(self, delivery_id: str, *, traceparent: str | None) -> str:
        """Run one attempt at telling a webhook, and say what became of it."""
        return self._runner.get_loop().run_until_complete(
            self._deliveries.run(UUID(delivery_id), traceparent=traceparent)
        )

    @cached_property
    def _deliveries(self) -> DeliveryRunner:
        """Made by the first message that asks for it: media workers get none, and need no client."""
        return DeliveryRunner(Deliveries(self._database), Outbound.from_settings(self._settings), self._settings)

    def close(self) -> None:
        """Close every connection."""
        # First: whatever becomes of the connections, this child ends in order.
        self._metrics.close()
        self._runner.run(self._close())
        self._runner.close()
        self._publisher.close()
        self._scratch.leave()
        if self._tracing is not None:
            self._tracing.shutdown()

    async def _close(self) -> None:
        await self._database.close()
        await self._redis.aclose()


_child: Child | None = None


def start(engine: Engine) -> None:
    """Make this process's child. Celery calls it after the fork."""
    global _child  # noqa: PLW0603 - a process has one, and Celery's signal has nowhere else to keep it
    address_space.limit(settings().worker_address_space_mib)
    _child = Child(settings(), engine)
    _collect_garbage_seldom()


def _collect_garbage_seldom() -> None:
    """What is there after the start stays for good: to look through it again and again took a sixth of a job's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_A_COLLECTION)


def current(engine: Engine) -> Child:
    """The child of this process, made now where Celery's pool announces no process (`--pool solo`)."""
    global _child  # noqa: PLW0603 - see start
    if _child is None or _child.pid != os.getpid():
        _child = Child(settings(), engine)
    return _child


def stop() -> None:
    """Close the child of this process."""
    if _child is not None and _child.pid == os.getpid():
        _child.close()
