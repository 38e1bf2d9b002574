"""How an attempt ends in the store. The store may be away for a while: work that is done is worth some patience."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from services.worker.failures import TIME_LIMIT, Failure, backoff_seconds, classify
from services.worker.interruption import Interruption, Reason
from services.worker.metrics.attempts import AttemptMetrics
from shared.broker import JobMessage, Publisher
from shared.schema.events import JobEvent
from shared.settings import Settings
from shared.store.errors import DATABASE_ERRORS, is_unavailable
from shared.store.jobs import Jobs
from shared.store.records import Claim, FetchClaim, LeaseLost, NewArtifact, Usage

log = structlog.get_logger()

Answer = TypeVar("Answer")
_PATIENCE_SECONDS = 120.0


async def patiently(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """What a call to the store answers, once the store can be reached.

    Raises:
        sqlalchemy.exc.DBAPIError, OSError: it could not be reached for two minutes.
    """
    # Nearly always this is all there is to do.
    try:
        return await call()
    except DATABASE_ERRORS as error:
        if not is_unavailable(error):
            raise
    retrying = AsyncRetrying(
        retry=retry_if_exception(lambda error: isinstance(error, DATABASE_ERRORS) and is_unavailable(error)),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        stop=stop_after_delay(_PATIENCE_SECONDS),
        reraise=True,
    )
    async for attempt in retrying:
        with attempt:
            return await call()
    raise AssertionError("not reached: the last attempt raises")


class Ending:
    """Ends attempts. Each method gives the event to publish, or raises LeaseLost, having written nothing."""

    def __init__(self, *, jobs: Jobs, publisher: Publisher, settings: Settings, metrics: AttemptMetrics) -> None:
        self._jobs = jobs
        self._metrics = metrics
        self._publisher = publisher
        self._settings = settings

    async def success(
        self, claim: Claim, *, results: dict[str, Any], made: list[NewArtifact], usage: Usage
    ) -> JobEvent:
        """The job succeeded."""
        return await patiently(lambda: self._jobs.succeed(claim.lease, results=results, made=made, usage=usage))

    async def interrupted(self, claim: Claim | FetchClaim, interruption: Interruption, usage: Usage) -> JobEvent:
        """The attempt was stopped from outside."""
        match interruption.reason:
            case Reason.CANCELED:
                return await patiently(lambda: self._jobs.finish_canceled(claim.lease, usage=usage))
            case Reason.TIME_LIMIT:
                return await self._fail(claim, TIME_LIMIT, usage)
            case Reason.SHUTDOWN:
                return await self._hand_back(claim, usage)
            case Reason.LEASE_LOST | None:
                raise LeaseLost

    async def failure(self, claim: Claim | FetchClaim, error: Exception, usage: Usage) -> JobEvent:
        """The attempt failed: another one follows where that can help."""
        failure = classify(error)
        log.warning("attempt failed", code=failure.code, exc_info=failure.needs_traceback and error)
        if not failure.is_transient:
            return await self._fail(claim, failure, usage)
        if claim.attempts_spent >= claim.max_attempts:
            message = f"{failure.message} It was tried {claim.attempts_spent} times."
            return await self._fail(claim, Failure(failure.code, message), usage)
        delay = backoff_seconds(claim.attempts_spent, self._settings)
        event = await patiently(
            lambda: self._jobs.retry(
                claim.lease, code=failure.code, message=failure.message, delay_seconds=delay, usage=usage
            )
        )
        self._metrics.retried(failure.code)
        return event

    async def _fail(self, claim: Claim | FetchClaim, failure: Failure, usage: Usage) -> JobEvent:
        event = await patiently(
            lambda: self._jobs.fail(claim.lease, code=failure.code, message=failure.message, usage=usage)
        )
        self._metrics.failed(failure.code)
        return event

    async def _hand_back(self, claim: Claim | FetchClaim, usage: Usage) -> JobEvent:
        event = await self._jobs.hand_back(claim.lease, usage=usage)
        if not event.status.is_terminal:
            await self._publisher.offer([JobMessage(claim.lease.job_id, claim.queue, claim.traceparent)])
        return event
