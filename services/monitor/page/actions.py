"""What operators do. Each action stands in the audit before it is done, and what came of it after."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import structlog

from shared.broker import QUEUES, JobMessage, Publisher
from shared.events import EventPublisher
from shared.schema.events import JobEvent
from shared.store.audit import AuditOutcome, AuditTrail
from shared.store.database import Database
from shared.store.jobs import Jobs
from shared.store.operations_views import OperationsViews
from shared.store.queue_pauses import QueuePauses
from shared.store.records import Requeue
from shared.store.workers import Workers

log = structlog.get_logger()

_BATCH = 500
# One press of the button: more than that is another press.
_REQUEUE_AT_MOST = 10_000
_REQUEUE_SECONDS = 20.0
# News is not worth waiting for while Redis is away: who watches a job asks the database too.
_NEWS_SECONDS = 1.0
_LONGEST_TARGET = 255


class Act(StrEnum):
    """The actions, by their names in forms and in the audit."""

    RETRY = "retry"
    CANCEL = "cancel"
    DRAIN = "drain"
    UNDRAIN = "undrain"
    PAUSE = "pause"
    RESUME = "resume"
    REQUEUE = "requeue"


@dataclass(frozen=True, slots=True)
class Wording:
    """How an action is called, and what the operator is told before it."""

    title: str
    target: str
    button: str
    effect: str


WORDINGS: Mapping[Act, Wording] = {
    Act.RETRY: Wording(
        "Retry a job", "job", "Retry the job", "It begins again with all its attempts; the earlier ones stay on record."
    ),
    Act.CANCEL: Wording(
        "Cancel a job",
        "job",
        "Cancel the job",
        "If it waits, it ends at once; if it runs, its worker stops within seconds.",
    ),
    Act.DRAIN: Wording(
        "Drain a worker",
        "worker",
        "Drain the worker",
        "Within seconds it takes no new jobs; those that it runs are finished. This holds until it is undone here, "
        "also when the worker is started again.",
    ),
    Act.UNDRAIN: Wording("Put a worker back", "worker", "Let it take jobs", "Within seconds it takes jobs again."),
    Act.PAUSE: Wording(
        "Pause a queue",
        "queue",
        "Pause the queue",
        "Jobs are still accepted, and none is begun until the queue is resumed; those that run are finished.",
    ),
    Act.RESUME: Wording("Resume a queue", "queue", "Resume the queue", "Its jobs are begun again, the oldest first."),
    Act.REQUEUE: Wording(
        "Requeue failed jobs",
        "error code",
        "Requeue them",
        f"Each failed job of this error code begins again with all its attempts, the newest first and "
        f"{_REQUEUE_AT_MOST:,} at a time; those whose input is no longer kept stay as they are.",
    ),
}


class BadTarget(Exception):
    """There can be no such job, worker, queue or error code; the message says so."""


@dataclass(frozen=True, slots=True)
class _Result:
    outcome: AuditOutcome
    detail: str


def _done_or(refusal: str, detail: str, *, done: bool) -> _Result:
    return _Result(AuditOutcome.DONE, detail) if done else _Result(AuditOutcome.REFUSED, refusal)


class Actions:
    """Does them."""

    def __init__(self, database: Database, publisher: Publisher, events: EventPublisher) -> None:
        self._jobs = Jobs(database)
        self._views = OperationsViews(database)
        self._workers = Workers(database)
        self._pauses = QueuePauses(database)
        self._audit = AuditTrail(database)
        self._publisher = publisher
        self._events = events
        self._calls: Mapping[Act, Callable[[str], Awaitable[_Result]]] = {
            Act.RETRY: self._retry,
            Act.CANCEL: self._cancel,
            Act.DRAIN: self._drain,
            Act.UNDRAIN: self._undrain,
            Act.PAUSE: self._pause,
            Act.RESUME: self._resume,
            Act.REQUEUE: self._requeue,
        }

    async def perform(self, act: Act, target: str, *, who: str) -> UUID:
        """Do it; gives the entry of the audit that says what came of it.

        Raises:
            BadTarget: see there; nothing was done.
            shared.store.errors.DATABASE_ERRORS: the database cannot be reached.
        """
        check_target(act, target)
        entry_id = await self._audit.begin(who=who, action=act, target=target)
        try:
            result = await self._calls[act](target)
        except Exception:
            with suppress(Exception):
                await self._audit.end(entry_id, AuditOutcome.FAILED, "It could not be done, or not all of it.")
            raise
        await self._audit.end(entry_id, result.outcome, result.detail)
        log.info("operator's action", who=who, action=act, target=target, outcome=result.outcome, detail=result.detail)
        return entry_id

    async def _retry(self, target: str) -> _Result:
        requeue = await self._jobs.reopen(UUID(target))
        if requeue is None:
            return _Result(
                AuditOutcome.REFUSED,
                "Only a job that has failed or was canceled, and whose input is still kept, can be retried.",
            )
        await self._publish([requeue])
        await self._tell([requeue.event])
        return _Result(AuditOutcome.DONE, "The job waits for a worker.")

    async def _cancel(self, target: str) -> _Result:
        event = await self._jobs.cancel(UUID(target))
        if event is None:
            return _Result(AuditOutcome.REFUSED, "The job had ended already, or is not there.")
        await self._tell([event])
        ended = "The job is canceled." if event.status.is_terminal else "Its worker stops within seconds."
        return _Result(AuditOutcome.DONE, ended)

    async def _drain(self, target: str) -> _Result:
        done = await self._workers.drain(target)
        return _done_or("The worker drains already, or is not there.", "The worker takes no new jobs.", done=done)

    async def _undrain(self, target: str) -> _Result:
        done = await self._workers.undrain(target)
        return _done_or("The worker takes jobs already, or is not there.", "The worker takes jobs again.", done=done)

    async def _pause(self, target: str) -> _Result:
        done = await self._pauses.pause(target)
        return _done_or("The queue was paused already.", "No job of the queue is begun.", done=done)

    async def _resume(self, target: str) -> _Result:
        done = await self._pauses.resume(target)
        return _done_or("The queue was not paused.", "The jobs of the queue are begun again.", done=done)

    async def _requeue(self, target: str) -> _Result:
        """The walk goes from the newest id to the oldest and never back: jobs that fail again meanwhile are let be."""
        requeued, seen = 0, 0
        before: UUID | None = None
        deadline = time.monotonic() + _REQUEUE_SECONDS
        while job_ids := await self._views.failed_ids(target, before=before, limit=_BATCH):
            reopened = await self._jobs.reopen_all(job_ids)
            await self._publish(reopened)
            requeued, seen, before = requeued + len(reopened), seen + len(job_ids), job_ids[-1]
            if seen >= _REQUEUE_AT_MOST or time.monotonic() > deadline:
                break
        else:
            left = f"; {seen - requeued:,} could not, as their input is no longer kept" if seen > requeued else ""
            detail = f"{requeued:,} jobs wait for a worker{left}."
            return _done_or("No job of this error code could be requeued.", detail, done=requeued > 0)
        return _Result(AuditOutcome.DONE, f"{requeued:,} jobs wait for a worker; there may be more: repeat it.")

    async def _publish(self, reopened: Sequence[Requeue]) -> None:
        """What Redis does not take the reconciler publishes when it is back."""
        if reopened:
            await self._publisher.offer(
                [JobMessage(requeue.event.job_id, requeue.queue, requeue.traceparent) for requeue in reopened]
            )

    async def _tell(self, events: Sequence[JobEvent]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_NEWS_SECONDS):
                for event in events:
                    await self._events.publish(event)


def check_target(act: Act, target: str) -> None:
    """See whether there can be such a target.

    Raises:
        BadTarget: there cannot.
    """
    kind = WORDINGS[act].target
    # PostgreSQL takes no NUL in a text.
    if not target or len(target) > _LONGEST_TARGET or not target.isprintable():
        raise BadTarget(f"This is no {kind}.")
    if kind == "queue" and target not in QUEUES:
        raise BadTarget(f"There is no queue {target}; there are {', '.join(QUEUES)}.")
    if kind == "job":
        try:
            UUID(target)
        except ValueError:
            raise BadTarget("This is no job's id, which is a UUID.") from None
