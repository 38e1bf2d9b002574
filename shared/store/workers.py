"""The workers that live, as they say themselves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Update, delete, select, update

from shared.store.database import Database
from shared.store.dialect import upsert
from shared.store.tables import workers


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker, and when it was last heard of."""

    name: str
    queues: tuple[str, ...]
    concurrency: int
    busy: int  # how many of its children run a job
    processes: tuple[str, ...]  # as they name themselves in their leases
    started_at: datetime
    seen_at: datetime
    draining_since: datetime | None


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers that are alive, of one queue or of all; each child of one is a slot for a job."""

    workers: int = 0
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Census:
    """How many workers there are."""

    alive: Crew
    silent: int
    busy: Crew  # of those that are alive, the ones that run a job, and how many they run
    by_queue: Mapping[str, Crew]


class Workers:
    """The table of workers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def beat(
        self, *, name: str, queues: Sequence[str], concurrency: int, busy: int, processes: Sequence[str]
    ) -> None:
        """Say that a worker lives, how many of its children run a job, and how its processes name themselves."""
        now = self._database.now()
        row = {
            "queues": list(queues),
            "concurrency": concurrency,
            "busy": busy,
            "processes": list(processes),
            "seen_at": now,
        }
        async with self._database.write() as connection:
            await connection.execute(
                upsert(self._database.dialect_name, workers)
                .values(name=name, started_at=now, **row)
                .on_conflict_do_update(index_elements=["name"], set_=row)
            )

    async def leave(self, name: str) -> None:
        """Say that a worker has ended in order. One that drains stays known: it drains also when it starts again."""
        async with self._database.write() as connection:
            await connection.execute(delete(workers).where(workers.c.name == name, workers.c.draining_since.is_(None)))

    async def drain(self, name: str) -> bool:
        """Have a worker take no new jobs, until `undrain` or its row is forgotten. False where that is so already."""
        drained = update(workers).where(workers.c.name == name, workers.c.draining_since.is_(None))
        return await self._is_changed(drained.values(draining_since=self._database.now()))

    async def undrain(self, name: str) -> bool:
        """Have a worker take jobs again. False where it does already, or there is no such worker."""
        drained = update(workers).where(workers.c.name == name, workers.c.draining_since.is_not(None))
        return await self._is_changed(drained.values(draining_since=None))

    async def is_draining(self, name: str) -> bool:
        """Whether a worker is to take no new jobs."""
        query = select(workers.c.name).where(workers.c.name == name, workers.c.draining_since.is_not(None))
        async with self._database.read() as connection:
            return (await connection.execute(query)).one_or_none() is not None

    async def census(self, *, silent_after_seconds: float) -> Census:
        """How many were heard of lately, and what they do; how many were not, of those that were not drained."""
        is_silent = workers.c.seen_at < self._database.now(-silent_after_seconds)
        query = select(
            workers.c.queues,
            workers.c.concurrency,
            workers.c.busy,
            workers.c.draining_since,
            is_silent.label("is_silent"),
        )
        async with self._database.read() as connection:
            known = (await connection.execute(query)).all()
        alive = [worker for worker in known if not worker.is_silent]
        queues = {queue for worker in alive for queue in worker.queues}
        return Census(
            alive=_crew(worker.concurrency for worker in alive),
            silent=sum(worker.is_silent and worker.draining_since is None for worker in known),
            busy=_crew(worker.busy for worker in alive if worker.busy),
            by_queue={
                queue: _crew(worker.concurrency for worker in alive if queue in worker.queues) for queue in queues
            },
        )

    async def forget(self, *, silent_for_seconds: float, limit: int) -> int:
        """Strike off workers that have been silent for so long: their hosts are gone. Gives how many."""
        gone = select(workers.c.name).where(workers.c.seen_at < self._database.now(-silent_for_seconds)).limit(limit)
        async with self._database.write() as connection:
            struck = await connection.execute(delete(workers).where(workers.c.name.in_(gone)).returning(workers.c.name))
            return len(struck.all())

    async def all(self) -> Sequence[WorkerRow]:
        """Every worker that has not left in order, by name."""
        async with self._database.read() as connection:
            return [
                WorkerRow(
                    name=row.name,
                    queues=tuple(row.queues),
                    concurrency=row.concurrency,
                    busy=row.busy,
                    processes=tuple(row.processes),
                    started_at=row.started_at,
                    seen_at=row.seen_at,
                    draining_since=row.draining_since,
                )
                for row in await connection.execute(select(workers).order_by(workers.c.name))
            ]

    async def _is_changed(self, change: Update) -> bool:
        async with self._database.write() as connection:
            return (await connection.execute(change.returning(workers.c.name))).one_or_none() is not None


def _crew(slots: Iterable[int]) -> Crew:
    counted = list(slots)
    return Crew(len(counted), sum(counted))
