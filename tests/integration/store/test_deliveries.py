"""Messages to webhooks in the store: made once, tried by one at a time, never lost."""

import asyncio
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from shared.key_secrets import new_secret
from shared.schema.keys import Scope
from shared.schema.options import NO_OPTIONS
from shared.schema.webhooks import NewWebhook, WebhookChanges, WebhookEvent, WebhookTarget
from shared.store.api_keys import ApiKeys
from shared.store.batches import Batches
from shared.store.database import Database
from shared.store.deliveries import Deliveries, Tried
from shared.store.notices import Notices
from shared.store.records import JobOrder, WebhookOrder
from shared.store.retention import Retention
from shared.store.tables import batches, jobs, webhook_deliveries, webhooks
from shared.store.tallies import WEBHOOK_OUTCOMES, Tallies
from shared.store.uploads import Uploads
from shared.store.webhooks import MOST_WEBHOOKS, TooManyWebhooks, Webhooks
from tests.integration.store.conftest import SPEC, USAGE, Life

DAY = 86_400.0
TARGET = WebhookTarget(url="https://example.com/")
NEW = NewWebhook(url="https://example.com/")


class Post:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.webhooks = Webhooks(database)
        self.deliveries = Deliveries(database)
        self.notices = Notices(database, give_up_seconds=3 * DAY)

    async def pinged(self) -> tuple[UUID, UUID]:
        """A webhook, and a message to it."""
        webhook = await self.webhooks.add(NEW, secret="x", key_id=None)
        sent = await self.deliveries.add(webhook.id, WebhookEvent.PING, "{}", give_up_seconds=3 * DAY)
        return webhook.id, sent.id

    async def sent(self) -> list[tuple[str, UUID | None]]:
        async with self.database.read() as connection:
            columns = webhook_deliveries.c.event, webhook_deliveries.c.subject_id
            return [(row.event, row.subject_id) for row in await connection.execute(select(*columns))]

    async def move(self, **columns: float) -> None:
        """Set times of all messages to so many seconds from now."""
        async with self.database.write() as connection:
            values = {name: self.database.now(seconds) for name, seconds in columns.items()}
            await connection.execute(update(webhook_deliveries).values(values))


@pytest_asyncio.fixture
async def post(database: Database) -> Post:
    return Post(database)


async def test_a_message_is_tried_by_one_at_a_time(post: Post) -> None:
    _, delivery_id = await post.pinged()
    first = await post.deliveries.claim(delivery_id, lease_seconds=30)
    assert first is not None
    assert await post.deliveries.claim(delivery_id, lease_seconds=30) is None
    await post.move(lease_expires_at=-1)
    second = await post.deliveries.claim(delivery_id, lease_seconds=30)
    assert second is not None
    assert second.attempts == 2
    # The first one comes late: its word counts no more.
    assert not await post.deliveries.succeed(first, Tried(0.1, 204))
    assert await post.deliveries.retry(second, Tried(0.1, 500, "No."), delay_seconds=60)
    assert not await post.deliveries.succeed(second, Tried(0.1, 204))
    assert await post.deliveries.claim(delivery_id, lease_seconds=30) is None
    tallies = {
        tally.label: tally.total for tally in await Tallies(post.database).all() if tally.name == WEBHOOK_OUTCOMES
    }
    assert tallies == {"retried": 1}


async def test_what_is_due_is_dispatched_once_in_a_grace(post: Post) -> None:
    _, delivery_id = await post.pinged()

    async def dispatched() -> list[UUID]:
        return [each.delivery_id for each in await post.deliveries.dispatch_due(grace_seconds=30, limit=10)]

    assert await dispatched() == [delivery_id]
    assert await dispatched() == []
    await post.move(dispatched_at=-31)
    assert await dispatched() == [delivery_id]
    claim = await post.deliveries.claim(delivery_id, lease_seconds=30)
    assert claim is not None
    # Somebody tries it.
    await post.move(dispatched_at=-31)
    assert await dispatched() == []
    await post.deliveries.retry(claim, Tried(0.1, 500, "No."), delay_seconds=60)
    assert await dispatched() == []
    await post.move(due_at=-1)
    assert await dispatched() == [delivery_id]
    assert (await post.deliveries.backlog()).pending == 1


async def test_the_end_of_a_job_is_put_on_record_once(post: Post, life: Life) -> None:
    before = await life.create()
    standing = await post.webhooks.add(NEW, secret="x", key_id=None)
    job_id = await life.create()
    assert await post.notices.of_jobs(10) == 0
    for each in (before, job_id):
        await life.jobs.succeed((await life.claim(each)).lease, results={}, made=[], usage=USAGE)
    assert await post.notices.of_jobs(10) == 1
    assert await post.notices.of_jobs(10) == 0
    # The one that was made before anybody wanted to know is not told of.
    assert await post.sent() == [("job.succeeded", job_id)]
    await post.webhooks.change(standing.id, WebhookChanges(enabled=False))
    other = await life.create()
    await life.jobs.cancel(other)
    assert await post.notices.of_jobs(10) == 0


async def test_a_standing_webhook_is_not_told_of_a_batch_that_is_older(post: Post, life: Life) -> None:
    upload = await Uploads(post.database).add(sha256="cd" * 32, size_bytes=3, filename="a.wav")
    order = JobOrder(SPEC, NO_OPTIONS, "default", upload.id)
    older = await Batches(post.database).create([order], name=None, max_attempts=4)
    # Times are of milliseconds in SQLite.
    await asyncio.sleep(0.002)
    await post.webhooks.add(NEW, secret="x", key_id=None)
    newer = await Batches(post.database).create([order], name=None, max_attempts=4)
    for new in (older, newer):
        await life.jobs.cancel(new.messages[0].job_id)
    assert await post.notices.of_batches(10) == 2
    assert await post.sent() == [("batch.ended", newer.batch_id)]


async def test_a_key_is_told_of_its_own_jobs_and_batches_alone(post: Post, life: Life) -> None:
    keys = [await ApiKeys(post.database).create(new_secret(), name="a", scopes=[Scope.SUBMIT]) for _ in range(2)]
    owners = [None, *(key.id for key in keys)]
    of_owner = {owner: (await post.webhooks.add(NEW, secret="x", key_id=owner)).id for owner in owners}
    wanted: set[tuple[UUID, str, UUID]] = set()
    for owner in owners:
        job_id = await life.create(key_id=owner)
        await life.jobs.cancel(job_id)
        upload = await Uploads(post.database).add(sha256="cd" * 32, size_bytes=3, filename=None, key_id=owner)
        order = JobOrder(SPEC, NO_OPTIONS, "default", upload.id)
        new = await Batches(post.database).create([order], name=None, max_attempts=4, key_id=owner, owner=owner)
        await life.jobs.cancel(new.messages[0].job_id)
        wanted |= {
            (of_owner[owner], "job.canceled", job_id),
            (of_owner[owner], "job.canceled", new.messages[0].job_id),
            (of_owner[owner], "batch.ended", new.batch_id),
        }
    await post.notices.of_jobs(10)
    await post.notices.of_batches(10)
    columns = webhook_deliveries.c.webhook_id, webhook_deliveries.c.event, webhook_deliveries.c.subject_id
    async with post.database.read() as connection:
        told = [tuple(row) for row in await connection.execute(select(*columns))]
    assert (len(told), set(told)) == (len(wanted), wanted)


async def test_a_job_that_begins_again_is_told_of_again(post: Post, life: Life) -> None:
    upload = await Uploads(post.database).add(sha256="cd" * 32, size_bytes=3, filename="a.wav")
    made = await life.jobs.create(
        SPEC, upload_id=upload.id, queue="default", max_attempts=4, webhook=WebhookOrder(TARGET, "x")
    )
    await life.jobs.cancel(made.job_id)
    assert await post.notices.of_jobs(10) == 1
    await life.jobs.reopen(made.job_id)
    assert await post.notices.of_jobs(10) == 0
    claim = await life.claim(made.job_id)
    await life.jobs.fail(claim.lease, code="x", message="X.", usage=USAGE)
    assert await post.notices.of_jobs(10) == 1
    assert [event for event, _ in await post.sent()] == ["job.canceled", "job.failed"]
    # With the job goes its webhook, and what was sent to it.
    await Retention(post.database).forget_jobs(keep_seconds=0, limit=10)
    assert await post.sent() == []


async def test_the_end_of_a_batch_is_put_on_record_once(post: Post, life: Life) -> None:
    upload = await Uploads(post.database).add(sha256="cd" * 32, size_bytes=3, filename="a.wav")
    order = JobOrder(SPEC, NO_OPTIONS, "default", upload.id)
    new = await Batches(post.database).create([order] * 2, name=None, max_attempts=4, webhook=WebhookOrder(TARGET, "x"))
    first, second = (message.job_id for message in new.messages)
    await life.jobs.cancel(first)
    assert await post.notices.of_batches(10) == 0
    claim = await life.claim(second)
    assert await post.notices.of_batches(10) == 0
    await life.jobs.succeed(claim.lease, results={}, made=[], usage=USAGE)
    assert await post.notices.of_batches(10) == 1
    assert await post.notices.of_batches(10) == 0
    assert await post.sent() == [("batch.ended", new.batch_id)]
    # The batch goes with its last job, and its webhook with it.
    await Retention(post.database).forget_jobs(keep_seconds=0, limit=1)
    assert len(await post.sent()) == 1
    await Retention(post.database).forget_jobs(keep_seconds=0, limit=1)
    async with post.database.read() as connection:
        for table in (jobs, batches, webhooks, webhook_deliveries):
            assert (await connection.execute(select(table))).all() == []


async def test_old_messages_are_forgotten(post: Post) -> None:
    _, delivery_id = await post.pinged()
    claim = await post.deliveries.claim(delivery_id, lease_seconds=30)
    assert claim is not None
    assert await post.deliveries.forget(keep_seconds=0, limit=10) == 0
    await post.deliveries.succeed(claim, Tried(0.1, 204))
    assert await post.deliveries.forget(keep_seconds=60, limit=10) == 0
    await post.move(ended_at=-61)
    assert await post.deliveries.forget(keep_seconds=60, limit=10) == 1


async def test_a_key_has_so_many_webhooks_and_no_more(post: Post) -> None:
    for _ in range(MOST_WEBHOOKS):
        await post.webhooks.add(NEW, secret="x", key_id=None)
    with pytest.raises(TooManyWebhooks):
        await post.webhooks.add(NEW, secret="x", key_id=None)
    assert await post.webhooks.get(uuid4()) is None
