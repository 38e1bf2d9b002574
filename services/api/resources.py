"""What the routes work with: opened when the service starts, closed when it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from redis.asyncio import Redis

from services.api.access.authentication import Authenticator
from services.api.access.gate import Gate
from services.api.access.quotas import Quotas
from services.api.access.rate_limit import RateLimiter
from services.api.access.revocations import Revocations
from services.api.admission import Admission
from services.api.destinations import Destinations
from services.api.dispatcher import Dispatcher
from services.api.group_watch import GroupWatch
from services.api.inputs import Inputs
from services.api.job_watch import JobWatch
from services.api.metrics import ApiMetrics
from services.api.presigned import Presigned
from services.api.resumable import Resumable
from services.api.submissions import Submissions
from services.api.turns import JobTurns
from shared.addresses import AddressRule
from shared.blobs import Blobs
from shared.broker import Publisher, make_app
from shared.events import EventHub, EventPublisher, connect
from shared.ingest import Ingest
from shared.settings import Settings
from shared.store.api_keys import ApiKeys
from shared.store.archives import Archives
from shared.store.backlog import Backlog
from shared.store.batch_views import BatchViews
from shared.store.batches import Batches
from shared.store.database import Database
from shared.store.deliveries import Deliveries
from shared.store.idempotency import IdempotencyKeys
from shared.store.job_changes import JobChanges
from shared.store.job_lists import JobLists
from shared.store.job_views import JobViews
from shared.store.jobs import Jobs
from shared.store.key_usage import KeyUsage
from shared.store.presets import Presets
from shared.store.retention import Retention
from shared.store.turns import Turns
from shared.store.unfinished import UnfinishedUploads
from shared.store.uploads import Uploads
from shared.store.webhooks import Webhooks

_FLUSH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Resources:
    """One of each, for the process."""

    settings: Settings
    database: Database
    blobs: Blobs
    redis: Redis
    jobs: Jobs
    views: JobViews
    keys: ApiKeys
    gate: Gate
    idempotency: IdempotencyKeys
    turns: JobTurns
    revocations: Revocations
    lists: JobLists
    presets: Presets
    retention: Retention
    submissions: Submissions
    admission: Admission
    ingest: Ingest
    inputs: Inputs
    unfinished: UnfinishedUploads
    resumable: Resumable
    presigned: Presigned
    destinations: Destinations
    dispatcher: Dispatcher
    events: EventPublisher
    watch: JobWatch
    batches: BatchViews
    batch_changes: Batches
    archives: Archives
    webhooks: Webhooks
    deliveries: Deliveries
    changes: JobChanges
    uploads: Uploads
    group_watch: GroupWatch
    metrics: ApiMetrics


@asynccontextmanager
async def opened(settings: Settings, metrics: ApiMetrics) -> AsyncIterator[Resources]:
    """The resources. No store needs to be reachable for the service to start."""
    database = Database.from_settings(settings)
    blobs = Blobs.from_settings(settings)
    redis = connect(settings)
    views = JobViews(database)
    batches, changes = BatchViews(database), JobChanges(database)
    keys = ApiKeys(database)
    limiter = RateLimiter(redis, on_fallback=metrics.rate_limit_fallbacks.inc)
    quotas = Quotas(KeyUsage(database))
    uploads, unfinished = Uploads(database), UnfinishedUploads(database)
    ingest = Ingest(blobs, uploads, max_bytes=settings.max_upload_bytes)
    presets = Presets(database)
    large = Ingest(blobs, uploads, max_bytes=settings.max_input_bytes)
    destinations = Destinations(AddressRule.of(settings.outbound_allowed_networks))
    dispatcher = Dispatcher(Publisher(make_app(settings)))
    dispatcher.start()
    try:
        async with (
            EventHub(redis) as hub,
            JobWatch(hub, views) as watch,
            GroupWatch(hub, changes, batches) as group_watch,
            Gate(Authenticator(keys, settings), limiter, settings) as gate,
            Revocations(keys) as revocations,
            Admission(Backlog(database), blobs, quotas, settings) as admission,
        ):
            yield Resources(
                settings=settings,
                database=database,
                blobs=blobs,
                redis=redis,
                jobs=Jobs(database),
                views=views,
                keys=keys,
                gate=gate,
                idempotency=IdempotencyKeys(database),
                turns=JobTurns(Turns(database), dispatcher),
                revocations=revocations,
                lists=JobLists(database),
                presets=presets,
                retention=Retention(database),
                submissions=Submissions(presets, destinations, settings),
                admission=admission,
                ingest=ingest,
                unfinished=unfinished,
                resumable=Resumable(blobs, unfinished, uploads, large),
                presigned=Presigned(blobs, unfinished, uploads, large, settings),
                inputs=Inputs(blobs, uploads, ingest, views, destinations),
                destinations=destinations,
                dispatcher=dispatcher,
                events=EventPublisher(redis),
                watch=watch,
                batches=batches,
                batch_changes=Batches(database),
                archives=Archives(database),
                webhooks=Webhooks(database),
                deliveries=Deliveries(database),
                changes=changes,
                uploads=Uploads(database),
                group_watch=group_watch,
                metrics=metrics,
            )
    finally:
        await asyncio.to_thread(dispatcher.close, _FLUSH_SECONDS)
        await redis.aclose()
        await database.close()


def attach(app: FastAPI, resources: Resources) -> None:
    """Give the resources to the routes of an app."""
    app.state.resources = resources
    app.state.gate = resources.gate
    app.state.idempotency_keys = resources.idempotency
    app.state.webhooks = resources.webhooks


async def _of_request(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


InjectedResources = Annotated[Resources, Depends(_of_request)]
