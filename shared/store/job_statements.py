"""The statements of the arrows in shared/store/jobs.py, built once for each database: to build one costs as much as to
run it.

What a call gives stands in bindparams named `given_*`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Float,
    FromClause,
    Insert,
    Select,
    Text,
    Update,
    Uuid,
    bindparam,
    case,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.types import TypeEngine

from shared.schema.jobs import AttemptOutcome, JobStatus
from shared.store.change import Change
from shared.store.database import Database
from shared.store.dialect import change_steps
from shared.store.notice_marks import wants_notice
from shared.store.ownership import given_owner_owns_upload, takes_turns
from shared.store.tables import Json, UtcDateTime, attempts, is_kept, is_paused, jobs, uploads
from shared.store.tallies import ATTEMPTS_LOST, JOBS_POISONED, count_of

WORKER_LOST = "worker_lost"
_POISONED = (
    "The worker died each time it worked on this file, and the attempts are spent. "
    "The file may need more memory or time than a worker has, or crash the software that reads it."
)

EVENT = (
    jobs.c.id,
    jobs.c.batch_id,
    jobs.c.key_id,
    jobs.c.version,
    jobs.c.status,
    jobs.c.progress,
    jobs.c.attempt,
    jobs.c.error_code,
    jobs.c.error_message,
)
# Where its message belongs, beside what its event says.
REQUEUE = (*EVENT, jobs.c.queue, jobs.c.traceparent)
_CLAIM = (
    *REQUEUE,
    jobs.c.spec,
    jobs.c.upload_id,
    jobs.c.attempts_spent,
    jobs.c.max_attempts,
    jobs.c.due_at,
    jobs.c.started_at,
    jobs.c.has_inputs,
)
_FETCH_CLAIM = (*REQUEUE, jobs.c.spec, jobs.c.upload_id, jobs.c.attempts_spent, jobs.c.max_attempts)
# What waits again waits for what it waited for.
_WAITING_AGAIN = case((jobs.c.status == JobStatus.FETCHING, JobStatus.FETCHING), else_=JobStatus.QUEUED)
_UNLEASED: Mapping[str, Any] = {"lease_token": None, "lease_expires_at": None, "worker": None}


def _given(name: str, kind: type[TypeEngine[Any]] | TypeEngine[Any]) -> ColumnElement[Any]:
    return bindparam(f"given_{name}", type_=kind)


_JOB = jobs.c.id == _given("job", Uuid)
# A job has a token while it runs, or is fetched, and no longer.
_IS_HELD = (
    _JOB & (jobs.c.attempt == _given("attempt", jobs.c.attempt.type)) & (jobs.c.lease_token == _given("token", Uuid))
)


class JobStatements:
    """One for each arrow that changes one job."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._now: ColumnElement[datetime] = database.now()
        self.creation = self._creation()
        self.claim = self._claim()
        self.fetch_claim = self._fetch_claim()
        self.fetched = self._fetched()
        self.heartbeat = self._heartbeat()
        self.success = self._ending(
            AttemptOutcome.SUCCEEDED,
            status=JobStatus.SUCCEEDED,
            finished_at=self._now,
            progress=1.0,
            results=_given("results", Json),
            expires_at=case((jobs.c.keep_seconds.is_not(None), database.now(jobs.c.keep_seconds)), else_=None),
        )
        self.failure = self._ending(
            AttemptOutcome.FAILED,
            status=JobStatus.FAILED,
            finished_at=self._now,
            error_code=_given("code", Text),
            error_message=_given("message", Text),
        )
        self.cancellation = self._ending(AttemptOutcome.CANCELED, status=JobStatus.CANCELED, finished_at=self._now)
        due = case((jobs.c.cancel_requested, None), else_=database.now(_given("delay", Float)))
        self.retry = self._ending(AttemptOutcome.RETRIED, **self._requeued(), not_before=due)
        self.return_to_queue = self._ending(
            AttemptOutcome.HANDED_BACK, **self._requeued(), attempts_spent=jobs.c.attempts_spent - 1
        )
        self.loss = self._loss()

    def _creation(self) -> Change:
        # The upload comes with the same statement: to accept a job costs one.
        its_upload = (uploads.c.id == _given("upload", Uuid)) & given_owner_owns_upload(_given("owner", Uuid))
        upload = (
            select(column).where(its_upload).scalar_subquery().label(f"upload_{column.name}")
            for column in (uploads.c.filename, uploads.c.size_bytes, uploads.c.sha256, uploads.c.created_at)
        )
        is_fetching = _given("status", Text) == JobStatus.FETCHING
        not_before = _given("not_before", UtcDateTime)
        new = {
            "status": _given("status", Text),
            "has_inputs": _given("has_inputs", Boolean),
            "version": 1,
            "progress": 0.0,
            "cancel_requested": False,
            "attempt": 0,
            "attempts_spent": 0,
            "poisoned": False,
            # NULL, which the column refuses, where the caller has no such upload or its bytes are to be removed.
            "input_bytes": case(
                (is_fetching & _given("upload", Uuid).is_(None), 0),
                else_=select(uploads.c.size_bytes).where(its_upload, is_kept).scalar_subquery(),
            ),
            "created_at": self._now,
            "dispatched_at": self._now,
            "not_before": case((not_before > self._now, not_before), else_=None),
            "due_at": case((not_before > self._now, not_before), else_=self._now),
            "id": _given("id", Uuid),
            "key_id": _given("key", Uuid),
            # What is to be fetched takes its turn when that is done.
            "held": case((is_fetching, false()), else_=func.coalesce(takes_turns(_given("key", Uuid)), false())),
            "queue": _given("queue", Text),
            "priority": _given("priority", Text),
            "spec": _given("spec", Json),
            "preset": _given("preset", Text),
            "metadata": _given("metadata", Json),
            "keep_seconds": _given("keep", jobs.c.keep_seconds.type),
            "upload_id": _given("upload", Uuid),
            "batch_id": _given("batch", Uuid),
            "webhook_id": _given("webhook", Uuid),
            "notify": wants_notice(_given("key", Uuid), _given("webhook", Uuid)),
            "traceparent": _given("traceparent", Text),
            "max_attempts": _given("max_attempts", jobs.c.max_attempts.type),
        }
        self.new_job = insert(jobs).values(new)
        answered = (*EVENT, jobs.c.created_at, jobs.c.not_before, jobs.c.held, jobs.c.webhook_id, *upload)
        return Change(self._database, [self.new_job.returning(*answered)])

    def _claim(self) -> Change:
        worker = _given("worker", Text)
        claimed = (
            update(jobs)
            .where(
                _JOB,
                jobs.c.status == JobStatus.QUEUED,
                jobs.c.held.is_(False),
                or_(jobs.c.not_before.is_(None), jobs.c.not_before <= self._now),
                ~is_paused,
            )
            .values(
                status=JobStatus.RUNNING,
                version=jobs.c.version + 1,
                progress=0.0,
                attempt=jobs.c.attempt + 1,
                attempts_spent=jobs.c.attempts_spent + 1,
                lease_token=_given("token", Uuid),
                lease_expires_at=self._database.now(_given("lease", Float)),
                worker=worker,
                not_before=None,
                started_at=func.coalesce(jobs.c.started_at, self._now),
            )
            .returning(*_CLAIM)
        )

        def open_attempt(changed: FromClause) -> Insert:
            opened = select(changed.c.id, changed.c.attempt, worker, self._now, _given("traceparent", Text))
            return insert(attempts).from_select(["job_id", "number", "worker", "started_at", "traceparent"], opened)

        def with_its_upload(changed: FromClause) -> Select[Any]:
            first = select(attempts.c.traceparent).where(
                attempts.c.job_id == changed.c.id, attempts.c.number == 1, changed.c.attempt > 1
            )
            columns = (
                *_of(changed, _CLAIM),
                uploads.c.sha256,
                uploads.c.filename,
                first.scalar_subquery().label("first_traceparent"),
            )
            return select(*columns).join(uploads, uploads.c.id == changed.c.upload_id)

        # One that is forgotten leaves the job queued, and a lease that holds nothing: it is done again, and once.
        return self._change(claimed, also=[open_attempt], answer=with_its_upload, is_durable=False)

    def _fetch_claim(self) -> Change:
        worker = _given("worker", Text)
        claimed = (
            update(jobs)
            .where(
                _JOB,
                jobs.c.status == JobStatus.FETCHING,
                jobs.c.lease_token.is_(None),
                or_(jobs.c.not_before.is_(None), jobs.c.not_before <= self._now),
                ~is_paused,
            )
            .values(
                version=jobs.c.version + 1,
                progress=0.0,
                attempt=jobs.c.attempt + 1,
                attempts_spent=jobs.c.attempts_spent + 1,
                lease_token=_given("token", Uuid),
                lease_expires_at=self._database.now(_given("lease", Float)),
                worker=worker,
                not_before=None,
                started_at=func.coalesce(jobs.c.started_at, self._now),
            )
            .returning(*_FETCH_CLAIM)
        )

        def open_attempt(changed: FromClause) -> Insert:
            opened = select(changed.c.id, changed.c.attempt, worker, self._now, _given("traceparent", Text))
            return insert(attempts).from_select(["job_id", "number", "worker", "started_at", "traceparent"], opened)

        return self._change(
            claimed,
            also=[open_attempt],
            answer=lambda changed: select(*_of(changed, _FETCH_CLAIM)),
            is_durable=False,
        )

    def _fetched(self) -> Change:
        size = select(uploads.c.size_bytes).where(uploads.c.id == _given("upload", Uuid)).scalar_subquery()
        fetched = (
            update(jobs)
            .where(_IS_HELD, jobs.c.status == JobStatus.FETCHING)
            .values(
                **_UNLEASED,
                **self._requeued(literal(JobStatus.QUEUED, Text)),
                version=jobs.c.version + 1,
                queue=_given("queue", Text),
                upload_id=_given("upload", Uuid),
                input_bytes=size,
                # The work has all its attempts, however many the way here has taken.
                attempts_spent=0,
                held=func.coalesce(takes_turns(jobs.c.key_id), false()),
            )
            .returning(*REQUEUE)
        )
        return self._change(
            fetched,
            also=[self._closing(AttemptOutcome.FETCHED, _given("code", Text), _given("message", Text))],
            answer=lambda changed: select(*_of(changed, REQUEUE)),
        )

    def _heartbeat(self) -> Change:
        progress = _given("progress", Float)
        beaten = (
            update(jobs)
            .where(_IS_HELD)
            .values(
                lease_expires_at=self._database.now(_given("lease", Float)),
                progress=case((jobs.c.progress > progress, jobs.c.progress), else_=progress),
            )
            .returning(jobs.c.cancel_requested)
        )
        return self._change(beaten, answer=lambda changed: select(changed.c.cancel_requested), is_durable=False)

    def _ending(self, outcome: AttemptOutcome, **values: Any) -> Change:
        ended = update(jobs).where(_IS_HELD).values(**_UNLEASED, version=jobs.c.version + 1, **values).returning(*EVENT)
        return self._change(
            ended,
            also=[self._closing(outcome, _given("code", Text), _given("message", Text))],
            answer=lambda changed: select(*_of(changed, EVENT)),
        )

    def _loss(self) -> Change:
        spent = jobs.c.attempts_spent >= jobs.c.max_attempts
        given_up = ~jobs.c.cancel_requested & spent
        lost = (
            update(jobs)
            .where(_IS_HELD, or_(_given("also_unexpired", Boolean), jobs.c.lease_expires_at < self._now))
            .values(
                **_UNLEASED,
                version=jobs.c.version + 1,
                progress=0.0,
                status=case(
                    (jobs.c.cancel_requested, JobStatus.CANCELED),
                    (spent, JobStatus.FAILED),
                    else_=_WAITING_AGAIN,
                ),
                error_code=case((given_up, WORKER_LOST), else_=None),
                error_message=case((given_up, _POISONED), else_=None),
                poisoned=given_up,
                finished_at=case((jobs.c.cancel_requested | spent, self._now), else_=None),
                dispatched_at=self._now,
            )
            .returning(*REQUEUE, jobs.c.poisoned)
        )
        dialect = self._database.dialect_name
        said = literal("The worker died, or could not be heard of any more.")
        return self._change(
            lost,
            also=[
                self._closing(AttemptOutcome.LOST, literal(WORKER_LOST), said),
                lambda changed: count_of(dialect, ATTEMPTS_LOST, changed.c.queue, changed),
                lambda changed: count_of(dialect, JOBS_POISONED, changed.c.queue, changed, when=changed.c.poisoned),
            ],
            answer=lambda changed: select(*_of(changed, REQUEUE)),
        )

    def _change(
        self,
        change: ReturningUpdate[Any],
        *,
        answer: Callable[[FromClause], Select[Any]],
        also: Sequence[Callable[[FromClause], Insert | Update]] = (),
        is_durable: bool = True,
    ) -> Change:
        """A conditional UPDATE of one job, and what is written and answered from the changed row."""
        steps = change_steps(
            self._database.dialect_name, change, which=_JOB, also=also, answer=answer, is_durable=is_durable
        )
        return Change(self._database, steps)

    def _closing(
        self, outcome: AttemptOutcome, code: ColumnElement[str], message: ColumnElement[str]
    ) -> Callable[[FromClause], Update]:
        def close_attempt(changed: FromClause) -> Update:
            return (
                update(attempts)
                .where(attempts.c.job_id == changed.c.id, attempts.c.number == _given("attempt", jobs.c.attempt.type))
                .values(
                    ended_at=self._now,
                    outcome=outcome,
                    error_code=code,
                    error_message=message,
                    audio_seconds=_given("audio_seconds", Float),
                    cpu_seconds=_given("cpu_seconds", Float),
                )
            )

        return close_attempt

    def _requeued(self, status: ColumnElement[str] = _WAITING_AGAIN) -> dict[str, Any]:
        """Back to the queue, unless the user has asked for its end in the meantime."""
        canceled: ColumnElement[bool] = jobs.c.cancel_requested
        return {
            "status": case((canceled, JobStatus.CANCELED), else_=status),
            "finished_at": case((canceled, self._now), else_=None),
            "progress": 0.0,
            "dispatched_at": self._now,
        }


def _of(changed: FromClause, columns: tuple[Column[Any], ...]) -> list[ColumnElement[Any]]:
    return [changed.c[column.key] for column in columns]
