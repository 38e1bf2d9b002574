"""One attempt at a job: claim, fetch, run the engine, store the artifacts, finish."""

import asyncio
import resource
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol
from uuid import UUID

import structlog
from opentelemetry.trace import SpanKind

from services.worker import identity
from services.worker.audio.engine import Report
from services.worker.audio.errors import Cancelled
from services.worker.audio.limits import Limits
from services.worker.ending import Ending, patiently
from services.worker.heartbeat import Heartbeat, Progress
from services.worker.interruption import Interruption, Reason, Signals
from services.worker.materials import Materials
from services.worker.scratch import Scratch
from shared.events import EventPublisher
from shared.schema.events import JobEvent
from shared.schema.operations import AnyOperation
from shared.settings import Settings
from shared.store.jobs import Jobs
from shared.store.records import Claim, LeaseLost, Usage
from shared.telemetry import logs
from shared.telemetry.tracing import span

log = structlog.get_logger()

IGNORED = "ignored"
LEASE_LOST = "lease lost"


class Engine(Protocol):
    """What does the work: services.worker.audio.engine.process, or what a benchmark has in its place."""

    def __call__(
        self,
        source: Path,
        operations: Sequence[AnyOperation],
        output_dir: Path,
        /,
        *,
        limits: Limits,
        on_progress: Callable[[float], None],
        is_cancelled: Callable[[], bool],
        source_name: str | None,
    ) -> Report:
        """Do the operations on the source, and write the artifacts into the output folder."""


class Meter:
    """What the attempt costs, from its start on."""

    def __init__(self) -> None:
        self._cpu_before = _cpu_seconds()
        self.audio_seconds: float | None = None

    def usage(self) -> Usage:
        """The cost up to now."""
        return Usage(audio_seconds=self.audio_seconds, cpu_seconds=_cpu_seconds() - self._cpu_before)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class AttemptRunner:
    """Runs attempts, one at a time."""

    def __init__(
        self,
        engine: Engine,
        *,
        settings: Settings,
        jobs: Jobs,
        materials: Materials,
        scratch: Scratch,
        events: EventPublisher,
        ending: Ending,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._jobs = jobs
        self._materials = materials
        self._scratch = scratch
        self._events = events
        self._ending = ending
        self._signals = Signals(soft_time_limit_seconds=settings.task_soft_time_limit_seconds)
        self._heartbeat = Heartbeat(jobs=jobs, events=events, settings=settings)
        self._limits = Limits(
            decoded_samples=settings.max_decoded_samples,
            channels=settings.max_channels,
            sample_rate=settings.max_sample_rate,
        )

    async def run(self, job_id: UUID, *, traceparent: str | None) -> str:
        """Run one attempt, and say what became of it: a status, or why nothing was done."""
        with logs.bind(job_id=str(job_id)), span("job", traceparent=traceparent, kind=SpanKind.CONSUMER):
            with span("claim"):
                claim = await patiently(
                    lambda: self._jobs.claim(
                        job_id, worker=identity.process_name(), lease_seconds=self._settings.lease_seconds
                    )
                )
            if claim is None:
                # The message came twice, or late, or the job has ended.
                log.info("message ignored")
                return IGNORED
            with logs.bind(attempt=claim.lease.attempt):
                return await self._run(claim)

    async def _run(self, claim: Claim) -> str:
        interruption = Interruption()
        try:
            with self._signals.interrupting(interruption):
                event = await self._work(claim, interruption)
        except LeaseLost:
            log.warning("lease lost; nothing was written")
            return LEASE_LOST
        await self._events.publish(event)
        log.info("attempt ended", status=event.status, error_code=event.error_code)
        if interruption.reason is Reason.SHUTDOWN:
            # The job is in other hands; this process is to end.
            raise SystemExit(0)
        return event.status

    async def _work(self, claim: Claim, interruption: Interruption) -> JobEvent:
        meter, progress = Meter(), Progress()
        async with self._heartbeat.beating(claim, progress, interruption):
            try:
                async with self._scratch.folder() as scratch:
                    report = await self._process(claim, scratch, progress, interruption)
                    meter.audio_seconds = report.audio_seconds
                    with span("store artifacts"):
                        made = await self._materials.store(claim.lease, report.artifacts)
                    results = {name: result.model_dump(mode="json") for name, result in report.results.items()}
                    with span("finish"):
                        return await self._ending.success(claim, results=results, made=made, usage=meter.usage())
            except LeaseLost:
                raise
            except Cancelled:
                return await self._ending.interrupted(claim, interruption, meter.usage())
            except Exception as error:
                return await self._ending.failure(claim, error, meter.usage())

    async def _process(self, claim: Claim, scratch: Path, progress: Progress, interruption: Interruption) -> Report:
        with span("fetch blob"):
            source = await self._materials.fetch(claim, scratch)
        with span("process"):
            return await asyncio.to_thread(
                self._engine,
                source,
                claim.spec.operations,
                scratch,
                limits=self._limits,
                on_progress=progress.set,
                is_cancelled=interruption.is_set,
                source_name=claim.input_filename,
            )
