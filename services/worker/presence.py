"""The worker's parent process says that it lives, hears what operators want of it, and gives up dead processes' leases.

Health without `inspect ping`, which costs seconds of processor time and fails while the worker is busy: a file that
the main loop touches every second, and a row in the store.
"""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import structlog
from celery import bootsteps
from celery.worker import state

from services.worker import identity
from services.worker.consumption import Consumption
from services.worker.failures import classify
from services.worker.scratch import Scratch
from services.worker.silence import Silence
from shared.broker import JobMessage, Publisher, make_app
from shared.events import EventPublisher, connect
from shared.settings import Settings, settings
from shared.store.backlog import Backlog
from shared.store.database import Database
from shared.store.jobs import Jobs
from shared.store.queue_pauses import QueuePauses
from shared.store.workers import Workers

log = structlog.get_logger()

_ROW_EVERY_SECONDS = 5.0
_ORPHANS_EVERY_SECONDS = 1.0
_HEED_EVERY_SECONDS = 0.5
# The main loop turns every second; a loop that has not turned for so long hangs.
_LOOP_SILENT_SECONDS = 10.0


class PresenceStep(bootsteps.StartStopStep):
    """Starts and stops the worker's presence with the worker."""

    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def __init__(self, worker: Any, **_: Any) -> None:
        self._presence: Presence | None = None
        self._timers: list[Any] = []

    def start(self, parent: Any) -> None:
        """Begin, once the timer of the main loop is there."""
        worker = parent
        consumption, silence = Consumption(worker), Silence(slots=worker.concurrency)
        self._presence = Presence(
            name=worker.hostname,
            consumption=consumption,
            silence=silence,
            concurrency=worker.concurrency,
            settings=settings(),
        )
        # Celery reports what a timer's call raises, and calls again; an error of the connection has it connect again.
        self._timers = [
            worker.timer.call_repeatedly(1.0, self._presence.touch),
            worker.timer.call_repeatedly(_HEED_EVERY_SECONDS, consumption.heed),
            worker.timer.call_repeatedly(1.0, silence.end),
        ]
        self._presence.start()

    def stop(self, parent: Any) -> None:
        """Leave in order."""
        for timer in self._timers:
            timer.cancel()
        if self._presence is not None:
            self._presence.stop()

    def terminate(self, parent: Any) -> None:
        """Leave in order, also when the rest does not."""
        self.stop(parent)


class Presence:
    """A thread with an event loop of its own: the main loop is Celery's."""

    def __init__(
        self, *, name: str, consumption: Consumption, silence: Silence, concurrency: int, settings: Settings
    ) -> None:
        self._name = name
        self._consumption = consumption
        self._silence = silence
        self._concurrency = concurrency
        self._settings = settings
        self._touched = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="presence", daemon=True)

    def start(self) -> None:
        """Begin to live."""
        self.touch()
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye, and wait for that a little."""
        self._stopping.set()
        self._thread.join(timeout=5.0)

    def touch(self) -> None:
        """The main loop turns."""
        self._touched = time.monotonic()
        if self._settings.worker_heartbeat_file is not None:
            Path(self._settings.worker_heartbeat_file).touch()

    async def _live(self) -> None:
        database = Database.from_settings(self._settings)
        redis = connect(self._settings)
        publisher = Publisher(make_app(self._settings))
        workers, pauses = Workers(database), QueuePauses(database)
        orphans = Orphans(Backlog(database), Jobs(database), EventPublisher(redis), publisher)
        scratch = Scratch(self._settings.scratch_dir)
        row_due = time.monotonic()
        try:
            while not self._stopping.is_set():
                try:
                    if time.monotonic() >= row_due and self._loop_turns():
                        row_due = time.monotonic() + _ROW_EVERY_SECONDS
                        await workers.beat(
                            name=self._name,
                            queues=self._consumption.queues,
                            concurrency=self._concurrency,
                            busy=len(state.active_requests),
                            processes=identity.family_names(),
                        )
                    await self._hear_operators(workers, pauses)
                    await orphans.give_up()
                    await asyncio.to_thread(scratch.clear_of_the_dead)
                    # Last: while Redis is away, the rest goes on.
                    await self._silence.listen(redis, self._consumption.wanted)
                except Exception as error:
                    # Whatever it is, the worker works on, and is to be heard of.
                    unforeseen = not classify(error).is_transient
                    log.warning("presence disturbed", reason=type(error).__name__, exc_info=unforeseen and error)
                await asyncio.to_thread(self._stopping.wait, _ORPHANS_EVERY_SECONDS)
            await workers.leave(self._name)
        finally:
            await database.close()
            await redis.aclose()
            publisher.close()

    async def _hear_operators(self, workers: Workers, pauses: QueuePauses) -> None:
        paused = (await pauses.all()).keys()
        queues = () if await workers.is_draining(self._name) else self._consumption.queues
        self._consumption.wanted = [queue for queue in queues if queue not in paused]

    def _loop_turns(self) -> bool:
        return time.monotonic() - self._touched < _LOOP_SILENT_SECONDS


class Orphans:
    """Running jobs of this host whose process has died: they need not wait for their lease to run out."""

    def __init__(self, backlog: Backlog, jobs: Jobs, events: EventPublisher, publisher: Publisher) -> None:
        self._backlog = backlog
        self._jobs = jobs
        self._events = events
        self._publisher = publisher

    async def give_up(self) -> None:
        """Lose each of them, and publish those that are to be tried again."""
        for holder in await self._backlog.held_by(f"{identity.host()}/"):
            if not identity.is_gone(holder.worker):
                continue
            lost = await self._jobs.lose(holder.lease, only_expired=False)
            if lost is None:
                continue
            event = lost.event
            log.warning("lost a child", job_id=str(event.job_id), worker=holder.worker, status=event.status)
            await self._events.publish(event)
            if lost.is_queued:
                await self._publisher.offer([JobMessage(event.job_id, lost.queue, lost.traceparent)])
