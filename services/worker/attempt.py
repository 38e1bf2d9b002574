"""One attempt at a job: claim, fetch, run the engine, store the artifacts, finish."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol
from uuid import UUID

import structlog
from opentelemetry.trace import SpanKind

from services.worker import identity
from services.worker.audio.engine import Report
from services.worker.audio.errors import Cancelled
from services.worker.audio.inputs import Extra
from services.worker.audio.limits import Limits
from services.worker.ending import Ending, patiently
from services.worker.heartbeat import Heartbeat, Progress
from services.worker.interruption import Interruption, Reason, Signals
from services.worker.materials import Materials
from services.worker.metrics.attempts import AttemptMetrics, Meter, Outcome, Step, outcome_of
from services.worker.scratch import Scratch
from shared.events import EventPublisher
from shared.schema.events import JobEvent
from shared.schema.operations import AnyOperation
from shared.settings import Settings
from shared.store.jobs import Jobs
from shared.store.records import Claim, LeaseLost, Usage
from shared.telemetry import logs
from shared.telemetry.tracing import current_traceparent, link, past_span, span

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
        extras: Mapping[str, Extra],
    ) -> Report:
        """Do the operations on the source, and write the artifacts into the output folder."""


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
        metrics: AttemptMetrics,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._jobs = jobs
        self._materials = materials
        self._scratch = scratch
        self._events = events
        self._ending = ending
        self._metrics = metrics
        self._signals = Signals(soft_time_limit_seconds=settings.task_soft_time_limit_seconds)
        self._heartbeat = Heartbeat(jobs=jobs, events=events, settings=settings, metrics=metrics)
        self._limits = Limits(
            decoded_samples=settings.max_decoded_samples,
            channels=settings.max_channels,
            sample_rate=settings.max_sample_rate,
        )

    async def run(self, job_id: UUID, *, traceparent: str | None) -> str:
        """Run one attempt, and say what became of it: a status, or why nothing was done."""
        with logs.bind(job_id=str(job_id)), span("job", traceparent=traceparent, kind=SpanKind.CONSUMER) as job_span:
            here = current_traceparent()
            with span("claim"), self._metrics.timed(Step.CLAIM):
                claim = await patiently(
                    lambda: self._jobs.claim(
                        job_id,
                        worker=identity.process_name(),
                        lease_seconds=self._settings.lease_seconds,
                        traceparent=here,
                    )
                )
            if claim is None:
                # The message came twice, or late, or the job has ended.
                log.info("message ignored")
                self._metrics.ignored()
                return IGNORED
            if claim.first_traceparent is not None:
                link(job_span, claim.first_traceparent)
            with logs.bind(attempt=claim.lease.attempt):
                return await self._run(claim)

    async def _run(self, claim: Claim) -> str:
        self._metrics.claimed(claim)
        interruption, meter = Interruption(), Meter()
        try:
            with self._signals.interrupting(interruption):
                event = await self._work(claim, interruption, meter)
        except LeaseLost:
            log.warning("lease lost; nothing was written")
            self._metrics.ended(claim, Outcome.LEASE_LOST, meter)
            return LEASE_LOST
        shuts_down = interruption.reason is Reason.SHUTDOWN
        self._metrics.ended(claim, outcome_of(event.status, shuts_down=shuts_down), meter)
        await self._events.publish(event)
        log.info("attempt ended", status=event.status, error_code=event.error_code)
        if shuts_down:
            # The job is in other hands; this process is to end.
            raise SystemExit(0)
        return event.status

    async def _work(self, claim: Claim, interruption: Interruption, meter: Meter) -> JobEvent:
        progress = Progress()
        async with self._heartbeat.beating(claim, progress, interruption):
            try:
                async with self._scratch.folder() as scratch:
                    report = await self._process(claim, scratch, progress, interruption, meter)
                    meter.audio_seconds = report.audio_seconds
                    with span("store artifacts"), self._metrics.timed(Step.STORE):
                        made = await self._materials.store(claim, report.artifacts)
                    meter.output_bytes = sum(artifact.size_bytes for artifact in made)
                    results = {name: result.model_dump(mode="json") for name, result in report.results.items()}
                    with span("finish"), self._metrics.timed(Step.FINISH):
                        return await self._ending.success(claim, results=results, made=made, usage=_usage(meter))
            except LeaseLost:
                raise
            except Cancelled:
                return await self._ending.interrupted(claim, interruption, _usage(meter))
            except Exception as error:
                return await self._ending.failure(claim, error, _usage(meter))

    async def _process(
        self, claim: Claim, scratch: Path, progress: Progress, interruption: Interruption, meter: Meter
    ) -> Report:
        with span("fetch blob"), self._metrics.timed(Step.FETCH):
            source = await self._materials.fetch(claim, scratch)
            extras = await self._materials.fetch_extras(claim, scratch) if claim.extras else {}
        meter.input_bytes = source.stat().st_size
        with span("process"), self._metrics.timed(Step.PROCESS):
            report = await asyncio.to_thread(
                self._engine,
                source,
                claim.spec.operations,
                scratch,
                limits=self._limits,
                on_progress=progress.set,
                is_cancelled=interruption.is_set,
                source_name=claim.input_filename,
                extras=extras,
            )
            for timing in report.timings:
                past_span(
                    timing.step,
                    began_ns=timing.began_ns,
                    ended_ns=timing.ended_ns,
                    attributes={"wavemill.busy_seconds": timing.busy_seconds},
                )
            return report


def _usage(meter: Meter) -> Usage:
    return Usage(audio_seconds=meter.audio_seconds, cpu_seconds=meter.cpu_seconds)
