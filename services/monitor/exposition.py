"""The views in Prometheus's words. Names are `wavemill_*`, with their unit; labels have few, known values."""

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.monitor.watch import DatabaseView, RedisView, Watch
from shared.broker import QUEUES
from shared.schema.jobs import TERMINAL_STATUSES, JobStatus


class Exposition(Collector):
    """Shows what the watches saw last, and nothing of a store that is away but that it is."""

    def __init__(self, database: Watch[DatabaseView], redis: Watch[RedisView]) -> None:
        self._database = database
        self._redis = redis

    def describe(self) -> Iterable[Metric]:
        """Nothing to check names against: the views come later."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family that there is something to say of."""
        yield from _health("database", self._database)
        yield from _health("redis", self._redis)
        database, redis = self._database.view, self._redis.view
        if database is not None:
            yield from _jobs(database)
            yield from _backlogs(database)
            yield from _workers(database)
        if redis is not None:
            yield from _messages(redis)
        if database is not None and redis is not None:
            yield _undispatched(database, redis)


def _health(store: str, watch: Watch[DatabaseView] | Watch[RedisView]) -> Iterator[Metric]:
    if watch.is_up is None:
        return
    yield GaugeMetricFamily(
        f"wavemill_{store}_up",
        f"1 where the monitor reaches {store.capitalize()} and gets its answers.",
        value=float(watch.is_up),
    )
    yield GaugeMetricFamily(
        f"wavemill_{store}_look_duration_seconds",
        f"How long the monitor's last look at {store.capitalize()} took.",
        value=watch.took_seconds,
    )


def _jobs(view: DatabaseView) -> Iterator[Metric]:
    counts: Counter[tuple[JobStatus, str]] = Counter()
    for queue, backlog in view.queues.items():
        counts[JobStatus.QUEUED, queue] += backlog.waiting
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
        "Time since the creation of the oldest queued job that is due; 0 if there is none.",
        labels=["queue"],
    )
    for queue in QUEUES:
        backlog = view.queues.get(queue)
        waiting.add_metric([queue], backlog.waiting if backlog else 0)
        oldest.add_metric([queue], backlog.oldest_seconds if backlog else 0.0)
    yield waiting
    yield oldest


def _workers(view: DatabaseView) -> Iterator[Metric]:
    workers = GaugeMetricFamily(
        "wavemill_workers", "Workers that are heard of, and that are not though they never left.", labels=["state"]
    )
    workers.add_metric(["alive"], view.workers.alive)
    workers.add_metric(["silent"], view.workers.silent)
    yield workers


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
