"""What happened to a job, in the order of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.schema.jobs import AttemptOutcome, JobView


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened to a job."""

    at: datetime
    what: str
    detail: str
    kind: str  # what it is coloured as: a status or an outcome, or nothing


_ENDS = {
    AttemptOutcome.SUCCEEDED: "succeeded",
    AttemptOutcome.FAILED: "failed",
    AttemptOutcome.CANCELED: "was canceled",
    AttemptOutcome.RETRIED: "failed, to be tried again",
    AttemptOutcome.LOST: "lost its worker",
    AttemptOutcome.HANDED_BACK: "was handed back by a worker that stopped",
}


def timeline(job: JobView) -> Sequence[Happening]:
    """All that is on record."""
    happened = [Happening(job.created_at, "accepted", "", "")]
    for attempt in job.attempts:
        happened.append(Happening(attempt.started_at, f"attempt {attempt.number} began", attempt.worker, "running"))
        if attempt.ended_at is not None and attempt.outcome is not None:
            what = f"attempt {attempt.number} {_ENDS[attempt.outcome]}"
            happened.append(Happening(attempt.ended_at, what, attempt.error_message or "", str(attempt.outcome)))
    if job.finished_at is not None:
        # Not before the attempt that ended it, which SQLite dates a moment later.
        at = max([job.finished_at, *(attempt.ended_at for attempt in job.attempts if attempt.ended_at is not None)])
        happened.append(Happening(at, f"the job has {_ended(job)}", "", str(job.status)))
    if job.artifacts_removed_at is not None:
        happened.append(Happening(job.artifacts_removed_at, "artifacts removed, kept for long enough", "", ""))
    if job.not_before is not None:
        happened.append(Happening(job.not_before, "the next attempt is due", "", ""))
    return sorted(happened, key=lambda happening: happening.at)


def _ended(job: JobView) -> str:
    return "been canceled" if job.status == "canceled" else str(job.status)
