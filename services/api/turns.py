"""Begins jobs that were made: at once, or in their turn where their key lets so many run at a time."""

from uuid import UUID

import structlog

from services.api.dispatcher import Dispatcher
from shared.broker import JobMessage
from shared.store.errors import DATABASE_ERRORS
from shared.store.records import NewJob
from shared.store.turns import Turns

log = structlog.get_logger()

_AT_A_TIME = 100


class JobTurns:
    """What to do after a job is durable. Nothing here fails: what is left undone the reconciler does."""

    def __init__(self, turns: Turns, dispatcher: Dispatcher) -> None:
        self._turns = turns
        self._dispatcher = dispatcher

    async def begin(self, new: NewJob, *, queue: str, key_id: UUID | None, traceparent: str | None) -> None:
        """Have the message of a new job published, or those of its key's jobs whose turn it is."""
        if not new.is_held:
            self._dispatcher.dispatch(JobMessage(new.job_id, queue, traceparent))
        elif key_id is not None:
            await self.release(key_id)

    async def release(self, key_id: UUID) -> None:
        """Have the messages of a key's held jobs published, as far as there is room for them."""
        try:
            released = await self._turns.release(key_id, limit=_AT_A_TIME)
        except DATABASE_ERRORS as error:
            log.warning("held jobs not released, the reconciler will", reason=type(error).__name__)
            return
        for job in released:
            self._dispatcher.dispatch(JobMessage(job.job_id, job.queue, job.traceparent))
