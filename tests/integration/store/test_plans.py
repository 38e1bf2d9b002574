"""The plan of every statement of the store, on PostgreSQL with 100,000 jobs: none reads a whole table.

The statements are those that the store's own methods execute; a method that is not called here fails the test.
"""

import asyncio
import importlib
import inspect
import json
import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from asyncpg.connection import LoggedQuery
from sqlalchemy import event, text

import shared.store
from shared.key_secrets import digest_of, new_secret
from shared.schema.inputs import MAIN_INPUT
from shared.schema.jobs import JobStatus
from shared.schema.keys import Scope
from shared.schema.options import NO_OPTIONS
from shared.schema.presets import Preset
from shared.schema.webhooks import NewWebhook, WebhookChanges, WebhookEvent, WebhookTarget
from shared.store.api_keys import ApiKeys
from shared.store.archives import Archives
from shared.store.audit import AuditOutcome, AuditTrail
from shared.store.backlog import Backlog, OverdueJob
from shared.store.batch_views import BatchViews
from shared.store.batches import Batches
from shared.store.change import Change
from shared.store.database import Database
from shared.store.deliveries import ClaimedDelivery, Deliveries, Tried
from shared.store.fetches import Fetches
from shared.store.finished import Finished
from shared.store.footprint import Footprint
from shared.store.idempotency import Answer, IdempotencyKeys, Reservation
from shared.store.job_changes import JobChanges
from shared.store.job_inputs import JobInputs
from shared.store.job_lists import JobLists, Wanted
from shared.store.job_views import JobViews
from shared.store.jobs import Jobs
from shared.store.key_usage import KeyUsage
from shared.store.leadership import Leadership
from shared.store.notices import Notices
from shared.store.one_statement import Lender, OneStatement
from shared.store.operations_views import OperationsViews
from shared.store.presets import Presets
from shared.store.queue_pauses import QueuePauses
from shared.store.records import Claim, FetchClaim, InputSource, JobOrder, Lease, WebhookOrder
from shared.store.retention import Position, Retention, StoredUpload
from shared.store.tallies import Tallies
from shared.store.turns import Turns
from shared.store.unfinished import Piece, UnfinishedUploads, Way
from shared.store.uploads import Uploads
from shared.store.webhooks import Webhooks
from shared.store.workers import Workers
from tests.integration.store.conftest import ARTIFACT, RESULTS, SPEC, USAGE

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

BIG_TABLES = frozenset({"jobs", "attempts", "artifacts", "uploads", "batches", "webhooks", "webhook_deliveries"})
# An hour's jobs run or wait, as many again wait for their next attempt; the rest ended in the last three months.
# One in a hundred jobs is of a key, which may have two of them run at a time.
KEY = UUID("01901000-0000-7000-8000-000000000001")
WEBHOOK = UUID("01901000-0000-7000-8000-000000000002")
# Ids are in the order of creation, as UUIDv7 has them.
POPULATION = (
    f"""
    INSERT INTO api_keys (id, name, prefix, secret_sha256, scopes, created_at, max_running_jobs)
    SELECT CASE WHEN n = 5 THEN '{KEY}' ELSE gen_random_uuid() END, 'key', 'wm_', n::text, '[]', now(), 2
    FROM generate_series(1, 50) n
    """,
    """
    INSERT INTO uploads (id, key_id, sha256, size_bytes, filename, created_at, expired_at, removed_at)
    SELECT gen_random_uuid(), (SELECT id FROM api_keys WHERE secret_sha256 = (n % 5000)::text),
           encode(sha256(n::text::bytea), 'hex'), 1000 + n, 'a.wav', now() - n * interval '78 s',
           CASE WHEN n > 99000 THEN now() - interval '1 day' END, CASE WHEN n > 99500 THEN now() END
    FROM generate_series(1, 100000) n
    """,
    """
    CREATE TEMPORARY TABLE numbered AS SELECT id, row_number() OVER () AS n FROM uploads WHERE expired_at IS NULL
    """,
    """
    INSERT INTO jobs (id, key_id, status, queue, priority, spec, upload_id, input_bytes, version, progress,
                      cancel_requested,
                      attempt, attempts_spent, max_attempts, lease_token, lease_expires_at, worker, not_before,
                      dispatched_at, error_code, error_message, poisoned, created_at, due_at, started_at,
                      finished_at, preset, metadata, expires_at)
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
            || substr(md5(k::text), 1, 3) || '8' || substr(md5(k::text), 4, 15))::uuid,
           (SELECT id FROM api_keys WHERE secret_sha256 = (k % 5000)::text), status,
           CASE WHEN n % 10 = 0 THEN 'high' ELSE 'default' END, 'default', :spec,
           numbered.id, 1000, 3, 0.5, false, 1, 1, 4,
           CASE WHEN status = 'running' THEN gen_random_uuid() END,
           CASE WHEN status = 'running' THEN now() + interval '30 s' END,
           CASE WHEN status = 'running' THEN 'host/' || k % 40 || '/1' END,
           CASE WHEN delayed THEN now() + interval '60 s' END,
           at, CASE WHEN status = 'failed' THEN 'x' END, CASE WHEN status = 'failed' THEN 'X.' END, false, at, at, at,
           CASE WHEN status NOT IN ('queued', 'running') THEN at END,
           CASE WHEN k % 100 = 5 THEN 'podcast' END,
           CASE WHEN k % 4 = 0 THEN jsonb_build_object('customer', (k % 1000)::text, 'show', 'news') END,
           CASE WHEN status = 'succeeded' AND k % 100 = 6 THEN now() + k * interval '1 s' END
    FROM (SELECT k, now() - k * interval '78 s' AS at, k % 4000 = 1 AS delayed,
                 CASE WHEN k % 200 = 1 THEN 'queued' WHEN k % 200 = 2 THEN 'running' WHEN k % 50 = 3 THEN 'failed'
                      WHEN k % 50 = 4 THEN 'canceled' ELSE 'succeeded' END AS status
          FROM generate_series(1, 100000) k) AS k
    JOIN numbered ON n = 1 + k % 90000
    """,
    """
    INSERT INTO batches (id, jobs, cancel_requested, created_at, ended_at)
    SELECT gen_random_uuid(), 10, false, created_at, finished_at FROM jobs ORDER BY id LIMIT 5000
    """,
    """
    UPDATE jobs SET batch_id = batches.id
    FROM (SELECT id, row_number() OVER () AS n FROM batches) AS batches
    JOIN (SELECT id, row_number() OVER () AS n FROM jobs) AS numbered_jobs ON batches.n = numbered_jobs.n / 10
    WHERE jobs.id = numbered_jobs.id
    """,
    f"""
    INSERT INTO webhooks (id, url, events, description, secret, enabled, is_standing, created_at, key_id)
    SELECT CASE WHEN n = 5 THEN '{WEBHOOK}' ELSE gen_random_uuid() END, 'https://example.com/', '[]', '', 'x', true,
           n < 40, now(), CASE WHEN n < 40 THEN '{KEY}'::uuid END
    FROM generate_series(1, 20000) n
    """,
    f"""
    INSERT INTO webhook_deliveries (id, webhook_id, event, body, status, attempts, due_at, give_up_at, created_at,
                                    ended_at)
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || substr(md5(n::text), 1, 20))::uuid,
           '{WEBHOOK}', 'ping', '{{}}', CASE WHEN n < 100 THEN 'pending' ELSE 'delivered' END, 1, at, at, at,
           CASE WHEN n >= 100 THEN at END
    FROM (SELECT n, now() - n * interval '26 s' AS at FROM generate_series(1, 100000) n) AS n
    """,
    """
    INSERT INTO attempts (job_id, number, worker, started_at, ended_at, outcome)
    SELECT id, 1, 'host/1/1', created_at, finished_at, CASE WHEN finished_at IS NOT NULL THEN 'succeeded' END FROM jobs
    """,
    """
    INSERT INTO artifacts (job_id, name, attempt, blob_key, media_type, size_bytes, sha256)
    SELECT id, 'a.mp3', 1, 'artifacts/' || id || '/1/a.mp3', 'audio/mpeg', 1, 'ab' FROM jobs WHERE status = 'succeeded'
    """,
    """
    INSERT INTO finished_watermark (id, counted_until)
    SELECT 1, max(finished_at) - interval '20 minutes' FROM jobs
    """,
    "ANALYZE",
)


class Place:
    """The full store, and what the calls need of it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.jobs = Jobs(database)
        self.views = JobViews(database)
        self.job_lists = JobLists(database)
        self.presets = Presets(database)
        self.backlog = Backlog(database)
        self.finished = Finished(database)
        self.uploads = Uploads(database)
        self.workers = Workers(database)
        self.operations = OperationsViews(database)
        self.pauses = QueuePauses(database)
        self.audit = AuditTrail(database)
        self.retention = Retention(database)
        self.batches = Batches(database)
        self.batch_views = BatchViews(database)
        self.changes = JobChanges(database)
        self.archives = Archives(database)
        self.webhooks = Webhooks(database)
        self.deliveries = Deliveries(database)
        self.notices = Notices(database, give_up_seconds=DAY)
        self.webhook_id = WEBHOOK
        self.tallies = Tallies(database)
        self.footprint = Footprint(database)
        self.leadership = Leadership(database, name="reconciler", holder="host/1", lease_seconds=10)
        self.keys = ApiKeys(database)
        self.usage = KeyUsage(database)
        self.turns = Turns(database)
        self.idempotency = IdempotencyKeys(database)
        self.key_id = KEY
        self.fetches = Fetches(database)
        self.inputs = JobInputs(database)
        self.unfinished = UnfinishedUploads(database)
        self.upload_id = uuid4()
        self.digest = "0f" * 32
        # Where a walk through the history may have come to.
        self.forty_days_ago = Position(datetime.now(UTC) - timedelta(days=40), uuid4())

    async def upload(self) -> None:
        self.upload_id = (await self.uploads.add(sha256=self.digest, size_bytes=3, filename="a.wav")).id

    async def new(self, webhook: WebhookOrder | None = None) -> UUID:
        created = await self.jobs.create(
            SPEC, upload_id=self.upload_id, queue="default", max_attempts=4, webhook=webhook
        )
        return created.job_id

    async def batch(self) -> UUID:
        """Of a hundred jobs; the others' have ten."""
        orders = [JobOrder(SPEC, NO_OPTIONS, "default", self.upload_id)] * 100
        return (await self.batches.create(orders, name=None, max_attempts=4)).batch_id

    async def batch_jobs(self) -> None:
        batch_id = await self.batch()
        for status in (None, JobStatus.QUEUED):
            page = await self.batch_views.jobs(batch_id, status=status, after=None, limit=51)
            assert len(page) == 51
            await self.batch_views.jobs(batch_id, status=status, after=page[-1].id, limit=51)

    async def batch_pages(self) -> None:
        newest = await self.batch_views.page(before=None, limit=51)
        await self.batch_views.page(before=newest[-1].id, limit=51)

    async def changed(self) -> None:
        moment = await self.changes.now() - timedelta(minutes=2)
        assert [event async for event in self.changes.since(moment)]

    async def changed_in_batch(self) -> None:
        batch_id = await self.batch()
        moment = await self.changes.now() - timedelta(minutes=2)
        assert len([event async for event in self.changes.of_batch(batch_id, moment)]) == 100

    async def delivery(self) -> UUID:
        """One that is due, of a webhook that has thousands."""
        sent = await self.deliveries.add(self.webhook_id, WebhookEvent.PING, "{}", give_up_seconds=DAY)
        return sent.id

    async def claimed_delivery(self) -> ClaimedDelivery:
        claim = await self.deliveries.claim(await self.delivery(), lease_seconds=30)
        assert claim is not None
        return claim

    async def delivery_pages(self) -> None:
        newest = await self.deliveries.page(self.webhook_id, before=None, limit=51)
        assert len(newest) == 51
        await self.deliveries.page(self.webhook_id, before=newest[-1].id, limit=51)

    async def told_of_jobs(self) -> None:
        job_id = await self.new(WebhookOrder(WebhookTarget(url="https://example.com/"), "x"))
        await self.jobs.cancel(job_id)
        assert await self.notices.of_jobs(BATCH) >= 1

    async def told_of_batches(self) -> None:
        await self.batches.cancel(await self.batch())
        assert await self.notices.of_batches(BATCH) >= 1

    async def archive(self, of: Callable[[UUID], AsyncIterator[object]], which: Awaitable[UUID]) -> None:
        assert [file async for file in of(await which)] == []

    async def reservation(self) -> Reservation:
        reserved = await self.idempotency.reserve(str(uuid4()), key_id=self.key_id, fingerprint="ab" * 32)
        assert isinstance(reserved, Reservation)
        return reserved

    async def completed(self, reservation: Reservation) -> None:
        async with self.database.write() as connection:
            await self.idempotency.complete(connection, reservation, Answer(202, "{}", "/api/jobs/1"))

    async def held(self) -> None:
        for _ in range(3):
            await self.jobs.create(
                SPEC, upload_id=self.upload_id, queue="default", max_attempts=4, key_id=self.key_id, owner=None
            )
        assert len(await self.turns.release(self.key_id, limit=BATCH)) == 2

    async def fetch_claimed(self) -> FetchClaim:
        source = InputSource(MAIN_INPUT, url="https://files.example/a.wav")
        created = await self.jobs.create(SPEC, upload_id=None, queue="io", max_attempts=4, sources=[source])
        claim = await self.fetches.claim(created.job_id, worker="host/1/1", lease_seconds=30)
        assert claim is not None
        return claim

    async def fetched(self) -> None:
        claim = await self.fetch_claimed()
        fetched = {MAIN_INPUT: self.upload_id}
        await self.fetches.finish(claim.lease, upload_id=self.upload_id, fetched=fetched, queue="default")

    async def begun(self) -> UUID:
        return (await self.unfinished.begin(Way.TUS, size_bytes=10, keep_seconds=60.0)).id

    async def advanced(self) -> None:
        upload_id = await self.begun()
        writer = await self.unfinished.take(upload_id, at_byte=0)
        assert writer is not None
        assert await self.unfinished.advance(upload_id, writer=writer, pieces=[Piece(0, 4, "incoming/x")])

    async def claimed(self) -> Claim:
        claim = await self.jobs.claim(await self.new(), worker="host/1/1", lease_seconds=30)
        assert claim is not None
        return claim

    async def lease(self) -> Lease:
        return (await self.claimed()).lease

    async def canceled(self) -> UUID:
        job_id = await self.new()
        await self.jobs.cancel(job_id)
        return job_id

    async def removal(self) -> None:
        upload = await self.uploads.add(sha256="1e" * 32, size_bytes=3, filename=None)
        await self.retention.expire(upload.id)
        async with self.retention.removing(StoredUpload(upload.id, upload.sha256), keep_seconds=1) as is_last:
            assert is_last

    async def hold(self) -> None:
        async with self.retention.holding_digest(self.digest) as is_named:
            assert is_named

    async def overdue(self) -> None:
        (first,) = await self.backlog.overdue(grace_seconds=5, after=None, limit=1)
        assert isinstance(first, OverdueJob)
        await self.backlog.overdue(grace_seconds=5, after=first, limit=BATCH)

    async def reopened(self) -> None:
        assert len(await self.jobs.reopen_all([await self.canceled() for _ in range(3)])) == 3

    async def lists(self) -> None:
        before = uuid4()
        for status, code in ((None, None), (JobStatus.QUEUED, None), (JobStatus.SUCCEEDED, None), (None, "x")):
            await self.operations.page(status=status, error_code=code, before=None, limit=51)
            await self.operations.page(status=status, error_code=code, before=before, limit=51)

    async def pages(self) -> None:
        newest = await self.job_lists.page(Wanted(), before=None, limit=51)
        some_time = datetime.now(UTC) - timedelta(hours=1)
        for wanted in (
            Wanted(),
            Wanted(statuses=[JobStatus.QUEUED]),
            Wanted(statuses=[JobStatus.SUCCEEDED]),
            Wanted(statuses=[JobStatus.QUEUED, JobStatus.RUNNING]),
            Wanted(statuses=[JobStatus.FAILED, JobStatus.CANCELED], created_before=some_time),
            Wanted(preset="podcast"),
            Wanted(preset="none"),
            Wanted(metadata={"customer": "44"}),
            Wanted(metadata={"customer": "44", "show": "news"}, statuses=[JobStatus.SUCCEEDED]),
            # Many, and none.
            Wanted(metadata={"show": "news"}),
            Wanted(metadata={"show": "none"}),
            Wanted(created_after=some_time),
            Wanted(created_after=some_time, created_before=datetime.now(UTC), preset="podcast"),
        ):
            await self.job_lists.page(wanted, before=newest[-1].id, limit=51)
            await self.job_lists.page(wanted, before=None, limit=51)
            for owner in (self.key_id, uuid4()):
                theirs = replace(wanted, owner=owner)
                await self.job_lists.page(theirs, before=None, limit=51)
                await self.job_lists.page(theirs, before=newest[-1].id, limit=51)

    async def put(self) -> None:
        assert await self.presets.create(None, PRESET, at_most=1)
        assert await self.presets.replace(None, PRESET, version=1)
        assert await self.presets.create(self.key_id, PRESET, at_most=1)

    async def forgotten(self) -> None:
        assert (await self.retention.forget_job(await self.canceled())).jobs == 1


DAY = 86_400.0
PRESET = Preset(name="a", description="", operations=SPEC.operations)
# Of a batch each row is found by an index; so many of them cost far less than the table.
BATCH = 100
CALLS: dict[str, Callable[[Place], Awaitable[object]]] = {
    "Archives.of_batch": lambda place: place.archive(place.archives.of_batch, place.batch()),
    "Archives.of_job": lambda place: place.archive(place.archives.of_job, place.new()),
    "ApiKeys.create": lambda place: place.keys.create(new_secret(), name="a", scopes=[Scope.READ]),
    "ApiKeys.make_first": lambda place: place.keys.make_first(new_secret()),
    "ApiKeys.find": lambda place: place.keys.find(digest_of(new_secret())),
    "ApiKeys.get": lambda place: place.keys.get(place.key_id),
    "ApiKeys.valid_among": lambda place: place.keys.valid_among([uuid4() for _ in range(BATCH)]),
    "ApiKeys.any": lambda place: place.keys.any(),
    "ApiKeys.all": lambda place: place.keys.all(),
    "ApiKeys.rotate": lambda place: place.keys.rotate(uuid4(), new_secret(), overlap_seconds=60),
    "ApiKeys.revoke": lambda place: place.keys.revoke(uuid4()),
    "AuditTrail.begin": lambda place: place.audit.begin(who="Ada", action="pause", target="low"),
    "AuditTrail.end": lambda place: place.audit.end(uuid4(), AuditOutcome.DONE, "Done."),
    "AuditTrail.get": lambda place: place.audit.get(uuid4()),
    "AuditTrail.page": lambda place: place.audit.page(before=uuid4(), limit=51),
    "Backlog.queues": lambda place: place.backlog.queues(grace_seconds=5),
    "Backlog.queued": lambda place: place.backlog.queued(at_most=100_000),
    "Backlog.not_waiting": lambda place: place.backlog.not_waiting(),
    "Backlog.overdue": lambda place: place.overdue(),
    "Backlog.held_by": lambda place: place.backlog.held_by("host/1/"),
    "Backlog.expired_leases": lambda place: place.backlog.expired_leases(BATCH),
    "Backlog.expired_lease_count": lambda place: place.backlog.expired_lease_count(),
    "Backlog.poisoned": lambda place: place.backlog.poisoned(),
    "BatchViews.get": lambda place: _with(place.batch_views.get, place.batch()),
    "BatchViews.progress": lambda place: _with(lambda batch_id: place.batch_views.progress([batch_id]), place.batch()),
    "BatchViews.jobs": lambda place: place.batch_jobs(),
    "BatchViews.page": lambda place: place.batch_pages(),
    "Batches.create": lambda place: place.batch(),
    "Batches.cancel": lambda place: _with(place.batches.cancel, place.batch()),
    "Deliveries.add": lambda place: place.delivery(),
    "Deliveries.dispatch_due": lambda place: place.deliveries.dispatch_due(grace_seconds=30, limit=BATCH),
    "Deliveries.claim": lambda place: place.claimed_delivery(),
    "Deliveries.succeed": lambda place: _with(
        lambda claim: place.deliveries.succeed(claim, Tried(0.1, 204)), place.claimed_delivery()
    ),
    "Deliveries.retry": lambda place: _with(
        lambda claim: place.deliveries.retry(claim, Tried(0.1, 500), delay_seconds=5), place.claimed_delivery()
    ),
    "Deliveries.give_up": lambda place: _with(
        lambda claim: place.deliveries.give_up(claim, Tried(0.1, 410), disable_because="Gone."),
        place.claimed_delivery(),
    ),
    "Deliveries.page": lambda place: place.delivery_pages(),
    "Deliveries.replay": lambda place: _with(
        lambda delivery_id: place.deliveries.replay(place.webhook_id, delivery_id, give_up_seconds=DAY),
        place.delivery(),
    ),
    "Deliveries.backlog": lambda place: place.deliveries.backlog(),
    "Deliveries.forget": lambda place: place.deliveries.forget(keep_seconds=29 * DAY, limit=BATCH),
    "Fetches.claim": lambda place: place.fetch_claimed(),
    "Fetches.finish": lambda place: place.fetched(),
    "Finished.totals": lambda place: place.finished.totals(),
    "Finished.fold": lambda place: place.finished.fold(10),
    "Footprint.size_bytes": lambda place: place.footprint.size_bytes(),
    "Footprint.rows": lambda place: place.footprint.rows(),
    "Footprint.connections": lambda place: place.footprint.connections(),
    "JobChanges.now": lambda place: place.changes.now(),
    "JobChanges.since": lambda place: place.changed(),
    "JobChanges.of_batch": lambda place: place.changed_in_batch(),
    "IdempotencyKeys.reserve": lambda place: place.reservation(),
    "IdempotencyKeys.complete": lambda place: _with(place.completed, place.reservation()),
    "IdempotencyKeys.complete_alone": lambda place: _with(
        lambda reserved: place.idempotency.complete_alone(reserved, Answer(201, "{}")), place.reservation()
    ),
    "IdempotencyKeys.was_answered": lambda place: place.idempotency.was_answered("k", key_id=place.key_id),
    "IdempotencyKeys.release": lambda place: _with(place.idempotency.release, place.reservation()),
    "IdempotencyKeys.forget": lambda place: place.idempotency.forget(BATCH),
    "KeyUsage.queued_jobs": lambda place: place.usage.queued_jobs(place.key_id, at_most=1000),
    "KeyUsage.stored_bytes": lambda place: place.usage.stored_bytes(place.key_id),
    "JobLists.page": lambda place: place.pages(),
    "JobInputs.extras": lambda place: place.inputs.extras(uuid4()),
    "JobInputs.to_be_fetched": lambda place: place.inputs.to_be_fetched(uuid4()),
    "JobViews.get": lambda place: _with(place.views.get, place.new()),
    "JobViews.event": lambda place: _with(place.views.event, place.new()),
    "JobViews.events": lambda place: place.views.events([uuid4() for _ in range(BATCH)]),
    "JobViews.artifact": lambda place: place.views.artifact(uuid4(), "a.mp3"),
    "JobViews.holder": lambda place: place.views.holder(uuid4()),
    "Jobs.create": lambda place: place.new(),
    "Jobs.claim": lambda place: place.claimed(),
    "Jobs.heartbeat": lambda place: _with(
        lambda lease: place.jobs.heartbeat(lease, progress=0.5, lease_seconds=30), place.lease()
    ),
    "Jobs.succeed": lambda place: _with(
        lambda lease: place.jobs.succeed(lease, results=RESULTS, made=[ARTIFACT], usage=USAGE), place.lease()
    ),
    "Jobs.fail": lambda place: _with(
        lambda lease: place.jobs.fail(lease, code="x", message="X.", usage=USAGE), place.lease()
    ),
    "Jobs.finish_canceled": lambda place: _with(
        lambda lease: place.jobs.finish_canceled(lease, usage=USAGE), place.lease()
    ),
    "Jobs.retry": lambda place: _with(
        lambda lease: place.jobs.retry(lease, code="x", message="X.", delay_seconds=5, usage=USAGE), place.lease()
    ),
    "Jobs.hand_back": lambda place: _with(lambda lease: place.jobs.hand_back(lease, usage=USAGE), place.lease()),
    "Jobs.lose": lambda place: _with(lambda lease: place.jobs.lose(lease, only_expired=True), place.lease()),
    "Jobs.cancel": lambda place: place.canceled(),
    "Jobs.reopen": lambda place: _with(place.jobs.reopen, place.canceled()),
    "Jobs.reopen_all": lambda place: place.reopened(),
    "Jobs.release_due": lambda place: place.jobs.release_due(BATCH),
    "Jobs.redispatch": lambda place: place.jobs.redispatch([uuid4() for _ in range(BATCH)], grace_seconds=5),
    "Leadership.acquire": lambda place: place.leadership.acquire(),
    "Leadership.release": lambda place: place.leadership.release(),
    "Leadership.holder": lambda place: place.leadership.holder(),
    "OperationsViews.running": lambda place: place.operations.running(200),
    "OperationsViews.latest_failures": lambda place: place.operations.latest_failures(BATCH),
    "OperationsViews.page": lambda place: place.lists(),
    "OperationsViews.job": lambda place: place.operations.job(uuid4()),
    "OperationsViews.beginning_with": lambda place: place.operations.beginning_with("0190163d", limit=BATCH),
    "OperationsViews.failed_ids": lambda place: place.operations.failed_ids("x", before=uuid4(), limit=BATCH),
    "OperationsViews.failure_kinds": lambda place: place.operations.failure_kinds(count_to=1000),
    "OperationsViews.ended_by_minute": lambda place: place.operations.ended_by_minute(
        datetime.now(UTC) - timedelta(hours=1)
    ),
    "Presets.all": lambda place: place.presets.all(uuid4()),
    "Presets.get": lambda place: place.presets.get(None, "a"),
    "Presets.create": lambda place: place.put(),
    "Presets.replace": lambda place: place.presets.replace(uuid4(), PRESET, version=None),
    "Presets.remove": lambda place: place.presets.remove(uuid4(), "a", version=1),
    "Notices.of_jobs": lambda place: place.told_of_jobs(),
    "Notices.of_batches": lambda place: place.told_of_batches(),
    "QueuePauses.pause": lambda place: place.pauses.pause("low"),
    "QueuePauses.resume": lambda place: place.pauses.resume("low"),
    "QueuePauses.all": lambda place: place.pauses.all(),
    "Retention.expire_artifacts": lambda place: place.retention.expire_artifacts(
        keep_seconds=30 * DAY, after=place.forty_days_ago, limit=BATCH
    ),
    "Retention.expire_own_time": lambda place: place.retention.expire_own_time(BATCH),
    "Retention.forget_job": lambda place: place.forgotten(),
    "Retention.forget_jobs": lambda place: place.retention.forget_jobs(keep_seconds=85 * DAY, limit=BATCH),
    "Retention.expire_uploads": lambda place: place.retention.expire_uploads(
        keep_seconds=7 * DAY, after=place.forty_days_ago, limit=BATCH
    ),
    "Retention.unused_uploads": lambda place: place.retention.unused_uploads(
        older_than_seconds=DAY, after=place.forty_days_ago, limit=BATCH
    ),
    "Retention.expire": lambda place: place.retention.expire(uuid4()),
    "Retention.backlog_seconds": lambda place: place.retention.backlog_seconds(
        keep_artifacts_seconds=30 * DAY, keep_jobs_seconds=90 * DAY
    ),
    "Retention.removable_uploads": lambda place: place.retention.removable_uploads(BATCH),
    "Retention.removing": lambda place: place.removal(),
    "Retention.holding_digest": lambda place: place.hold(),
    "Retention.named_inputs": lambda place: place.retention.named_inputs([f"{n:064x}" for n in range(BATCH)]),
    "Retention.unnamed_artifacts": lambda place: place.retention.unnamed_artifacts(
        {f"artifacts/{n}": uuid4() for n in range(BATCH)}
    ),
    "Tallies.add": lambda place: place.tallies.add("x", {"a": 1, "b": 2}),
    "Tallies.all": lambda place: place.tallies.all(),
    "Turns.release": lambda place: place.held(),
    "Turns.waiting_keys": lambda place: place.turns.waiting_keys(),
    "UnfinishedUploads.begin": lambda place: place.begun(),
    "UnfinishedUploads.get": lambda place: place.unfinished.get(Way.TUS, uuid4()),
    "UnfinishedUploads.take": lambda place: place.unfinished.take(uuid4(), at_byte=0),
    "UnfinishedUploads.advance": lambda place: place.advanced(),
    "UnfinishedUploads.pieces": lambda place: place.unfinished.pieces(uuid4()),
    "UnfinishedUploads.complete": lambda place: place.unfinished.complete(uuid4()),
    "UnfinishedUploads.remove": lambda place: place.unfinished.remove([uuid4() for _ in range(BATCH)]),
    "UnfinishedUploads.expired": lambda place: place.unfinished.expired(BATCH),
    "Uploads.add": lambda place: place.upload(),
    "Uploads.kept": lambda place: place.uploads.kept([uuid4() for _ in range(BATCH)]),
    "Uploads.get": lambda place: place.uploads.get(place.upload_id),
    "Webhooks.add": lambda place: place.webhooks.add(NewWebhook(url="https://example.com/"), secret="x", key_id=None),
    "Webhooks.get": lambda place: place.webhooks.get(place.webhook_id),
    "Webhooks.secret": lambda place: place.webhooks.secret(place.webhook_id),
    "Webhooks.all": lambda place: place.webhooks.all(owner=place.key_id),
    "Webhooks.change": lambda place: place.webhooks.change(uuid4(), WebhookChanges(enabled=True)),
    "Webhooks.rotate": lambda place: place.webhooks.rotate(uuid4(), "x"),
    "Webhooks.remove": lambda place: place.webhooks.remove(uuid4(), owner=place.key_id),
    "Workers.beat": lambda place: place.workers.beat(
        name="w", queues=["default"], concurrency=2, busy=1, processes=["h/1/1"]
    ),
    "Workers.leave": lambda place: place.workers.leave("w"),
    "Workers.drain": lambda place: place.workers.drain("w"),
    "Workers.undrain": lambda place: place.workers.undrain("w"),
    "Workers.is_draining": lambda place: place.workers.is_draining("w"),
    "Workers.census": lambda place: place.workers.census(silent_after_seconds=30),
    "Workers.forget": lambda place: place.workers.forget(silent_for_seconds=3600, limit=BATCH),
    "Workers.all": lambda place: place.workers.all(),
}


async def _with(call: Callable[[Any], Awaitable[object]], given: Awaitable[Any]) -> object:
    return await call(await given)


def _questions() -> Iterator[str]:
    """Every public method of the store that asks the database, from its code."""
    for found in pkgutil.iter_modules(shared.store.__path__, "shared.store."):
        if found.ispkg:
            continue
        module = importlib.import_module(found.name)
        for name, kind in inspect.getmembers(module, inspect.isclass):
            # What runs the statements, and has none.
            if kind.__module__ != module.__name__ or kind in {Database, Change, Lender, OneStatement}:
                continue
            for method, function in inspect.getmembers(kind, inspect.isfunction):
                unwrapped = inspect.unwrap(function)
                is_async = inspect.iscoroutinefunction(unwrapped) or inspect.isasyncgenfunction(unwrapped)
                if is_async and not method.startswith("_"):
                    yield f"{name}.{method}"


@pytest_asyncio.fixture
async def place(database: Database) -> AsyncIterator[Place]:
    async with database.write() as connection:
        for statement in POPULATION:
            values = {"spec": SPEC.model_dump_json()} if ":spec" in statement else {}
            await connection.execute(text(statement.replace(":spec", "CAST(:spec AS jsonb)")), values)
    place = Place(database)
    await place.upload()
    await place.new()
    yield place


@contextmanager
def heard(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are executed meanwhile, each with its parameters."""
    statements: list[tuple[str, Any]] = []

    def hear(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        statements.append((statement, parameters[0] if isinstance(parameters, list) else parameters))

    def hear_asyncpgs(query: LoggedQuery) -> None:
        statements.append((query.query, tuple(query.args)))

    engine = database.engine.sync_engine
    # What runs by itself goes to asyncpg directly, over the one connection that is at hand.
    at_hand = database.lender._at_hand
    assert at_hand is not None
    connection: Any = at_hand.driver_connection
    event.listen(engine, "before_cursor_execute", hear)
    connection.add_query_logger(hear_asyncpgs)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", hear)
        connection.remove_query_logger(hear_asyncpgs)


async def plan(database: Database, statement: str, parameters: Any) -> dict[str, Any]:
    async with database.read() as connection:
        answer = await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
        found = answer.scalar_one()
    ((root,),) = [json.loads(found) if isinstance(found, str) else found]
    node: dict[str, Any] = root["Plan"]
    return node


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


async def test_no_statement_reads_a_whole_table(place: Place) -> None:
    assert set(CALLS) == set(_questions()), "each method of the store is called here, and no other"
    whole = (await plan(place.database, "SELECT * FROM jobs", ()))["Total Cost"]
    for name, call in CALLS.items():
        with heard(place.database) as statements:
            await call(place)
            # asyncpg tells in the loop's next turn.
            await asyncio.sleep(0)
        assert statements, name
        for statement, parameters in dict(statements).items():
            steps = await plan(place.database, statement, parameters)
            described = f"{name}: {statement[:2000]}\n{json.dumps(steps, indent=1)[:5000]}"
            for step in nodes(steps):
                assert not (step["Node Type"] == "Seq Scan" and step["Relation Name"] in BIG_TABLES), described
            # Nor as much as that from an index.
            assert steps["Total Cost"] < whole, described


async def test_what_a_deletion_checks_is_indexed(database: Database) -> None:
    """PostgreSQL looks for rows that refer to a deleted one by itself, and no plan shows it.

    Keys are never deleted: what they made needs no index for that, which jobs and uploads without a key would pay for.
    """
    unindexed = """
        SELECT conrelid::regclass || '.' || conname FROM pg_constraint AS key
        WHERE contype = 'f' AND confrelid <> 'api_keys'::regclass AND NOT EXISTS (
            SELECT FROM pg_index WHERE indrelid = conrelid AND indkey[0] = conkey[1] AND (
                -- The look for a value, which is not NULL, finds an index of those that are not.
                indpred IS NULL OR pg_get_expr(indpred, indrelid) = format('(%I IS NOT NULL)', (
                    SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1]
                ))
            )
        )
    """
    async with database.read() as connection:
        assert (await connection.execute(text(unindexed))).scalars().all() == []
