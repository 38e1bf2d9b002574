"""The monitor's HTTP side, and its tasks in the background."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client.exposition import choose_encoder

from services.monitor.connections import Connections, connections
from services.monitor.duties import Duty
from services.monitor.duties.due_deliveries import DueDeliveries
from services.monitor.duties.due_jobs import DueJobs
from services.monitor.duties.expired_artifacts import ExpiredArtifacts
from services.monitor.duties.expired_inputs import ExpiredInputs
from services.monitor.duties.expired_leases import ExpiredLeases
from services.monitor.duties.expired_resumables import ExpiredResumables
from services.monitor.duties.finished_totals import FinishedTotals
from services.monitor.duties.forgotten_idempotency_keys import ForgottenIdempotencyKeys
from services.monitor.duties.forgotten_jobs import ForgottenJobs
from services.monitor.duties.held_jobs import HeldJobs
from services.monitor.duties.old_deliveries import OldDeliveries
from services.monitor.duties.silent_workers import SilentWorkers
from services.monitor.duties.stray_blobs import StrayBlobs
from services.monitor.duties.undispatched_jobs import UndispatchedJobs
from services.monitor.duties.webhook_notices import WebhookNotices
from services.monitor.exposition import Exposition
from services.monitor.messages import Messages
from services.monitor.page.app import furnish, make_page
from services.monitor.page.desk import Desk
from services.monitor.reconciler import LEADERSHIP, Reconciler, ReconcilerMetrics, holder_name
from services.monitor.retention_times import keep_seconds
from services.monitor.watch import BlobLook, DatabaseLook, RedisLook, Watch
from shared.events import EventPublisher
from shared.settings import Settings
from shared.store.backlog import Backlog
from shared.store.deliveries import Deliveries
from shared.store.finished import Finished
from shared.store.idempotency import IdempotencyKeys
from shared.store.jobs import Jobs
from shared.store.leadership import Leadership
from shared.store.notices import Notices
from shared.store.retention import Retention
from shared.store.tallies import Tallies
from shared.store.turns import Turns
from shared.store.unfinished import UnfinishedUploads
from shared.store.workers import Workers
from shared.telemetry.metrics import process_registry

_END_SECONDS = 1.0
# To ask a bucket costs money.
_BLOB_PAUSE_SECONDS = 15.0


class Monitor:
    """The parts of one monitor, wired to its connections."""

    def __init__(self, settings: Settings, opened: Connections) -> None:
        self.registry = process_registry()
        backlog, messages = Backlog(opened.database), Messages(opened.redis)
        self.database = Watch("database", DatabaseLook(opened.database, settings))
        self.redis = Watch("redis", RedisLook(opened.redis))
        self.blobs = Watch("blob store", BlobLook(opened.blobs), pause_seconds=_BLOB_PAUSE_SECONDS)
        stray_blobs = _stray_blobs(settings, opened)
        self.registry.register(Exposition(self.database, self.redis, self.blobs, stock=lambda: stray_blobs.stock))
        duties = (*_duties(settings, opened, backlog, messages), stray_blobs)
        self.reconciler = Reconciler(
            Leadership(
                opened.database, name=LEADERSHIP, holder=holder_name(), lease_seconds=settings.leadership_seconds
            ),
            duties,
            Tallies(opened.database),
            ReconcilerMetrics(self.registry, duties),
            interval_seconds=settings.reconcile_interval_seconds,
            leadership_seconds=settings.leadership_seconds,
        )
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Its tasks run in the background."""
        self._tasks = [
            asyncio.create_task(self.database.run(), name="database watch"),
            asyncio.create_task(self.redis.run(), name="redis watch"),
            asyncio.create_task(self.blobs.run(), name="blob store watch"),
            asyncio.create_task(self.reconciler.run(), name="reconciler"),
        ]
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            # One that hangs on a store is left behind: the process ends.
            await asyncio.wait(self._tasks, timeout=_END_SECONDS)

    @property
    def lives(self) -> bool:
        """Whether every task runs; the stores do not matter."""
        return not any(task.done() for task in self._tasks)

    @property
    def stores_away(self) -> Sequence[str]:
        """The stores that did not answer when they were last asked."""
        is_up = {"database": self.database.is_up, "redis": self.redis.is_up}
        return [store for store, up in is_up.items() if not up]


def _duties(settings: Settings, opened: Connections, backlog: Backlog, messages: Messages) -> Sequence[Duty]:
    jobs, batch = Jobs(opened.database), settings.reconcile_batch
    return (
        ExpiredLeases(backlog, jobs, opened.publisher, EventPublisher(opened.redis), batch=batch),
        DueJobs(jobs, opened.publisher, batch=batch),
        HeldJobs(Turns(opened.database), opened.publisher, batch=batch),
        UndispatchedJobs(
            backlog,
            jobs,
            messages,
            opened.publisher,
            grace_seconds=settings.undispatched_grace_seconds,
            batch=batch,
        ),
        FinishedTotals(Finished(opened.database)),
        SilentWorkers(Workers(opened.database), batch=batch),
        WebhookNotices(Notices(opened.database, give_up_seconds=keep_seconds(settings.webhook_retry_days))),
        DueDeliveries(Deliveries(opened.database), messages, opened.publisher, batch=batch),
        *_retention_duties(settings, opened),
    )


def _retention_duties(settings: Settings, opened: Connections) -> Sequence[Duty]:
    retention, blobs, batch = Retention(opened.database), opened.blobs, settings.reconcile_batch
    return (
        ExpiredArtifacts(retention, blobs, keep_seconds=keep_seconds(settings.keep_artifacts_days), batch=batch),
        ForgottenJobs(retention, blobs, keep_seconds=keep_seconds(settings.keep_jobs_days), batch=batch),
        ExpiredInputs(retention, blobs, keep_seconds=keep_seconds(settings.keep_inputs_days), batch=batch),
        OldDeliveries(
            Deliveries(opened.database), keep_seconds=keep_seconds(settings.keep_deliveries_days), batch=batch
        ),
        ForgottenIdempotencyKeys(IdempotencyKeys(opened.database), batch=batch),
        ExpiredResumables(UnfinishedUploads(opened.database), blobs, batch=batch),
    )


def _stray_blobs(settings: Settings, opened: Connections) -> StrayBlobs:
    return StrayBlobs(
        Retention(opened.database),
        opened.blobs,
        grace_seconds=settings.stray_grace_seconds,
        every_seconds=settings.sweep_interval_seconds,
        batch=settings.reconcile_batch,
    )


def make_app(settings: Settings) -> FastAPI:
    """The application; it connects to the stores when it starts, and starts also while they are away."""
    page = make_page(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with connections(settings) as opened:
            monitor = Monitor(settings, opened)
            app.state.monitor = monitor
            furnish(page, Desk.on(opened, settings, monitor.database, monitor.redis))
            async with monitor.running():
                yield

    app = FastAPI(title="Wavemill monitor", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        """What the monitor knows, in Prometheus's text format or in OpenMetrics, as the client prefers."""
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(_monitor(request).registry), media_type=media_type)

    @app.get("/healthz")
    async def healthz(request: Request) -> JSONResponse:
        """Whether the process works; no store is asked."""
        lives = _monitor(request).lives
        return JSONResponse({"status": "ok" if lives else "a background task has ended"}, 200 if lives else 503)

    @app.get("/readyz")
    async def readyz(request: Request) -> JSONResponse:
        """Whether the stores answer."""
        away = _monitor(request).stores_away
        return JSONResponse({"status": "no answer" if away else "ok", "away": list(away)}, 503 if away else 200)

    # Whatever is not above.
    app.mount("/", page)
    return app


def _monitor(request: Request) -> Monitor:
    monitor: Monitor = request.app.state.monitor
    return monitor
