"""One attempt at fetching a job's inputs: claim, download, store, finish. No media is looked into here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from enum import Enum
from uuid import UUID

import structlog
from opentelemetry.trace import SpanKind

from services.worker import identity
from services.worker.download import Download
from services.worker.ending import Ending, patiently
from services.worker.heartbeat import Heartbeat, Progress
from services.worker.interruption import Interruption, Reason, Signals
from services.worker.metrics.attempts import outcome_of
from services.worker.metrics.fetches import FetchMeter, FetchMetrics
from services.worker.outbound import Outbound, Times
from shared.broker import JobMessage, Publisher, queue_of
from shared.cancellation import cancel
from shared.events import EventPublisher
from shared.ingest import Incoming, Ingest
from shared.schema.events import JobEvent
from shared.schema.inputs import MAIN_INPUT
from shared.schema.jobs import JobStatus, Upload
from shared.settings import Settings
from shared.store.fetches import Fetches
from shared.store.records import FetchClaim, InputSource, LeaseLost, Usage
from shared.telemetry import logs
from shared.telemetry.tracing import current_traceparent, span

log = structlog.get_logger()

IGNORED = "ignored"
LEASE_LOST = "lease lost"
# How soon a cancel, a shutdown or a lost lease is heard of.
_LISTEN_SECONDS = 0.2
_STORING_ENDS_SECONDS = 10.0


class End(Enum):
    """How a file ends that is handed over."""

    WHOLE = "whole"
    BROKEN = "broken"


class AbandonedError(Exception):
    """The rest of a file will not come."""


class FetchRunner:
    """Fetches the inputs of jobs, one job at a time."""

    def __init__(
        self,
        *,
        settings: Settings,
        fetches: Fetches,
        ingest: Ingest,
        heartbeat: Heartbeat,
        events: EventPublisher,
        publisher: Publisher,
        ending: Ending,
        metrics: FetchMetrics,
    ) -> None:
        self._settings = settings
        self._fetches = fetches
        self._ingest = ingest
        self._heartbeat = heartbeat
        self._events = events
        self._publisher = publisher
        self._ending = ending
        self._signals = Signals(soft_time_limit_seconds=settings.task_soft_time_limit_seconds)
        self._metrics = metrics
        self._outbound = Outbound.from_settings(settings)
        self._times = Times(
            connect=settings.outbound_connect_seconds,
            idle=settings.outbound_idle_seconds,
            total=settings.fetch_seconds,
        )

    async def run(self, job_id: UUID, *, traceparent: str | None) -> str:
        """Run one attempt, and say what became of it: a status, or why nothing was done."""
        with logs.bind(job_id=str(job_id)), span("fetch input", traceparent=traceparent, kind=SpanKind.CONSUMER):
            here = current_traceparent()
            claim = await patiently(
                lambda: self._fetches.claim(
                    job_id,
                    worker=identity.process_name(),
                    lease_seconds=self._settings.lease_seconds,
                    traceparent=here,
                )
            )
            if claim is None:
                # The message came twice, or late, or the job has ended or is fetched.
                log.info("message ignored")
                return IGNORED
            with logs.bind(attempt=claim.lease.attempt):
                return await self._run(claim)

    async def _run(self, claim: FetchClaim) -> str:
        interruption, meter = Interruption(), FetchMeter()
        try:
            with self._signals.interrupting(interruption):
                event = await self._work(claim, interruption, meter)
        except LeaseLost:
            log.warning("lease lost; nothing was written")
            self._metrics.ended("lease_lost", meter)
            return LEASE_LOST
        shuts_down = interruption.reason is Reason.SHUTDOWN
        fetched = event.status is JobStatus.QUEUED
        self._metrics.ended("fetched" if fetched else outcome_of(event.status, shuts_down=shuts_down), meter)
        await self._events.publish(event)
        log.info("fetch ended", status=event.status, error_code=event.error_code, received_bytes=meter.received_bytes)
        if shuts_down and not fetched:
            # The job is in other hands; this process is to end.
            raise SystemExit(0)
        return event.status

    async def _work(self, claim: FetchClaim, interruption: Interruption, meter: FetchMeter) -> JobEvent:
        progress = Progress()
        async with self._heartbeat.beating(claim, progress, interruption):
            fetching = asyncio.create_task(self._fetch_all(claim, progress, meter), name="fetch")
            try:
                while not fetching.done():
                    await asyncio.wait({fetching}, timeout=_LISTEN_SECONDS)
                    if interruption.is_set() and not fetching.done():
                        await cancel(fetching)
                        return await self._ending.interrupted(claim, interruption, Usage())
                return await self._finish(claim, fetching.result())
            except LeaseLost:
                raise
            except Exception as error:
                return await self._ending.failure(claim, error, Usage())
            finally:
                await cancel(fetching)

    async def _finish(self, claim: FetchClaim, uploads: dict[str, Upload]) -> JobEvent:
        queue = queue_of(claim.spec)
        its_own = uploads[MAIN_INPUT].id if MAIN_INPUT in uploads else claim.upload_id
        if its_own is None:
            raise AssertionError("a job has an input, or is to have it fetched")
        requeue = await patiently(
            lambda: self._fetches.finish(
                claim.lease,
                upload_id=its_own,
                fetched={name: upload.id for name, upload in uploads.items()},
                queue=queue,
            )
        )
        if requeue.is_queued:
            await self._publisher.offer([JobMessage(claim.lease.job_id, queue, claim.traceparent)])
        return requeue.event

    async def _fetch_all(self, claim: FetchClaim, progress: Progress, meter: FetchMeter) -> dict[str, Upload]:
        uploads: dict[str, Upload] = {}
        for source in claim.wanted:
            incoming, filename = await self._download(source, progress, meter, done=len(uploads), of=len(claim.wanted))
            uploads[source.name] = await self._accept(incoming, filename, claim.key_id)
        return uploads

    async def _download(
        self, source: InputSource, progress: Progress, meter: FetchMeter, *, done: int, of: int
    ) -> tuple[Incoming, str | None]:
        download = Download(
            self._outbound,
            source.url or "",
            times=self._times,
            max_bytes=self._settings.max_input_bytes,
            on_progress=lambda fraction: progress.set((done + fraction) / of),
        )
        return await self._stored(download, meter), download.filename

    async def _accept(self, incoming: Incoming, filename: str | None, key_id: UUID | None) -> Upload:
        try:
            return await patiently(lambda: self._ingest.accept(incoming, filename, key_id=key_id))
        finally:
            await self._ingest.discard(incoming)

    async def _stored(self, download: Download, meter: FetchMeter) -> Incoming:
        """The file in the blob store.

        The store asks for pieces from tasks of its own; a download's limits of time hold in one task. So it is read
        here, and handed over piece by piece.
        """
        handed: asyncio.Queue[bytes | End] = asyncio.Queue(1)

        async def taken() -> AsyncIterator[bytes]:
            while isinstance(piece := await handed.get(), bytes):
                yield piece
            if piece is End.BROKEN:
                raise AbandonedError

        storing = asyncio.create_task(self._ingest.receive(taken()), name="store")
        try:
            async with aclosing(download.pieces()) as pieces:
                async for piece in pieces:
                    meter.received_bytes += len(piece)
                    await _hand(handed, piece, storing)
            await _hand(handed, End.WHOLE, storing)
            return await storing
        except BaseException:
            # The store is told, so that it leaves nothing behind.
            while not handed.empty():
                handed.get_nowait()
            handed.put_nowait(End.BROKEN)
            await asyncio.wait({storing}, timeout=_STORING_ENDS_SECONDS)
            await cancel(storing)
            raise


async def _hand(handed: "asyncio.Queue[bytes | End]", piece: bytes | End, taker: "asyncio.Task[Incoming]") -> None:
    """Hand a piece over. Where nobody takes it any more, the taker's error is raised."""
    handing = asyncio.create_task(handed.put(piece))
    await asyncio.wait({handing, taker}, return_when=asyncio.FIRST_COMPLETED)
    if not handing.done():
        await cancel(handing)
        taker.result()
