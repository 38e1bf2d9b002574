"""A store with jobs in it, and the messages in Redis, for the tests of the monitor."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

import pytest
from kombu import Connection
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from sqlalchemy import update

from shared.broker import JOB_ID_HEADER, QUEUES, JobMessage, Publisher, make_app
from shared.events import connect
from shared.schema.jobs import JobSpec, JobView
from shared.settings import Settings
from shared.store.backlog import Backlog
from shared.store.database import Database
from shared.store.job_views import JobViews
from shared.store.jobs import Jobs
from shared.store.records import Lease
from shared.store.tables import jobs as jobs_table
from shared.store.uploads import Uploads

SPEC = JobSpec.model_validate({"operations": [{"op": "loudness"}]})


class House:
    """The stores of a Wavemill, and short words for what the tests do with them."""

    def __init__(self, settings: Settings, database: Database, redis: Redis) -> None:
        self.settings = settings
        self.database = database
        self.redis = redis
        self.jobs = Jobs(database)
        self.backlog = Backlog(database)
        self.publisher = Publisher(make_app(settings))
        self._upload: UUID | None = None

    def async_redis(self) -> AsyncRedis:
        return connect(self.settings)

    async def create(
        self,
        count: int = 1,
        *,
        queue: str = "default",
        max_attempts: int = 4,
        traceparent: str | None = None,
        key_id: UUID | None = None,
    ) -> list[UUID]:
        """Queued jobs, without messages."""
        if self._upload is None:
            added = await Uploads(self.database).add(sha256="ab" * 32, size_bytes=3, filename="voice.wav")
            self._upload = added.id
        created = [
            await self.jobs.create(
                SPEC,
                upload_id=self._upload,
                queue=queue,
                max_attempts=max_attempts,
                traceparent=traceparent,
                key_id=key_id,
            )
            for _ in range(count)
        ]
        return [job.event.job_id for job in created]

    async def claim(self, job_id: UUID, *, lease_seconds: float = 30.0) -> Lease:
        claim = await self.jobs.claim(job_id, worker="host/1/2", lease_seconds=lease_seconds)
        assert claim is not None
        return claim.lease

    async def view(self, job_id: UUID) -> JobView:
        view = await JobViews(self.database).get(job_id)
        assert view is not None
        return view

    async def age(self, job_ids: Sequence[UUID], **columns: float) -> None:
        """Move times of the jobs into the past, by column and seconds."""
        values = {column: self.database.now(-seconds) for column, seconds in columns.items()}
        async with self.database.write() as connection:
            await connection.execute(update(jobs_table).where(jobs_table.c.id.in_(job_ids)).values(values))

    def publish(self, job_ids: Sequence[UUID], queue: str = "default") -> None:
        self.publisher.publish([JobMessage(job_id, queue) for job_id in job_ids])

    def messages(self, queue: str = "default") -> list[Mapping[str, Any]]:
        """The messages of a queue, the next to be delivered first."""
        return [json.loads(raw) for raw in reversed(self.redis.lrange(queue, 0, -1))]

    def carried(self, queue: str = "default") -> list[UUID]:
        """The jobs that the messages of a queue are of, the next to be delivered first."""
        return [UUID(message["headers"][JOB_ID_HEADER]) for message in self.messages(queue)]

    def all_carried(self) -> list[UUID]:
        return [job_id for queue in QUEUES for job_id in self.carried(queue)]

    def deliver(self, count: int, *, seconds_ago: float, queue: str = "default") -> Connection:
        """Take messages as a worker does that dies before it acknowledges them. The caller releases the connection."""
        connection = Connection(self.settings.redis_url)
        channel: Any = connection.channel()
        for _ in range(count):
            assert channel.basic_get(queue, no_ack=False) is not None
        # An orderly end would give them back.
        channel.qos._delivered.clear()
        channel.qos.restore_at_shutdown = False
        self.date_deliveries(seconds_ago=seconds_ago)
        return connection

    def date_deliveries(self, *, seconds_ago: float) -> None:
        """All unacknowledged messages were delivered then."""
        tags = cast("list[bytes]", self.redis.zrange("unacked_index", 0, -1))
        self.redis.zadd("unacked_index", dict.fromkeys(tags, time.time() - seconds_ago))


@pytest.fixture
def house(settings: Settings, database: Database, redis: Redis) -> House:
    return House(settings, database, redis)
