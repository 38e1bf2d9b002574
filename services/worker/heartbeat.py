"""While an attempt runs: renew its lease, tell its progress, and hear of a cancel."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from services.worker.failures import classify
from services.worker.interruption import Interruption, Reason
from services.worker.metrics.attempts import AttemptMetrics, Step
from shared.cancellation import cancel
from shared.events import EventPublisher
from shared.schema.events import JobEvent
from shared.settings import Settings
from shared.store.jobs import Jobs
from shared.store.records import Claim, FetchClaim, LeaseLost

log = structlog.get_logger()

# Twice for each second, so that a client sees a change at least every second.
_TELL_SECONDS = 0.5
# Of an attempt that ends sooner its end alone is told, which says it all.
_TELL_START_SECONDS = 0.01


class Progress:
    """How much of the work is done, 0 to 1; set by the engine's thread, read by the loop's."""

    def __init__(self) -> None:
        self.fraction = 0.0

    def set(self, fraction: float) -> None:
        """Move forward; never back."""
        self.fraction = max(self.fraction, min(fraction, 1.0))


class Heartbeat:
    """The heartbeat of one attempt."""

    def __init__(self, *, jobs: Jobs, events: EventPublisher, settings: Settings, metrics: AttemptMetrics) -> None:
        self._jobs = jobs
        self._metrics = metrics
        self._events = events
        self._settings = settings

    @asynccontextmanager
    async def beating(
        self, claim: Claim | FetchClaim, progress: Progress, interruption: Interruption
    ) -> AsyncIterator[None]:
        """Beat while the block runs."""
        loop = asyncio.get_running_loop()
        tasks: list[asyncio.Task[None]] = []

        def renew() -> None:
            tasks.append(asyncio.create_task(self._renew(claim, progress, interruption), name="lease"))

        def tell() -> None:
            tasks.append(asyncio.create_task(self._tell(claim, progress), name="progress"))

        # Most jobs that are short end before either has anything to do.
        timers = loop.call_later(self._settings.heartbeat_seconds, renew), loop.call_later(_TELL_START_SECONDS, tell)
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()
            await cancel(*tasks)

    async def _renew(self, claim: Claim | FetchClaim, progress: Progress, interruption: Interruption) -> None:
        while True:
            self._metrics.used_cpu()
            try:
                with self._metrics.timed(Step.HEARTBEAT):
                    cancel_requested = await self._jobs.heartbeat(
                        claim.lease, progress=progress.fraction, lease_seconds=self._settings.lease_seconds
                    )
            except LeaseLost:
                interruption.set(Reason.LEASE_LOST)
                return
            except Exception as error:
                # The store may come back before the lease runs out: the next beat tells.
                unforeseen = not classify(error).is_transient
                log.warning("heartbeat failed", reason=type(error).__name__, exc_info=unforeseen and error)
            else:
                if cancel_requested:
                    interruption.set(Reason.CANCELED)
            await asyncio.sleep(self._settings.heartbeat_seconds)

    async def _tell(self, claim: Claim | FetchClaim, progress: Progress) -> None:
        log.info("attempt started", operations=[operation.op for operation in claim.spec.operations])
        await self._events.publish(claim.event)
        told = 0.0
        while True:
            await asyncio.sleep(_TELL_SECONDS)
            if progress.fraction > told:
                told = progress.fraction
                await self._events.publish(
                    JobEvent(
                        type="progress",
                        job_id=claim.lease.job_id,
                        batch_id=claim.event.batch_id,
                        key_id=claim.event.key_id,
                        version=claim.event.version,
                        status=claim.event.status,
                        progress=told,
                        attempt=claim.lease.attempt,
                    )
                )
