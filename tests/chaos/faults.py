"""The faults, done to a testbed. Each puts right afterwards what it broke: what is left is the product's to recover."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

import asyncpg
import psutil
from redis.asyncio import Redis

from tests.chaos.proxy import Proxy
from tests.chaos.schedule import Fault, Kind
from tests.chaos.testbed import LEASE_SECONDS, RECONCILE_SECONDS, Testbed, looking

# The lease, a round of the reconciler, and a moment for another worker to begin.
FREEZE_SECONDS = LEASE_SECONDS + 2 * RECONCILE_SECONDS + 1.5
_SEARCH_SECONDS = 5.0
_BLOBS_REFUSED_SECONDS = 3.0

Action = Callable[[Fault], Awaitable[str]]
Thing = TypeVar("Thing")


class Faults:
    """Does the faults of a schedule, each at its time; several may be underway at once."""

    def __init__(self, testbed: Testbed, *, cut_seconds: float, say: Callable[[str], None]) -> None:
        self._testbed = testbed
        self._cut_seconds = cut_seconds
        self._say = say
        self._redis_lock = asyncio.Lock()
        self._postgres_lock = asyncio.Lock()
        self._blobs_lock = asyncio.Lock()
        self.done: list[tuple[Fault, str]] = []
        self._actions: Mapping[Kind, Action] = {
            Kind.CHILD_KILLED: self._kill_child,
            Kind.WORKER_KILLED: self._kill_worker,
            Kind.PARENT_KILLED: self._kill_parent,
            Kind.WORKER_RESTARTED: self._restart_worker,
            Kind.CHILD_FROZEN: self._freeze_child,
            Kind.WORKER_FROZEN: self._freeze_worker,
            Kind.API_KILLED: self._kill_api,
            Kind.API_RESTARTED: self._restart_api,
            Kind.MONITOR_KILLED: self._kill_monitor,
            Kind.REDIS_FLUSHED: self._flush_redis,
            Kind.REDIS_RESTARTED: partial(self._restart_redis, keep_data=True),
            Kind.REDIS_EMPTIED: partial(self._restart_redis, keep_data=False),
            Kind.POSTGRES_RESTARTED: self._restart_postgres,
            Kind.POSTGRES_KILLED: self._kill_postgres,
            Kind.REDIS_CUT: partial(self._cut, network=testbed.redis_network),
            Kind.POSTGRES_CUT: partial(self._cut, network=testbed.postgres_network),
            Kind.BLOBS_REFUSED: self._refuse_blobs,
        }

    async def run(self, faults: Sequence[Fault]) -> None:
        """All of them; when this returns everything runs again.

        Raises:
            ExceptionGroup: one could not be done, or not be put right: the run says nothing then.
        """
        started = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for fault in faults:
                await asyncio.sleep(max(0.0, started + fault.at - time.monotonic()))
                tasks.create_task(self._do(fault, started), name=fault.kind)

    async def _do(self, fault: Fault, started: float) -> None:
        began = time.monotonic() - started
        detail = await self._actions[fault.kind](fault)
        self.done.append((fault, detail))
        self._say(f"{began:6.1f} to {time.monotonic() - started:6.1f} s  {fault.kind}: {detail}")

    async def _kill_child(self, fault: Fault) -> str:
        child, busy = await self._child(fault)
        if child is None:
            return "there was none"
        with suppress(psutil.NoSuchProcess):
            child.kill()
        return f"{child.pid}, {busy}"

    async def _kill_worker(self, fault: Fault) -> str:
        worker = _one_of(self._testbed.workers, fault)
        async with worker.lock:
            await worker.replace_killed()
        return worker.name

    async def _kill_parent(self, fault: Fault) -> str:
        worker = _one_of(self._testbed.workers, fault)
        async with worker.lock:
            left = await worker.replace_orphaning()
        # Its children go on for a while, perhaps in the middle of a job.
        return worker.name + ("" if await worker.bury(left) else "; its children stayed, and were ended by force")

    async def _restart_worker(self, fault: Fault) -> str:
        worker = _one_of(self._testbed.workers, fault)
        async with worker.lock:
            in_time = await worker.replace_ended()
        return worker.name + ("" if in_time else ", by force")

    async def _freeze_child(self, fault: Fault) -> str:
        child, busy = await self._child(fault)
        if child is None:
            return "there was none"
        with suppress(psutil.NoSuchProcess):
            child.suspend()
        try:
            await asyncio.sleep(FREEZE_SECONDS)
        finally:
            with suppress(psutil.NoSuchProcess):
                child.resume()
        return f"{child.pid}, {busy}, {FREEZE_SECONDS} s"

    async def _freeze_worker(self, fault: Fault) -> str:
        worker = _one_of(self._testbed.workers, fault)
        async with worker.lock:
            worker.process.pause()
            try:
                await asyncio.sleep(FREEZE_SECONDS)
            finally:
                worker.process.resume()
        return f"{worker.name}, {FREEZE_SECONDS} s"

    async def _kill_api(self, _fault: Fault) -> str:
        async with self._testbed.api.lock:
            await self._testbed.api.replace_killed()
        return "started again"

    async def _restart_api(self, _fault: Fault) -> str:
        async with self._testbed.api.lock:
            in_time = await self._testbed.api.replace_ended()
        return "started again" if in_time else "by force, started again"

    async def _kill_monitor(self, fault: Fault) -> str:
        monitor = _one_of(self._testbed.monitors, fault)
        async with monitor.lock:
            await monitor.replace_killed()
        return monitor.name

    async def _flush_redis(self, _fault: Fault) -> str:
        async with self._redis_lock, Redis.from_url(self._testbed.redis.url) as redis:
            await redis.flushall()
        return "all keys gone"

    async def _restart_redis(self, _fault: Fault, *, keep_data: bool) -> str:
        async with self._redis_lock:
            await asyncio.to_thread(self._testbed.redis.restart, keep_data=keep_data)
        return "started again"

    async def _restart_postgres(self, _fault: Fault) -> str:
        async with self._postgres_lock:
            await asyncio.to_thread(self._testbed.postgres.restart)
        return "started again"

    async def _kill_postgres(self, _fault: Fault) -> str:
        async with self._postgres_lock:
            await asyncio.to_thread(self._testbed.postgres.kill)
            await asyncio.to_thread(self._testbed.postgres.start)
        return "started again"

    async def _cut(self, fault: Fault, *, network: Proxy) -> str:
        async with network.lock:
            network.cut()
            try:
                await asyncio.sleep(self._cut_seconds)
            finally:
                if fault.coin:
                    network.reset()
                network.mend()
        return f"{self._cut_seconds} s, then connections {'reset' if fault.coin else 'go on'}"

    async def _refuse_blobs(self, _fault: Fault) -> str:
        folder = self._testbed.blobs / "artifacts"
        aside = folder.with_name("artifacts-aside")
        async with self._blobs_lock:
            folder.rename(aside)
            # A file in the folder's place: root may write into any folder.
            folder.touch(exist_ok=False)
            try:
                await asyncio.sleep(_BLOBS_REFUSED_SECONDS)
            finally:
                folder.unlink()
                aside.rename(folder)
        return f"{_BLOBS_REFUSED_SECONDS} s"

    async def _child(self, fault: Fault) -> tuple[psutil.Process | None, str]:
        """A child that runs a job; after a while of search any child."""
        deadline = time.monotonic() + _SEARCH_SECONDS
        while time.monotonic() < deadline:
            busy = [process for pid in await self._busy() if (process := _process(pid)) is not None]
            if busy:
                return _one_of(busy, fault), "busy"
            await asyncio.sleep(0.1)
        idle = [
            child
            for worker in self._testbed.workers
            if (parent := _process(worker.process.pid)) is not None
            for child in parent.children()
        ]
        return (_one_of(idle, fault), "idle") if idle else (None, "")

    async def _busy(self) -> Sequence[int]:
        """Process ids of those who run a job; a holder's name is host/pid/start."""
        try:
            async with looking(self._testbed.database_url) as connection:
                rows = await connection.fetch("SELECT worker FROM jobs WHERE status = 'running' ORDER BY id")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            # PostgreSQL is away at the moment.
            return []
        return [int(row["worker"].rsplit("/", 2)[1]) for row in rows]


def _one_of(things: Sequence[Thing], fault: Fault) -> Thing:
    return things[fault.which % len(things)]


def _process(pid: int) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        # One that another fault has stopped already does not count.
        is_able = process.status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_STOPPED}
    except psutil.NoSuchProcess:
        return None
    return process if is_able else None
