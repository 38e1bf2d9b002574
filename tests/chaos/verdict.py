"""Whether the promise was kept: each check looks at the evidence and names every job that breaks it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

from tests.chaos.evidence import TERMINAL, ArtifactRow, AttemptRow, Change, Evidence, JobRow, Rewritten
from tests.chaos.load import Answer, Submission

STUCK_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Breach:
    """One thing that must not be. `kind` is what the report counts."""

    kind: str
    what: str


LOST, DOUBLED, STUCK, DIED = "lost", "doubled", "stuck", "services that ended by themselves"
WRONG_ARTIFACTS, WRONG_EVENTS, WRONG_ANSWER, WRONG_END = (
    "wrong artifacts",
    "wrong events",
    "wrong answer",
    "wrong end",
)
WRONG_ALERT = "wrong alerts"
KINDS = (LOST, DOUBLED, STUCK, DIED, WRONG_ARTIFACTS, WRONG_EVENTS, WRONG_ANSWER, WRONG_END, WRONG_ALERT)


@dataclass(slots=True)
class Case:
    """All that is known of one job."""

    job: JobRow
    attempts: list[AttemptRow] = field(default_factory=list)
    artifacts: list[ArtifactRow] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    rewritten: list[Rewritten] = field(default_factory=list)
    submission: Submission | None = None

    @property
    def name(self) -> str:
        """For a message."""
        return f"{self.job.filename} ({self.job.id})"

    @property
    def reopened(self) -> int:
        """How often its user had it tried again after an end."""
        return sum(self.may_reopen(change) for change in self.changes)

    def may_reopen(self, change: Change) -> bool:
        """Whether a change is the one that may follow an end: a retry of what did not succeed, asked for."""
        return (
            (change.old_status, change.new_status) in {("failed", "queued"), ("canceled", "queued")}
            and self.submission is not None
            and self.submission.retry is not None
        )


def cases(evidence: Evidence) -> Mapping[str, Case]:
    """The evidence by job."""
    by_filename = {submission.filename: submission for submission in evidence.submissions}
    found = {job.id: Case(job, submission=by_filename.get(job.filename)) for job in evidence.jobs}
    for attempt in evidence.attempts:
        found[attempt.job_id].attempts.append(attempt)
    for artifact in evidence.artifacts:
        found[artifact.job_id].artifacts.append(artifact)
    # The witness keeps its word about a job also when the job itself is gone.
    for change in evidence.changes:
        if change.job_id in found:
            found[change.job_id].changes.append(change)
    for rewritten in evidence.rewritten:
        if rewritten.job_id in found:
            found[rewritten.job_id].rewritten.append(rewritten)
    return found


def breaches(evidence: Evidence) -> list[Breach]:
    """Everything that breaks the promise; empty when it was kept."""
    by_job = cases(evidence)
    found = [*_answers(evidence, by_job), *_results_differ(by_job)]
    for case in by_job.values():
        found += _end(case)
        found += _once(case)
        found += _counted(case)
        found += _in_time(case)
        found += _artifacts(case, evidence)
        found += _events(case)
    return found


def _answers(evidence: Evidence, by_job: Mapping[str, Case]) -> Iterator[Breach]:
    """202 means durable; an answer is a right one; a file name has one job."""
    jobs_of = Counter(case.job.filename for case in by_job.values())
    for submission in evidence.submissions:
        match submission.answer:
            case Answer.ACCEPTED if submission.job_id not in by_job:
                yield Breach(LOST, f"{submission.filename} was accepted as {submission.job_id}, and is not there")
            case Answer.WRONG:
                yield Breach(WRONG_ANSWER, f"{submission.filename} was answered with {submission.detail}")
        if jobs_of[submission.filename] > 1:
            yield Breach(
                DOUBLED, f"{submission.filename} was submitted once and has {jobs_of[submission.filename]} jobs"
            )


def _end(case: Case) -> Iterator[Breach]:
    """It ended, and in a way that its client brought about or that a fault explains."""
    job, submission = case.job, case.submission
    if job.status not in TERMINAL:
        yield Breach(LOST, f"{case.name} is still {job.status}")
        return
    if submission is None:
        yield Breach(WRONG_END, f"{case.name} was never submitted")
        return
    if job.status == "canceled" and submission.cancel is None:
        yield Breach(WRONG_END, f"{case.name} is canceled, and nobody asked for that")
    if job.status != "canceled" and submission.cancel == "canceled" and submission.retry is None:
        yield Breach(WRONG_END, f"{case.name} was said to be canceled, and is {job.status}")
    if job.status == "succeeded" and not submission.recipe.is_audio:
        yield Breach(WRONG_END, f"{case.name} is no audio, and succeeded")
    if job.status == "failed" and submission.recipe.is_audio and not _was_disturbed(case):
        yield Breach(WRONG_END, f"{case.name} failed with {job.error_code}, without a fault in its way")


def _was_disturbed(case: Case) -> bool:
    """An end as failed is a fault's doing only after all attempts were lost or met a store that was away."""
    *earlier, last = [attempt.outcome for attempt in case.attempts]
    spent = {"lost", "retried", "handed_back"}
    return len(earlier) >= 3 and spent.issuperset(earlier) and last in {"lost", "failed"}


def _once(case: Case) -> Iterator[Breach]:
    """One end, by one attempt, and no write after it."""
    job = case.job
    ends = [attempt.number for attempt in case.attempts if attempt.outcome in TERMINAL]
    if len(ends) > 1 + case.reopened:
        yield Breach(DOUBLED, f"{case.name} was ended by attempts {ends}")
    if job.status == "succeeded" and ends[-1:] != [job.attempt]:
        yield Breach(DOUBLED, f"{case.name} succeeded, but not by its last attempt {job.attempt}")
    for attempt in case.attempts:
        if not attempt.ended and job.status in TERMINAL:
            yield Breach(DOUBLED, f"{case.name} is {job.status}, and its attempt {attempt.number} is open")
    for written in case.rewritten:
        before, after = written.old_outcome, written.new_outcome
        yield Breach(DOUBLED, f"{case.name}: attempt {written.number} was {before}, then written to: {after}")
    for change in case.changes:
        if change.old_status in TERMINAL and not case.may_reopen(change):
            yield Breach(DOUBLED, f"{case.name} was {change.old_status}, then written to: {change.new_status}")


def _counted(case: Case) -> Iterator[Breach]:
    """Attempts and versions count what happened, and no more."""
    job, attempts = case.job, len(case.attempts)
    if [attempt.number for attempt in case.attempts] != list(range(1, job.attempt + 1)):
        yield Breach(DOUBLED, f"{case.name} has attempt {job.attempt}, and rows of {attempts}")
    for change in case.changes:
        if change.old_version is not None and change.new_version != change.old_version + 1:
            yield Breach(DOUBLED, f"{case.name} went from version {change.old_version} to {change.new_version}")
    # Created, then each attempt's begin and end, the cancels while it waited, and the retries that its user wanted.
    canceled = sum((change.old_status, change.new_status) == ("queued", "canceled") for change in case.changes)
    if job.status in TERMINAL and job.version != 1 + 2 * attempts + canceled + case.reopened:
        yield Breach(DOUBLED, f"{case.name} has version {job.version} after {attempts} attempts")


def _in_time(case: Case) -> Iterator[Breach]:
    """Something happened to it at least every 90 seconds of its life."""
    for before, after in pairwise(case.changes):
        silent = (after.at - before.at).total_seconds()
        if before.new_status not in TERMINAL and silent > STUCK_SECONDS:
            yield Breach(STUCK, f"{case.name} was {before.new_status} for {silent:.0f} s")


def _artifacts(case: Case, evidence: Evidence) -> Iterator[Breach]:
    """A success has what was asked for and what its results name, from one attempt, whole; others have nothing."""
    job, rows = case.job, case.artifacts
    if job.status != "succeeded":
        if rows or job.results is not None:
            yield Breach(WRONG_ARTIFACTS, f"{case.name} is {job.status}, and has results")
        return
    names = {row.name for row in rows}
    if job.results is None or names != _named_in(job.results):
        yield Breach(WRONG_ARTIFACTS, f"{case.name} has {sorted(names)}, and its results name others")
    if case.submission is not None and names != case.submission.recipe.artifacts:
        yield Breach(WRONG_ARTIFACTS, f"{case.name} has {sorted(names)}, not those that were asked for")
    for row in rows:
        blob = evidence.blobs.get(row.blob_key)
        if row.attempt != job.attempt:
            yield Breach(WRONG_ARTIFACTS, f"{case.name}: {row.name} is of attempt {row.attempt}, not {job.attempt}")
        if blob is None:
            yield Breach(WRONG_ARTIFACTS, f"{case.name}: {row.name} is not in the blob store")
        elif (blob.size_bytes, blob.sha256) != (row.size_bytes, row.sha256):
            yield Breach(WRONG_ARTIFACTS, f"{case.name}: {row.name} is not what was written")


def _named_in(results: Mapping[str, Mapping[str, object]]) -> set[str]:
    named: set[str] = set()
    for result in results.values():
        match result:
            case {"artifact": str(name)}:
                named.add(name)
            case {"artifacts": list(names)}:
                named.update(names)
    return named


def _results_differ(by_job: Mapping[str, Case]) -> Iterator[Breach]:
    """The same work on the same file has the same results, whatever happened on the way."""
    first: dict[str, Case] = {}
    for case in by_job.values():
        if case.job.status == "succeeded" and case.submission is not None:
            other = first.setdefault(case.submission.recipe.name, case)
            if case.job.results != other.job.results:
                yield Breach(WRONG_ARTIFACTS, f"{case.name} and {other.name} are one recipe with unlike results")


def _events(case: Case) -> Iterator[Breach]:
    """A client saw true states, each later than the one before, and at last the end that the database has."""
    submission, job = case.submission, case.job
    if submission is None or not submission.followed:
        return
    if submission.stream_error is not None:
        yield Breach(WRONG_EVENTS, f"{case.name}: its event stream {submission.stream_error}")
    for before, after in pairwise(submission.events):
        if (after.version, after.progress) <= (before.version, before.progress):
            yield Breach(WRONG_EVENTS, f"{case.name}: {after} came after {before}")
    status_of = {change.new_version: change.new_status for change in case.changes}
    for event in submission.events:
        if status_of.get(event.version) != event.status:
            yield Breach(WRONG_EVENTS, f"{case.name}: {event} never was")
    last = submission.events[-1] if submission.events else None
    # A stream ends with an end, also with one that was taken back afterwards.
    ends = {(change.new_version, change.new_status) for change in case.changes if change.new_status in TERMINAL}
    if job.status in TERMINAL and (last is None or (last.version, last.status) not in ends):
        yield Breach(WRONG_EVENTS, f"{case.name} is {job.status}, and the last event was {last}")


def orphaned(evidence: Evidence) -> tuple[Sequence[str], list[Breach]]:
    """Blobs that no row claims: those that faults explain, and breaches for those that nothing does.

    An attempt that was lost leaves what it had stored, and a request that broke off what it had received. So does an
    attempt whose claim PostgreSQL forgot when it was killed: its number is another's, its lease is not. They are
    invisible to clients and only cost room.
    """
    claimed = {row.blob_key for row in evidence.artifacts}
    winners = {tuple(key.split("/")[1:3]) for key in claimed}
    attempts = {(row.job_id, str(row.number)) for row in evidence.attempts}
    inputs = {job.input_sha256 for job in evidence.jobs}
    unfinished = {(row.job_id, str(row.number)) for row in evidence.attempts if row.outcome != "succeeded"}
    left: list[str] = []
    found: list[Breach] = []
    for key in evidence.blobs:
        match key.split("/"):
            case ["artifacts", *_] if key in claimed:
                continue
            case ["inputs", _, sha256] if sha256 in inputs:
                continue
            case ["artifacts", job_id, lease, *_] if (job_id, number := lease.split("-")[0]) in attempts and (
                (job_id, number) in unfinished or (job_id, lease) not in winners
            ):
                left.append(key)
            case ["incoming" | "inputs", *_]:
                left.append(key)
            case _:
                found.append(Breach(WRONG_ARTIFACTS, f"{key} is of no attempt that a fault stopped"))
    return left, found


def longest_recovery(evidence: Evidence, lease_seconds: float) -> float:
    """The longest way of a job back to work, in seconds: from its dead worker's last sign of life to the next
    attempt's begin, or to its end where there was none."""
    longest = 0.0
    for case in cases(evidence).values():
        lost = {attempt.number for attempt in case.attempts if attempt.outcome == "lost"}
        broken = None
        for change in case.changes:
            if change.old_status == "running" and change.attempt in lost and change.old_lease_expires_at is not None:
                broken = change.old_lease_expires_at - timedelta(seconds=lease_seconds)
            if broken is not None and change.new_status != "queued":
                longest = max(longest, (change.at - broken).total_seconds())
                broken = None
    return longest
