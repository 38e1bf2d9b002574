"""No-op jobs a second: bare Celery, procrastinate and Wavemill, each with two worker children."""

import asyncio
import hashlib
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import asyncpg
import procrastinate
import psutil
from celery import Celery
from redis import Redis

from deploy.local.processes import ChildProcess
from services.api.dispatcher import Dispatcher
from shared.blobs import Blobs, input_key
from shared.broker import JobMessage, Publisher, make_app
from shared.schema.jobs import JobSpec
from shared.settings import Settings
from shared.store.database import Database
from shared.store.jobs import Jobs
from shared.store.uploads import Uploads
from tests.benchmarks.jobs.servers import WAIT_SECONDS, Servers, cpu_seconds, execute, running, wait_until
from tests.benchmarks.report import Row

CHILDREN = 2
WARM_UP_JOBS = 100
CLIENTS = 10
# A child that is replaced after so many jobs is a cost of its own, which neither peer has here.
_FOR_EVER = 1_000_000
_PAUSE = 0.02


@dataclass(frozen=True)
class Throughput:
    """What one round of one peer has given."""

    jobs_per_second: float
    worker_cpu_ms_per_job: float
    database_cpu_ms_per_job: float
    submitter_cpu_ms_per_job: float


def measure(servers: Servers, *, jobs: int, rounds: int) -> tuple[Sequence[Row], dict[str, Any]]:
    """The rows, and all rounds of all peers; in each round each has its turn, and another one is the first."""
    peers = {"celery": _celery, "procrastinate": _procrastinate, "wavemill": _wavemill}
    taken: dict[str, list[Throughput]] = {name: [] for name in peers}
    for number in range(rounds):
        order = deque(peers)
        order.rotate(-number)
        for name in order:
            # What one has written is not to be brought to disk while the next one is measured.
            asyncio.run(execute(servers.postgres.url, "CHECKPOINT"))
            taken[name].append(peers[name](servers, jobs))
            print(f"  {name}: {taken[name][-1].jobs_per_second:.0f} jobs/s", flush=True)  # noqa: T201 - a command
    rates = {name: [each.jobs_per_second for each in of_peer] for name, of_peer in taken.items()}

    def row(peer: str, title: str, must: float, aim: float) -> Row:
        return Row(
            what=f"{jobs:,} no-op jobs, two worker children, beside {title}",
            wavemill=f"{statistics.median(rates['wavemill']):.0f} jobs/s",
            beside=f"{statistics.median(rates[peer]):.0f} jobs/s",
            compared="ratio",
            rounds=tuple(ours / theirs for ours, theirs in zip(rates["wavemill"], rates[peer], strict=True)),
            must=must,
            aim=aim,
            better="higher",
        )

    rows = row("celery", "bare Celery", 0.4, 0.7), row("procrastinate", "procrastinate", 1.0, 1.5)
    return rows, {name: [asdict(each) for each in of_peer] for name, of_peer in taken.items()}


@dataclass(frozen=True)
class _Stopwatch:
    """Measures from the first submission to the last job's end."""

    servers: Servers
    workers: Sequence[ChildProcess]

    def time(self, jobs: int, submit: Callable[[int], None], is_done: Callable[[], bool]) -> Throughput:
        submit(WARM_UP_JOBS)
        wait_until(is_done, *self.workers)
        postgres = self.servers.postgres.process
        assert postgres is not None
        myself = psutil.Process()
        before = self._worker_cpu(), cpu_seconds(postgres.pid), sum(myself.cpu_times()[:2])
        began = time.perf_counter()
        submit(jobs)
        submitter_cpu = sum(myself.cpu_times()[:2]) - before[2]
        wait_until(is_done, *self.workers, pause_seconds=_PAUSE)
        took = time.perf_counter() - began
        return Throughput(
            jobs_per_second=jobs / took,
            worker_cpu_ms_per_job=1000 * (self._worker_cpu() - before[0]) / jobs,
            database_cpu_ms_per_job=1000 * (cpu_seconds(postgres.pid) - before[1]) / jobs,
            submitter_cpu_ms_per_job=1000 * submitter_cpu / jobs,
        )

    def _worker_cpu(self) -> float:
        return sum(cpu_seconds(worker.pid) for worker in self.workers)


def _celery(servers: Servers, jobs: int) -> Throughput:
    servers.empty_redis()
    environment = servers.environment("", Path())
    arguments = ("-m", "celery", "-A", "tests.benchmarks.jobs.celery_peer", "worker", f"--concurrency={CHILDREN}")
    peer = Celery("peer", broker=servers.redis.url)
    with running("celery", *arguments, environment=environment) as worker, Redis.from_url(servers.redis.url) as redis:

        def submit(count: int) -> None:
            with peer.producer_or_acquire() as producer:
                for number in range(count):
                    peer.send_task(
                        "tests.benchmarks.jobs.celery_peer.no_op", [number], producer=producer, ignore_result=True
                    )

        def is_done() -> bool:
            # Acknowledged late: what is done is neither waiting nor unacknowledged any more.
            return not (redis.llen("celery") or redis.hlen("unacked"))

        return _Stopwatch(servers, [worker]).time(jobs, submit, is_done)


def _procrastinate(servers: Servers, jobs: int) -> Throughput:
    with servers.database(migrated=False) as url, ExitStack() as stack:
        environment = servers.environment(url, Path())
        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=2, max_size=CLIENTS))
        no_op = app.configure_task("no_op")

        with asyncio.Runner() as runner:
            runner.run(_opened(app))
            runner.run(app.schema_manager.apply_schema_async())
            workers = [
                stack.enter_context(
                    running(
                        f"procrastinate {number}",
                        "-m",
                        "tests.benchmarks.jobs.procrastinate_peer",
                        environment=environment,
                    )
                )
                for number in range(CHILDREN)
            ]
            watcher = runner.run(asyncpg.connect(url))

            def submit(count: int) -> None:
                async def one(number: int) -> None:
                    await no_op.defer_async(number=number)

                runner.run(_by_clients(count, one))

            def is_done() -> bool:
                query = "SELECT NOT EXISTS (SELECT 1 FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))"
                return bool(runner.run(watcher.fetchval(query)))

            try:
                return _Stopwatch(servers, workers).time(jobs, submit, is_done)
            finally:
                runner.run(watcher.close())
                runner.run(app.close_async())


def _wavemill(servers: Servers, jobs: int) -> Throughput:
    servers.empty_redis()
    with tempfile.TemporaryDirectory() as folder, servers.database(migrated=True) as url:
        settings = servers.settings(url, Path(folder))
        # The peers log nothing of a job either.
        environment = servers.environment(url, Path(folder), worker_max_tasks_per_child=_FOR_EVER, log_level="warning")
        arguments = ("-m", "celery", "-A", "tests.benchmarks.jobs.no_op_worker", "worker", f"--concurrency={CHILDREN}")
        with (
            running("wavemill", *arguments, "-Q", "high,default,low,io", environment=environment) as worker,
            asyncio.Runner() as runner,
            _submitting(settings, runner) as submit,
        ):
            watcher = runner.run(asyncpg.connect(url))

            def is_done() -> bool:
                query = "SELECT NOT EXISTS (SELECT 1 FROM jobs WHERE status IN ('queued', 'running'))"
                return bool(runner.run(watcher.fetchval(query)))

            try:
                measured = _Stopwatch(servers, [worker]).time(jobs, submit, is_done)
                query = "SELECT count(*) FROM jobs WHERE status = 'succeeded'"
                succeeded = runner.run(watcher.fetchval(query))
            finally:
                runner.run(watcher.close())
            if succeeded != jobs + WARM_UP_JOBS:
                raise RuntimeError(f"{succeeded} of {jobs + WARM_UP_JOBS} jobs succeeded:\n{worker.last_lines()}")
            return measured


@contextmanager
def _submitting(settings: Settings, runner: asyncio.Runner) -> Iterator[Callable[[int], None]]:
    """As the API does it once a request is read: one INSERT a job, and the dispatcher's thread publishes."""
    database = Database.from_settings(settings)
    store = Jobs(database)
    dispatcher = Dispatcher(Publisher(make_app(settings)))
    spec = JobSpec.model_validate({"operations": [{"op": "loudness"}]})
    content = b"no audio"
    digest = hashlib.sha256(content).hexdigest()

    async def prepare() -> Any:
        async def chunks() -> Any:
            yield content

        await Blobs.from_settings(settings).put_stream(input_key(digest), chunks())
        return await Uploads(database).add(sha256=digest, size_bytes=len(content), filename="nothing.wav")

    upload = runner.run(prepare())
    dispatcher.start()

    async def one(_: int) -> None:
        new = await store.create(spec, upload_id=upload.id, queue="default", max_attempts=4)
        dispatcher.dispatch(JobMessage(new.job_id, "default"))

    try:
        yield lambda count: runner.run(_by_clients(count, one))
    finally:
        dispatcher.close(WAIT_SECONDS)
        runner.run(database.close())


async def _opened(app: procrastinate.App) -> None:
    await app.open_async()


async def _by_clients(count: int, one: Callable[[int], Awaitable[None]]) -> None:
    """Submit one by one, from as many clients as there are connections."""
    numbers = iter(range(count))

    async def client() -> None:
        for number in numbers:
            await one(number)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
