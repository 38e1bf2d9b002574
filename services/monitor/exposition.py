"""The views in Prometheus's words. Names are `wavemill_*`, with their unit; labels have few, known values."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.monitor.duties.stray_blobs import Stock
from services.monitor.store_families import blob_families, database_families, redis_families, watched
from services.monitor.watch import BlobView, DatabaseView, RedisView, Watch
from services.monitor.webhook_families import webhook_families
from shared.broker import IO_QUEUE, QUEUES
from shared.schema.jobs import TERMINAL_STATUSES, JobStatus
from shared.store.tallies import ATTEMPTS_LOST, JOBS_POISONED, RECONCILER_ACTIONS
from shared.store.workers import Census, Crew


class Exposition(Collector):
    """Shows what the watches saw last, and nothing of a store that is away but that it is."""

    def __init__(
        self,
        database: Watch[DatabaseView],
        redis: Watch[RedisView],
        blobs: Watch[BlobView],
        *,
        stock: Callable[[], Mapping[str, Stock]],
    ) -> None:
        self._database = database
        self._redis = redis
        self._blobs = blobs
        self._stock = stock

    def describe(self) -> Iterable[Metric]:
        """Nothing to check names against: the views come later."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family that there is something to say of."""
        yield from watched("database", "the database", self._database)
        yield from watched("redis", "Redis", self._redis)
        yield from watched("blob_store", "the blob store", self._blobs)
        database, redis = self._database.view, self._redis.view
        if database is not None:
            yield from _jobs(database)
            yield from _backlogs(database)
            yield from _workers(database.workers)
            yield from _tallies(database)
            yield from webhook_families(database.deliveries, database.tallies)
            yield from database_families(database)
        if redis is not None:
            yield from _messages(redis)
            yield from redis_families(redis.health)
        if self._blobs.view is not None:
            yield from blob_families(self._blobs.view.room, self._stock())
        if database is not None and redis is not None:
            yield _undispatched(database, redis)


def _jobs(view: DatabaseView) -> Iterator[Metric]:
    counts: Counter[tuple[JobStatus, str]] = Counter()
    for queue, backlog in view.queues.items():
        counts[JobStatus.FETCHING if queue == IO_QUEUE else JobStatus.QUEUED, queue] += backlog.waiting
    for group in view.not_waiting:
        counts[group.status, group.queue] += group.jobs
    endings: Counter[tuple[JobStatus, str]] = Counter()
    for total in view.finished:
        counts[total.status, total.queue] += total.present
        endings[total.status, total.queue] += total.ended
    present = GaugeMetricFamily("wavemill_jobs", "Jobs by status and queue.", labels=["status", "queue"])
    ended = CounterMetricFamily("wavemill_jobs_finished", "Times that a job has ended.", labels=["status", "queue"])
    for status in JobStatus:
        for queue in QUEUES:
            present.add_metric([status, queue], counts[status, queue])
            if status in TERMINAL_STATUSES:
                ended.add_metric([status, queue], endings[status, queue])
    yield present
    yield ended
    yield GaugeMetricFamily(
        "wavemill_leases_expired",
        "Running jobs whose worker fell silent, and that are not given to another yet.",
        value=view.expired_leases,
    )


def _backlogs(view: DatabaseView) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "wavemill_queue_waiting_jobs", "Queued jobs that are due, in the database.", labels=["queue"]
    )
    oldest = GaugeMetricFamily(
        "wavemill_queue_oldest_job_age_seconds",
        "How long the queued job that is due has waited that waits the longest; 0 if there is none.",
        labels=["queue"],
    )
    paused = GaugeMetricFamily(
        "wavemill_queue_paused", "1 where an operator has paused a queue: none of its jobs begins.", labels=["queue"]
    )
    for queue in QUEUES:
        backlog = view.queues.get(queue)
        waiting.add_metric([queue], backlog.waiting if backlog else 0)
        oldest.add_metric([queue], backlog.oldest_seconds if backlog else 0.0)
        paused.add_metric([queue], queue in view.paused)
    yield waiting
    yield oldest
    yield paused


def _workers(census: Census) -> Iterator[Metric]:
    workers = GaugeMetricFamily(
        "wavemill_workers", "Workers that are heard of, and that are not though they never left.", labels=["state"]
    )
    workers.add_metric(["alive"], census.alive.workers)
    workers.add_metric(["silent"], census.silent)
    yield workers
    yield GaugeMetricFamily(
        "wavemill_workers_busy", "Workers that are alive and run at least one job.", value=census.busy.workers
    )
    yield GaugeMetricFamily(
        "wavemill_workers_slots",
        "Children of all workers that are alive; each runs one job.",
        value=census.alive.slots,
    )
    yield GaugeMetricFamily("wavemill_workers_slots_busy", "Children of these that run a job.", value=census.busy.slots)
    readers = GaugeMetricFamily("wavemill_queue_workers", "Workers alive that serve a queue.", labels=["queue"])
    slots = GaugeMetricFamily("wavemill_queue_slots", "Children of the workers that serve a queue.", labels=["queue"])
    for queue in QUEUES:
        crew = census.by_queue.get(queue, Crew())
        readers.add_metric([queue], crew.workers)
        slots.add_metric([queue], crew.slots)
    yield readers
    yield slots


def _tallies(view: DatabaseView) -> Iterator[Metric]:
    totals = {(tally.name, tally.label): tally.total for tally in view.tallies}
    lost = CounterMetricFamily("wavemill_attempts_lost", "Attempts whose worker died or fell silent.", labels=["queue"])
    poisoned = CounterMetricFamily(
        "wavemill_jobs_poisoned", "Times that a job has failed since each worker on it died.", labels=["queue"]
    )
    present = GaugeMetricFamily(
        "wavemill_poisoned_jobs",
        "Jobs there now that have failed since each worker on them died.",
        labels=["queue"],
    )
    for queue in QUEUES:
        lost.add_metric([queue], totals.get((ATTEMPTS_LOST, queue), 0))
        poisoned.add_metric([queue], totals.get((JOBS_POISONED, queue), 0))
        present.add_metric([queue], view.poisoned.get(queue, 0))
    yield lost
    yield poisoned
    yield present
    actions = CounterMetricFamily(
        "wavemill_reconciler_actions", "Things put right, by the kind of duty, by all monitors ever.", labels=["kind"]
    )
    for (name, label), total in sorted(totals.items()):
        if name == RECONCILER_ACTIONS:
            actions.add_metric([label], total)
    yield actions


def _messages(view: RedisView) -> Iterator[Metric]:
    depth = GaugeMetricFamily("wavemill_queue_messages", "Messages that wait in Redis.", labels=["queue"])
    unacknowledged = GaugeMetricFamily(
        "wavemill_queue_unacknowledged_messages",
        "Messages that were delivered to a worker and not acknowledged yet.",
        labels=["queue"],
    )
    for queue in QUEUES:
        depth.add_metric([queue], view.depths[queue])
        unacknowledged.add_metric([queue], view.unacknowledged[queue])
    yield depth
    yield unacknowledged


def _undispatched(database: DatabaseView, redis: RedisView) -> Metric:
    undispatched = GaugeMetricFamily(
        "wavemill_queue_undispatched_jobs",
        "Queued jobs, published longer than a grace ago, by which they outnumber the messages: so many have none.",
        labels=["queue"],
    )
    for queue in QUEUES:
        backlog = database.queues.get(queue)
        undispatched.add_metric([queue], max(0, (backlog.overdue if backlog else 0) - redis.depths[queue]))
    return undispatched
