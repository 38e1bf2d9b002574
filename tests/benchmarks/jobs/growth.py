"""What claim, finish, the first page of the list and a metrics scrape cost when a million jobs have ended."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from services.monitor.exposition import Exposition
from services.monitor.watch import BlobLook, DatabaseLook, RedisLook, Watch
from shared.blobs import Blobs
from shared.events import connect
from shared.schema.jobs import JobSpec
from shared.settings import Settings
from shared.store.database import Database
from shared.store.finished import Finished
from shared.store.job_lists import JobLists, Wanted
from shared.store.jobs import Jobs
from shared.store.records import Lease, Usage
from shared.store.uploads import Uploads
from tests.benchmarks.jobs.servers import Servers, execute
from tests.benchmarks.report import Row

FEW = 10_000
MANY = 1_000_000
TIMES = 40
_FOLD = 50_000

# An hour's jobs, which ended until ten minutes ago; ids in the order of creation, as UUIDv7 has them.
_FILLING = (
    """
    INSERT INTO jobs (id, status, queue, priority, spec, upload_id, input_bytes, version, progress, cancel_requested,
                      attempt, attempts_spent, max_attempts, dispatched_at, results, poisoned, created_at, due_at,
                      started_at, finished_at)
    SELECT (lpad(to_hex(1700000000000 + n), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8'
            || substr(md5(n::text), 4, 15))::uuid,
           'succeeded', 'default', 'default', '{"operations": [{"op": "loudness", "name": "loudness"}]}',
           (SELECT id FROM uploads), 8, 3, 1, false, 1, 1, 4, at, '{}', false, at, at, at, at
    FROM generate_series(1, %(jobs)d) AS n,
         LATERAL (SELECT now() - interval '10 minutes' - interval '1 hour' * (1 - n / %(jobs)d.0) AS at) AS moment
    """,
    """
    INSERT INTO attempts (job_id, number, worker, started_at, ended_at, outcome)
    SELECT id, 1, 'host/1/1.00', started_at, finished_at, 'succeeded' FROM jobs
    """,
    """
    INSERT INTO artifacts (job_id, name, attempt, blob_key, media_type, size_bytes, sha256)
    SELECT id, 'transcode.opus', 1, 'artifacts/' || id || '/1/transcode.opus', 'audio/ogg', 40000, md5(id::text)
    FROM jobs
    """,
    "VACUUM ANALYZE",
)


def measure(servers: Servers, folder: Path, *, rounds: int) -> tuple[Sequence[Row], dict[str, Any]]:
    """The rows, and each operation's milliseconds; both databases have their turns in each round."""
    servers.empty_redis()
    with ExitStack() as stack:
        urls = {count: stack.enter_context(servers.database(migrated=True)) for count in (FEW, MANY)}
        taken = asyncio.run(_measure({count: servers.settings(url, folder) for count, url in urls.items()}, rounds))

    def row(operation: str) -> Row:
        few, many = taken[operation][FEW], taken[operation][MANY]
        return Row(
            what=f"{operation} with {MANY:,} finished jobs, beside the same with {FEW:,}",
            wavemill=f"{statistics.median(many):.2f} ms",
            beside=f"{statistics.median(few):.2f} ms",
            compared="ratio",
            rounds=tuple(after / before for after, before in zip(many, few, strict=True)),
            must=1.5,
            aim=1.0,
            better="lower",
        )

    return tuple(row(operation) for operation in taken), {"milliseconds": taken}


async def _measure(of: dict[int, Settings], rounds: int) -> dict[str, dict[int, list[float]]]:
    houses = {count: _House(settings) for count, settings in of.items()}
    taken: dict[str, dict[int, list[float]]] = {}
    try:
        for count, house in houses.items():
            await house.fill(of[count].database_url, count)
        for number in range(-1, rounds):
            for count, house in houses.items():
                for operation, milliseconds in (await house.round()).items():
                    # The first round warms up.
                    if number >= 0:
                        taken.setdefault(operation, {}).setdefault(count, []).append(milliseconds)
    finally:
        for house in houses.values():
            await house.close()
    return taken


class _House:
    """One database, and the operations on it."""

    def __init__(self, settings: Settings) -> None:
        self._database = Database.from_settings(settings)
        self._redis = connect(settings)
        self._jobs = Jobs(self._database)
        self._lists = JobLists(self._database)
        database = Watch("database", DatabaseLook(self._database, settings))
        redis = Watch("redis", RedisLook(self._redis))
        blobs = Watch("blob store", BlobLook(Blobs.from_settings(settings)))
        self._watches = database, redis, blobs
        self._registry = CollectorRegistry()
        self._registry.register(Exposition(database, redis, blobs, stock=dict))

    async def fill(self, url: str, jobs: int) -> None:
        """Have so many jobs end, and be counted by the reconciler."""
        self._upload = await Uploads(self._database).add(sha256="ab" * 32, size_bytes=8, filename="voice.wav")
        for statement in _FILLING:
            await execute(url, statement.replace("%(jobs)d", str(jobs)))
        while await Finished(self._database).fold(_FOLD):
            pass

    async def round(self) -> dict[str, float]:
        """Median milliseconds of each operation."""
        made = [await self._create() for _ in range(TIMES)]
        leases: list[Lease] = []

        async def claim() -> None:
            claimed = await self._jobs.claim(made[len(leases)], worker="host/2/1.00", lease_seconds=60)
            if claimed is None:
                raise RuntimeError("a job could not be claimed")
            leases.append(claimed.lease)

        async def finish() -> None:
            await self._jobs.succeed(leases.pop(), results={}, made=(), usage=Usage())

        return {
            "claim": await _median(claim),
            "finish": await _median(finish),
            "first page of the list": await _median(lambda: self._lists.page(Wanted(), before=None, limit=51)),
            "metrics scrape": await _median(self._scrape),
        }

    async def close(self) -> None:
        """Close its connections."""
        await self._redis.aclose()
        await self._database.close()

    async def _create(self) -> Any:
        spec = JobSpec.model_validate({"operations": [{"op": "loudness"}]})
        new = await self._jobs.create(spec, upload_id=self._upload.id, queue="default", max_attempts=4)
        return new.job_id

    async def _scrape(self) -> None:
        # The look at the stores too, which the monitor takes in the background.
        for watch in self._watches:
            await watch.look()
            if not watch.is_up:
                raise RuntimeError("a store could not be looked at")
        generate_latest(self._registry)


async def _median(operation: Callable[[], Awaitable[object]]) -> float:
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        await operation()
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)
